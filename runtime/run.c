/* run.c - a runtime from start to stop.
 *
 * Start: what everybody shares, then the workers (crew.h). Stop: the root scope counts the first task and those
 * submitted; whoever counts it down to zero says stop. Then everything is taken down in the opposite order.
 *
 * If rings are refused, and nobody insists on them, the workers all start once more, with the other driver. */
#include "runtime/run.h"

#include "runtime/alloc.h"
#include "runtime/child.h"
#include "runtime/crew.h"
#include "runtime/panic.h"
#include "runtime/spare.h"
#include "runtime/worker.h"
#ifdef WF_SIM
#include "runtime/platform/sim.h"
#endif

static struct {
    struct wf_lock lock;
    weft_runtime *first;
} all_runtimes; /* of this process */

/* ---- which driver ---- */

static WF_ATOMIC(bool) rings_are_refused; /* for good: what refuses them is not taken back */

static void choose_driver(weft_runtime *rt)
{
    bool soft = rt->config.driver == WEFT_DRIVER_SOFT;
    soft |= rt->config.driver == WEFT_DRIVER_AUTO && wf_load(&rings_are_refused, relaxed);
    rt->driver = soft ? WEFT_DRIVER_SOFT : WEFT_DRIVER_RING;
}

static const char *who_refuses(int err)
{
    switch (err) {
    case -ENOMEM:
        return "RLIMIT_MEMLOCK is too small for it";
    case -ENOSYS:
    case -EINVAL:
        return "this kernel, or whoever filters its system calls, does not have what weft needs of it";
    default:
        return "container engines deny it by default, and so does kernel.io_uring_disabled";
    }
}

/* Nothing has run, since a worker could not open its driver. True: another kind is worth a try. */
static bool choose_another_driver(weft_runtime *rt)
{
    static WF_ATOMIC(bool) told;
    int err = wf_load(&rt->start_error, relaxed);
    if (rt->driver != WEFT_DRIVER_RING || (!wf_driver_is_refused(err) && err != -ENOMEM))
        return false;
    if (rt->config.driver != WEFT_DRIVER_AUTO)
        return false;
    if (err != -ENOMEM)
        wf_store(&rings_are_refused, true, relaxed);
    if (!wf_swap(&told, true, relaxed))
        wf_warn("running on epoll and threads (driver soft), as io_uring is not available here (%s): %s",
                weft_strerror(err), who_refuses(err));
    rt->driver = WEFT_DRIVER_SOFT;
    return true;
}

/* ---- the overflow report ---- */

/* In a signal handler, on the alternate stack, on the thread whose task overflowed. */
static void report_overflow(const void *addr)
{
    (void)addr;
    weft_task *t = wf_task_self();
    if (t)
        wf_warn("stack overflow in task %s (spawned at %s): give it more through weft_config.stack_size, or put less "
                "on the stack",
                wf_task_name(t), wf_task_place(t));
    else
        wf_warn("stack overflow outside a task");
}

/* ---- the runtime ---- */

static void enlist_runtime(weft_runtime *rt)
{
    wf_lock(&all_runtimes.lock);
    rt->next = all_runtimes.first;
    all_runtimes.first = rt;
    wf_unlock(&all_runtimes.lock);
}

static void delist_runtime(weft_runtime *rt)
{
    wf_lock(&all_runtimes.lock);
    weft_runtime **at = &all_runtimes.first;
    while (*at != rt)
        at = &(*at)->next;
    *at = rt->next;
    wf_unlock(&all_runtimes.lock);
}

void wf_runtime_each(void (*fn)(weft_runtime *rt, void *ctx), void *ctx)
{
    wf_lock(&all_runtimes.lock);
    for (weft_runtime *rt = all_runtimes.first; rt; rt = rt->next)
        fn(rt, ctx);
    wf_unlock(&all_runtimes.lock);
}

bool wf_runtime_any(void)
{
    return all_runtimes.first != NULL;
}

static size_t slots_size(weft_runtime *rt)
{
    return (rt->worker_count + wf_spares_max(rt->worker_count)) * sizeof *rt->workers;
}

static void destroy(weft_runtime *rt)
{
    if (!rt)
        return;
    wf_task_pool_close(&rt->tasks);
    wf_stack_pool_close(&rt->stacks);
    for (unsigned i = 0; rt->workers && i < wf_spares_present(rt); i++)
        wf_queue_close(&rt->workers[i].queue);
    wf_free(rt->workers, slots_size(rt));
    wf_free(rt, sizeof *rt);
}

static int create(weft_runtime **ret, const weft_config *config)
{
    struct wf_topology *topology = wf_alloc(sizeof *topology);
    weft_runtime *rt = wf_alloc_aligned(sizeof *rt, 64);
    int err = -ENOMEM;
    if (!rt || !topology)
        goto out;
    rt->config = *config;
    rt->worker_count = rt->idle.workers = config->workers;
    wf_store(&rt->present, rt->worker_count, relaxed);
    rt->workers = wf_alloc_aligned(slots_size(rt), 64);
    if (!rt->workers)
        goto out;
    if ((err = wf_topology_read(topology, rt->worker_count, NULL)) < 0)
        goto out;
    if ((err = wf_stack_pool_open(&rt->stacks, config->stack_size)) < 0)
        goto out;
    wf_spills_open(rt);
    for (unsigned i = 0; i < rt->worker_count; i++)
        if ((err = wf_crew_init_worker(rt, i, topology)) < 0)
            goto out;
    wf_lanes_open(rt);
    wf_scope_open_root(&rt->root);
out:
    wf_free(topology, sizeof *topology);
    if (err < 0) {
        destroy(rt);
        return err;
    }
    *ret = rt;
    return 0;
}

static weft_task *make_root_task(weft_runtime *rt, weft_fn fn, void *arg, const char *site)
{
    weft_task *t = wf_task_get(&rt->tasks, NULL);
    if (!t)
        return NULL;
    wf_task_init(t, &rt->root, fn, arg, site);
    wf_store(&t->number, wf_add(&rt->numbers, 1, relaxed) + 1, relaxed);
    wf_store(&t->state, WF_TASK_READY, relaxed);
    return t;
}

static int run(weft_runtime *rt, weft_fn fn, void *arg)
{
    weft_task *first = make_root_task(rt, fn, arg, NULL);
    if (!first)
        return -ENOMEM;
    int err = wf_watchdog_open(rt);
    if (err)
        return err;
    wf_store(&rt->first, first, relaxed);
    wf_store(&first->home, &rt->workers[0], relaxed);
    wf_queue_push_fresh(&rt->workers[0].queue, first);
    choose_driver(rt);
    enlist_runtime(rt);
    do
        wf_crew_run(rt);
    while (wf_load(&rt->start_error, relaxed) && choose_another_driver(rt));
    delist_runtime(rt);
    wf_lanes_close(&rt->lanes);
    wf_watchdog_close(rt);
    err = wf_load(&rt->start_error, relaxed);
    if (!err)
        return rt->result < 0 ? rt->result : rt->submit_error ? rt->submit_error : rt->result;
    if (rt->driver == WEFT_DRIVER_RING && wf_driver_is_refused(err)) {
        wf_warn("io_uring is not available here (%s), but driver ring was asked for: %s", weft_strerror(err),
                who_refuses(err));
        return -ENOSYS;
    }
    return err;
}

#ifdef WF_SIM /* Whoever only calls weft_run() gets a simulation of its own. */

struct whole_run {
    const weft_config *config;
    weft_fn fn;
    void *arg;
};

static int run_simulated(void *p)
{
    const struct whole_run *r = p;
    return weft_run(r->config, r->fn, r->arg);
}

#endif

int weft_run(const weft_config *given, weft_fn fn, void *arg)
{
#ifdef WF_SIM
    if (!wf_sim_inside())
        return wf_sim_by_environment(run_simulated, &(struct whole_run){given, fn, arg});
#endif
    wf_child_refuse("weft_run");
    WF_REQUIRE(!wf_task_self(), "weft_run called inside a task");
    weft_config config;
    weft_runtime *rt = NULL;
    int err = wf_config_read(&config, given);
    if (!err)
        err = wf_child_watch();
    if (!err)
        err = create(&rt, &config);
    if (err)
        return err;
    if (!config.no_fault_handler)
        err = wf_stack_guard_install(report_overflow);
    if (!err) {
        err = run(rt, fn, arg);
        if (!config.no_fault_handler)
            wf_stack_guard_uninstall();
    }
    destroy(rt);
    return err;
}

void wf_runtime_stop(weft_runtime *rt)
{
    wf_store(&rt->stopping, true, release); /* partner: the loop's loads (acquire); kept: for what tasks left behind */
    unsigned all = wf_spares_final(rt);
    for (unsigned i = 0; i < all; i++)
        wf_driver_wake(rt->workers[i].driver);
}

void wf_runtime_result(weft_runtime *rt, weft_task *t, int result)
{
    if (t == wf_load(&rt->first, relaxed)) {
        rt->result = result;
        wf_store(&rt->first, NULL, relaxed); /* its memory may become another task's */
        return;
    }
    wf_lock(&rt->root.lock);
    if (result < 0 && !rt->submit_error)
        rt->submit_error = result;
    wf_unlock(&rt->root.lock);
}

weft_runtime *weft_runtime_self(void)
{
    return wf_worker_require("weft_runtime_self")->rt;
}

int weft_submit_at(weft_runtime *rt, weft_fn fn, void *arg, const char *site)
{
    wf_child_refuse("weft_submit");
    int64_t pending = wf_load(&rt->root.pending, relaxed);
    do
        if (pending == 0)
            return -ESHUTDOWN;
    while (!wf_cas_weak(&rt->root.pending, &pending, pending + 1, relaxed)); /* it keeps the runtime up: S3 */
    weft_task *t = make_root_task(rt, fn, arg, site);
    if (!t) {
        wf_runtime_visit(rt);
        if (wf_scope_count_ends(&rt->root, 1))
            wf_runtime_stop(rt);
        wf_runtime_leave(rt);
        return -ENOMEM;
    }
    unsigned to = wf_add(&rt->submit_next, 1, relaxed) % rt->worker_count;
    wf_store(&t->home, &rt->workers[to], relaxed);
    wf_worker_deliver(&rt->workers[to], t);
    return 0;
}

void weft_stats_read(weft_runtime *rt, weft_stats *ret)
{
    wf_child_refuse("weft_stats_read");
    *ret = (weft_stats){.workers = rt->worker_count, .driver = rt->workers[0].driver->name};
    for (unsigned i = 0; i < wf_spares_present(rt); i++) {
        struct wf_worker *w = &rt->workers[i];
        ret->tasks += wf_load(&w->runs, relaxed);
        ret->switches += wf_load(&w->switches, relaxed);
        ret->steals += wf_load(&w->steals, relaxed);
        ret->parks += wf_load(&w->parks, relaxed);
        ret->spills += wf_load(&w->spills, relaxed);
        ret->restores += wf_load(&w->restores, relaxed);
        ret->submits += wf_load(&w->driver->enters, relaxed);
        ret->completions += wf_load(&w->driver->completions, relaxed);
        ret->served += wf_load(&w->driver->served, relaxed);
    }
    ret->spares = wf_load(&rt->spares.calls, relaxed);
    ret->stalls = wf_load(&rt->watchdog.stalls, relaxed);
    ret->deadlocks = wf_load(&rt->watchdog.deadlocks, relaxed);
}
