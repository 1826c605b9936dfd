/* lanes.h - the lanes of a runtime: those that every one has, and its users' own. */
#ifndef WF_LANES_H
#define WF_LANES_H

#include "runtime/lane.h"

enum {
    WF_LANE_THREADS_MAX = 1024,
    WF_LANE_BLOCKING_THREADS = 64, /* if weft_config.offload_max does not say */
    WF_LANE_DNS_THREADS = 8,
    WF_LANE_CPU_NICE = 5
};

struct wf_lanes {
    struct wf_awake awake;
    struct wf_affinity affinity; /* of whoever has called weft_run(), before any worker was bound; constant */
    weft_lane blocking, cpu, dns;
    struct wf_lock lock;
    weft_lane *opened; /* the users', newest first; under lock */
};

void wf_lanes_open(weft_runtime *rt);
bool wf_lanes_collect(struct wf_lanes *lanes); /* wf_lane_collect() for each */
bool wf_lanes_are_quiet(struct wf_lanes *lanes); /* wf_lane_is_quiet(), each */

unsigned wf_lanes_count_threads(struct wf_lanes *lanes); /* so many there may be yet */

/* Do what jobs are left, join all threads, and give back what users have not closed. Blocks. */
void wf_lanes_close(struct wf_lanes *lanes);

#endif
