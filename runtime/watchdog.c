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

/* Is there nothing in w's hands, and will nothing come by itself? */
static bool is_quiet(struct wf_worker *w)
{
    return !wf_queue_any(&w->queue) && !wf_load(&w->queue.slot, relaxed) && !wf_inbox_any(&w->inbox) &&
           !wf_inbox_any(&w->pinned_inbox) && wf_load(&w->quiet, relaxed);
}

/* The same for all. Each is looked at for itself, so it counts only if it stays so. */
static bool are_quiet(weft_runtime *rt, uint64_t *ret_seq)
{
    bool quiet = wf_lanes_are_quiet(&rt->lanes);
    *ret_seq = 0;
    for (unsigned i = 0; i < rt->worker_count; i++) {
        quiet = quiet && is_quiet(&rt->workers[i]);
        *ret_seq += wf_load(&rt->workers[i].run_seq, relaxed);
    }
    return quiet && !wf_load(&rt->stopping, relaxed);
}

static void look_at_all(weft_runtime *rt, int64_t now)
{
    struct wf_watchdog *d = &rt->watchdog;
    uint64_t seq;
    bool quiet = are_quiet(rt, &seq);
    if (!quiet || !d->quiet_since_ns || seq != d->quiet_seq) {
        d->quiet_since_ns = quiet ? now : 0;
        d->quiet_seq = seq;
        d->quiet_told = false;
    } else if (!d->quiet_told && now - d->quiet_since_ns >= rt->config.stall_ns) {
        d->quiet_told = true;
        wf_deadlock_report(rt);
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
        look_at_all(rt, now);
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
