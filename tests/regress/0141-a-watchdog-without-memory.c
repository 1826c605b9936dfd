/* A watchdog whose thread found no memory ended at once and told nobody, so stalls went unreported. Now weft_run()
 * says -ENOMEM, as for everything else it cannot have. */
#include "runtime/platform/atomic.h"
#include "runtime/platform/fault.h"
#include "tests/test.h"

#include <weft.h>

#if defined(WF_FAULTS)

static WF_ATOMIC(bool) stalled;

static void note(const weft_stall *stall, void *ctx)
{
    (void)stall;
    (void)ctx;
    wf_store(&stalled, true, relaxed);
}

/* Returns only if there is a watchdog. */
static int hold_the_worker(void *arg)
{
    (void)arg;
    while (!wf_load(&stalled, relaxed))
        continue;
    return 0;
}

TEST(regress, a_watchdog_that_cannot_be_had_is_said)
{
    weft_config config = {.workers = 1, .stall_ns = WEFT_MSEC, .on_stall = note};
    bool refused = true;
    for (uint64_t n = 1; refused; n++) {
        wf_store(&stalled, false, relaxed);
        wf_fault_at(WF_FAULT_MEMORY, n, WF_FAULT_ONCE);
        int err = weft_run(&config, hold_the_worker, NULL);
        CHECK(err == 0 || err == -ENOMEM);
        refused = wf_fault_failed() > 0;
    }
    CHECK(wf_load(&stalled, relaxed)); /* the last of these runs, in which nothing was refused */
}

#endif
