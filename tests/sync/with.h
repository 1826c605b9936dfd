/* with.h - the two settings in which the things of sync/ are tested: tasks on few and many workers, and plain
 * threads. */
#ifndef TESTS_SYNC_WITH_H
#define TESTS_SYNC_WITH_H

#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <pthread.h>
#include <weft.h>

enum { THREADS_MAX = 16 };

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

/* fn(arg) on n plain threads at once; returns when all are done. */
static inline void with_threads(unsigned n, void *(*fn)(void *), void *arg)
{
    pthread_t id[THREADS_MAX];
    CHECK(n <= THREADS_MAX);
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, fn, arg), 0);
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(pthread_join(id[i], NULL), 0);
}

/* Let the others run until the word has reached n. */
static inline void yield_until(WF_ATOMIC(unsigned) *word, unsigned n)
{
    while (wf_load(word, acquire) < n)
        CHECK_EQ(weft_yield(), 0);
}

/* On one worker: whatever is ready now has run, and waits or has returned, when this returns. */
static inline void let_all_run(void)
{
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_yield(), 0);
}

#endif
