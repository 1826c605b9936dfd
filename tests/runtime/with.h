/* with.h - what the tests of runtime/ share: runtimes of several sizes, plain threads, waiting without sleeping. */
#ifndef TESTS_RUNTIME_WITH_H
#define TESTS_RUNTIME_WITH_H

#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <weft.h>

/* One worker makes every interleaving a matter of suspension; eight on fewer cores, one of preemption. */
static inline void with_workers(weft_fn fn, void *arg)
{
    static const unsigned workers[] = {1, 2, 8};
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = workers[i]}, fn, arg), 0);
}

static inline void with_one_worker(weft_fn fn, void *arg)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, fn, arg), 0);
}

static inline pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    CHECK_EQ(pthread_create(&id, NULL, fn, arg), 0);
    return id;
}

static inline void join_thread(pthread_t id)
{
    CHECK_EQ(pthread_join(id, NULL), 0);
}

/* fn(arg) on another thread, while this one waits. */
static inline void on_a_thread(void *(*fn)(void *), void *arg)
{
    join_thread(start_thread(fn, arg));
}

/* Until a flag is set by others, without giving the worker away: for what must happen elsewhere. */
static inline void spin_until(WF_ATOMIC(bool) *flag)
{
    while (!wf_load(flag, acquire))
        sched_yield();
}

/* The same, letting other tasks run. */
static inline void yield_until(WF_ATOMIC(bool) *flag)
{
    while (!wf_load(flag, acquire))
        CHECK_EQ(weft_yield(), 0);
}

static inline void raise_flag(WF_ATOMIC(bool) *flag)
{
    wf_store(flag, true, release);
}

/* On one worker: whatever is ready now has run, and waits or has returned, when this returns. */
static inline void let_all_run(void)
{
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_yield(), 0);
}

/* Bodies. */

static inline int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

static inline int sleep_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(weft_never());
}

#endif
