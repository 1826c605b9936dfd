/* crew.h - the threads of a runtime's workers, from coming up to leaving.
 *
 * Worker 0 is the calling thread. Each opens its own driver, on its own thread, since requests and rings belong to
 * threads. Nobody runs a task before all have come up: if one cannot, it says so in start_error, and all leave before
 * anything has run. Spares (spare.h) come later, and leave like the others.
 *
 * When all stop, every worker leaves its loop, and waits for all others to have left, and for threads from outside that
 * are still waking somebody, before it closes its driver, which they might be using. */
#ifndef WF_CREW_H
#define WF_CREW_H

#include "runtime/worker.h"

/* Make a worker's slot ready. Victims are nearest first if the topology is given, else in order. 0, -ENOMEM. */
int wf_crew_init_worker(weft_runtime *rt, unsigned index, const struct wf_topology *topology);

/* The life of all workers. The caller is the first of them. */
void wf_crew_run(weft_runtime *rt);

/* The life of a spare, on its thread. */
void wf_crew_run_spare(struct wf_worker *w);

#endif
