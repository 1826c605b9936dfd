/* lookout.h - one worker that has nothing to do watches those that do.
 *
 * A worker that runs one task for long does nothing else meanwhile: its timers do not fire, what its tasks ask of the
 * kernel is not submitted, what the kernel answers is not collected. Its queue and inbox are open to thieves; for the
 * rest there is the lookout: one idle worker at a time, which sleeps in slices as long as anybody is awake. Whoever has
 * stood still for 200 us is served: the tasks that become ready so are the lookout's, and run at once.
 *
 * Ordering: K1 the exchange that takes the post (acquire) <-> K2 the one that resigns it (release): what the last
 *           lookout has noted of the others (`seen`). */
#ifndef WF_LOOKOUT_H
#define WF_LOOKOUT_H

#include "runtime/worker.h"

/* Is w the lookout? It is from now on, if nobody was. */
bool wf_lookout_is(struct wf_worker *w);

/* By the lookout: look after those who have run one task for long. */
void wf_lookout_look(struct wf_worker *w, int64_t now);

/* When w, which is about to sleep, is to look the next time; its bit among the sleepers is set, and a fence has
 * followed. INT64_MAX: all others sleep too, or somebody else is the lookout. Whoever wakes takes its bit back and, on
 * its way to work, looks for sleepers after a fence: either it sees us and wakes us, or we see that it is awake. */
int64_t wf_lookout_until(struct wf_worker *w);

/* w is not the lookout any more, if it was. */
void wf_lookout_resign(struct wf_worker *w);

#endif
