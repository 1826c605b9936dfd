/* lookout.c - see lookout.h. */
#include "runtime/lookout.h"

#include "runtime/platform/clock.h"

/* A lookout sleeps twice as long each time, up to this. It serves who has run one task for so long. */
static const int64_t STOOD_STILL_NS = 200 * WEFT_USEC, LOOKOUT_MAX_NS = 4 * WEFT_MSEC;

/* v has run the same task for a while: do what it cannot do meanwhile. */
static void serve(struct wf_worker *w, struct wf_worker *v, int64_t now)
{
    w->collecting = true;
    wf_wheel_fire(&v->wheel, now);
    if (wf_driver_due(v->driver) || wf_driver_watching(v->driver))
        wf_driver_serve(v->driver);
    w->collecting = false;
}

void wf_lookout_look(struct wf_worker *w, int64_t now)
{
    weft_runtime *rt = w->rt;
    for (unsigned i = 0; i < rt->worker_count; i++) {
        struct wf_worker *v = &rt->workers[i];
        if (v == w || !wf_load(&v->current, relaxed))
            continue;
        uint64_t seq = wf_load(&v->run_seq, relaxed);
        if (seq != v->seen.seq) {
            v->seen.seq = seq;
            v->seen.since_ns = now;
        } else if (now - v->seen.since_ns >= STOOD_STILL_NS) {
            serve(w, v, now);
        }
    }
}

bool wf_lookout_is(struct wf_worker *w)
{
    WF_ATOMIC(uint32_t) *post = &w->rt->lookout;
    uint32_t nobody = 0;
    return wf_load(post, relaxed) == w->index + 1 || wf_cas(post, &nobody, w->index + 1, acquire); /* K1 */
}

void wf_lookout_resign(struct wf_worker *w)
{
    uint32_t me = w->index + 1;
    /* K2; kept: I3 comes between, but not if looking out has found work. */
    wf_cas(&w->rt->lookout, &me, 0u, release);
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
    w->lookout_ns = w->lookout_ns * 2 < LOOKOUT_MAX_NS ? w->lookout_ns * 2 : LOOKOUT_MAX_NS;
    return wf_clock_now() + w->lookout_ns;
}
