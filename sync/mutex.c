/* mutex.c - one owner at a time, in the order of asking.
 *
 * One word says it all:  0 free   |   owner   |   owner + WAITED
 *
 * The owner is the address of its struct wf_wait, which every task and every thread has one of.
 *
 * Must hold:  WAITED is set if and only if somebody is in the list, whenever the lock is free.
 *             While WAITED is set the word changes only under the lock.
 *             A free mutex has nobody in its list.
 *
 * Without contention, locking and unlocking are one compare-exchange each. With it, unlocking hands over to
 * who came first, without a moment in which the mutex is free: nobody overtakes, nobody starves. The price
 * is that the mutex rests while its next owner is on its way to a worker.
 *
 * No lost wakeup: who will wait sets WAITED, under the lock, in a word that still names an owner. That owner's
 * quick unlock then fails, and its slow one needs the lock, which is not free before the waiter is in the list.
 *
 * An owner that was woken may unlock and free the mutex: its predecessor's last touch was unlocking the list.
 *
 * Ordering: M1 quick unlock (release) <-> M2 lock of a free mutex (acquire): what the last owner wrote is seen.
 * A hand-over is ordered by firing and resuming (runtime/wait.h). */
#include "sync/waitq.h"

#include "runtime/panic.h"

#include <weft/lock.h>

enum { WAITED = 1 };

struct mutex {
    struct wf_waitq q; /* its state is not used */
    WF_ATOMIC(uintptr_t) owner;
} __attribute__((may_alias));

_Static_assert(sizeof(struct mutex) <= sizeof(weft_mutex), "a mutex must fit what users reserve for it");
_Static_assert(_Alignof(struct wf_wait) > WAITED, "an owner's address must leave room for WAITED");

static bool take_free(struct mutex *m, uintptr_t self)
{
    uintptr_t free = 0;
    return wf_cas(&m->owner, &free, self, acquire); /* M2 */
}

/* Under the lock: take it, or see to it that its owner will hand it over. */
static bool take_or_mark(struct mutex *m, uintptr_t self)
{
    for (;;) {
        uintptr_t owner = wf_load(&m->owner, relaxed); /* Only decides which exchange to try. */
        WF_REQUIRE((owner & ~(uintptr_t)WAITED) != self, "weft_mutex_lock of a mutex that the caller holds");
        if (owner == 0 && take_free(m, self))
            return true;
        /* Relaxed: it publishes nothing; the list is under the lock. */
        if (owner != 0 && ((owner & WAITED) || wf_cas_weak(&m->owner, &owner, owner | WAITED, relaxed)))
            return false;
    }
}

void weft_mutex_lock(weft_mutex *mutex)
{
    struct mutex *m = (struct mutex *)mutex;
    uintptr_t self = (uintptr_t)wf_wait_self();
    if (take_free(m, self))
        return;
    wf_lock(&m->q.lock);
    if (take_or_mark(m, self))
        wf_unlock(&m->q.lock);
    else
        wf_waiters_wait(&m->q.list, &m->q.lock, NULL, 0);
}

bool weft_mutex_trylock(weft_mutex *mutex)
{
    return take_free((struct mutex *)mutex, (uintptr_t)wf_wait_self());
}

static void hand_over(struct mutex *m)
{
    wf_lock(&m->q.lock);
    weft_waiter *next = wf_waiters_claim(&m->q.list);
    WF_CHECK(next); /* This wait cannot be stopped, so the claim cannot fail. */
    uintptr_t owner = (uintptr_t)next->wait;
    wf_store(&m->owner, m->q.list.first ? owner | WAITED : owner, relaxed); /* Nobody reads it but for its value. */
    wf_unlock(&m->q.lock);
    wf_waiters_release(next, 0);
}

void weft_mutex_unlock(weft_mutex *mutex)
{
    struct mutex *m = (struct mutex *)mutex;
    uintptr_t self = (uintptr_t)wf_wait_self(), owner = self;
    if (wf_cas(&m->owner, &owner, (uintptr_t)0, release)) /* M1 */
        return;
    WF_REQUIRE(owner != 0, "weft_mutex_unlock of a mutex that is not locked");
    WF_REQUIRE(owner == (self | WAITED), "weft_mutex_unlock of a mutex that somebody else holds");
    hand_over(m);
}
