/* clock.h - the one clock: monotonic, in nanoseconds. In a simulation and under the model checker it is theirs. */
#ifndef WF_CLOCK_H
#define WF_CLOCK_H

#include <stdint.h>

#if defined(WF_SIM) || defined(WF_MODEL)
int64_t wf_clock_now(void);
#else
#include <time.h>

static inline int64_t wf_clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
#endif

#endif
