/* A cancel for a request in the ring of another worker, who sleeps, is submitted by the canceller. When the kernel put
 * that off (EAGAIN, EBUSY, EINTR), nobody tried again: the cancel lay in the queue until its owner woke up for another
 * reason, or for ever. Now the owner is woken. */
#include "io/op.h"
#include "io/ring.h"
#include "runtime/platform/fault.h"
#include "tests/test.h"

#include <sched.h>
#include <weft.h>

#if defined(WF_FAULTS)

enum { ROUNDS = 100 };

/* One that sleeps until it is woken: neither the caller, who is awake, nor the one who looks out for him. */
static struct wf_driver *find_sleeper(weft_runtime *rt)
{
    uint32_t lookout;
    while (!(lookout = wf_load(&rt->lookout, relaxed)))
        sched_yield();
    unsigned i = 0;
    while (i == weft_worker() || i + 1 == lookout)
        i++;
    return rt->workers[i].driver;
}

static int leave_it_unsubmitted(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct wf_driver *d = find_sleeper(weft_runtime_self());
        struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .user_data = WF_OP_IGNORED};
        wf_fault_at(WF_FAULT_ENTER, 1, WF_FAULT_ONCE);
        wf_driver_push(d, &sqe);
        wf_ring_flush(d);
        while (wf_driver_unsubmitted(d))
            sched_yield();
        CHECK(wf_fault_failed() > 0);
    }
    return 0;
}

TEST(regress, a_request_that_the_kernel_puts_off_is_submitted_by_the_rings_owner)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 3}, leave_it_unsubmitted, NULL), 0);
}

#endif
