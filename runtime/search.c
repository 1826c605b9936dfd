/* search.c - what a worker does when it has nothing at hand: look outside, steal, look out for the others, sleep.
 *
 *     outside   inbox, timers, ring: every so often anyway, always when there is nothing else; and what is known to
 *               stand still, if only we are there to help it
 *     steal     from the others, nearest first; not for a while, if the last thefts were not worth it
 *     look out  for the others, see lookout.h
 *     linger    for a moment, if a job of ours is with a lane: see lane_thread.c
 *     sleep     in the ring, until something comes, a timer is due, or there is something to look out for
 *
 * Who may search, who is asleep and who is to be woken is kept in idle.c, with the argument why no work is left
 * lying. */
#include "runtime/worker.h"

#include "runtime/fork.h"
#include "runtime/lookout.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/spare.h"

enum { SEARCH_PASSES = 2 };

/* A theft, and each stolen task, has to be worth this much, or it had better stayed where it was: its two cache lines
 * travel here and, when its memory is used again, back. After a theft that was not worth it a thief keeps away for a
 * while, and then tries one task before it takes many again. */
static const int64_t THEFT_WORTH_NS = 2 * WEFT_USEC, STOLEN_WORTH_NS = 500;
static const int64_t PAUSE_MIN_NS = 20 * WEFT_USEC, PAUSE_MAX_NS = WEFT_MSEC;

/* A spare on duty sleeps for so long at most. */
static const int64_t SPARE_LOOKS_NS = WEFT_MSEC;

/* Jobs of a pool that is busy gather for so long: docs/design/hand-over.md. */
static const int64_t NAP_NS = 50 * WEFT_USEC;

/* ---- the outside ---- */

static void take_inbox(struct wf_worker *w, struct wf_inbox *in)
{
    for (weft_task *t = wf_inbox_take(in), *next; t; t = next) {
        next = t->next;
        wf_worker_append(w, t);
    }
}

static weft_task *take_from(struct wf_worker *w, struct wf_worker *v, uint32_t max)
{
    if (wf_spare_may_begin(w))
        return wf_queue_steal(&v->queue, &w->queue, max);
    bool nested;
    weft_task *t = wf_queue_steal_begun(&v->queue, &nested);
    if (nested)
        wf_worker_wake_one(w);
    return t;
}

/* Of what lies in v's queue half, and all that has just reached it: behind what lies in ours. */
static void take_share(struct wf_worker *w, struct wf_worker *v)
{
    uint32_t share = wf_queue_count_all(&v->queue) / 2 + 1, taken = 0;
    weft_task *t = wf_load(&v->queue.slot, relaxed) ? wf_queue_slot(&v->queue, NULL) : NULL;
    if (t)
        wf_queue_push_any(&w->queue, t);
    if (wf_inbox_any(&v->inbox))
        take_inbox(w, &v->inbox);
    while (taken < share && taken < WF_QUEUE_MOVED && (t = take_from(w, v, 1))) {
        wf_queue_push_any(&w->queue, t);
        taken++;
    }
    wf_add(&v->taken, taken, relaxed); /* a figure */
}

/* Somebody stands still, perhaps. Whoever does so has nobody but us, if all are busy. */
static void help(struct wf_worker *w)
{
    weft_runtime *rt = w->rt;
    int64_t now = wf_clock_now();
    bool found = false;
    for (unsigned i = 0; i + 1 < wf_spares_present(rt); i++) {
        struct wf_worker *v = &rt->workers[w->victims[i]];
        if (!wf_lookout_stands_still(v, now))
            continue;
        found = true;
        if (wf_lookout_serve(w, v, now))
            take_share(w, v);
    }
    if (!found)
        wf_store(&rt->stalled, 0, relaxed);
}

/* Look at everything that reaches this worker from outside its queue. Requests are not submitted while nothing
 * else is at hand: going to sleep submits them with the same system call, and sees what has to be asked for. */
static void look_outside(struct wf_worker *w)
{
    bool busy_for_long = w->tick++ % WF_TICK_OUTSIDE == 0;
    w->collecting = true;
    take_inbox(w, &w->inbox);
    for (weft_task *t = wf_inbox_take(&w->pinned_inbox), *next; t; t = next) {
        next = t->next;
        wf_worker_append_pinned(w, t);
    }
    if (wf_wheel_next(&w->wheel) != INT64_MAX)
        wf_wheel_fire(&w->wheel, wf_clock_now());
    if (wf_driver_uncollected(w->driver) ||
        ((wf_driver_unsubmitted(w->driver) || (busy_for_long && wf_driver_watching(w->driver))) &&
         wf_worker_at_hand(w)))
        wf_driver_poll(w->driver);
    wf_errand_run(w->rt);
    if (w->spills_on)
        wf_spills_look(w);
    if (WF_UNLIKELY(wf_load(&w->rt->stalled, relaxed)) && wf_spare_takes_part(w))
        help(w);
    w->collecting = false;
    unsigned things = wf_queue_count_all(&w->queue) + (w->pinned != NULL);
    if (things > 1 || (things == 1 && wf_lookout_is_wanted(w, wf_clock_now()))) /* for the rest; to look out */
        wf_worker_wake_one(w);
}

/* ---- stealing ---- */

static weft_task *steal_from(struct wf_worker *w, struct wf_worker *v, bool slot_too)
{
    weft_task *t = take_from(w, v, w->pause_ns ? 1 : WF_QUEUE_MOVED);
    if (!t && wf_inbox_any(&v->inbox)) {
        take_inbox(w, &v->inbox);
        t = wf_queue_pop(&w->queue);
    }
    if (!t && slot_too && wf_load(&v->queue.slot, relaxed))
        t = wf_queue_slot(&v->queue, NULL);
    if (t)
        WF_COUNT(w->steals);
    return t;
}

/* What was stolen, and all that came of it, is done: was it worth it? A trivial task costs more on its way here
 * than it takes to run; but one that starts a tree of others was cheap. So the time until there was nothing left
 * to do is what counts, not what each task took. */
static void judge_theft(struct wf_worker *w, int64_t now)
{
    if (now - w->stolen_ns >= THEFT_WORTH_NS + (int64_t)w->stolen * STOLEN_WORTH_NS)
        w->pause_ns = 0;
    else if (w->pause_ns * 2 < PAUSE_MAX_NS)
        w->pause_ns = w->pause_ns ? w->pause_ns * 2 : PAUSE_MIN_NS;
    w->paused_until_ns = w->pause_ns ? now + w->pause_ns : 0;
    w->stolen = 0;
}

static bool paused(struct wf_worker *w)
{
    if (w->stolen)
        judge_theft(w, wf_clock_now());
    if (w->paused_until_ns && wf_clock_now() >= w->paused_until_ns)
        w->paused_until_ns = 0;
    return w->paused_until_ns != 0;
}

/* Search all others, nearest first; their slots only when nothing else was found. */
static weft_task *steal(struct wf_worker *w)
{
    weft_runtime *rt = w->rt;
    if (rt->worker_count == 1 || paused(w))
        return NULL;
    if (!wf_spare_takes_part(w))
        return NULL;
    if (!w->spare && !w->searching && !(w->searching = wf_idle_search(&rt->idle)))
        return NULL;
    unsigned present = wf_spares_present(rt);
    for (int pass = 0; pass < SEARCH_PASSES; pass++)
        for (unsigned i = 0; i + 1 < present; i++) {
            weft_task *t = steal_from(w, &rt->workers[w->victims[i]], pass == SEARCH_PASSES - 1);
            if (t) {
                w->stolen = wf_queue_count(&w->queue) + 1;
                wf_add(&rt->workers[w->victims[i]].taken, w->stolen, relaxed); /* a figure */
                w->stolen_ns = wf_clock_now();
                return t;
            }
        }
    return NULL;
}

/* ---- sleeping ---- */

/* Is there work anywhere, for whoever is about to sleep? */
static bool work_anywhere(struct wf_worker *w)
{
    weft_runtime *rt = w->rt;
    if (wf_load(&rt->stopping, relaxed) || wf_inbox_any(&w->pinned_inbox) || wf_load(&rt->errand_scopes, relaxed) ||
        wf_load(&rt->errand_tasks, relaxed))
        return true;
    for (unsigned i = 0; i < wf_spares_present(rt); i++)
        if (wf_queue_any(&rt->workers[i].queue) || wf_inbox_any(&rt->workers[i].inbox))
            return true;
    return false;
}

/* Nobody has work for us, but who runs may have forked what nobody else can see. Once our bit is set. */
static void ask_for_forks(struct wf_worker *w)
{
    if (w->spills_on)
        wf_lock(&w->rt->spills.lock); /* or the stack of who has run a moment ago may be away by now */
    for (unsigned i = 0; i + 1 < wf_spares_present(w->rt); i++) {
        /* D2; kept: a task's memory is never new in a model */
        weft_task *t = wf_load(&w->rt->workers[w->victims[i]].current, acquire);
        if (t)
            wf_forks_want(t);
    }
    if (w->spills_on)
        wf_unlock(&w->rt->spills.lock);
}

static bool something_to_do(struct wf_worker *w)
{
    return work_anywhere(w) || wf_driver_uncollected(w->driver);
}

/* Look on for a moment, awake. What was to be submitted is submitted first. True: something has come. */
static bool spin(struct wf_worker *w, int64_t ns)
{
    struct wf_awake *a = &w->rt->lanes.awake;
    if (!wf_awake_has_cpu(a) || !wf_spin_is_worth_it(&w->spins))
        return false;
    struct wf_spin s = wf_spin_begin(ns);
    int64_t timer = wf_wheel_next(&w->wheel);
    if (timer < s.until)
        s.until = timer;
    if (wf_driver_unsubmitted(w->driver)) {
        w->collecting = true;
        wf_driver_poll(w->driver);
        w->collecting = false;
    }
    bool found = something_to_do(w);
    if (found)
        return true; /* because it was submitted: that says nothing of what others do */
    while (!found && wf_awake_has_cpu(a) && wf_spin_on(&s))
        found = something_to_do(w);
    wf_spin_learn(&w->spins, found);
    return found;
}

/* Sleep for a moment, and let what comes from other threads gather meanwhile: they need not ring. */
static bool nap(struct wf_worker *w)
{
    int64_t left = wf_wheel_next(&w->wheel);
    if (left != INT64_MAX)
        left -= wf_clock_now();
    if (left <= 0 || work_anywhere(w))
        return true;
    if (!wf_spin_is_worth_it(&w->naps))
        return false;
    if (w->searching)
        wf_idle_found(&w->rt->idle);
    w->searching = false;
    w->collecting = true;
    wf_store(&w->napping, true, relaxed);
    wf_driver_nap(w->driver, left < NAP_NS ? left : NAP_NS);
    wf_store(&w->napping, false, relaxed); /* before the locks of those that gather are taken */
    bool gathered = wf_lanes_collect(&w->rt->lanes);
    w->collecting = false;
    bool found = gathered || work_anywhere(w);
    wf_spin_learn(&w->naps, found);
    return found;
}

/* A job is with a lane, and may be back before a wake would be. True: something has come. */
static bool linger(struct wf_worker *w)
{
    enum wf_linger how = w->linger;
    w->linger = WF_LINGER_NOT;
    if (how == WF_LINGER_NAPPING)
        return nap(w);
    struct wf_awake *a = &w->rt->lanes.awake;
    return wf_load(&a->cpus, relaxed) >= 2 && spin(w, wf_load(&a->spin_ns, relaxed));
}

static void park(struct wf_worker *w, int64_t deadline)
{
    int64_t timer = wf_wheel_next(&w->wheel);
    if (!wf_stack_pool_is_trim(&w->rt->stacks)) {
        int64_t trim = wf_stack_pool_trim_slow(&w->rt->stacks, wf_clock_now());
        timer = trim < timer ? trim : timer;
    }
    w->collecting = true;
    WF_COUNT(w->parks);
    if (timer < deadline)
        deadline = timer;
    bool quiet = deadline == INT64_MAX && !wf_load(&w->driver->inflight, relaxed);
    wf_store(&w->rest, quiet ? WF_REST_QUIET : WF_REST_UNTIL, relaxed);
    wf_driver_park(w->driver, deadline);
    wf_store(&w->rest, WF_REST_NOT, relaxed); /* seen by who sees it asleep the next time (I5) */
    w->collecting = false;
}

/* A spare sleeps apart: nobody wakes it for work, and the watchdog, if all but it sleep, by this. */
static void rest_as_spare(struct wf_worker *w)
{
    int64_t until = INT64_MAX;
    w->linger = WF_LINGER_NOT;
    if (wf_spare_is_on_duty(w)) {
        until = wf_clock_now() + SPARE_LOOKS_NS;
        if (wf_lookout_is(w))
            wf_lookout_look(w, wf_clock_now());
    }
    if (wf_worker_at_hand(w) || w->sweeping || w->ended_scope) /* the last one at hand was passed on */
        return;
    park(w, until);
    wf_idle_rouse(&w->rt->idle);
}

static void sleep_until_work(struct wf_worker *w)
{
    struct wf_idle *idle = &w->rt->idle;
    if (w->spare) {
        rest_as_spare(w);
        return;
    }
    if (w->linger && linger(w))
        return;
    if (w->paused_until_ns) { /* not among the sleepers: work of others does not wake it */
        if (w->searching)
            wf_idle_found(idle);
        w->searching = false;
        park(w, w->paused_until_ns);
        return;
    }
    if (w->rt->config.spin_ns && spin(w, w->rt->config.spin_ns))
        return;
    if (w->rt->worker_count > 1 && wf_lookout_is(w))
        wf_lookout_look(w, wf_clock_now());
    if (wf_queue_any(&w->queue) || w->sweeping)
        return; /* looking out has found something; or a sweep goes on */
    wf_idle_sleep(idle, w->index, w->searching);
    w->searching = false;
    ask_for_forks(w);
    if (!work_anywhere(w))
        park(w, wf_lookout_until(w));
    if (!wf_idle_wake_self(idle, w->index))
        w->searching = true; /* whoever woke us counted us as a searcher */
}

/* ---- all of it ---- */

/* The next task to run, however long it takes. NULL: the runtime stops. May park the thread, not the caller. */
weft_task *wf_worker_find(struct wf_worker *w)
{
    weft_task *t = NULL;
    while (!t) {
        look_outside(w);
        t = wf_worker_pick(w);
        if (!t && w->ended_scope) {
            wf_worker_flush_ends(w);
            t = wf_worker_pick(w);
        }
        if (WF_UNLIKELY(w->spare))
            t = wf_spare_look(w, t);
        if (!t && (t = steal(w)) && wf_driver_unsubmitted(w->driver))
            look_outside(w); /* what we found may run for long */
        if (!t && wf_load(&w->rt->stopping, acquire))
            return NULL;
        if (!t)
            sleep_until_work(w);
    }
    bool was_lookout = wf_load(&w->rt->lookout, relaxed) == w->index + 1;
    if (was_lookout)
        wf_lookout_resign(w); /* first, so that whoever is woken finds the post free */
    bool was_last = w->searching && wf_idle_found(&w->rt->idle);
    w->searching = false;
    if (was_last || (was_lookout && wf_lookout_is_wanted(w, wf_clock_now())))
        wf_worker_wake_one(w);
    return t;
}
