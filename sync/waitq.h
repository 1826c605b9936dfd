/* waitq.h - who waits for an object, in the order of asking.
 *
 * A queue of waiters under a lock. Every type in sync/ embeds one, or, as a channel does, two lists under
 * one lock. It adds to runtime/wait.h what all types do alike: wait in line, and let go of who waits in line.
 *
 * Must hold, for every list and under its lock:
 *   - A waiter in the list is in its waiter's frame, and that frame stays until the waiter has taken the
 *     lock once more or was claimed and let go. So whoever holds the lock may touch any waiter in the list.
 *   - Who claims a waiter takes it out of the list before unlocking. Who loses its wait to a stop, or to
 *     another case of a select, takes itself out, unless somebody who tried to claim it has already.
 *
 * Claim, unlock, let go. Whoever ends waits claims them under the lock, chains them through `next`, unlocks,
 * and only then lets them go. A claimed waiter cannot leave by itself, so the chain is safe without the
 * lock. This order is what allows a waiter to free the object as soon as it is woken: unlocking is the last
 * thing its waker does to the object. It also keeps queueing a task, and perhaps a system call to wake a
 * worker, out of the lock. */
#ifndef WF_WAITQ_H
#define WF_WAITQ_H

#include "runtime/platform/lock.h"
#include "runtime/wait.h"

struct wf_waiters {
    weft_waiter *first, *last; /* both NULL: nobody waits */
};

/* Three words, and valid when zeroed, so that a public object of four has one to spare. Public objects are
 * arrays of words to their users, hence may_alias. */
struct wf_waitq {
    struct wf_lock lock;
    WF_ATOMIC(uint32_t) state; /* the type's own; written under the lock, 0 to begin with */
    struct wf_waiters list;
} __attribute__((may_alias));

/* The state without the lock, or 0: not set, or whoever set it may still be busy with the object.
 *
 * Ordering: V1 a store to state (release) <-> V2 this load (acquire): what the setter wrote before is seen.
 * The setter's lock precedes V1, so a load of the lock word after V2 finds it held, or given back by the
 * setter, or something later. Found free, the setter has unlocked, and the caller may even free the object. */
static inline uint32_t wf_waitq_settled(struct wf_waitq *q)
{
    uint32_t state = wf_load(&q->state, acquire);                            /* V2 */
    return state && wf_load(&q->lock.word, acquire) == 0 /* L1 */ ? state : 0;
}

/* The state, wherever the setter is; it has left the object when this returns. */
uint32_t wf_waitq_state(struct wf_waitq *q);

/* All of these under the list's lock. */
void wf_waiters_push(struct wf_waiters *l, weft_waiter *w);   /* at the end */
bool wf_waiters_remove(struct wf_waiters *l, weft_waiter *w); /* false: it was not in the list */

/* Claim who came first. Those met on the way whose wait is over already are taken out. NULL: nobody waits. */
weft_waiter *wf_waiters_claim_any(struct wf_waiters *l);
static inline weft_waiter *wf_waiters_claim(struct wf_waiters *l)
{
    return l->first ? wf_waiters_claim_any(l) : NULL;
}
weft_waiter *wf_waiters_claim_all(struct wf_waiters *l); /* a chain through next */

/* Is there anybody in the list but the waiters of w itself? Some may have been stopped already. */
bool wf_waiters_others(const struct wf_waiters *l, const struct wf_wait *w);

/* Let go of a chain that was claimed, after unlocking. Each waiter ends with this result; NULL is fine. */
void wf_waiters_release(weft_waiter *chain, int result);

/* Suspends. Wait in line: call it with the lock held, it returns without. kind is 0 or WF_WAIT_STOPPABLE.
 * The result that the waiter was let go with, or why the caller should stop; then nobody claimed it. */
int wf_waiters_wait(struct wf_waiters *l, struct wf_lock *lock, void *item, unsigned kind);

#endif
