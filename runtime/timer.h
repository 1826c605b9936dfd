/* timer.h - one worker's deadlines: a hierarchical wheel.
 *
 * Nine levels of 64 slots; a slot of level n is 64^n ticks wide, a tick 2^14 ns (16 us). A deadline is
 * rounded up to a tick, so nothing fires early. An entry lies on the level of the highest base-64 digit in
 * which its tick differs from the wheel's; so on each level the occupied slots are those after the wheel's
 * own digit, the next thing to happen is the lowest occupied slot of the lowest occupied level, and nothing
 * ever wraps. Arming and cancelling are a few stores; a long deadline moves down at most eight times.
 *
 * A slot keeps the earliest tick in it, so a worker sleeps until a deadline and not until the edge of a slot:
 * one timeout per park, no wake-up to sort slots.
 *
 * Each wheel has a lock, so that others can cancel and fire what lies in it. A timer fires under that lock,
 * which is why cancelling is final: when wf_timer_cancel returns, the timer has fired or never will, and its
 * memory is the owner's again. Lock order: wheel, scope, task.
 *
 * Most timers are taken back before they fire, many before anything else happens. So one timer may lie loose: armed
 * by two stores, in no slot, taken back by one exchange, and the lock is not touched (docs/design/loose-timer.md).
 * Whoever expires the wheel puts it into its slot. */
#ifndef WF_TIMER_H
#define WF_TIMER_H

#include "runtime/platform/lock.h"

#include <weft/waiter.h>

enum { WF_WHEEL_TICK_BITS = 14, WF_WHEEL_LEVELS = 9, WF_WHEEL_SLOTS = 64 };

struct wf_wheel;
typedef struct weft_task weft_task;

struct wf_timer {
    struct wf_timer *next, **link; /* in its slot; link is NULL while it is in none; under the wheel's lock */
    uint64_t tick;                 /* the same; while it is loose, by who armed it */
    WF_ATOMIC(struct wf_wheel *) wheel; /* where it was armed last, NULL once it is taken back; by its owner */
    void (*fire)(struct wf_timer *t);   /* called under the wheel's lock */
    void *ctx;
};

struct wf_wheel {
    WF_ATOMIC(struct wf_timer *) loose; /* NULL, one that is in no slot, or &wf_timer_taken: see timer.c */
    WF_ATOMIC(int64_t) loose_ns;        /* its deadline, or that of the last one; by the worker */
    WF_ATOMIC(int64_t) next_ns; /* no later than the next deadline in a slot, INT64_MAX for none; under the lock */
    struct wf_lock lock; /* for all below */
    int64_t origin_ns;   /* constant */
    uint64_t now;        /* the tick up to which everything has fired */
    uint64_t occupied[WF_WHEEL_LEVELS];
    struct wf_timer *slot[WF_WHEEL_LEVELS][WF_WHEEL_SLOTS];
    uint64_t earliest[WF_WHEEL_LEVELS][WF_WHEEL_SLOTS]; /* no later than the first tick in that slot */
};

extern struct wf_timer wf_timer_taken; /* nobody's: a loose one was taken and is being put into its slot */

void wf_wheel_open(struct wf_wheel *w, int64_t now_ns);

/* Fire what is due; returns how many. Anyone may do it for anyone. */
unsigned wf_wheel_expire(struct wf_wheel *w, int64_t now_ns);

int64_t wf_wheel_next_loose(struct wf_wheel *w, const struct wf_timer *loose);

/* No later than the next deadline, INT64_MAX for none. What the calling worker has armed is seen in its own wheel; of
 * another's it is a guess. */
static inline int64_t wf_wheel_next(struct wf_wheel *w)
{
    const struct wf_timer *loose = wf_load(&w->loose, acquire); /* T4 */
    return loose ? wf_wheel_next_loose(w, loose) : wf_load(&w->next_ns, relaxed);
}

/* Fire what is due, if anything is. */
static inline void wf_wheel_fire(struct wf_wheel *w, int64_t now_ns)
{
    if (wf_wheel_next(w) <= now_ns)
        wf_wheel_expire(w, now_ns);
}

/* Arm t, which is in no wheel, to call fire at deadline_ns. By the wheel's worker. */
void wf_timer_arm(struct wf_wheel *w, struct wf_timer *t, int64_t deadline_ns);

/* False: it has fired already, or was never armed. */
bool wf_timer_cancel(struct wf_timer *t);

/* The wheel of the worker that runs the caller. worker.c defines it. */
struct wf_wheel *wf_worker_wheel(void);

/* Arm t, zeroed, in the calling task's worker's wheel to fire r with result 0. Task context. */
void wf_timer_wait(struct wf_timer *t, weft_waiter *r, int64_t deadline_ns);

/* The same without a waiter, for the calling task, which waits for nothing else (wf_fire_task). */
void wf_timer_wake(struct wf_timer *t, weft_task *sleeper, int64_t deadline_ns);

#endif
