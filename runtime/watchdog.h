/* watchdog.h - notice a task that keeps its worker from its other tasks, and say what it is doing.
 *
 * A thread of its own, only if weft_config.stall_ns asks for it. It looks at every worker a few times per limit:
 * one that has run the same task over all those looks has been held that long. Each stall is reported once: to the
 * host's on_stall, else on stderr, there not more than once a minute for the same task. stall.c has the words.
 *
 * It also notices that nothing can go on: all workers sleep, with no timer, no request and no job under way, for as
 * long as the limit. Then every task waits for another, or for a thread that weft knows nothing of. */
#ifndef WF_WATCHDOG_H
#define WF_WATCHDOG_H

#include "runtime/platform/atomic.h"
#include "runtime/platform/thread.h"

#include <weft/task.h>

struct wf_worker;

/* What is known of a worker. */
struct wf_watchdog_seen {
    uint64_t seq, taken;     /* run_seq, and how many had been stolen from it, when this task was first seen */
    int64_t since_ns;
    bool reported;
    uint64_t written;        /* the number of the task that stderr was told of last ... */
    int64_t written_ns;      /* ... and when */
};

struct wf_watchdog {
    struct wf_watchdog_seen *seen; /* of each worker: by its thread; NULL: there is none */
    struct wf_thread thread;
    uint64_t quiet_seq;            /* how many times tasks had been run when nothing could go on, and ... */
    int64_t quiet_since_ns;        /* ... since when: 0, something can; by its thread, as is: */
    bool quiet_told;
    WF_ATOMIC(uint32_t) stop; /* by close; the thread sleeps on it */
};

int wf_watchdog_open(weft_runtime *rt); /* 0 also when nobody asked for it; -EAGAIN, -ENOMEM */
void wf_watchdog_close(weft_runtime *rt);

/* Tell that nothing can go on. */
void wf_deadlock_report(weft_runtime *rt);

/* Tell of a worker that has run t since seen->since_ns. */
void wf_stall_report(struct wf_worker *w, weft_task *t, struct wf_watchdog_seen *seen, int64_t now);

#endif
