/* lock.h - weft's lock for Relacy, which knows no fence for all threads: here it is given back by an exchange.
 *
 * The same words and the same promises as runtime/platform/lock.h, whose own argument only tests/model/lock.c looks at.
 * A whole fence in each unlock would not do: Relacy takes it to hand over data, and misses races elsewhere. */
#ifndef WF_LOCK_H
#define WF_LOCK_H

#include "runtime/platform/atomic.h"

struct wf_lock {
    WF_ATOMIC(uint32_t) word; /* 0 free, 1 held, 2 held and somebody may sleep */
};

extern WF_ATOMIC(uint32_t) wf_lock_care; /* not used */

void wf_lock_slow(struct wf_lock *l);
void wf_lock_patient_slow(struct wf_lock *l); /* not used */
void wf_unlock_slow(struct wf_lock *l);

static inline bool wf_trylock(struct wf_lock *l)
{
    uint32_t free = 0;
    return wf_load(&l->word, relaxed) == 0 && wf_cas(&l->word, &free, 1u, acquire);
}

static inline void wf_lock(struct wf_lock *l)
{
    uint32_t free = 0;
    if (!wf_cas_weak(&l->word, &free, 1u, acquire))
        wf_lock_slow(l);
}

static inline void wf_lock_patiently(struct wf_lock *l)
{
    wf_lock(l);
}

static inline void wf_unlock(struct wf_lock *l)
{
    if (wf_swap(&l->word, 0u, release) == 2)
        wf_unlock_slow(l);
}

#endif
