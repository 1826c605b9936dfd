/* kernel.h - what stands behind a ring's two queues: who executes requests.
 *
 * ring.c keeps the queues, the order of requests, the locks and the sleep; a kernel only executes. It reads
 * requests from the submission queue between its head, which the kernel moves, and its tail, and writes
 * completions behind the completion queue's tail. So there can be several, and what is proven of the ring
 * holds for each:
 *
 *     uring   Linux's io_uring: the queues are shared with the real kernel          uring.c
 *     soft    epoll and threads of the offload pool, where io_uring is refused      soft.c
 *     sim     simulated sockets, virtual time, faults by a seed                     sim.c, in weft::sim
 *
 * A kernel is called once per batch, never per request: one indirect call a system call's price apart. What it has to
 * be polled for shows in sq_flags: TASKRUN and OVERFLOW as io_uring has them, and WF_SQ_WATCHING (driver.h). */
#ifndef WF_KERNEL_H
#define WF_KERNEL_H

#include "runtime/driver.h"

struct wf_kernel {
    const struct wf_kernel_ops *ops;
};

struct wf_kernel_ops {
    const char *name;

    /* Open one for d: set its queues' pointers and masks, its fd (a number that tells rings apart), its mode, which
     * may become SHARED although DEFER was wanted, and its knock, if that ever helps. On the thread that owns d. 0, or
     * -errno as wf_driver_open has it. */
    int (*open)(struct wf_kernel **ret, struct wf_driver *d);

    /* Take up to `submit` requests and finish what is held back, without sleeping. Any thread that d's mode lets
     * submit; several at once. What was not done is still in the queues and is done the next time. Returns how many
     * were taken, or -errno for a passing reason. */
    int (*enter)(struct wf_kernel *k, unsigned submit);

    /* The owner: the same, and sleep until there is a completion, or for left_ns; INT64_MAX: however long. */
    void (*sleep)(struct wf_kernel *k, unsigned submit, int64_t left_ns);

    /* Any thread: post a completion with this user_data, without a request. 0; -EOVERFLOW: the queue is full, which
     * ends a sleep too; -EINVAL: this kernel cannot. */
    int (*message)(struct wf_kernel *k, uint64_t user_data);

    /* The owner, when nothing is in flight. */
    void (*close)(struct wf_kernel *k);
};

extern const struct wf_kernel_ops wf_kernel_uring;
extern const struct wf_kernel_ops wf_kernel_soft;
extern const struct wf_kernel_ops wf_kernel_sim; /* with WF_SIM, and alone then */

#ifdef WF_SIM
extern const struct wf_kernel_ops wf_kernel_sim;
#endif

static inline const struct wf_kernel_ops *wf_kernel_of(weft_driver kind)
{
#ifdef WF_SIM
    (void)kind;
    return &wf_kernel_sim;
#else
    return kind == WEFT_DRIVER_SOFT ? &wf_kernel_soft : &wf_kernel_uring;
#endif
}

/* For tests: rings are opened as on a kernel that lacks these features, and this operation (-1: none). */
extern unsigned wf_uring_without_features;
extern int wf_uring_without_operation;

#endif
