/* slice.c - see slice.h. */
#include "runtime/slice.h"

#include "runtime/platform/clock.h"
#include "runtime/worker.h"

#include <weft/task.h>

static const int64_t SLICE_NS = 100 * WEFT_USEC, LOOK_NS = SLICE_NS / 8;
enum { CALLS_MAX = 1 << 20, OPERATIONS_FREE = 64 };

/* So many calls took so long: how many may pass until the next look? */
static unsigned calls_until_look(unsigned calls, int64_t took_ns)
{
    uint64_t next = took_ns > 0 ? (uint64_t)calls * (uint64_t)LOOK_NS / (uint64_t)took_ns : 2 * (uint64_t)calls;
    uint64_t most = 2 * (uint64_t)calls < CALLS_MAX ? 2 * (uint64_t)calls : CALLS_MAX; /* a loop may become slower */
    return (unsigned)(next < 1 ? 1 : next < most ? next : most);
}

/* Look at the clock. True: the slice is over. Unobserved, like what follows: it is of the worker, whose tasks come one
 * after the other. */
static WF_UNOBSERVED bool look(struct wf_worker *w, struct wf_slice *s)
{
    uint64_t run = wf_load(&w->run_seq, relaxed);
    int64_t now = wf_clock_now();
    if (s->run != run) { /* the first look of this run */
        s->left = s->calls = 1;
        s->run = run;
        s->since_ns = s->looked_ns = now;
        return false;
    }
    s->left = s->calls = calls_until_look(s->calls, now - s->looked_ns);
    s->looked_ns = now;
    return now - s->since_ns >= SLICE_NS;
}

static inline WF_UNOBSERVED bool is_over(struct wf_worker *w)
{
    struct wf_slice *s = &w->slice;
    if (WF_LIKELY(s->left > 1 && s->run == wf_load(&w->run_seq, relaxed))) {
        s->left--;
        return false;
    }
    if (!look(w, s))
        return false;
    s->run = 0; /* another slice, also if nobody else wants to run */
    return true;
}

int weft_yield_if_due(void)
{
    return is_over(wf_worker_require("weft_yield_if_due")) ? weft_yield() : 0;
}

/* A run in which few of them are made, as when it ends with the next one, is not to pay for a clock. */
static inline WF_UNOBSERVED bool is_one_too_many(struct wf_worker *w)
{
    struct wf_slice *s = &w->slice;
    uint64_t run = wf_load(&w->run_seq, relaxed);
    if (s->operations_run != run) {
        s->operations_run = run;
        s->operations = 0;
    }
    return WF_UNLIKELY(++s->operations % OPERATIONS_FREE == 0) && is_over(w);
}

int wf_wait_begin(void)
{
    struct wf_worker *w = wf_worker_self();
    if (!w)
        return wf_wait_stop_reason();
    return is_one_too_many(w) ? weft_yield() : wf_scope_stop_reason(wf_load(&w->current, relaxed));
}
