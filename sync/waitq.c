/* waitq.c - see waitq.h. */
#include "sync/waitq.h"

#include "runtime/panic.h"

uint32_t wf_waitq_state(struct wf_waitq *q)
{
    uint32_t state = wf_waitq_settled(q);
    if (state || wf_load(&q->state, relaxed) == 0)
        return state;
    wf_lock(&q->lock); /* The setter is still inside: wait for it. */
    state = wf_load(&q->state, relaxed);
    wf_unlock(&q->lock);
    return state;
}

/* Only the first waiter has no prev, so a waiter outside the list is told by that and by not being first. */
void wf_waiters_push(struct wf_waiters *l, weft_waiter *w)
{
    w->prev = l->last;
    w->next = NULL;
    if (l->last)
        l->last->next = w;
    else
        l->first = w;
    l->last = w;
}

bool wf_waiters_remove(struct wf_waiters *l, weft_waiter *w)
{
    if (!w->prev && l->first != w)
        return false;
    if (w->prev)
        w->prev->next = w->next;
    else
        l->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        l->last = w->prev;
    w->prev = w->next = NULL;
    return true;
}

weft_waiter *wf_waiters_claim_any(struct wf_waiters *l)
{
    weft_waiter *w;
    while ((w = l->first)) {
        wf_waiters_remove(l, w);
        if (wf_fire_claim(w))
            return w;
    }
    return NULL;
}

weft_waiter *wf_waiters_claim_all(struct wf_waiters *l)
{
    weft_waiter *chain = NULL, **end = &chain, *w;
    while ((w = wf_waiters_claim(l))) {
        *end = w;
        end = &w->next;
    }
    return chain;
}

bool wf_waiters_others(const struct wf_waiters *l, const struct wf_wait *wait)
{
    const weft_waiter *w = l->first;
    while (w && w->wait == wait)
        w = w->next;
    return w;
}

void wf_waiters_release(weft_waiter *chain, int result)
{
    while (chain) {
        weft_waiter *w = chain;
        chain = w->next; /* before w goes */
        w->next = NULL;
        wf_fire_claimed(w, result);
    }
}

int wf_waiters_wait(struct wf_waiters *l, struct wf_lock *lock, void *item, unsigned kind)
{
    struct wf_wait *wait = wf_wait_self();
    int err = wf_wait_arm(wait, kind | WF_WAIT_PARKED);
    if (err) {
        wf_unlock(lock);
        return err;
    }
    weft_waiter me;
    wf_waiter_init(&me, wait, 0);
    me.item = item;
    wf_waiters_push(l, &me);
    wf_unlock(lock);

    if (wf_wait_suspend(wait) != WF_WAIT_STOPPED)
        return me.result;
    wf_lock(lock);
    wf_waiters_remove(l, &me);
    wf_unlock(lock);
    return wf_wait_why_stopped();
}
