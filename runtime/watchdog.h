/* watchdog.h - notice a task that keeps its worker from its other tasks.
 *
 * A thread of its own, only if weft_config.stall_ns asks for it. It looks at every worker a few times per limit:
 * one that has run the same task over all those looks has been held that long. Each stall is reported once. */
#ifndef WF_WATCHDOG_H
#define WF_WATCHDOG_H

#include "runtime/platform/atomic.h"
#include "runtime/platform/thread.h"

#include <weft/run.h>

struct wf_watchdog {
    struct wf_watchdog_seen *seen; /* of each worker: by its thread; NULL: there is none */
    struct wf_thread thread;
    WF_ATOMIC(uint32_t) stop; /* by close; the thread sleeps on it */
};

int wf_watchdog_open(weft_runtime *rt); /* 0 also when nobody asked for it; -EAGAIN, -ENOMEM */
void wf_watchdog_close(weft_runtime *rt);

#endif
