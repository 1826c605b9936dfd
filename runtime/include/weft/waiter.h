/* weft/waiter.h - one wait for one thing, and how to end it. For whoever adds a thing to wait for; users of
 * what is there already never see one. See weft/waitable.h. */
#ifndef WEFT_WAITER_H
#define WEFT_WAITER_H

#include <weft/base.h>

/* It lives in the frame of whoever waits and sits in the object's queue. The object may use prev and next
 * while it is enqueued; the other fields are the wait's. */
typedef struct weft_waiter {
    struct weft_waiter *prev, *next;
    struct weft_case *which; /* the case it stands for, NULL outside weft_select() */
    void *item;              /* what a hand-over copies into or out of */
    void *wait;              /* the suspension it belongs to */
    uint64_t ticket;         /* which one of that waiter's suspensions: a late wake is refused */
    unsigned index;          /* its place among the cases */
    int result;              /* the outcome; written by whoever fires it */
} weft_waiter;

WEFT_BEGIN

/* [A--] End the suspension that w belongs to, with this result. False: another one won, do nothing.
 * Call it while w cannot leave the queue, under the object's lock. */
WEFT_API bool weft_wake(weft_waiter *w, int result);

/* [A--] The same in two steps, for a hand-over: after a claim that succeeded nobody else can end this
 * suspension, so the item may be copied, and weft_wake_claimed() lets the waiter go. */
WEFT_API bool weft_wake_claim(weft_waiter *w);
WEFT_API void weft_wake_claimed(weft_waiter *w, int result);

WEFT_END

#endif
