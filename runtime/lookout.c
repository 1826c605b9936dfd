/* lookout.c - see lookout.h. */
#include "runtime/lookout.h"

#include "runtime/platform/clock.h"
#include "runtime/spare.h"

/* Who has run one task for so long stands still; between two helps to it. */
static const int64_t STOOD_STILL_NS = 200 * WEFT_USEC, HELPED_NS = 100 * WEFT_USEC;

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
    for (unsigned i = 0; i < wf_spares_present(rt); i++) {
        struct wf_worker *v = &rt->workers[i];
        note(v, now);
        if (wf_lookout_stands_still(v, now)) {
            stalled = v->index + 1;
            wf_store(&v->overran, wf_load(&v->seen.seq, relaxed), relaxed);
        }
    }
    if (stalled != wf_load(&rt->stalled, relaxed)) /* else the line stays where it is read */
        wf_store(&rt->stalled, stalled, relaxed);
}

/* ---- help ---- */

bool wf_lookout_serve(struct wf_worker *w, struct wf_worker *v, int64_t now)
{
    int64_t again = wf_load(&v->seen.again_ns, relaxed);
    if (now < again || !wf_cas(&v->seen.again_ns, &again, now + HELPED_NS, relaxed))
        return false;
    bool collecting = w->collecting;
    w->collecting = true;
    wf_wheel_fire(&v->wheel, now);
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
    return wf_load(post, relaxed) == w->index + 1 || wf_cas(post, &nobody, w->index + 1, relaxed);
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
