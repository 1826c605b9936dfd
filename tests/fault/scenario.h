/* scenario.h - a use of the library that can fail, and must fail well.
 *
 * A scenario is a call from a plain thread. It runs with some request to the machine refused, and returns 0 or an
 * error that weft returned; it may not abort, hang, leak, or keep a descriptor or a thread. Then it runs again with
 * nothing refused, and must succeed: whatever happened before, weft is as good as new.
 *
 * What it checks beyond that, with CHECK, must hold in either case. An error that only follows from another task's
 * error (a peer that went away) is not the one to return: fail() keeps the first. */
#ifndef TEST_FAULT_SCENARIO_H
#define TEST_FAULT_SCENARIO_H

#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <weft.h>

struct scenario {
    const char *name;
    int (*run)(void);
};

extern const struct scenario runtime_scenarios[], sync_scenarios[], io_scenarios[]; /* each ends with NULL */

/* The first error that anybody met. */
struct trouble {
    WF_ATOMIC(int) first;
};

/* Returns what it was given, so that it can stand in a return. A stop has a cause of its own. */
static inline int fail(struct trouble *t, int err)
{
    int none = 0;
    if (err < 0 && err != -ECANCELED && err != -ETIMEDOUT)
        wf_cas(&t->first, &none, err, acq_rel);
    return err;
}

/* What to return of a scope's end: the cause, if somebody noted one. */
static inline int cause(struct trouble *t, int err)
{
    int first = wf_load(&t->first, acquire);
    return err < 0 && first < 0 ? first : err;
}

static inline int run_with(unsigned workers, weft_fn fn, void *arg)
{
    return weft_run(&(weft_config){.workers = workers}, fn, arg);
}

#endif
