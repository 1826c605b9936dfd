/* lane_thread.h - what a lane's queue and its threads need of each other. All of it under the lane's lock, but
 * wf_lane_join. */
#ifndef WF_LANE_THREAD_H
#define WF_LANE_THREAD_H

#include "runtime/lane.h"

enum { WF_LANE_TIMED_EACH = 16 }; /* jobs, or calls of one: two looks at the clock are a tenth of a short one */

/* lane.c: take j out of the queue. Who is let in for it, claimed, is to be told after the lock; or NULL. */
weft_waiter *wf_lane_take(weft_lane *l, struct wf_job *j);

/* lane.c: a call of j has ended, with this result. Who waits for j, claimed, is to be told after the lock; or NULL. */
weft_waiter *wf_lane_end_call(weft_lane *l, struct wf_job *j, int result);

/* See to it that somebody will take the next job. False: there is no thread and none can be started. */
bool wf_lane_provide(weft_lane *l, struct wf_taker *ret);

/* Is there a thread, or can one be started? */
bool wf_lane_any_thread(weft_lane *l);

/* Those that have retired meanwhile, to be joined after the lock. */
struct wf_lane_thread *wf_lane_take_exited(weft_lane *l);
void wf_lane_join(struct wf_lane_thread *t);

#endif
