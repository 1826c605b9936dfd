/* queue.h - one worker's runnable tasks.
 *
 *     slot      the task woken last by a running one: it runs next, its data is warm
 *     ring      256 tasks, first in first out; open to thieves, who take half
 *     overflow  the rest, in order, under a lock
 *
 * The owner adds at the ring's tail; everybody, the owner too, takes from its head by compare-exchange. So
 * there is no race for the last element between owner and thief, and no full fence. While the overflow holds
 * anything, new tasks go behind it: the order stays first in, first out.
 *
 * Must hold:  tail - head <= 256, as unsigned counters that only grow.
 *             A ring slot is rewritten only after head has moved beyond it.
 *
 * Ordering:   Q1 owner's store to tail (release)   <-> Q2 thief's load of tail (acquire): the task is there.
 *             Q3 thief's exchange of head (release) <-> Q4 owner's load of head (acquire): the thief has read
 *                the slot before the owner may write it again. That the head is current, the exchange says: so
 *                thieves load it relaxed, and the owner, who writes the slots itself, takes relaxed.
 *             Q5 any exchange of slot (acq_rel), with itself: the task in it changes hands. Without thieves nobody
 *                else touches it. */
#ifndef WF_QUEUE_H
#define WF_QUEUE_H

#include "runtime/panic.h"
#include "runtime/task.h"

#ifndef WF_QUEUE_RING /* a model has a smaller one */
#define WF_QUEUE_RING 256
#endif
enum {
    WF_QUEUE_REFILL = WF_QUEUE_RING / 2,
    WF_QUEUE_WARM = 4 /* more than these: they do not all stay in the nearest cache */
};
_Static_assert((WF_QUEUE_RING & (WF_QUEUE_RING - 1)) == 0, "indices wrap by masking");

struct wf_queue {
    _Alignas(64) WF_ATOMIC(uint32_t) head; /* by takers */
    _Alignas(64) WF_ATOMIC(uint32_t) tail; /* by the owner */
    WF_ATOMIC(weft_task *) slot;
    WF_ATOMIC(weft_task *) ring[WF_QUEUE_RING];
    bool alone;                        /* there are no thieves; constant */
    _Alignas(64) struct wf_lock lock;  /* for the overflow */
    WF_ATOMIC(uint32_t) overflow;      /* how many; written under lock */
    weft_task *first, **last;
};

void wf_queue_open(struct wf_queue *q, bool alone);

void wf_queue_push_overflow(struct wf_queue *q, weft_task *t);
weft_task *wf_queue_pop_overflow(struct wf_queue *q);

/* Owner only. Add at the end. True: there was nothing before it. */
static inline bool wf_queue_push(struct wf_queue *q, weft_task *t)
{
    uint32_t tail = wf_load(&q->tail, relaxed); /* our own */
    uint32_t head = wf_load(&q->head, acquire); /* Q4; kept: against writing a slot too early, see model.md */
    if (WF_UNLIKELY(tail - head == WF_QUEUE_RING || wf_load(&q->overflow, relaxed))) {
        wf_queue_push_overflow(q, t);
        return false;
    }
    wf_store(&q->ring[tail % WF_QUEUE_RING], t, relaxed);
    wf_store(&q->tail, tail + 1, release); /* Q1 */
    return wf_load(&q->head, relaxed) == tail; /* thieves may have been here meanwhile */
}

/* Those that run soon have been out of mind for a while, if there are many: fetch the task after next but one, the
 * stack of the next but one and the frame in which the next one stands. Each may be stolen and gone on meanwhile; its
 * memory stays, and whatever is read is only a guess. `left` includes the one about to be taken. */
static inline void wf_queue_warm(struct wf_queue *q, uint32_t head, uint32_t left)
{
    struct wf_stack *s;
    if (left <= WF_QUEUE_WARM)
        return;
    __builtin_prefetch(wf_load(&q->ring[(head + 3) % WF_QUEUE_RING], relaxed), 1);
    s = wf_load(&wf_load(&q->ring[(head + 2) % WF_QUEUE_RING], relaxed)->stack, relaxed);
    if (s)
        __builtin_prefetch(s, 1);
    s = wf_load(&wf_load(&q->ring[(head + 1) % WF_QUEUE_RING], relaxed)->stack, relaxed);
    if (s) {
        char *sp = wf_shared_load(&s->context.sp, relaxed);
        __builtin_prefetch(sp - 64, 1);
        __builtin_prefetch(sp, 1);
    }
}

/* Owner only. The oldest, or NULL. */
static inline weft_task *wf_queue_pop(struct wf_queue *q)
{
    uint32_t tail = wf_load(&q->tail, relaxed); /* our own */
    uint32_t head = wf_load(&q->head, relaxed);
    wf_queue_warm(q, head, tail - head);
    while (head != tail) {
        weft_task *t = wf_load(&q->ring[head % WF_QUEUE_RING], relaxed);
        if (q->alone)
            wf_store(&q->head, head + 1, relaxed);
        else if (!wf_cas_weak(&q->head, &head, head + 1, relaxed)) /* only we write this slot again */
            continue;
        return t;
    }
    return wf_load(&q->overflow, relaxed) ? wf_queue_pop_overflow(q) : NULL;
}

/* Owner only. How many are in the ring, about. */
static inline uint32_t wf_queue_count(struct wf_queue *q)
{
    return wf_load(&q->tail, relaxed) - wf_load(&q->head, relaxed);
}

/* Any thread. Is there anything besides the slot? A look, no promise. */
static inline bool wf_queue_any(struct wf_queue *q)
{
    return wf_load(&q->tail, relaxed) != wf_load(&q->head, relaxed) || wf_load(&q->overflow, relaxed);
}

/* The owner of `to`, whose ring is empty: move half of q over. Returns one task to run, or NULL. */
weft_task *wf_queue_steal(struct wf_queue *q, struct wf_queue *to);

/* Any thread. Put t into the slot, or take what is in it; returns what was there. */
static inline weft_task *wf_queue_slot(struct wf_queue *q, weft_task *t)
{
    if (q->alone) {
        weft_task *before = wf_load(&q->slot, relaxed);
        wf_store(&q->slot, t, relaxed);
        return before;
    }
    return wf_swap(&q->slot, t, acq_rel); /* Q5 */
}

#endif
