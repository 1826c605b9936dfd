/* slice.h - how long a task has run, for loops that ask at every turn whether to give way.
 *
 * Reading the clock takes some 20 ns, too long for every turn. So most calls only count down, in 1.5 ns, and how far is
 * learned: the clock is read about every SLICE / 8, however long a turn takes, and each time if that is longer. */
#ifndef WF_SLICE_H
#define WF_SLICE_H

#include <stdint.h>

/* Of a worker, by whoever runs on it. */
struct wf_slice {
    unsigned left;      /* calls until the clock is read */
    unsigned calls;     /* that were let pass since it was read last */
    uint64_t run;       /* the worker's run_seq: another one is another slice */
    int64_t since_ns;   /* when that began, as far as was noticed */
    int64_t looked_ns;  /* when the clock was read */
};

#endif
