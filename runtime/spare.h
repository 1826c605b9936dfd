/* spare.h - a worker that comes when all others stand still, and goes when one is back.
 *
 * A task that is blocked in a system call, or computes, takes its worker along. As long as one worker is left, it does
 * what the others cannot (lookout.h). When none is, the watchdog calls a spare: a worker as any other, with a thread, a
 * ring and a queue of its own, and a number behind theirs. It takes from all queues and inboxes, serves all rings and
 * wheels, and runs what becomes ready. There are as many as there are workers, and six at least, so that one which
 * stands still itself has successors; none for a single worker, whose tasks shall run on one thread. A spare is made
 * when it is first needed.
 *
 * If all are blocked there is a CPU for it, and it does whatever a worker does. If not all are, those that compute have
 * the CPUs that the program wanted to use, and a spare is one more: it is called only if something waits that has begun
 * already, and begins nothing that lies in others' queues, but puts it aside on its way to what has begun; it begins
 * only what plain threads submit, and what comes of what it runs. So it keeps connections and timers alive, and does
 * not become the worker that a program with enough to compute never asked for.
 *
 * Once a worker is back, spares stand by, and do so to the end: what their tasks have asked of the kernel belongs to
 * their threads. On standby a spare takes nothing from others; what reaches it by its ring, wheel or inbox it passes
 * on, but for pinned tasks, which it runs. Tasks that it has passed on ask their new worker's ring from then on, so it
 * soon has nothing more to do, and sleeps.
 *
 * Nobody relies on a spare: it is not among those who search or sleep (idle.h), so nobody wakes it for work. On duty it
 * looks by itself, every millisecond. Nor does it count where work is placed, or in weft_stats.workers. Loops over all
 * who may have something go to wf_spares_present().
 *
 * Ordering: E1 the store of `present` (release) <-> E2 its load (acquire): the spare's queue, ring and all. That nobody
 * is called, or rung at, once all leave: under the lock (L1, L2), and `stopping` is set before. Whether a spare is on
 * duty, and who stood still when it was called, are hints: who goes too soon is called again. */
#ifndef WF_SPARE_H
#define WF_SPARE_H

#include "runtime/worker.h"

/* How many there may be of that many workers. */
unsigned wf_spares_max(unsigned workers);

/* By the watchdog, to whom all seem to stand still: call one more, or make it. False: there is nothing to do for it. */
bool wf_spares_call(weft_runtime *rt, enum wf_duty duty, int64_t now);

/* By the watchdog, who sees somebody stand still and another sleep: wake that one instead, the next from `near` on. */
void wf_spares_wake_idle(weft_runtime *rt, struct wf_worker *near);

/* How many workers there are, spares included: it only grows; and how many there will ever be, after `stopping`. */
static inline unsigned wf_spares_present(weft_runtime *rt)
{
    return wf_load(&rt->present, acquire); /* E2; kept: as E1 */
}

unsigned wf_spares_final(weft_runtime *rt);

/* By the thread of one that was made, once it has a driver, or why it has none: it is present before it runs
 * anything. */
void wf_spare_has_come(struct wf_worker *w, int err);

static inline bool wf_spare_is_on_duty(struct wf_worker *w)
{
    return wf_load(&w->duty, relaxed) != WF_DUTY_NONE;
}

/* May w take from others? Else it is a spare on standby. */
static inline bool wf_spare_takes_part(struct wf_worker *w)
{
    return !w->spare || wf_spare_is_on_duty(w);
}

/* ... also what nobody has begun? */
static inline bool wf_spare_may_begin(struct wf_worker *w)
{
    return !w->spare || wf_load(&w->duty, relaxed) == WF_DUTY_ALL;
}

/* By a spare, which looks whether it is still needed: t, or NULL, which it may run. It has passed on what not. */
weft_task *wf_spare_look(struct wf_worker *w, weft_task *t);

#endif
