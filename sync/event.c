/* event.c - something that has happened, until it is cleared.
 *
 * Must hold:  while the event is set, the list is empty but for waiters that were stopped.
 *
 * No lost wakeup: as in future.c, setting claims everybody in the hold of the lock that changes the state.
 *
 * Setting and clearing always take the lock, also when they change nothing. The common use is: clear, look
 * at the data, wait; against: change the data, set. A set that merely read "set already" could do so before
 * its data is visible, the other side could then clear, miss the data and wait for ever. As the lock orders
 * the two calls, either the clear comes first and this set wakes the waiter, or it comes second and its
 * caller sees the data.
 *
 * A waiter may free the event as soon as it returns, for the reasons in future.c. */
#include "sync/waitq.h"

#include <weft/lock.h>

struct event {
    struct wf_waitq q; /* state: 0 or 1 */
} __attribute__((may_alias));

_Static_assert(sizeof(struct event) <= sizeof(weft_event), "an event must fit what users reserve for it");

static struct wf_waitq *inside(const weft_event *e)
{
    return &((struct event *)e)->q;
}

int weft_event_wait(weft_event *e)
{
    struct wf_waitq *q = inside(e);
    int err = wf_wait_begin();
    if (err || wf_waitq_settled(q))
        return err;
    wf_lock(&q->lock);
    if (wf_load(&q->state, relaxed)) {
        wf_unlock(&q->lock);
        return 0;
    }
    return wf_waiters_wait(&q->list, &q->lock, NULL, WF_WAIT_STOPPABLE);
}

void weft_event_set(weft_event *e)
{
    struct wf_waitq *q = inside(e);
    wf_lock(&q->lock);
    wf_store(&q->state, 1u, release); /* V1 */
    weft_waiter *chain = wf_waiters_claim_all(&q->list);
    wf_unlock(&q->lock);
    wf_waiters_release(chain, 0);
}

void weft_event_clear(weft_event *e)
{
    struct wf_waitq *q = inside(e);
    wf_lock(&q->lock);
    wf_store(&q->state, 0u, relaxed);
    wf_unlock(&q->lock);
}

bool weft_event_is_set(const weft_event *e)
{
    return wf_waitq_state(inside(e));
}
