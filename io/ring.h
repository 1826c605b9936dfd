/* ring.h - what the rest of io/ needs of the rings beyond runtime/driver.h. */
#ifndef WF_RING_H
#define WF_RING_H

#include "runtime/driver.h"
#include "runtime/worker.h"

/* One bit of 32 for this ring; rings can share one. */
static inline uint32_t wf_ring_mark(const struct wf_driver *d)
{
    return UINT32_C(1) << ((unsigned)d->fd % 32);
}

/* Have what was pushed submitted soon: at once where the caller may do that, else by waking the owner. The
 * caller's own ring is left to the next turn of its loop. Completes nothing, so locks may be held. */
void wf_ring_flush(struct wf_driver *d);

/* Push a request and let the owner submit it, who is woken: for callers that may belong to another runtime, whose
 * threads must not submit here. */
void wf_ring_leave_request(struct wf_driver *d, const struct io_uring_sqe *sqe);

/* The same with every open ring of the process that has one of these marks. */
void wf_ring_leave_everywhere(const struct io_uring_sqe *sqe, uint32_t marks);

/* For tests: open rings with the bell of kernels before 6.13. */
extern bool wf_ring_force_eventfd;

#endif
