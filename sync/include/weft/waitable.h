/* weft/waitable.h - for whoever adds a thing that weft_select() can wait for.
 *
 * weft_select() asks ready of each case; if none took effect, it enqueues a waiter per case, suspends, and
 * dequeues all but the one that fired. The waiter that fired has been taken out by whoever fired it, and its
 * result becomes the case's. All three run on the selecting task and may take the object's own lock; none
 * may suspend, except dequeue.
 *
 * Between ready and enqueue the object may have become ready. Enqueue looks once more, under the lock, and
 * refuses rather than let the case take effect: a case enqueued before it may have fired already. Then
 * weft_select() dequeues what it had enqueued and asks again. */
#ifndef WEFT_WAITABLE_H
#define WEFT_WAITABLE_H

#include <weft/waiter.h>

typedef struct weft_case weft_case;

struct weft_waitable {
    bool (*ready)(weft_case *c);                   /* true: took effect now, and c->result says how */
    bool (*enqueue)(weft_case *c, weft_waiter *w); /* false: it is ready now; nothing happened, w is not queued */
    bool (*dequeue)(weft_case *c, weft_waiter *w); /* false: it was not in the queue any more */
};

#endif
