/* lock.h - the lock under which weft changes its own shared structures.
 *
 * A word of four bytes that is valid when zero. It is held for tens of nanoseconds and never over a
 * suspension, so a taker spins for a moment; but the holder's thread may have lost its core, so past that
 * moment the taker sleeps on a futex. Not recursive.
 *
 * Ordering: L1 unlock's swap (release) <-> L2 lock's compare-exchange or swap (acquire): what the holder
 * wrote is seen by the next one. */
#ifndef WF_LOCK_H
#define WF_LOCK_H

#include "runtime/platform/atomic.h"

struct wf_lock {
    WF_ATOMIC(uint32_t) word; /* 0 free, 1 held, 2 held and somebody may sleep */
};

void wf_lock_slow(struct wf_lock *l);
void wf_unlock_slow(struct wf_lock *l);

static inline bool wf_trylock(struct wf_lock *l)
{
    uint32_t free = 0;
    return wf_load(&l->word, relaxed) == 0 && wf_cas(&l->word, &free, 1u, acquire); /* L2 */
}

static inline void wf_lock(struct wf_lock *l)
{
    uint32_t free = 0;
    if (!wf_cas_weak(&l->word, &free, 1u, acquire)) /* L2 */
        wf_lock_slow(l);
}

static inline void wf_unlock(struct wf_lock *l)
{
    if (wf_swap(&l->word, 0u, release) == 2) /* L1 */
        wf_unlock_slow(l);
}

#endif
