/* queue.c - see queue.h. */
#include "runtime/queue.h"

enum { MASK = WF_QUEUE_RING - 1 };

void wf_queue_open(struct wf_queue *q, bool alone)
{
    q->alone = alone;
    q->last = &q->first;
}

void wf_queue_push_overflow(struct wf_queue *q, weft_task *t)
{
    t->next = NULL;
    wf_lock(&q->lock);
    *q->last = t;
    q->last = &t->next;
    wf_store(&q->overflow, wf_load(&q->overflow, relaxed) + 1, relaxed);
    wf_unlock(&q->lock);
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
            wf_store(&to->ring[tail++ & MASK], t, relaxed);
        t = next;
    }
    q->first = t;
    if (!t)
        q->last = &q->first;
    wf_store(&q->overflow, wf_load(&q->overflow, relaxed) - n, relaxed);
    wf_store(&to->tail, tail, release); /* Q1 */
    wf_unlock(&q->lock);
    return first;
}

weft_task *wf_queue_pop_overflow(struct wf_queue *q)
{
    return take_overflow(q, q, WF_QUEUE_REFILL);
}

weft_task *wf_queue_steal(struct wf_queue *q, struct wf_queue *to)
{
    uint32_t to_tail = wf_load(&to->tail, relaxed); /* our own */
    WF_DEBUG_CHECK(to_tail == wf_load(&to->head, relaxed));
    uint32_t head = wf_load(&q->head, relaxed);
    for (;;) {
        uint32_t tail = wf_load(&q->tail, acquire); /* Q2 */
        uint32_t n = tail - head;
        if (n > WF_QUEUE_RING) { /* one was old by the time the other was read */
            head = wf_load(&q->head, relaxed);
            continue;
        }
        n -= n / 2;
        if (n == 0)
            break;
        weft_task *first = wf_load(&q->ring[head & MASK], relaxed);
        for (uint32_t i = 1; i < n; i++) {
            weft_task *t = wf_load(&q->ring[(head + i) & MASK], relaxed);
            wf_store(&to->ring[(to_tail + i - 1) & MASK], t, relaxed);
        }
        if (wf_cas(&q->head, &head, head + n, release)) { /* Q3: what was copied is ours; kept: see Q4 */
            wf_store(&to->tail, to_tail + n - 1, release); /* Q1 */
            return first;
        }
    }
    uint32_t waiting = wf_load(&q->overflow, relaxed);
    if (!waiting)
        return NULL;
    return take_overflow(q, to, waiting < WF_QUEUE_REFILL ? waiting - waiting / 2 : WF_QUEUE_REFILL / 2);
}
