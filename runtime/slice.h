/* slice.h - how long a task runs until it gives way: for loops that ask at every turn whether to do so, and for those
 * that do not.
 *
 * Reading the clock takes some 20 ns, too long for every turn. So most calls only count down, in 1.5 ns, and how far is
 * learned: the clock is read about every SLICE / 8, however long a turn takes, and each time if that is longer. Of the
 * calls that may wait and need not, like receiving from a channel that is never empty, every 64th of a run asks.
 *
 * Nobody reads a clock at each switch, as that would double its cost. Who has been seen to stand still (lookout.h) has
 * overrun its slice; whoever did so in two runs, and has not made up for it by as many short ones, is served after the
 * others, but at every eighth turn (queue.h). So a few tasks that compute without ever asking leave the worker to many
 * that do not compute, and go on themselves. */
#ifndef WF_SLICE_H
#define WF_SLICE_H

#include "runtime/platform/context.h"
#include "runtime/task.h"

/* Of a worker, by whoever runs on it. */
struct wf_slice {
    unsigned left;      /* calls until the clock is read */
    unsigned calls;     /* that were let pass since it was read last */
    uint64_t run;       /* the worker's run_seq: another one is another slice */
    int64_t since_ns;   /* when that began, as far as was noticed */
    int64_t looked_ns;  /* when the clock was read */
    uint64_t operations_run; /* the run in which so many calls were made that may wait: */
    unsigned operations;
};

enum { WF_SLICE_OVERRUNS_LOW = 2, WF_SLICE_OVERRUNS_MAX = 3 };

/* Is t, which is in our hands, to be served after the others? On its worker's side, like the rest. */
static inline WF_UNOBSERVED bool wf_slice_is_low(const weft_task *t)
{
    return t->overruns >= WF_SLICE_OVERRUNS_LOW;
}

/* A run of t is over in which it has, or has not, overrun its slice. */
static inline WF_UNOBSERVED void wf_slice_judge(weft_task *t, bool overran)
{
    if (overran)
        t->overruns += t->overruns < WF_SLICE_OVERRUNS_MAX;
    else
        t->overruns -= t->overruns > 0;
}

#endif
