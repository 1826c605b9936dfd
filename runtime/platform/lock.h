/* lock.h - the lock under which weft changes its own shared structures.
 *
 * A word of four bytes that is valid when zero. It is held for tens of nanoseconds and never over a
 * suspension, so a taker spins for a moment; but the holder's thread may have lost its core, so past that
 * moment the taker sleeps on a futex. Not recursive.
 *
 * Unlocking is a plain store, followed by a look at whether anybody sleeps: not on this lock, which may be gone by
 * then, but on any; it happens rarely. That look is half of a Dekker. The other half, who is about to sleep, pays
 * for both by a fence in every thread (barrier.h); an exchange in every unlock made it twice as dear. Where the
 * kernel does not offer such a fence, each unlock has one of its own.
 *
 * Ordering: L1 unlock's store (release) <-> L2 lock's compare-exchange or swap (acquire): what the holder
 * wrote is seen by the next one.
 *           L3 counting oneself as a sleeper, a fence for all, then looking at the word <-> L4 unlock's store, a
 * light fence (or a whole one), then looking at the count: one of the two sees the other. */
#ifndef WF_LOCK_H
#define WF_LOCK_H

#include "runtime/platform/atomic.h"

struct wf_lock {
    WF_ATOMIC(uint32_t) word; /* 0 free, 1 held, 2 held and somebody may sleep: to be seen by people and tests */
};

/* Why an unlock may have more to do than to store; 0 nearly always. lock.c says what is in it. */
extern WF_ATOMIC(uint32_t) wf_lock_care;

void wf_lock_slow(struct wf_lock *l);
void wf_lock_patient_slow(struct wf_lock *l);
void wf_unlock_slow(struct wf_lock *l); /* l may be gone */

static inline bool wf_trylock(struct wf_lock *l)
{
    uint32_t free = 0;
    return wf_load(&l->word, relaxed) == 0 && wf_cas(&l->word, &free, 1u, acquire); /* L2 */
}

/* It may fail for no reason. */
static inline bool wf_lock_at_once(struct wf_lock *l)
{
    uint32_t free = 0;
    return __builtin_expect(wf_cas_weak(&l->word, &free, 1u, acquire), 1); /* L2 */
}

static inline void wf_lock(struct wf_lock *l)
{
    if (!wf_lock_at_once(l))
        wf_lock_slow(l);
}

/* For a lock that is taken again and again: who finds it held leaves it to the others for some microseconds. */
static inline void wf_lock_patiently(struct wf_lock *l)
{
    if (!wf_lock_at_once(l))
        wf_lock_patient_slow(l);
}

static inline void wf_unlock(struct wf_lock *l)
{
    wf_store(&l->word, 0u, release); /* L1 */
    wf_fence_light();                /* L4 */
    if (__builtin_expect(wf_load(&wf_lock_care, relaxed) != 0, 0))
        wf_unlock_slow(l);
}

#endif
