/* watchdog.c - when the watchdog may sleep (runtime/watchdog.c, runtime/idle.c).
 *
 * Real: both. Stand-ins: workers, which sleep as search.c does, are woken, and run a task that does not let go before
 * it has been reported; a driver, which is a word to be rung; lanes without jobs; what is said.
 *
 * What must hold: whoever is awake is watched, so a task that stands is told of, by the time it has stood for the limit
 * and not before; if all sleep for good, that is told. If the watchdog slept through either, nobody could go on.
 *
 *   with: WF_CALM_LOOKS=1 */
#include "tests/model/model.h"

#include "runtime/idle.c"
#include "runtime/watchdog.c"

enum { WORKERS = 2, LIMIT_NS = 8 };

static weft_runtime rt;
static struct wf_worker worker[WORKERS];
static weft_task task[WORKERS];
static int64_t begun_ns[WORKERS];
static WF_ATOMIC(uint32_t) bell[WORKERS], told;
static unsigned sleeps, holders; /* how often each sleeps before the last time; of them hold their worker then */

bool wf_lanes_are_quiet(struct wf_lanes *lanes)
{
    return lanes == &rt.lanes;
}

unsigned wf_lanes_count_threads(struct wf_lanes *lanes)
{
    model_fail("nobody asks for those of %p unless the limit is the default", (void *)lanes);
}

unsigned wf_thread_count(void)
{
    model_fail("nobody asks for it unless the limit is the default");
}

/* Nobody is blocked, so nobody asks for a spare. */

int64_t wf_thread_cpu_time(int id)
{
    model_check(id == 0);
    return -1;
}

bool wf_thread_is_blocked(int id)
{
    model_fail("thread %d is asked for, though it computes", id);
}

unsigned wf_spares_max(unsigned workers)
{
    return workers - workers;
}

bool wf_spares_call(weft_runtime *r, enum wf_duty duty, int64_t now)
{
    model_fail("%d workers stand still at %d: %d", (int)r->worker_count, (int)now, (int)duty);
}

/* Nobody leaves word that one stands still, so nobody is woken to look out. */

void wf_spares_wake_idle(weft_runtime *r, struct wf_worker *near)
{
    model_fail("worker %u of %u does not stand still", near->index, r->worker_count);
}

void wf_lookout_mark(weft_runtime *r, int64_t now)
{
    model_check(r == &rt && now >= 0);
}

static void tell(void)
{
    if (wf_add(&told, 1, acq_rel) + 1 < (holders ? holders : 1))
        return;
    wf_store(&rt.watchdog.stop, 1, relaxed);
    wf_futex_wake(&told, WORKERS);
    for (unsigned i = 0; i < rt.worker_count; i++) {
        wf_store(&bell[i], 2, relaxed);
        wf_futex_wake(&bell[i], 1);
    }
}

void wf_stall_report(struct wf_worker *w, weft_task *t, struct wf_watchdog_seen *seen, int64_t now)
{
    model_check(t == &task[w->index]);
    model_check(now - begun_ns[w->index] >= LIMIT_NS); /* ordered by D1, or the time would be a race */
    model_check(seen->reported);
    tell();
}

void wf_deadlock_report(weft_runtime *r)
{
    model_check(r == &rt);
    model_check(holders == 0);
    tell();
}

/* ---- a worker ---- */

/* As in search.c. */
static void fall_asleep(struct wf_worker *w, enum wf_rest how)
{
    wf_idle_sleep(&rt.idle, w->index, false);
    wf_store(&w->rest, how, relaxed);
    while (wf_load(&bell[w->index], relaxed) == 0)
        wf_futex_wait(&bell[w->index], 0, INT64_MAX);
    uint32_t once = 1;
    wf_cas(&bell[w->index], &once, 0u, relaxed);
    wf_store(&w->rest, WF_REST_NOT, relaxed);
    if (!wf_idle_wake_self(&rt.idle, w->index))
        wf_idle_found(&rt.idle);
}

/* As in worker.c; it lets go once it has been told of. */
static void hold(struct wf_worker *w)
{
    begun_ns[w->index] = model_now();
    wf_store(&w->current, &task[w->index], release); /* D1 */
    wf_store(&w->run_seq, wf_load(&w->run_seq, relaxed) + 1, relaxed);
    for (uint32_t n; (n = wf_load(&told, acquire)) < holders;)
        wf_futex_wait(&told, n, INT64_MAX);
    wf_store(&w->current, NULL, relaxed);
}

static void work(void)
{
    struct wf_worker *w = &worker[model_self() - 1];
    for (unsigned i = 0; i < sleeps; i++)
        fall_asleep(w, WF_REST_UNTIL);
    if (w->index < holders)
        hold(w);
    else
        fall_asleep(w, WF_REST_QUIET);
}

/* Something comes for one of them after a long time, by way of its driver, or because work is there for whoever
 * sleeps. */
static void ring(void)
{
    model_advance(3 * LIMIT_NS);
    int claimed = model_choose(2) ? wf_idle_claim(&rt.idle, 0) : -1;
    for (unsigned i = 0; i < rt.worker_count; i++) {
        wf_store(&bell[i], 1, relaxed);
        wf_futex_wake(&bell[i], 1);
    }
    model_check(claimed < (int)rt.worker_count);
}

static void watch(void)
{
    thread_main(&rt);
}

/* ---- all of it ---- */

static void set_up(unsigned workers, unsigned sleeps_before, unsigned who_hold)
{
    static struct wf_watchdog_seen seen[WORKERS];
    rt.worker_count = rt.idle.workers = workers;
    wf_store(&rt.present, workers, relaxed);
    rt.workers = worker;
    rt.watchdog.seen = seen;
    rt.watchdog.limit_ns = LIMIT_NS;
    rt.watchdog.late_ns = rt.watchdog.pace_max_ns = LIMIT_NS / LOOKS_PER_LIMIT;
    for (unsigned i = 0; i < workers; i++) {
        worker[i].rt = &rt;
        worker[i].index = i;
    }
    sleeps = sleeps_before;
    holders = who_hold;
}

static void setup_stall(void)
{
    set_up(1, 1, 1);
}

static void setup_two(void)
{
    set_up(2, 1, 1);
}

static void setup_deadlock(void)
{
    set_up(1, 1, 0);
}

static void finish(void)
{
    model_check(wf_load(&told, relaxed) == (holders ? holders : 1));
    model_check(wf_load(&rt.idle.asleep, relaxed) == 0);
    model_check(wf_load(&rt.idle.searching, relaxed) == 0);
}

MODEL(watchdog_stall, .setup = setup_stall, .threads = {work, ring, watch}, .finish = finish)
MODEL(watchdog_one_of_two, .setup = setup_two, .threads = {work, work, ring, watch}, .finish = finish, .outdated = 1,
      .early = -1)
MODEL(watchdog_deadlock, .setup = setup_deadlock, .threads = {work, ring, watch}, .finish = finish)
