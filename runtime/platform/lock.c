/* lock.c - the lock when somebody else has it. */
#include "runtime/platform/lock.h"

#include "runtime/platform/futex.h"

#ifndef WF_LOCK_SPINS /* a model has fewer */
#define WF_LOCK_SPINS 100 /* about a microsecond, several times as long as any holder needs */
#endif

void wf_lock_slow(struct wf_lock *l)
{
    for (int i = 0; i < WF_LOCK_SPINS; i++) {
        if (wf_trylock(l))
            return;
        wf_pause();
    }
    while (wf_swap(&l->word, 2u, acquire) != 0) /* L2; 2, since others may sleep behind us */
        wf_futex_wait(&l->word, 2, INT64_MAX);
}

void wf_unlock_slow(struct wf_lock *l)
{
    wf_futex_wake(&l->word, 1);
}

#ifdef WF_TSAN
WF_ATOMIC(unsigned) wf_fence_word; /* see wf_fence() in atomic.h */
#endif
