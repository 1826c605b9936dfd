/* op.c - one request to the kernel, from call to completion, cancelled or not.
 *
 * The request's user_data names the calling task: 16 bits of generation, the address, and the tag. The task goes on
 * only after the request's own completion, which alone ends that wait and leaves its result in the task. So nothing of
 * the wait lies in the task's frame but what the request points to, which stays as long as the kernel has it; and if
 * that is elsewhere, nobody touches the task's stack meanwhile (runtime/spills.h).
 *
 *     task                                     who stops it, meanwhile, on any thread
 *     note user_data and ring in the task
 *     arm its wait; stopped before: done       ARMED -> CANCELLING by exchange
 *     push the request                         push a cancel of that user_data into that ring
 *     CANCELLING by now, or closing:           and have it submitted
 *         push another cancel
 *     suspend until the completion
 *
 * A stop is not lost: the ring's queue is in order and both pushes are under its lock. If the cancel's came
 * second, it finds the request. If it came first, it finds nothing; but then the task, which looks after its
 * own push, sees CANCELLING. The same holds for CLOSING, which a closer sets before it pushes (fdtable.h).
 *
 * Nor by a cancel that comes too early. The kernel holds a request where cancels do not look for it (and say
 * -ENOENT) from when it found the file ready to when its thread tries again; had another reader been quicker, it
 * then waits as before. So such a cancel is repeated, while its task waits for that request, until it is found.
 *
 * A cancel that comes very late, when the task is in another request, meets another generation. Should
 * 65,536 requests have gone by, it may cancel a stranger; whoever is cancelled and was not told to stop runs
 * the request again, so nothing is lost then either.
 *
 * Success wins: a request that was completed and cancelled at once has one result, and that is returned. */
#include "io/op.h"

#include "io/ring.h"
#include "runtime/panic.h"
#include "runtime/platform/fault.h"
#include "runtime/worker.h"

#include <poll.h>

enum { GENERATION_SHIFT = 48 };

static const uint64_t ADDRESS = ((UINT64_C(1) << GENERATION_SHIFT) - 1) & ~(uint64_t)15;

uint64_t wf_op_name(const void *record, uint64_t generation)
{
    uint64_t address = (uint64_t)(uintptr_t)record;
    WF_CHECK((address & ~ADDRESS) == 0); /* user space: 47 bits, 48 on AArch64 */
    return generation << GENERATION_SHIFT | address;
}

void wf_op_cancel(struct wf_driver *d, uint64_t user_data, weft_task *t, bool at_home)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = user_data};
    sqe.user_data = t ? wf_op_name(t, user_data >> GENERATION_SHIFT) | WF_OP_CANCEL : WF_OP_IGNORED;
    if (!at_home) {
        wf_ring_leave_request(d, &sqe);
        return;
    }
    wf_driver_push(d, &sqe);
    wf_ring_flush(d);
}

/* -ECANCELED: by whom? */
static int why_cancelled(struct wf_fd *on)
{
    if (on && wf_fd_is_closing(on))
        return -EBADF;
    int reason = wf_wait_stop_reason();
    return reason ? reason : -EINTR;
}

/* Can t give its stack away while the kernel has this request? Of those that point to something, the ones that are
 * known to point to nothing else. An offset may look like an address: then it cannot. */
static unsigned spill_kind(weft_task *t, const struct io_uring_sqe *sqe)
{
    if (WF_LIKELY(!wf_spills_on(t)))
        return 0;
    switch (sqe->opcode) {
    case IORING_OP_POLL_ADD:
        return wf_spills_kind(t, NULL, NULL);
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_ACCEPT:
    case IORING_OP_CONNECT:
        return wf_spills_kind(t, (const void *)(uintptr_t)sqe->addr, (const void *)(uintptr_t)sqe->addr2);
    default:
        return 0;
    }
}

int wf_op_once(weft_task *t, struct io_uring_sqe *sqe, struct wf_fd *on)
{
    struct wf_driver *d = wf_worker_driver(); /* nothing suspends until the push */
    if (on && !wf_fd_mark(on, wf_ring_mark(d)))
        return -EBADF;
    if (wf_fault(WF_FAULT_REQUEST))
        return -ENOMEM;
    sqe->user_data = wf_op_name(t, (wf_load(&t->op.user_data, relaxed) >> GENERATION_SHIFT) + 1) | WF_OP_TASK;
    wf_store(&t->op.user_data, sqe->user_data, relaxed);
    wf_store(&t->op.driver, d, relaxed);
    int err = wf_wait_arm(&t->wait, WF_WAIT_OPERATION | spill_kind(t, sqe));
    if (err)
        return err;
    wf_driver_push(d, sqe);
    bool stopped = wf_load(&t->wait.word, relaxed) & WF_WAIT_CANCELLING;
    if (WF_UNLIKELY(stopped || (on && wf_fd_is_closing(on))))
        wf_op_cancel(d, sqe->user_data, t, true);
    wf_wait_suspend(&t->wait);
    return t->result == -ECANCELED ? why_cancelled(on) : t->result;
}

int wf_op_run(weft_task *t, struct io_uring_sqe *sqe, struct wf_fd *on, short events)
{
    for (;;) {
        int result = wf_op_once(t, sqe, on);
        if (WF_UNLIKELY(result == -EAGAIN && events)) {
            struct io_uring_sqe poll = wf_op_poll(sqe->fd, events);
            result = wf_op_run(t, &poll, on, 0);
            if (result < 0)
                return result;
        } else if (WF_LIKELY(result != -EINTR)) {
            return result;
        }
    }
}

/* A cancel found nothing. Does t still wait for what it was to end? The words can be those of t's next wait: then that
 * one's request may be cancelled for nothing, which it bears. */
static void cancel_again(struct wf_driver *d, weft_task *t, uint64_t generation)
{
    uint64_t word = wf_load(&t->wait.word, acquire); /* kept: user_data is then of this wait, or a later one */
    uint64_t user_data = wf_load(&t->op.user_data, relaxed);
    bool waits = (word & (WF_WAIT_STATE | WF_WAIT_OPERATION)) == (WF_WAIT_ARMED | WF_WAIT_OPERATION);
    if (waits && user_data >> GENERATION_SHIFT == generation)
        wf_op_cancel(d, user_data, t, true);
}

void wf_op_complete(struct wf_driver *d, uint64_t user_data, int result, uint32_t flags)
{
    void *record = (void *)(uintptr_t)(user_data & ADDRESS);
    (void)flags; /* nothing here is multishot, so each completion is a request's only one */
    switch (user_data & WF_OP_TAG) {
    case WF_OP_TASK: {
        weft_task *t = record;
        t->result = result;
        bool fired = wf_fire_task(t);
        WF_CHECK(fired); /* nothing else can end such a wait */
        break;
    }
    case WF_OP_CALL:
        ((struct wf_op_call *)record)->done(record, result);
        break;
    case WF_OP_CANCEL:
        if (result == -ENOENT)
            cancel_again(d, record, user_data >> GENERATION_SHIFT);
        break;
    default:
        break;
    }
}

void wf_op_interrupt(weft_task *t, uint64_t user_data, void *driver)
{
    struct wf_worker *w = wf_worker_self();
    wf_op_cancel(driver, user_data, t, w && w->rt == wf_task_runtime(t));
}
