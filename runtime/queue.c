/* queue.c - see queue.h. */
#include "runtime/queue.h"

#include "runtime/alloc.h"

enum { GROWTH = 4 };

static size_t bytes_of(uint32_t mask)
{
    return sizeof(struct wf_ring) + ((size_t)mask + 1) * sizeof(weft_task *);
}

static struct wf_ring *new_ring(uint32_t size, struct wf_ring *older)
{
    struct wf_ring *r = wf_alloc(bytes_of(size - 1));
    if (!r)
        return NULL;
    r->mask = size - 1;
    r->older = older;
    return r;
}

int wf_queue_open(struct wf_queue *q, bool alone)
{
    q->alone = alone;
    q->last = &q->first;
    q->low_last = &q->low;
    q->ring_max = WF_QUEUE_RING_MAX;
    struct wf_ring *r = new_ring(WF_QUEUE_RING, NULL);
    wf_store(&q->ring, r, relaxed); /* threads that begin see it */
    return r ? wf_nest_open(&q->nest) : -ENOMEM;
}

void wf_queue_close(struct wf_queue *q)
{
    for (struct wf_ring *r = wf_queue_ring(q), *older; r; r = older) {
        older = r->older;
        wf_free(r, bytes_of(r->mask));
    }
    wf_store(&q->ring, NULL, relaxed); /* nobody is there */
    wf_nest_close(&q->nest);
}

/* Owner only, and the ring is full: what has not been taken of it goes to the same places of a larger one. */
static bool grow(struct wf_queue *q)
{
    struct wf_ring *old = wf_queue_ring(q);
    struct wf_ring *r = old->mask < q->ring_max - 1 ? new_ring((old->mask + 1) * GROWTH, old) : NULL;
    if (!r)
        return false;
    uint32_t tail = wf_load(&q->tail, relaxed); /* our own */
    for (uint32_t i = tail - old->mask - 1; i != tail; i++)
        wf_store(wf_ring_at(r, i), wf_load(wf_ring_at(old, i), relaxed), relaxed);
    wf_store(&q->ring, r, release); /* Q6 */
    return true;
}

static void push_overflow(struct wf_queue *q, weft_task *t)
{
    t->next = NULL;
    wf_lock(&q->lock);
    *q->last = t;
    q->last = &t->next;
    wf_store(&q->overflow, wf_load(&q->overflow, relaxed) + 1, relaxed);
    wf_unlock(&q->lock);
}

bool wf_queue_push_full(struct wf_queue *q, weft_task *t)
{
    if (!wf_load(&q->overflow, relaxed) && grow(q))
        return wf_queue_push_fresh(q, t); /* its caller has said what it is */
    push_overflow(q, t);
    return false;
}

/* Take up to max tasks from the overflow: the first is returned, the rest goes to the ring of `to`, which
 * its owner calls this for and which has room for them. */
static weft_task *take_overflow(struct wf_queue *q, struct wf_queue *to, uint32_t max)
{
    wf_lock(&q->lock);
    weft_task *first = q->first, *t = first;
    uint32_t n = 0, tail = wf_load(&to->tail, relaxed);
    for (; t && n < max; n++) {
        weft_task *next = t->next;
        if (n > 0)
            wf_store(wf_ring_at(wf_queue_ring(to), tail++), t, relaxed);
        t = next;
    }
    q->first = t;
    if (!t)
        q->last = &q->first;
    wf_store(&q->overflow, wf_load(&q->overflow, relaxed) - n, relaxed);
    wf_store(&to->begun, tail, relaxed); /* perhaps */
    wf_store(&to->tail, tail, release);  /* Q1 */
    wf_unlock(&q->lock);
    return first;
}

weft_task *wf_queue_pop_overflow(struct wf_queue *q)
{
    return take_overflow(q, q, WF_QUEUE_MOVED);
}

/* Where there are no thieves, nobody but the owner comes. */
static void lock_aside(struct wf_queue *q)
{
    if (!q->alone)
        wf_lock(&q->lock);
}

static void unlock_aside(struct wf_queue *q)
{
    if (!q->alone)
        wf_unlock(&q->lock);
}

/* Under the lock. */
static void count_aside(struct wf_queue *q, int n)
{
    wf_store(&q->aside, wf_load(&q->aside, relaxed) + (uint32_t)n, relaxed);
}

bool wf_queue_nest(struct wf_queue *q, weft_task *t, uint64_t run)
{
    bool sibling = q->nest_run == run;
    q->nestlings = sibling ? q->nestlings + 1 : 1;
    q->nest_run = run;
    if (q->nestlings > WF_QUEUE_NESTLINGS)
        return false;
    lock_aside(q);
    bool nested = wf_nest_push(&q->nest, t, sibling);
    if (nested)
        count_aside(q, 1);
    unlock_aside(q);
    return nested;
}

void wf_queue_push_low(struct wf_queue *q, weft_task *t)
{
    t->next = NULL;
    lock_aside(q);
    *q->low_last = t;
    q->low_last = &t->next;
    count_aside(q, 1);
    unlock_aside(q);
}

/* Under the lock. */
static weft_task *take_nest(struct wf_queue *q)
{
    weft_task *t = wf_nest_pop(&q->nest);
    if (t)
        count_aside(q, -1);
    return t;
}

static weft_task *take_low(struct wf_queue *q)
{
    weft_task *t = q->low;
    if (!t)
        return NULL;
    q->low = t->next;
    if (!q->low)
        q->low_last = &q->low;
    count_aside(q, -1);
    return t;
}

weft_task *wf_queue_pop_nest(struct wf_queue *q)
{
    lock_aside(q);
    weft_task *t = take_nest(q);
    unlock_aside(q);
    return t;
}

weft_task *wf_queue_pop_low(struct wf_queue *q)
{
    lock_aside(q);
    weft_task *t = take_low(q);
    unlock_aside(q);
    return t;
}

weft_task *wf_queue_pop_aside(struct wf_queue *q)
{
    lock_aside(q);
    weft_task *t = take_nest(q);
    if (!t)
        t = take_low(q);
    unlock_aside(q);
    return t;
}

static uint32_t half(uint32_t n, uint32_t max)
{
    n -= n / 2;
    return n < max ? n : max;
}

/* The ring's first, whatever it is, if something there has begun. */
static weft_task *take_first(struct wf_queue *q)
{
    uint32_t head = wf_load(&q->head, relaxed);
    weft_task *t;
    do {
        uint32_t tail = wf_load(&q->tail, acquire);        /* Q2 */
        struct wf_ring *ring = wf_load(&q->ring, acquire); /* Q7: after the tail, so it has what that counts */
        if (tail - head - 1 > ring->mask || !wf_queue_has_begun(q, head))
            return NULL; /* there is none, or one was old by the time the other was read */
        t = wf_load(wf_ring_at(ring, head), relaxed);
    } while (!wf_cas(&q->head, &head, head + 1, release)); /* Q3: it is ours; kept: see Q4 */
    return t;
}

/* Before all others in the nest, in this order. */
static void nest_all(struct wf_queue *q, weft_task *first, weft_task *last, int n)
{
    wf_lock(&q->lock);
    wf_nest_push_first(&q->nest, first, last, (uint32_t)n);
    count_aside(q, n);
    wf_unlock(&q->lock);
}

weft_task *wf_queue_steal_begun(struct wf_queue *q, bool *nested)
{
    weft_task *t, *first = NULL, *last = NULL;
    int n = 0;
    for (; (t = take_first(q)) && !wf_task_has_begun(t); n++) {
        if (last)
            last->next = t;
        else
            first = t;
        last = t;
    }
    *nested = n > 0;
    if (n > 0)
        nest_all(q, first, last, n);
    return t;
}

/* Half of the nest, the earliest first; NULL: there is none. */
static weft_task *steal_nest(struct wf_queue *q, struct wf_queue *to, uint32_t max)
{
    uint32_t tail = wf_load(&to->tail, relaxed); /* our own */
    wf_lock(&q->lock);
    uint32_t n = half(q->nest.count, max);
    weft_task *first = wf_nest_steal(&q->nest);
    for (uint32_t i = 1; i < n; i++)
        wf_store(wf_ring_at(wf_queue_ring(to), tail++), wf_nest_steal(&q->nest), relaxed);
    count_aside(q, -(int)n);
    wf_unlock(&q->lock);
    wf_store(&to->tail, tail, release); /* Q1 */
    return first;
}

weft_task *wf_queue_steal(struct wf_queue *q, struct wf_queue *to, uint32_t max)
{
    uint32_t to_tail = wf_load(&to->tail, relaxed); /* our own */
    WF_DEBUG_CHECK(max == 1 || to_tail == wf_load(&to->head, relaxed));
    weft_task *nestling = wf_load(&q->aside, relaxed) ? steal_nest(q, to, max) : NULL;
    if (nestling)
        return nestling;
    uint32_t head = wf_load(&q->head, relaxed);
    for (;;) {
        uint32_t tail = wf_load(&q->tail, acquire);        /* Q2 */
        struct wf_ring *ring = wf_load(&q->ring, acquire); /* Q7: after the tail, so it has what that counts */
        if (tail - head > ring->mask + 1) { /* one was old by the time the other was read */
            head = wf_load(&q->head, relaxed);
            continue;
        }
        uint32_t n = half(tail - head, max);
        if (n == 0)
            break;
        weft_task *first = wf_load(wf_ring_at(ring, head), relaxed);
        for (uint32_t i = 1; i < n; i++) {
            weft_task *t = wf_load(wf_ring_at(ring, head + i), relaxed);
            wf_store(wf_ring_at(wf_queue_ring(to), to_tail + i - 1), t, relaxed);
        }
        if (wf_cas(&q->head, &head, head + n, release)) { /* Q3: what was copied is ours; kept: see Q4 */
            if (n > 1 && wf_queue_has_begun(q, head + 1))
                wf_store(&to->begun, to_tail + n - 1, relaxed); /* perhaps */
            wf_store(&to->tail, to_tail + n - 1, release); /* Q1 */
            return first;
        }
    }
    uint32_t waiting = wf_load(&q->overflow, relaxed);
    if (waiting)
        return take_overflow(q, to, half(waiting, max));
    return wf_load(&q->aside, relaxed) ? wf_queue_pop_aside(q) : NULL;
}
