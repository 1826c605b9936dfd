/* future.c - a value that arrives once.
 *
 * Must hold:  state changes once, from 0, and value is written before it and never after.
 *             Once state is set the list is empty but for waiters that were stopped.
 *
 * No lost wakeup: state is set, and the waiters are claimed, in one hold of the lock; a waiter looks at state
 * and joins the list in one hold of the lock. So it either sees the state or is seen in the list.
 *
 * The setter's last touch of the future is the unlock (waitq.h), and no waiter returns before it: one that
 * was claimed is let go after it; one that was stopped takes the lock; one that finds state set finds the
 * lock free or takes it. So whoever knows that the future is done may free it, though the setter still runs. */
#include "sync/waitq.h"

#include "runtime/panic.h"

#include <weft/select.h>

enum { EMPTY = 0, VALUE = 1 }; /* any other state: the failure, as unsigned */

struct future {
    struct wf_waitq q;
    void *value; /* written before state, under the lock */
} __attribute__((may_alias));

_Static_assert(sizeof(struct future) <= sizeof(weft_future), "a future must fit what users reserve for it");

static struct future *inside(const weft_future *f)
{
    return (struct future *)f;
}

static int result_of(uint32_t state)
{
    return state == VALUE ? 0 : (int)state;
}

static int fulfil(struct future *f, uint32_t state, void *value)
{
    wf_lock(&f->q.lock);
    if (wf_load(&f->q.state, relaxed) != EMPTY) {
        wf_unlock(&f->q.lock);
        return -EALREADY;
    }
    f->value = value;
    wf_store(&f->q.state, state, release); /* V1 */
    weft_waiter *chain = wf_waiters_claim_all(&f->q.list);
    wf_unlock(&f->q.lock);
    wf_waiters_release(chain, result_of(state));
    return 0;
}

int weft_future_set(weft_future *f, void *value)
{
    return fulfil(inside(f), VALUE, value);
}

int weft_future_fail(weft_future *f, int err)
{
    WF_REQUIRE(err < 0, "weft_future_fail needs a negated errno, not %d", err);
    return fulfil(inside(f), (uint32_t)err, NULL);
}

bool weft_future_done(const weft_future *f)
{
    return wf_waitq_state(&inside(f)->q) != EMPTY;
}

/* Suspends. The state once it is set, or EMPTY and in *ret why the caller should stop. */
static uint32_t await_state(struct future *f, int *ret)
{
    wf_lock(&f->q.lock);
    uint32_t state = wf_load(&f->q.state, relaxed);
    if (state != EMPTY) {
        wf_unlock(&f->q.lock);
        return state;
    }
    *ret = wf_waiters_wait(&f->q.list, &f->q.lock, NULL, WF_WAIT_STOPPABLE);
    return wf_waitq_state(&f->q); /* A stop that came at the same time yields to the answer. */
}

int weft_future_await(weft_future *future, void **ret)
{
    struct future *f = inside(future);
    int why = 0;
    uint32_t state = wf_waitq_settled(&f->q);
    if (state == EMPTY)
        state = await_state(f, &why);
    if (state == EMPTY)
        return why;
    if (state == VALUE && ret)
        *ret = f->value;
    return result_of(state);
}

static bool case_ready(weft_case *c)
{
    uint32_t state = wf_waitq_state(&inside(c->on)->q);
    if (state != EMPTY)
        c->result = result_of(state);
    return state != EMPTY;
}

static bool case_enqueue(weft_case *c, weft_waiter *w)
{
    struct wf_waitq *q = &inside(c->on)->q;
    wf_lock(&q->lock);
    bool empty = wf_load(&q->state, relaxed) == EMPTY;
    if (empty)
        wf_waiters_push(&q->list, w);
    wf_unlock(&q->lock);
    return empty;
}

static bool case_dequeue(weft_case *c, weft_waiter *w)
{
    struct wf_waitq *q = &inside(c->on)->q;
    wf_lock(&q->lock);
    bool removed = wf_waiters_remove(&q->list, w);
    wf_unlock(&q->lock);
    return removed;
}

weft_case weft_on_future(weft_future *f)
{
    static const struct weft_waitable how = {case_ready, case_enqueue, case_dequeue};
    return (weft_case){.how = &how, .on = f};
}
