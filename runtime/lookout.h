/* lookout.h - workers that stand still are watched, and helped.
 *
 * A worker that runs one task for long does nothing else meanwhile: its timers do not fire, what its tasks ask of the
 * kernel is not submitted, what the kernel answers is not collected. Its queue and inbox are open to thieves; for the
 * rest others do what it cannot: submit, collect, fire. What becomes ready so is theirs, and runs at once.
 *
 *     who looks    one idle worker at a time, the lookout: it sleeps in slices as long as anybody is awake. And the
 *                  watchdog, as all may be busy, or nobody was woken to look out: who goes to work sees to that, but
 *                  as a wake costs as much as a request not more than once in 4 ms, unless one has stood still in
 *                  the last second
 *     what is seen whoever has run the same task for 200 us stands still. Whoever looks notes it (`seen`), and leaves
 *                  a word in the runtime (`stalled`)
 *     who helps    the lookout; and every worker that reads the word, as it looks outside every so often. One at a
 *                  time, and not all the time (`seen.again_ns`)
 *
 * What the kernel has finished for a thread that computes it keeps until that thread comes by (io/uring.c). If that
 * shows (IORING_SQ_TASKRUN) who helps knocks (driver.h): an interrupt, and it is there to be collected. Once for what
 * is there; if that has not helped, as the thread waits in the kernel itself, again after a while.
 *
 * All of that are hints: to help a worker that does not stand still, or no more, is a waste and no harm, since whatever
 * is done for it can be done by anyone at any time (driver.h, timer.h, queue.h).
 *
 * Ordering: none. Who helps, the exchange of again_ns decides; nothing is handed over by it. */
#ifndef WF_LOOKOUT_H
#define WF_LOOKOUT_H

#include "runtime/worker.h"

/* Look at all workers, and leave a word of one that stands still, or that none does. Any thread, every so often; seldom
 * is late, but right. */
void wf_lookout_mark(weft_runtime *rt, int64_t now);

/* Has v been seen to stand still? */
bool wf_lookout_stands_still(struct wf_worker *v, int64_t now);

/* By w: do for v, which stands still, what it cannot do meanwhile. False: somebody has just done so. */
bool wf_lookout_serve(struct wf_worker *w, struct wf_worker *v, int64_t now);

/* Is w the lookout? It is from now on, if nobody was. */
bool wf_lookout_is(struct wf_worker *w);

/* By the lookout: look after those who stand still. */
void wf_lookout_look(struct wf_worker *w, int64_t now);

/* When w, which is about to sleep, is to look the next time; its bit among the sleepers is set, and a fence has
 * followed. INT64_MAX: all others sleep too, or somebody else is the lookout. Whoever wakes takes its bit back and, on
 * its way to work, looks for sleepers after a fence, if it looks for any: either it sees us and wakes us, or we see
 * that it is awake. */
int64_t wf_lookout_until(struct wf_worker *w);

/* w goes to work, and might stand still: should it wake another to look out? */
bool wf_lookout_is_wanted(struct wf_worker *w, int64_t now);

/* w is not the lookout any more, if it was. */
void wf_lookout_resign(struct wf_worker *w);

#endif
