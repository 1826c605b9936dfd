/* inbox.h - tasks that reach a worker from other threads.
 *
 * Anyone adds; whoever takes, takes all. One exchange empties it, so it has no consumer lock and an idle
 * worker can empty a busy one's. Taken in the order of arrival.
 *
 * Ordering: I1 push's exchange of head (release) <-> I2 take's swap of head (acquire): the task is whole. */
#ifndef WF_INBOX_H
#define WF_INBOX_H

#include "runtime/task.h"

struct wf_inbox {
    WF_ATOMIC(weft_task *) head; /* newest first, chained by next */
};

static inline void wf_inbox_push(struct wf_inbox *in, weft_task *t)
{
    weft_task *head = wf_load(&in->head, relaxed);
    do
        t->next = head;
    while (!wf_cas_weak(&in->head, &head, t, release)); /* I1 */
}

static inline bool wf_inbox_any(struct wf_inbox *in)
{
    return wf_load(&in->head, relaxed) != NULL;
}

/* All of it, oldest first, chained by next; NULL for none. */
static inline weft_task *wf_inbox_take(struct wf_inbox *in)
{
    weft_task *newest = wf_inbox_any(in) ? wf_swap(&in->head, NULL, acquire) : NULL; /* I2 */
    weft_task *oldest = NULL;
    while (newest) {
        weft_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

#endif
