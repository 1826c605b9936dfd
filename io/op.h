/* op.h - one request to the kernel, for the calling task. */
#ifndef WF_OP_H
#define WF_OP_H

#include "io/fdtable.h"
#include "runtime/driver.h"
#include "runtime/task.h"

#include <linux/io_uring.h>

/* What a completion's user_data points to is told by its lowest bits; 0 is a bell of the ring's own. */
enum {
    WF_OP_TASK = 0,    /* a task inside wf_op_once */
    WF_OP_CALL = 1,    /* a struct wf_op_call */
    WF_OP_IGNORED = 2, /* nothing: a request nobody waits for */
    WF_OP_CANCEL = 3,  /* the task whose request this one cancels, named by the same generation */
    WF_OP_TAG = 3,
};

/* A request whose completion is a call: on the collecting worker, which must not be kept. */
struct wf_op_call {
    void (*done)(struct wf_op_call *c, int result);
};

/* [Tsc] Run the request for t, the calling task, once, and suspend until the kernel has let go of all it
 * points to. `on` is the word of the descriptor that t has entered, or NULL. The kernel's result; but why t
 * should stop, if it was cancelled for that or was never submitted; -EBADF, if it was cancelled since the
 * descriptor is being closed; -EINTR, if the kernel gave up for no reason of ours: decide and run it again. */
int wf_op_once(weft_task *t, struct io_uring_sqe *sqe, struct wf_fd *on);

/* [Tsc] The same, again while it is -EINTR; and while it is -EAGAIN, as descriptors with O_NONBLOCK say, once
 * they are ready for these events of poll(2). events of 0: -EAGAIN is returned. */
int wf_op_run(weft_task *t, struct io_uring_sqe *sqe, struct wf_fd *on, short events);

/* A user_data for the record at this address, aligned to 16, still without its tag: 16 bits of generation, so
 * that a cancel that comes late does not mean the next request with a record there. */
uint64_t wf_op_name(const void *record, uint64_t generation);

/* Push a request to cancel the one with this user_data, behind it in the same ring, and have it submitted soon.
 * t: the task that waits for it, so that the cancel is repeated while it finds nothing though t waits; or NULL.
 * at_home: by a worker of the runtime that the ring belongs to. */
void wf_op_cancel(struct wf_driver *d, uint64_t user_data, weft_task *t, bool at_home);

static inline struct io_uring_sqe wf_op_sqe(uint8_t opcode, int fd, const void *addr, uint32_t len,
                                            uint64_t off)
{
    return (struct io_uring_sqe){
        .opcode = opcode, .fd = fd, .addr = (uint64_t)(uintptr_t)addr, .len = len, .off = off};
}

static inline struct io_uring_sqe wf_op_poll(int fd, short events)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_POLL_ADD, .fd = fd, .poll32_events = (uint16_t)events};
    return sqe; /* little-endian: the kernel swaps the halves elsewhere */
}

#endif
