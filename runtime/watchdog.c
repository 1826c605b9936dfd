/* watchdog.c - see watchdog.h. */
#include "runtime/watchdog.h"

#include "runtime/alloc.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/futex.h"
#include "runtime/worker.h"

enum { LOOKS_PER_LIMIT = 4 };

static void look(weft_runtime *rt, struct wf_worker *w, struct wf_watchdog_seen *seen, int64_t now)
{
    uint64_t seq = wf_load(&w->run_seq, relaxed);
    weft_task *t = wf_load(&w->current, acquire); /* D2, with worker.c's D1 */
    if (!t || seq != seen->seq) {
        seen->seq = seq;
        seen->taken = wf_load(&w->taken, relaxed);
        seen->since_ns = now;
        seen->reported = false;
    } else if (!seen->reported && now - seen->since_ns >= rt->config.stall_ns) {
        seen->reported = true;
        wf_stall_report(w, t, seen, now);
    }
}

static void *thread_main(void *arg)
{
    weft_runtime *rt = arg;
    int64_t step = rt->config.stall_ns / LOOKS_PER_LIMIT + 1;
    while (!wf_load(&rt->watchdog.stop, relaxed)) { /* nothing hangs on it but leaving */
        int64_t now = wf_clock_now();
        for (unsigned i = 0; i < rt->worker_count; i++)
            look(rt, &rt->workers[i], &rt->watchdog.seen[i], now);
        wf_futex_wait(&rt->watchdog.stop, 0, now + step);
    }
    return NULL;
}

static void forget(weft_runtime *rt)
{
    wf_free(rt->watchdog.seen, rt->worker_count * sizeof *rt->watchdog.seen);
    rt->watchdog.seen = NULL;
}

int wf_watchdog_open(weft_runtime *rt)
{
    if (rt->config.stall_ns <= 0)
        return 0;
    rt->watchdog.seen = wf_alloc(rt->worker_count * sizeof *rt->watchdog.seen);
    if (!rt->watchdog.seen)
        return -ENOMEM;
    int err = wf_thread_start(&rt->watchdog.thread, thread_main, rt, "weft-watchdog");
    if (err)
        forget(rt);
    return err;
}

void wf_watchdog_close(weft_runtime *rt)
{
    if (!rt->watchdog.seen)
        return;
    wf_store(&rt->watchdog.stop, 1, relaxed);
    wf_futex_wake(&rt->watchdog.stop, 1);
    wf_thread_join(&rt->watchdog.thread);
    forget(rt);
}
