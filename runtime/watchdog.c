/* watchdog.c - see watchdog.h.
 *
 * Ordering: D2, with worker.c's D1: the task that is looked at. Figures and `rest` are looks, until all sleep and I6
 * (idle.c) has made them those of this very sleep. */
#include "runtime/watchdog.h"

#include "runtime/alloc.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/context.h"
#include "runtime/lookout.h"
#include "runtime/platform/futex.h"
#include "runtime/spare.h"

/* What makes every step of a task slow makes it no stall. */
#if defined(WF_TSAN) || defined(WF_ASAN) || defined(WF_VALGRIND) || defined(WF_NOISE)
enum { SLOWNESS = 5 };
#else
enum { SLOWNESS = 1 };
#endif

#ifndef WF_CALM_LOOKS /* a model has fewer */
#define WF_CALM_LOOKS 3
#endif

enum { LOOKS_PER_LIMIT = 4 };
static const int64_t LIMIT_DEFAULT_NS = SLOWNESS * WEFT_SEC, LATE_MAX_NS = 50 * WEFT_MSEC;
static const int64_t PACE_BUSY_NS = 2 * WEFT_MSEC, PACE_MAX_NS = 4 * WEFT_MSEC, PACE_OF_ONE_NS = 50 * WEFT_MSEC;

/* Where all have stood still and something waited, that will happen again. */
static const int64_t PACE_WARY_NS = WEFT_MSEC / 2, WARY_NS = WEFT_SEC;

/* A look takes some microseconds, but it is to come when it is due, also where all CPUs compute. */
static const int64_t SLICE_NS = 100 * WEFT_USEC;

/* Who is blocked gets less CPU time than this between two looks; who computes, more than that in all. */
static const int64_t BLOCKED_CPU_NS = 100 * WEFT_USEC, COMPUTED_CPU_NS = 300 * WEFT_USEC;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void look_by(struct wf_watchdog *d, int64_t at)
{
    if (at < d->next_ns)
        d->next_ns = at;
}

/* ---- one worker ---- */

static void look(weft_runtime *rt, struct wf_worker *w, struct wf_watchdog_seen *seen, int64_t now)
{
    struct wf_watchdog *d = &rt->watchdog;
    uint64_t seq = wf_load(&w->run_seq, relaxed);
    weft_task *t = wf_load(&w->current, acquire); /* D2, with worker.c's D1 */
    if (!t || seq != seen->seq) {
        seen->seq = seq;
        seen->taken = wf_load(&w->taken, relaxed);
        seen->since_ns = wf_clock_now(); /* not now, which may be long ago: it has not run before this */
        seen->looks = 0;
        seen->asked = false;
        seen->reported = false;
        return;
    }
    seen->looks++;
    if (!seen->reported && now - seen->since_ns >= d->limit_ns) {
        seen->reported = true;
        WF_COUNT(d->stalls);
        wf_stall_report(w, t, seen, now);
    }
    if (!seen->reported)
        look_by(d, seen->since_ns + d->limit_ns);
}

/* ---- all of them stand still ---- */

enum { HAS_COMPUTED = 1, HAS_NOT_RUN = 2 };

/* What has w done in the run that it is in? Nothing to be said while that is new: who runs many is not asked each time,
 * unless it has been worth it lately. Nor of who had no CPU: it may be about to end what it does. */
static unsigned ask(struct wf_worker *w, struct wf_watchdog_seen *seen, bool wary)
{
    if (seen->looks == 0 && !wary)
        return 0;
    int64_t cpu = wf_thread_cpu_time(wf_load(&w->thread_id, relaxed)), before = seen->cpu_ns;
    seen->cpu_ns = cpu;
    if (!seen->asked)
        seen->cpu_first_ns = cpu;
    if (!seen->asked || cpu < 0) {
        seen->asked = true;
        return 0;
    }
    return (cpu - seen->cpu_first_ns >= COMPUTED_CPU_NS ? HAS_COMPUTED : 0) |
           (cpu - before < BLOCKED_CPU_NS ? HAS_NOT_RUN : 0);
}

/* What is a spare wanted for? The cheap questions first. */
static enum wf_duty find_duty(weft_runtime *rt, bool wary)
{
    unsigned n = wf_spares_present(rt);
    bool blocked = true, still = true;
    for (unsigned i = 0; i < n; i++) {
        struct wf_watchdog_seen *seen = &rt->watchdog.seen[i];
        if (!wf_spare_takes_part(&rt->workers[i]))
            continue;
        seen->did = ask(&rt->workers[i], seen, wary);
        blocked = blocked && seen->did & HAS_NOT_RUN;
        still = still && seen->did;
    }
    for (unsigned i = 0; still && i < n; i++) {
        bool computed = rt->watchdog.seen[i].did & HAS_COMPUTED;
        if (!wf_spare_takes_part(&rt->workers[i]) || (computed && !blocked) ||
            wf_thread_is_blocked(wf_load(&rt->workers[i].thread_id, relaxed)))
            continue;
        blocked = false;
        still = computed;
    }
    return !still ? WF_DUTY_NONE : blocked ? WF_DUTY_ALL : WF_DUTY_GO_ON;
}

/* Whoever has gone to work without a lookout stands still: wake one. */
static void post(weft_runtime *rt)
{
    uint32_t stalled = wf_load(&rt->stalled, relaxed);
    if (stalled && !wf_load(&rt->lookout, relaxed))
        wf_spares_wake_idle(rt, &rt->workers[stalled - 1]);
}

/* If nobody is without work, nobody but us looks out for who cannot. */
static void look_out(weft_runtime *rt, int64_t now)
{
    struct wf_watchdog *d = &rt->watchdog;
    d->pace_ns = d->pace_max_ns;
    if (rt->worker_count == 1 || rt->config.no_rescue)
        return;
    wf_lookout_mark(rt, now);
    if (wf_idle_asleep(&rt->idle)) {
        post(rt);
        if (wf_load(&rt->stalled, relaxed) && now < d->wary_until_ns) /* the others may soon */
            d->pace_ns = smaller(PACE_WARY_NS, d->pace_max_ns);
        return;
    }
    enum wf_duty duty = find_duty(rt, now < d->wary_until_ns);
    if (duty != WF_DUTY_NONE && wf_spares_call(rt, duty, now))
        d->wary_until_ns = now + WARY_NS;
    d->pace_ns = smaller(now < d->wary_until_ns ? PACE_WARY_NS : PACE_BUSY_NS, d->pace_max_ns);
}

/* ---- all of them ---- */

/* Is there nothing in w's hands, and will nothing come by itself? */
static bool is_quiet(struct wf_worker *w)
{
    return !wf_queue_any(&w->queue) && !wf_load(&w->queue.slot, relaxed) && !wf_inbox_any(&w->inbox) &&
           !wf_inbox_any(&w->pinned_inbox) && wf_load(&w->rest, relaxed) == WF_REST_QUIET;
}

/* The same for all. Each is looked at for itself, so it counts only if it stays so. */
static bool are_quiet(weft_runtime *rt)
{
    bool quiet = wf_lanes_are_quiet(&rt->lanes);
    for (unsigned i = 0; quiet && i < wf_spares_present(rt); i++)
        quiet = is_quiet(&rt->workers[i]);
    return quiet && !wf_load(&rt->stopping, relaxed);
}

static uint64_t count_runs(weft_runtime *rt)
{
    uint64_t runs = 0;
    for (unsigned i = 0; i < wf_spares_present(rt); i++)
        runs += wf_load(&rt->workers[i].run_seq, relaxed);
    return runs;
}

/* Of all threads of the process, which ones are this runtime's? Those of another may end a wait, too. */
static bool has_process_for_itself(weft_runtime *rt)
{
    unsigned threads = wf_thread_count(); /* first: one of a lane may be about to go */
    return threads && threads <= wf_spares_present(rt) + 1 + wf_lanes_count_threads(&rt->lanes);
}

/* The host's callback sees all that tasks have done before (I6). */
static bool do_all_sleep(weft_runtime *rt)
{
    bool asleep = wf_idle_watch(&rt->idle);
    if (asleep)
        wf_idle_watch_end(&rt->idle);
    for (unsigned i = 0; asleep && i < wf_spares_present(rt); i++)
        wf_side_get(&rt->workers[i].rest);
    return asleep;
}

static void tell_deadlock(weft_runtime *rt)
{
    rt->watchdog.quiet_told = true;
    if (rt->watchdog.by_default && !has_process_for_itself(rt))
        return;
    WF_COUNT(rt->watchdog.deadlocks);
    wf_deadlock_report(rt);
}

static void look_at_all(weft_runtime *rt, int64_t now)
{
    struct wf_watchdog *d = &rt->watchdog;
    uint64_t runs = count_runs(rt);
    bool quiet = are_quiet(rt), calm = runs == d->runs;
    if (!quiet || !d->quiet || !calm) {
        d->quiet_since_ns = now;
        d->quiet_told = false;
    } else if (!d->quiet_told && now - d->quiet_since_ns >= d->limit_ns && do_all_sleep(rt)) {
        tell_deadlock(rt);
    }
    d->quiet = quiet;
    d->runs = runs;
    d->calm = calm ? d->calm + 1 : 0;
    if (quiet && !d->quiet_told)
        look_by(d, d->quiet_since_ns + d->limit_ns);
}

/* ---- sleeping ---- */

/* Nobody is held, nor will be, before somebody wakes; and it is not to be timed how long that takes. What was told of
 * may be over: whoever was told has ended it, and all sleep for another reason by now. */
static bool is_nothing_to_watch(weft_runtime *rt)
{
    for (unsigned i = 0; i < wf_spares_present(rt); i++)
        if (wf_load(&rt->workers[i].rest, relaxed) == WF_REST_NOT)
            return false; /* it sleeps, but has not said how */
    bool told = rt->watchdog.quiet_told && rt->watchdog.runs == count_runs(rt);
    return told || !are_quiet(rt);
}

/* What was seen before, if anything, is so long ago that it says nothing. */
static void start_over(weft_runtime *rt)
{
    int64_t now = wf_clock_now();
    for (unsigned i = 0; i < wf_spares_present(rt); i++)
        rt->watchdog.seen[i].since_ns = now;
    rt->watchdog.next_ns = now;
}

/* False: there is something. */
static bool sleep_while_all_do(weft_runtime *rt)
{
    if (!wf_idle_watch(&rt->idle))
        return false;
    bool sleeps = is_nothing_to_watch(rt);
    if (sleeps)
        wf_idle_watch_sleep(&rt->idle);
    wf_idle_watch_end(&rt->idle);
    if (sleeps)
        start_over(rt);
    return sleeps;
}

/* What it has slept beyond its next look does not count. */
static void forgive(weft_runtime *rt, int64_t late)
{
    for (unsigned i = 0; i < wf_spares_present(rt); i++)
        rt->watchdog.seen[i].since_ns += late;
    rt->watchdog.quiet_since_ns += late;
}

/* ---- the thread ---- */

static void *thread_main(void *arg)
{
    weft_runtime *rt = arg;
    struct wf_watchdog *d = &rt->watchdog;
    wf_thread_hurry(SLICE_NS);
    start_over(rt);
    while (!wf_load(&d->stop, relaxed)) { /* nothing hangs on it but leaving */
        int64_t now = wf_clock_now();
        if (now - d->next_ns > d->late_ns)
            forgive(rt, now - d->next_ns);
        d->next_ns = INT64_MAX;
        for (unsigned i = 0; i < wf_spares_present(rt); i++)
            look(rt, &rt->workers[i], &d->seen[i], now);
        look_at_all(rt, now);
        look_out(rt, now);
        look_by(d, now + d->pace_ns);
        if (d->calm < WF_CALM_LOOKS || !sleep_while_all_do(rt))
            wf_futex_wait(&d->stop, 0, d->next_ns);
    }
    return NULL;
}

static size_t slots(const weft_runtime *rt)
{
    return rt->worker_count + wf_spares_max(rt->worker_count);
}

static void forget(weft_runtime *rt)
{
    wf_free(rt->watchdog.seen, slots(rt) * sizeof *rt->watchdog.seen);
    rt->watchdog.seen = NULL;
}

int wf_watchdog_open(weft_runtime *rt)
{
    struct wf_watchdog *d = &rt->watchdog;
    int64_t wanted = rt->config.stall_ns;
    if (wanted < 0)
        return 0;
    d->by_default = !wanted && !rt->config.on_deadlock;
    d->limit_ns = wanted ? wanted : LIMIT_DEFAULT_NS;
    d->late_ns = smaller(d->limit_ns / LOOKS_PER_LIMIT + 1, LATE_MAX_NS);
    d->pace_max_ns = smaller(d->late_ns, rt->worker_count == 1 ? PACE_OF_ONE_NS : PACE_MAX_NS);
    d->pace_ns = d->pace_max_ns;
    d->seen = wf_alloc(slots(rt) * sizeof *d->seen);
    if (!d->seen)
        return -ENOMEM;
    int err = wf_thread_start(&d->thread, thread_main, rt, "weft-watchdog");
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
