/* queue.h - one worker's runnable tasks.
 *
 *     slot      the task woken last by a running one: it runs next, its data is warm
 *     ring      all others, first in first out; open to thieves, who take half, but not more than 128
 *     nest      if the ring holds very many: the first few tasks that each task starts, under a lock (nest.h). The
 *               latest come first, and of those of one task the eldest; to thieves the earliest, before the ring
 *     low       tasks that hold their worker for long, time and again (slice.h), under the same lock, in order: served
 *               every eighth time, and when there is nothing else
 *     overflow  the rest, in order, under a lock: what came when there was no memory for a larger ring
 *
 * The owner adds at the ring's tail; everybody, the owner too, takes from its head by compare-exchange. So
 * there is no race for the last element between owner and thief, and no full fence. While the overflow holds
 * anything, new tasks go behind it: the order stays first in, first out.
 *
 * A ring begins with 256 places. One that is full is replaced by one of four times the size, into which the owner
 * copies it. Its place in memory is kept: a thief may still read there, and what it reads is right as long as its
 * exchange of head succeeds, since nobody writes there any more. All are given back when the queue closes; together
 * the old ones are a third of the last.
 *
 * The nest is why a tree of tasks, each of which waits for those it starts, does not stand there in its whole breadth,
 * with a stack for each: once the ring holds more than any thief could want, what is new is begun first, and so ends
 * first. The ring has every fourth turn of its worker, so neither starves. Thieves go to the nest first: the large
 * branches of a tree are at its far end, when those in the ring have long been begun. There a thief that begins
 * nothing (spare.h) puts what it finds before a task that has begun.
 *
 * Must hold:  tail - head <= the ring's size, as unsigned counters that only grow.
 *             A ring slot is rewritten only after head has moved beyond it.
 *
 * Ordering:   Q1 owner's store to tail (release)   <-> Q2 thief's load of tail (acquire): the task is there, and so
 *                is the ring that it is in, or a later one.
 *             Q3 thief's exchange of head (release) <-> Q4 owner's load of head (acquire): the thief has read
 *                the slot before the owner may write it again. That the head is current, the exchange says: so
 *                thieves load it relaxed, and the owner, who writes the slots itself, takes relaxed.
 *             Q5 any exchange of slot (acq_rel), with itself: the task in it changes hands. Without thieves nobody
 *                else touches it.
 *             Q6 owner's store to ring (release) <-> Q7 thief's load of ring (acquire): what was copied is there. */
#ifndef WF_QUEUE_H
#define WF_QUEUE_H

#include "runtime/nest.h"
#include "runtime/panic.h"
#include "runtime/task.h"

#ifndef WF_QUEUE_RING /* a model has a smaller one */
#define WF_QUEUE_RING 256
#endif
enum {
    WF_QUEUE_RING_MAX = 1 << 30,
    WF_QUEUE_MOVED = WF_QUEUE_RING / 2, /* at most so many at a time, to a thief or from the overflow */
    WF_QUEUE_MANY = 1024,  /* so many are enough for all thieves: from here on there is a nest */
    WF_QUEUE_NESTLINGS = 64, /* at most so many go there of what a task starts in one go */
    WF_QUEUE_WARM = 4 /* more than these: they do not all stay in the nearest cache */
};
_Static_assert((WF_QUEUE_RING & (WF_QUEUE_RING - 1)) == 0, "indices wrap by masking");

struct wf_ring {
    uint32_t mask;         /* its size less one; constant */
    struct wf_ring *older; /* which it has replaced; constant */
    WF_ATOMIC(weft_task *) at[];
};

struct wf_queue {
    _Alignas(64) WF_ATOMIC(uint32_t) head; /* by takers */
    _Alignas(64) WF_ATOMIC(uint32_t) tail; /* by the owner, and so are: */
    bool alone;                            /* there are no thieves; constant */
    bool peeks;                            /* stacks stay, even of what was stolen (spills.h); constant */
    WF_ATOMIC(uint32_t) begun;             /* the ring has nothing that has begun from this place on */
    WF_ATOMIC(struct wf_ring *) ring;
    WF_ATOMIC(weft_task *) slot;           /* by anybody */
    WF_ATOMIC(uint32_t) aside;             /* how many are in nest and low; written under lock */
    _Alignas(64) struct wf_lock lock;      /* for overflow, nest and low */
    WF_ATOMIC(uint32_t) overflow;          /* how many; written under lock */
    weft_task *first, **last;
    struct wf_nest nest;
    uint64_t nest_run;                     /* from which run the latest came, and how many; by the owner */
    unsigned nestlings;
    weft_task *low, **low_last;
    uint32_t ring_max;                     /* as large as a ring may become; constant */
};

int wf_queue_open(struct wf_queue *q, bool alone); /* 0, -ENOMEM */
void wf_queue_close(struct wf_queue *q);           /* opened or zeroed; nobody else is there any more */

/* What is too much for the ring: make it larger, or else use the overflow. False, as for wf_queue_push. */
bool wf_queue_push_full(struct wf_queue *q, weft_task *t);
weft_task *wf_queue_pop_overflow(struct wf_queue *q);

/* Owner only. Into the nest: behind the last one, if that came from the same run of a task, else before all. False: not
 * t, as so many have come from this run already. */
bool wf_queue_nest(struct wf_queue *q, weft_task *t, uint64_t run);

/* Owner only. To those that are served last. */
void wf_queue_push_low(struct wf_queue *q, weft_task *t);

/* Any thread. Out of the nest; the eldest of the low ones; either, the nest first: or NULL. */
weft_task *wf_queue_pop_nest(struct wf_queue *q);
weft_task *wf_queue_pop_low(struct wf_queue *q);
weft_task *wf_queue_pop_aside(struct wf_queue *q);

/* The owner's way to its own ring. */
static inline struct wf_ring *wf_queue_ring(struct wf_queue *q)
{
    return wf_load(&q->ring, relaxed);
}

static inline WF_ATOMIC(weft_task *) *wf_ring_at(struct wf_ring *r, uint32_t i)
{
    return &r->at[i & r->mask];
}

/* Owner only. Add at the end what has not begun. True: there was nothing before it. */
static inline bool wf_queue_push_fresh(struct wf_queue *q, weft_task *t)
{
    uint32_t tail = wf_load(&q->tail, relaxed); /* our own */
    uint32_t head = wf_load(&q->head, acquire); /* Q4; kept: against writing a slot too early, see model.md */
    struct wf_ring *ring = wf_queue_ring(q);
    if (WF_UNLIKELY(tail - head > ring->mask || wf_load(&q->overflow, relaxed)))
        return wf_queue_push_full(q, t);
    wf_store(wf_ring_at(ring, tail), t, relaxed);
    wf_store(&q->tail, tail + 1, release); /* Q1 */
    return wf_load(&q->head, relaxed) == tail; /* thieves may have been here meanwhile */
}

/* The same for what has begun. */
static inline bool wf_queue_push(struct wf_queue *q, weft_task *t)
{
    wf_store(&q->begun, wf_load(&q->tail, relaxed) + 1, relaxed); /* seen by who sees the task (Q1) */
    return wf_queue_push_fresh(q, t);
}

/* The same for either. */
static inline bool wf_queue_push_any(struct wf_queue *q, weft_task *t)
{
    if (wf_task_has_begun(t))
        wf_store(&q->begun, wf_load(&q->tail, relaxed) + 1, relaxed); /* as there */
    return wf_queue_push_fresh(q, t);
}

/* Those that run soon have been out of mind for a while, if there are many: fetch the task after next but one, the
 * stack of the next but one and the frame in which the next one stands. Each may be stolen and gone on meanwhile; its
 * memory stays, and whatever is read is only a guess. `left` includes the one about to be taken. */
static inline void wf_queue_warm(struct wf_queue *q, struct wf_ring *ring, uint32_t head, uint32_t left)
{
    struct wf_stack *s;
    if (left <= WF_QUEUE_WARM)
        return;
    __builtin_prefetch(wf_load(wf_ring_at(ring, head + 3), relaxed), 1);
    s = wf_load(&wf_load(wf_ring_at(ring, head + 2), relaxed)->stack, relaxed);
    if (s)
        __builtin_prefetch(s, 1);
    s = wf_load(&wf_load(wf_ring_at(ring, head + 1), relaxed)->stack, relaxed);
    if (s && q->peeks) {
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
    struct wf_ring *ring = wf_queue_ring(q);
    wf_queue_warm(q, ring, head, tail - head);
    while (head != tail) {
        weft_task *t = wf_load(wf_ring_at(ring, head), relaxed);
        if (q->alone)
            wf_store(&q->head, head + 1, relaxed);
        else if (!wf_cas_weak(&q->head, &head, head + 1, relaxed)) /* only we write this slot again */
            continue;
        return t;
    }
    return wf_load(&q->overflow, relaxed) ? wf_queue_pop_overflow(q) : NULL;
}

/* Without thieves: put t at the end, take what comes first. NULL, and t is not there: there is nothing before it, or
 * more than a ring to choose from. */
static inline weft_task *wf_queue_rotate(struct wf_queue *q, weft_task *t)
{
    uint32_t tail = wf_load(&q->tail, relaxed), head = wf_load(&q->head, relaxed); /* both our own */
    struct wf_ring *ring = wf_queue_ring(q);
    if (head == tail || wf_load(&q->slot, relaxed) || wf_load(&q->aside, relaxed) || wf_load(&q->overflow, relaxed))
        return NULL;
    weft_task *first = wf_load(wf_ring_at(ring, head), relaxed);
    wf_queue_warm(q, ring, head, tail - head);
    wf_store(wf_ring_at(ring, tail), t, relaxed); /* if the ring is full, where first was */
    wf_store(&q->head, head + 1, relaxed);
    wf_store(&q->tail, tail + 1, relaxed);
    return first;
}

/* Owner only. How many are in the ring, about. */
static inline uint32_t wf_queue_count(struct wf_queue *q)
{
    return wf_load(&q->tail, relaxed) - wf_load(&q->head, relaxed);
}

/* Any thread. How many there are besides the slot, about. */
static inline uint32_t wf_queue_count_all(struct wf_queue *q)
{
    return wf_queue_count(q) + wf_load(&q->overflow, relaxed) + wf_load(&q->aside, relaxed);
}

/* Any thread. Is there anything besides the slot? A look, no promise. */
static inline bool wf_queue_any(struct wf_queue *q)
{
    return wf_load(&q->tail, relaxed) != wf_load(&q->head, relaxed) || wf_load(&q->overflow, relaxed) ||
           wf_load(&q->aside, relaxed);
}

/* The owner of `to`, whose ring is empty: move half of q over, but no more than max, which WF_QUEUE_MOVED is the
 * greatest of. Returns one task to run, or NULL. With a max of 1 nothing is moved, and `to` may hold what it will. */
weft_task *wf_queue_steal(struct wf_queue *q, struct wf_queue *to, uint32_t max);

/* Any thread. Take the first of the ring that has begun, or NULL. What comes before it goes to the nest; true in
 * *nested: something does, so somebody who sleeps is to be woken for it. */
weft_task *wf_queue_steal_begun(struct wf_queue *q, bool *nested);

/* Any thread. May anything have begun that lies from `head` on? Certain for who has seen the tail. */
static inline bool wf_queue_has_begun(struct wf_queue *q, uint32_t head)
{
    return (int32_t)(wf_load(&q->begun, relaxed) - head) > 0;
}

/* Any thread. Would that find one? A look, no promise. */
static inline bool wf_queue_any_begun(struct wf_queue *q)
{
    uint32_t head = wf_load(&q->head, relaxed);
    return wf_queue_has_begun(q, head) && wf_load(&q->tail, relaxed) != head;
}

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
