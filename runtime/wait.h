/* wait.h - suspend until one of n waiters fires. The only way to suspend.
 *
 * Whoever waits, a task or a plain thread, has one struct wf_wait. A wait goes so:
 *
 *     struct wf_wait *w = wf_wait_self();
 *     lock the object; look whether waiting is needed at all
 *     err = wf_wait_arm(w, WF_WAIT_STOPPABLE);      0, or why the caller should stop
 *     wf_waiter_init(&me, w, 0); put me into the object's queue; unlock
 *     index = wf_wait_suspend(w);                   who fired, or WF_WAIT_STOPPED
 *     if it was not me: lock, take me out of the queue, unlock
 *
 * and whoever has what it waits for goes so, under the object's lock while `me` is in the queue:
 *
 *     if (wf_fire(me, result)) take me out of the queue; else somebody else ended that wait: next one
 *
 * One word decides everything:   ticket 40 bits | index 16 bits | flags 8 bits
 *
 *     IDLE     runs; nothing to fire                             (ticket of the last wait)
 *     ARMED    may be fired, by one winner, by compare-exchange
 *     CLAIMED  the winner is known and still hands something over
 *     FIRED    over; the index says who
 *   + PARKED   it has left its stack: whoever makes it FIRED makes it run
 *   + STOPPABLE, OPERATION: how a stop ends it
 *   + SPILLABLE: nothing of the wait lies in the waiter's stack; SEEN: it has lasted a while (spills.h)
 *
 * No wakeup is lost: firing and parking both change this one word atomically. If FIRED comes first, parking
 * sees it and goes on at once; if PARKED comes first, the one who fires sees it and makes the waiter run.
 *
 * In a runtime of one worker a wait may be PARKED from the start. Only that one worker runs the task, and cannot before
 * it has left its stack; so whoever fires it puts it in line, and it leaves even if that has happened. Parking then
 * takes no exchange; nor does arming, since no other thread stops a task of that runtime.
 *
 * No wakeup is early: a waiter carries the ticket of its wait, the ticket is part of the word, and the word
 * of a task outlives the task (slabs are never given back while the runtime lives). A late fire is refused.
 *
 * A stop is not lost: arming is a sequentially consistent exchange followed by a look at the stop state; a
 * stop is a sequentially consistent store followed by a look at the word. One of the two sees the other. */
#ifndef WF_WAIT_H
#define WF_WAIT_H

#include "runtime/platform/atomic.h"

#include <weft/waiter.h>

typedef struct weft_task weft_task;

struct wf_wait {
    WF_ATOMIC(uint64_t) word;
    weft_task *task; /* NULL: a plain thread, which sleeps on the word; constant */
};

enum {
    WF_WAIT_IDLE = 0,
    WF_WAIT_ARMED = 1,
    WF_WAIT_CLAIMED = 2,
    WF_WAIT_FIRED = 3,
    WF_WAIT_STATE = 3,
    WF_WAIT_PARKED = 4,
    WF_WAIT_STOPPABLE = 8,   /* a stop fires it, with index WF_WAIT_STOPPED */
    WF_WAIT_OPERATION = 16,  /* a stop cancels the task's kernel operation, whose completion fires it */
    WF_WAIT_CANCELLING = 32, /* ... and somebody has done so */
    WF_WAIT_SPILLABLE = 64,  /* meanwhile nobody touches the waiter's stack */
    WF_WAIT_SEEN = 128,      /* ... and it has lasted since the sweep before */
    WF_WAIT_FLAGS = 255,
    WF_WAIT_STOPPED = 0xffff, /* the index that no waiter has */
};

/* The calling task's, else the calling thread's own. */
struct wf_wait *wf_wait_self(void);

/* [T- or A-] Begin a wait; kind is 0, WF_WAIT_STOPPABLE or WF_WAIT_OPERATION, the latter two perhaps with
 * WF_WAIT_SPILLABLE; and each with WF_WAIT_PARKED, if the caller will suspend, or take it back with nothing enqueued,
 * and does not fire it itself. 0, or for the latter two -ECANCELED, -ETIMEDOUT, and then nothing has begun. (A plain
 * thread is never stopped.) */
int wf_wait_arm(struct wf_wait *w, unsigned kind);

/* Take it back: nothing was enqueued that could fire it. */
void wf_wait_disarm(struct wf_wait *w);

/* Suspends. The index of the waiter that fired, or WF_WAIT_STOPPED. The wait is over. */
unsigned wf_wait_suspend(struct wf_wait *w);

/* The waiter has left its stack. True: it waits. False: it was fired already and must be made to run. */
bool wf_wait_park(struct wf_wait *w);

/* Mark a wait that a sweep has come across in this state of its word. False: it has changed since. */
bool wf_wait_mark_seen(struct wf_wait *w, uint64_t word);

/* The opposite of parking, by a third side, for a word that says it is parked: true, and then this one has the waiter's
 * stack, and must park it again; it is not SPILLABLE any more. False: the word has changed. */
bool wf_wait_unpark(struct wf_wait *w, uint64_t word);

/* Why the caller should stop: 0, -ECANCELED, -ETIMEDOUT. 0 on a plain thread. */
int wf_wait_stop_reason(void);

/* [As-] At the beginning of a call that may wait: why the caller should stop. If a task's slice is over, it gives way
 * first, as the call may find that it need not wait, time and again. */
int wf_wait_begin(void);

/* The same for a task whose wait a stop has ended: always below 0. The scope it is in may have been shielded since, and
 * then says nothing any more; but the wait was ended all the same. */
int wf_wait_why_stopped(void);

uint64_t wf_wait_ticket(struct wf_wait *w); /* which of its waits it is */

void wf_waiter_init(weft_waiter *r, struct wf_wait *w, unsigned index); /* after arming w */

/* Fire: end the wait of r with this result, or false if it is over. Under the lock that keeps r enqueued.
 * In two steps, when something must be handed over in between. After either, r belongs to the waiter. */
bool wf_fire(weft_waiter *r, int result);
bool wf_fire_claim(weft_waiter *r);
void wf_fire_claimed(weft_waiter *r, int result);

/* The same for a wait that has no waiter, as only one can end it but for a stop. What there is to be told the task must
 * know by itself, or by t->result. By that one, while the wait cannot be over without its knowledge. */
bool wf_fire_task(weft_task *t);

/* End the wait of w because its task was told to stop, if it is one that can be. Any thread, while the
 * task cannot go away. */
void wf_wait_interrupt(struct wf_wait *w);

/* A kernel operation of a task that waits for it: what its wait is interrupted with. io/op.c defines it. */
void wf_op_interrupt(weft_task *t, uint64_t user_data, void *driver);

#endif
