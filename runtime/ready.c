/* ready.c - how a task that may run gets to where workers look for it.
 *
 *     spawned, on a worker              into its queue; into its nest, if the queue is very long
 *     woken, on a worker                into its slot: it runs next, and what was there goes into the queue
 *     ... by a task of its own that ends the same, but others of that scope go first, up to 32 (pick in worker.c)
 *     woken by what w has collected     into its queue, in the order of arrival
 *     of low priority (slice.h)         to its like, on the same worker
 *     from elsewhere; pinned to another into that worker's inbox, and the worker is woken
 *
 * Whoever puts the first task into an empty queue wakes a worker that sleeps: idle.h. */
#include "runtime/child.h"
#include "runtime/worker.h"

static void wake(weft_runtime *rt, int worker)
{
    if (worker >= 0)
        wf_driver_wake(rt->workers[worker].driver);
}

void wf_worker_wake_one(struct wf_worker *w)
{
    if (w->rt->worker_count > 1)
        wake(w->rt, wf_idle_claim(&w->rt->idle, w->index + 1));
}

void wf_worker_append_pinned(struct wf_worker *w, weft_task *t)
{
    t->next = NULL;
    *w->pinned_last = t;
    w->pinned_last = &t->next;
}

void wf_worker_spawn(struct wf_worker *w, weft_task *t)
{
    wf_store(&t->state, WF_TASK_READY, relaxed);
    wf_store(&t->home, w, relaxed);
    wf_side_give(&t->fn);
    void *side = wf_side_take(wf_side_of(&w->base));
    bool many = WF_UNLIKELY(wf_queue_count(&w->queue) >= WF_QUEUE_MANY);
    if (!(many && wf_queue_nest(&w->queue, t, wf_load(&w->run_seq, relaxed))) && wf_queue_push_fresh(&w->queue, t))
        wf_worker_wake_one(w);
    wf_side_take(side);
}

void wf_worker_deliver(struct wf_worker *w, weft_task *t)
{
    wf_child_refuse("waking a task");
    weft_runtime *rt = w->rt;
    struct wf_worker *self = wf_worker_self();
    bool visits = !self || self->rt != rt; /* else all stay at least as long as we are in our loop */
    wf_store(&t->state, WF_TASK_READY, relaxed);
    wf_side_give(&t->fn);
    bool pinned = wf_worker_is_pinned(t); /* once pushed, t is somebody else's */
    if (visits)
        wf_runtime_visit(rt);
    wf_inbox_push(pinned ? &w->pinned_inbox : &w->inbox, t);
    wf_driver_wake(w->driver);
    if (!pinned && wf_load(&w->current, relaxed))
        wake(rt, wf_idle_claim(&rt->idle, w->index + 1)); /* w is busy: an idle one may be quicker */
    if (visits)
        wf_runtime_leave(rt);
}

void wf_worker_ready(weft_task *t)
{
    struct wf_worker *w = wf_worker_self(), *home = wf_load(&t->home, relaxed);
    if (!w || w->rt != home->rt || (wf_worker_is_pinned(t) && w != home)) {
        wf_worker_deliver(home, t);
        return;
    }
    wf_store(&t->state, WF_TASK_READY, relaxed);
    void *side = wf_side_take(wf_side_of(&w->base));
    if (wf_worker_is_pinned(t)) {
        wf_worker_append_pinned(w, t);
    } else if (w->collecting) {
        wf_worker_append(w, t); /* whoever collects wakes others once, at the end */
    } else if (WF_UNLIKELY(wf_slice_is_low(t))) {
        wf_worker_append(w, t);
        wf_worker_wake_one(w);
    } else {
        weft_task *before = wf_queue_slot(&w->queue, t);
        if (before && wf_queue_push(&w->queue, before))
            wf_worker_wake_one(w);
    }
    wf_side_take(side);
}
