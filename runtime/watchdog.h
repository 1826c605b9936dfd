/* watchdog.h - notice a task that keeps its worker from its other tasks, and say what it is doing.
 *
 * A thread of its own, unless weft_config.stall_ns forbids it. While anybody is awake it looks at every worker a few
 * times per limit: one that has run the same task over all those looks has been held that long. Each stall is reported
 * once: to the host's on_stall, else on stderr, there not more than once a minute for the same task. stall.c has the
 * words.
 *
 * It also notices that nothing can go on: all workers sleep, with no timer, no request and no job under way, for as
 * long as the limit. Then every task waits for another, or for a thread that weft knows nothing of. Nobody has asked
 * for that if the limit is the default; then it is said only if there is no such thread.
 *
 * While all workers are awake it is the lookout (lookout.h), and if all stand still it calls a spare (spare.h): so it
 * looks every 2 to 4 ms, and for a while after it has called one every half millisecond, unless some sleep and nobody
 * stands still. Who stands still may have the CPUs, so its thread is one in a hurry (thread.h). If some sleep, and one
 * stands still for which nobody looks out, it wakes one that does.
 *
 * While all workers sleep, and that is not to be timed, it sleeps as well, with no end: whoever wakes wakes it
 * (idle.h). But not at once: what wakes every few milliseconds need not wake the watchdog, too.
 *
 * A process may be stopped, or get no CPU. So the time that the watchdog slept beyond what it meant to is nobody's. */
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
    unsigned looks;          /* at this task since then */
    int64_t cpu_ns, cpu_first_ns; /* CPU time of its thread when last asked, and first in this run; -1: not known */
    bool asked;              /* in this run */
    unsigned did;            /* the answer to what it has done */
    bool reported;
    uint64_t written;        /* the number of the task that stderr was told of last ... */
    int64_t written_ns;      /* ... and when */
};

struct wf_watchdog {
    struct wf_watchdog_seen *seen; /* of each worker: by its thread; NULL: there is none */
    struct wf_thread thread;
    int64_t limit_ns, late_ns;     /* when to report; a look that is later than that was kept from it; constant */
    int64_t pace_max_ns;           /* from one look to the next; constant */
    int64_t pace_ns;               /* the same, for now; by its thread: */
    bool by_default;               /* nobody has asked for it; constant */
    int64_t next_ns;               /* the next look */
    int64_t wary_until_ns;         /* a spare has been called lately */
    uint64_t runs;                 /* how many times tasks had been run at the last one */
    unsigned calm;                 /* for how many looks that has been so */
    bool quiet, quiet_told;        /* nothing could go on then ... */
    int64_t quiet_since_ns;        /* ... since when */
    WF_ATOMIC(uint64_t) stalls, deadlocks; /* figures: how many were told of; by its thread */
    WF_ATOMIC(uint32_t) stop;      /* by close; the thread sleeps on it */
};

int wf_watchdog_open(weft_runtime *rt); /* 0 also when nobody wants it; -EAGAIN, -ENOMEM */
void wf_watchdog_close(weft_runtime *rt);

/* Tell that nothing can go on. */
void wf_deadlock_report(weft_runtime *rt);

/* Tell of a worker that has run t since seen->since_ns. */
void wf_stall_report(struct wf_worker *w, weft_task *t, struct wf_watchdog_seen *seen, int64_t now);

#endif
