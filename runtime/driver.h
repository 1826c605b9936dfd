/* driver.h - how a worker asks the kernel for something, and how it sleeps.
 *
 * The one place where the lower layer calls the upper: a worker sleeps inside its ring, so runtime declares
 * here what a driver does and io/ defines it. A driver takes struct io_uring_sqe and gives back each one's
 * result and user_data, once. It belongs to one worker, on whose thread it is opened, parks and is closed;
 * but it is servable by anyone:
 *
 *     wf_driver_push    any thread     one request, in order, published at once
 *     wf_driver_poll    its worker     submit what waits, let the kernel finish what it holds, collect
 *     wf_driver_serve   other workers  the same as far as the driver's mode lets them
 *     wf_driver_knock   other workers  have its worker's thread finish what the kernel holds for it
 *     wf_driver_park    its worker     submit, sleep until a completion, a wake or the deadline, collect
 *     wf_driver_nap     its worker     the same for a moment, without hearing wakes
 *     wf_driver_wake    any thread     end or forbid the next park
 *
 * Collecting calls wf_op_complete() for every completion, on the collecting worker's thread: what becomes
 * ready goes to the queue of whoever collected it.
 *
 * Requests belong to the thread that submitted them and die with it. So only workers submit; a plain
 * thread's push is submitted by the owner or whoever serves it, and wakes the owner.
 *
 * There are two: `ring` asks io_uring, `soft` does without. All drivers of a runtime are of one kind. */
#ifndef WF_DRIVER_H
#define WF_DRIVER_H

#include "runtime/platform/lock.h"

#include <linux/io_uring.h>
#include <weft/run.h>

struct wf_driver {
    /* The submission queue as the kernel sees it; constant pointers. */
    struct io_uring_sqe *sqes;
    unsigned *sq_head, *sq_tail, *sq_flags; /* head, flags: kernel; tail: under sq_lock */
    unsigned sq_mask;
    struct wf_lock sq_lock; /* for whoever pushes */

    /* The completion queue. */
    struct wf_lock cq_lock; /* for whoever collects; only ever tried, never waited for */
    struct io_uring_cqe *cqes;
    unsigned *cq_head, *cq_tail; /* head: under cq_lock; tail: kernel */
    unsigned cq_mask;

    /* Knocking; by the kernel's open, constant. */
    void (*knock)(const struct wf_driver *d); /* NULL: it never helps */
    const void *door;                         /* where its worker's thread is found; the kernel's */

    const char *name; /* of its kind */
    weft_ring_mode mode;
    int fd;
    WF_ATOMIC(unsigned) inflight;    /* pushed and not completed; an upper bound at every moment */
    WF_ATOMIC(uint64_t) enters;      /* system calls, parks not counted; for weft_stats */
    WF_ATOMIC(uint64_t) completions;
    WF_ATOMIC(uint64_t) served;
    WF_ATOMIC(uint64_t) knocks;
    WF_ATOMIC(unsigned) held_tail; /* the completion tail when something was last seen held back behind it, and ... */
    WF_ATOMIC(int64_t) knock_ns;   /* ... no knock for that before then; by who looks (lookout.c): hints */
};

/* Open one of this kind, not AUTO, on the calling thread, which must live until wf_driver_close. 0, or why not:
 * -ENOMEM, -EMFILE; a ring also -EPERM, -ENOSYS as io_uring_setup(2) has it, -ENOSYS if it lacks what weft needs. */
int wf_driver_open(struct wf_driver **ret, weft_driver kind, weft_ring_mode mode);

/* Does this error of a ring mean that there is none to be had here, as opposed to not now? */
static inline bool wf_driver_is_refused(int err)
{
    return err == -EPERM || err == -EACCES || err == -ENOSYS || err == -EINVAL;
}

/* On the same thread, once nobody pushes, serves or wakes any more. Waits for cancel requests that came too late for
 * what they were to cancel; NULL is fine. */
void wf_driver_close(struct wf_driver *d);

/* Never fails, and never waits for another thread: what finds no room in the queue waits behind it, in order. Only if
 * memory for that is out as well does it wait for room. Who is not the owner sees to it that it is submitted. */
void wf_driver_push(struct wf_driver *d, const struct io_uring_sqe *sqe);

/* Is there something to submit; something to collect, or to let the kernel finish? A load or three: cheap
 * enough for every turn of the loop. */
static inline bool wf_driver_unsubmitted(struct wf_driver *d)
{
    return wf_shared_load(d->sq_tail, relaxed) != wf_shared_load(d->sq_head, relaxed);
}

static inline bool wf_driver_collectable(struct wf_driver *d)
{
    return wf_shared_load(d->cq_tail, relaxed) != wf_shared_load(d->cq_head, relaxed);
}

static inline bool wf_driver_uncollected(struct wf_driver *d)
{
    return wf_driver_collectable(d) ||
           (wf_shared_load(d->sq_flags, relaxed) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

/* Is there something that comes to light only when it is asked for? Worth a poll every so often while there is other
 * work; going to sleep asks anyway. */
#define WF_SQ_WATCHING (1u << 31)

static inline bool wf_driver_watching(struct wf_driver *d)
{
    return wf_shared_load(d->sq_flags, relaxed) & WF_SQ_WATCHING;
}

static inline bool wf_driver_due(struct wf_driver *d)
{
    return wf_driver_unsubmitted(d) || wf_driver_uncollected(d);
}

/* Both return how many completions they collected. */
unsigned wf_driver_poll(struct wf_driver *d);
unsigned wf_driver_serve(struct wf_driver *d);

/* Does the kernel hold completions back until the thread that submitted their requests comes by? */
static inline bool wf_driver_held_back(struct wf_driver *d)
{
    return wf_shared_load(d->sq_flags, relaxed) & IORING_SQ_TASKRUN;
}

/* Other workers: interrupt the thread of d's worker, if it computes, so that it comes by in the kernel: what is held
 * back for it is completed then, in whichever ring. Some microseconds for the caller, and one for that thread, which
 * does not notice: no signal, so no system call of the user's is cut short. */
static inline void wf_driver_knock(struct wf_driver *d)
{
    wf_add(&d->knocks, 1, relaxed);
    d->knock(d);
}

/* Sleep until deadline_ns of the monotonic clock (INT64_MAX: no deadline). A wake since the last park makes
 * it return at once. Returns how many completions it collected. */
unsigned wf_driver_park(struct wf_driver *d, int64_t deadline_ns);
void wf_driver_wake(struct wf_driver *d);

/* Sleep for so long, or until a completion. A wake does not end it, and so costs its sender no system call. */
unsigned wf_driver_nap(struct wf_driver *d, int64_t ns);

/* Defined by io/op.c. */
void wf_op_complete(struct wf_driver *d, uint64_t user_data, int result, uint32_t flags);

#endif
