/* sim.h - the simulated kernel's own: a ring's far side (sim.c), requests under way (sim_request.c), who watches both
 * (sim_watch.c). All of it happens while the world is held. */
#ifndef WF_IO_SIM_H
#define WF_IO_SIM_H

#include "io/kernel.h"
#include "runtime/platform/sim.h"

struct wf_sim_ring {
    struct wf_kernel k;
    struct wf_driver *d;
    unsigned sq_head, sq_tail, flags, cq_head, cq_tail;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    struct io_uring_cqe *kept; /* completions that found no room, in order: [kept_first, kept_end) */
    size_t kept_first, kept_end, kept_size;
    struct wf_sim_thread *sleeper;
    unsigned number;
    unsigned pending;          /* requests under way */
    unsigned held_back;        /* completions that wait for their thread to come by */
};

/* A completion becomes visible, or is kept until there is room. */
void wf_sim_ring_post(struct wf_sim_ring *r, uint64_t user_data, int32_t result, uint32_t flags);
void wf_sim_ring_held_back(struct wf_sim_ring *r, int change);

void wf_sim_rings_end(void); /* the next simulation counts them from 0 */

/* The ring's owner has pushed this, and the calling thread submits it. */
void wf_sim_request_begin(struct wf_sim_ring *r, const struct io_uring_sqe *sqe);

/* This thread is in the kernel: what was held back for it is completed. */
void wf_sim_requests_of(const struct wf_sim_thread *t);

/* A thread ends: it must have nothing under way. */
void wf_sim_requests_orphaned(const struct wf_sim_thread *t);

unsigned wf_sim_requests_count(void);
void wf_sim_requests_print(void (*line)(const char *text));

/* Look after all of it from now on; may be repeated. */
void wf_sim_watch(void);

#endif
