/* crew.c - see crew.h. */
#include "runtime/crew.h"

#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/where.h"
#include "runtime/spare.h"

#include <stdio.h>

/* ---- counting ---- */

static void count_up(WF_ATOMIC(uint32_t) *count)
{
    wf_add(count, 1, release); /* partner: await_count's load, of the last of these exchanges */
    wf_futex_wake(count, INT32_MAX);
}

static void await_count(WF_ATOMIC(uint32_t) *count, uint32_t n)
{
    for (uint32_t now; (now = wf_load(count, acquire)) < n;)
        wf_futex_wait(count, now, INT64_MAX);
}

static void fail_start(weft_runtime *rt, int err)
{
    int none = 0;
    wf_cas(&rt->start_error, &none, err, relaxed); /* read after count_up's and await_count's pairing */
    wf_store(&rt->stopping, true, relaxed);        /* the same */
}

/* ---- a worker, and its thread ---- */

/* First the workers, then the spares that have come. */
static void order_victims(struct wf_worker *w, const struct wf_topology *topology)
{
    unsigned n = 0, first = 0, slots = w->rt->worker_count + wf_spares_max(w->rt->worker_count);
    if (topology) {
        wf_topology_victims(topology, w->index, w->victims);
        first = w->rt->worker_count;
        n = first - 1;
    }
    for (unsigned i = first; i < slots; i++)
        if (i != w->index)
            w->victims[n++] = (unsigned char)i;
}

int wf_crew_init_worker(weft_runtime *rt, unsigned index, const struct wf_topology *topology)
{
    struct wf_worker *w = &rt->workers[index];
    w->rt = rt;
    w->index = index;
    w->spare = index >= rt->worker_count;
    w->cpu = rt->config.pin && topology ? topology->cpu[index] : -1;
    w->pinned_last = &w->pinned;
    w->lookout_ns = WF_LOOKOUT_FIRST_NS;
    order_victims(w, topology);
    wf_wheel_open(&w->wheel, wf_clock_now());
    w->spills_on = rt->spills.on;
    w->queue.peeks = rt->worker_count == 1 || !w->spills_on;
    return wf_queue_open(&w->queue, rt->worker_count == 1);
}

/* What a thread was before it became a worker. */
struct before {
    struct wf_sigpipe sigpipe;
    struct wf_affinity affinity;
    void *altstack;
};

static int enter_thread(struct wf_worker *w, struct before *b)
{
    b->altstack = NULL;
    wf_thread_block_sigpipe(&b->sigpipe);
    wf_thread_bind(w->cpu, &b->affinity);
    int err = wf_stack_guard_enter(&b->altstack);
    if (!err)
        err = wf_driver_open(&w->driver, w->rt->driver, w->rt->config.ring);
    wf_context_adopt_thread(&w->base); /* before any task runs: under AddressSanitizer it opens a file for a moment */
    return err;
}

static void work(struct wf_worker *w)
{
    wf_local()->worker = w;
    w->errno_at = weft_errno();
    wf_store(&w->thread_id, wf_where_self(), relaxed); /* seen by who sees what it runs (D1) */
    wf_worker_run(w);
}

/* Until all have left their loops, and nobody rings at them any more. */
static void await_others(weft_runtime *rt)
{
    count_up(&rt->stopped);
    await_count(&rt->stopped, wf_spares_final(rt));
    while (wf_load(&rt->visitors, acquire)) /* somebody is ringing: a matter of one system call */
        wf_thread_yield();
}

static void leave_thread(struct wf_worker *w, struct before *b)
{
    wf_driver_close(w->driver);
    w->driver = NULL;
    wf_local()->worker = NULL;
    wf_stack_guard_leave(b->altstack);
    wf_thread_unbind(&b->affinity);
    wf_thread_restore_sigpipe(&b->sigpipe);
}

static void run_worker(struct wf_worker *w)
{
    weft_runtime *rt = w->rt;
    struct before before;
    int err = enter_thread(w, &before);
    if (err)
        fail_start(rt, err);
    count_up(&rt->started);
    await_count(&rt->started, rt->worker_count);
    if (!wf_load(&rt->start_error, relaxed))
        work(w);
    wf_context_finish(&w->base);
    await_others(rt);
    leave_thread(w, &before);
}

void wf_crew_run_spare(struct wf_worker *w)
{
    struct before before;
    int err = enter_thread(w, &before);
    wf_spare_has_come(w, err); /* from here on the watchdog may forget it, if it has failed */
    if (!err)
        work(w);
    wf_context_finish(&w->base);
    if (!err)
        await_others(w->rt);
    leave_thread(w, &before);
}

static void *worker_main(void *arg)
{
    run_worker(arg);
    return NULL;
}

/* ---- all of them ---- */

void wf_crew_run(weft_runtime *rt)
{
    wf_store(&rt->started, 0, relaxed); /* this is not always the first start; threads that begin see all this */
    wf_store(&rt->stopped, 0, relaxed);
    wf_store(&rt->start_error, 0, relaxed);
    wf_store(&rt->stopping, false, relaxed);
    unsigned running = 1; /* worker 0 is this thread */
    for (; running < rt->worker_count; running++) {
        char name[16];
        snprintf(name, sizeof name, "weft-%u", running);
        struct wf_worker *w = &rt->workers[running];
        int err = wf_thread_start(&w->thread, worker_main, w, name);
        if (err) {
            fail_start(rt, err);
            break;
        }
    }
    for (unsigned missing = running; missing < rt->worker_count; missing++) {
        count_up(&rt->started); /* on behalf of those that will not come */
        count_up(&rt->stopped);
    }
    run_worker(&rt->workers[0]);
    for (unsigned i = 1; i < running; i++)
        wf_thread_join(&rt->workers[i].thread);
    for (unsigned i = rt->worker_count; i < wf_spares_present(rt); i++)
        wf_thread_join(&rt->workers[i].thread);
}
