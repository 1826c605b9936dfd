/* random.c - a generator per thread, for what is asked too seldom or too far up to have one of its own. */
#include "runtime/platform/random.h"

#include "runtime/platform/clock.h"
#include "runtime/platform/context.h"

/* Not inlined, so that no thread's address outlives a suspension. */
__attribute__((noinline)) uint32_t wf_random_here(uint32_t n)
{
    static _Thread_local struct wf_random random;
    wf_side_clear(&random, sizeof random); /* tasks use it one after the other, as the thread runs them */
    if (random.s == 0)
        wf_random_seed(&random, (uintptr_t)&random ^ (uint64_t)wf_clock_now());
    return wf_random_below(&random, n);
}
