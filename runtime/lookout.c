/* lookout.c - see lookout.h. */
#include "runtime/lookout.h"

#include "runtime/platform/clock.h"
#include "runtime/platform/spin.h"
#include "runtime/spare.h"

/* Who has run one task for so long stands still; between two helps to it. */
static const int64_t STOOD_STILL_NS = 200 * WEFT_USEC, HELPED_NS = 100 * WEFT_USEC;

/* A knock is heard within so long, mostly; and if not, it is repeated. */
static const int64_t KNOCKED_NS = 30 * WEFT_USEC, KNOCK_AGAIN_NS = WEFT_MSEC;

/* Whoever goes to work wakes another to look out, but not time and again unless somebody has stood still lately: the
 * watchdog sees the rest (watchdog.c). */
static const int64_t GUARDED_NS = 4 * WEFT_MSEC, WARY_NS = WEFT_SEC;

/* A lookout sleeps twice as long each time, up to this; but not while it knows of somebody who stands still. */
static const int64_t LOOKOUT_MAX_NS = 4 * WEFT_MSEC;

/* ---- who stands still ---- */

/* Look at v, for who sees it stand still later. */
static void note(struct wf_worker *v, int64_t now)
{
    uint64_t seq = wf_load(&v->run_seq, relaxed);
    if (seq != wf_load(&v->seen.seq, relaxed)) {
        wf_store(&v->seen.since_ns, now, relaxed);
        wf_store(&v->seen.seq, seq, relaxed);
    }
}

bool wf_lookout_stands_still(struct wf_worker *v, int64_t now)
{
    return wf_load(&v->current, relaxed) && wf_load(&v->run_seq, relaxed) == wf_load(&v->seen.seq, relaxed) &&
           now - wf_load(&v->seen.since_ns, relaxed) >= STOOD_STILL_NS;
}

void wf_lookout_mark(weft_runtime *rt, int64_t now)
{
    uint32_t stalled = 0;
    if (rt->config.no_rescue)
        return;
    for (unsigned i = 0; i < wf_spares_present(rt); i++) {
        struct wf_worker *v = &rt->workers[i];
        note(v, now);
        if (wf_lookout_stands_still(v, now)) {
            stalled = v->index + 1;
            wf_store(&v->overran, wf_load(&v->seen.seq, relaxed), relaxed);
        }
    }
    if (stalled)
        wf_store(&rt->wary_until_ns, now + WARY_NS, relaxed);
    if (stalled != wf_load(&rt->stalled, relaxed)) /* else the line stays where it is read */
        wf_store(&rt->stalled, stalled, relaxed);
}

/* ---- help ---- */

/* Is something held back in d that is worth a knock: new, and for so long already; or a knock has not helped for a
 * while? */
static bool is_worth_a_knock(struct wf_driver *d, int64_t now, int64_t patience)
{
    if (!wf_driver_held_back(d) || !d->knock)
        return false;
    unsigned tail = wf_shared_load(d->cq_tail, relaxed);
    if (tail != wf_load(&d->held_tail, relaxed)) {
        wf_store(&d->held_tail, tail, relaxed);
        wf_store(&d->knock_ns, now + patience, relaxed);
    }
    if (now < wf_load(&d->knock_ns, relaxed))
        return false;
    wf_store(&d->knock_ns, now + KNOCK_AGAIN_NS, relaxed);
    return true;
}

/* The kernel holds completions for v's thread: those of its own ring; and in others', if that thread has submitted for
 * them, but then the owner is given the time to collect what is its own to complete. */
static void knock(struct wf_worker *v, int64_t now)
{
    weft_runtime *rt = v->rt;
    struct wf_driver *held = is_worth_a_knock(v->driver, now, 0) ? v->driver : NULL;
    for (unsigned i = 0; !held && i < wf_spares_present(rt); i++)
        if (&rt->workers[i] != v && is_worth_a_knock(rt->workers[i].driver, now, STOOD_STILL_NS))
            held = rt->workers[i].driver;
    if (!held)
        return;
    wf_driver_knock(v->driver);
    struct wf_spin s = wf_spin_begin(KNOCKED_NS);
    while (wf_driver_held_back(held) && wf_spin_on(&s))
        continue;
}

bool wf_lookout_serve(struct wf_worker *w, struct wf_worker *v, int64_t now)
{
    int64_t again = wf_load(&v->seen.again_ns, relaxed);
    if (now < again || !wf_cas(&v->seen.again_ns, &again, now + HELPED_NS, relaxed))
        return false;
    bool collecting = w->collecting;
    w->collecting = true;
    wf_wheel_fire(&v->wheel, now);
    knock(v, now);
    if (wf_driver_due(v->driver) || wf_driver_watching(v->driver))
        wf_driver_serve(v->driver);
    w->collecting = collecting;
    return true;
}

void wf_lookout_look(struct wf_worker *w, int64_t now)
{
    weft_runtime *rt = w->rt;
    wf_lookout_mark(rt, now);
    for (unsigned i = 0; wf_load(&rt->stalled, relaxed) && i < wf_spares_present(rt); i++)
        if (&rt->workers[i] != w && wf_lookout_stands_still(&rt->workers[i], now))
            wf_lookout_serve(w, &rt->workers[i], now);
}

/* ---- the post ---- */

bool wf_lookout_is(struct wf_worker *w)
{
    WF_ATOMIC(uint32_t) *post = &w->rt->lookout;
    uint32_t nobody = 0;
    if (w->rt->config.no_rescue)
        return false;
    return wf_load(post, relaxed) == w->index + 1 || wf_cas(post, &nobody, w->index + 1, relaxed);
}

bool wf_lookout_is_wanted(struct wf_worker *w, int64_t now)
{
    weft_runtime *rt = w->rt;
    if (rt->worker_count == 1 || rt->config.no_rescue)
        return false;
    if (now < wf_load(&rt->wary_until_ns, relaxed) || !rt->watchdog.seen)
        return true;
    if (wf_load(&rt->lookout, relaxed) || now < wf_load(&rt->guarded_ns, relaxed))
        return false;
    wf_store(&rt->guarded_ns, now + GUARDED_NS, relaxed);
    return true;
}

void wf_lookout_resign(struct wf_worker *w)
{
    uint32_t me = w->index + 1;
    wf_cas(&w->rt->lookout, &me, 0u, relaxed);
    w->lookout_ns = WF_LOOKOUT_FIRST_NS;
}

int64_t wf_lookout_until(struct wf_worker *w)
{
    weft_runtime *rt = w->rt;
    if (rt->worker_count == 1)
        return INT64_MAX;
    if (wf_idle_asleep(&rt->idle) >= rt->worker_count) {
        wf_lookout_resign(w);
        return INT64_MAX;
    }
    if (!wf_lookout_is(w))
        return INT64_MAX;
    if (wf_load(&rt->stalled, relaxed))
        w->lookout_ns = STOOD_STILL_NS;
    else
        w->lookout_ns = w->lookout_ns * 2 < LOOKOUT_MAX_NS ? w->lookout_ns * 2 : LOOKOUT_MAX_NS;
    return wf_clock_now() + w->lookout_ns;
}
