/* weft/offload.h - code that blocks, or computes for long, away from the workers.
 *
 * Offloaded code runs on plain threads, in lanes: a lane is a queue with threads of its own, named after it
 * ("weft-cpu"), so that what waits in one holds up no other. A lane has no thread before its first job, starts one
 * when a job finds none idle, up to its limit, and lets go of those that have been idle for ten seconds. Each runtime
 * has three:
 *
 *     blocking   what waits: files, other people's libraries. weft_config.offload_max threads
 *     cpu        what computes: as many threads as CPUs, niced, so that workers go first
 *     dns        names, as weft_resolve() and weft_tcp_connect() look them up: 8 threads
 *
 * and you may open your own: for a database that takes four at once, for what must not keep anything else waiting.
 *
 * Offloaded code must not call anything marked T. A job that has begun is never stopped, only told, and whoever started
 * it waits for its end; weft_run() does not return before all have ended, so one that never ends keeps it for ever. */
#ifndef WEFT_OFFLOAD_H
#define WEFT_OFFLOAD_H

#include <weft/run.h>

typedef struct weft_lane weft_lane;

enum { WEFT_LANE_QUEUE = 1024 }; /* jobs that may wait in a lane unless its config says otherwise */

/* What becomes of a job that finds the lane's threads busy and its queue full. */
typedef enum weft_lane_full {
    WEFT_LANE_WAIT,   /* who starts it waits for its turn */
    WEFT_LANE_REFUSE, /* it is refused: -EAGAIN */
    WEFT_LANE_HERE    /* who starts it runs it, there and then, on its own stack */
} weft_lane_full;

/* Zero means default, but for the name. */
typedef struct weft_lane_config {
    const char *name;     /* of its threads: "weft-" and this, 15 characters in all. It is copied */
    unsigned threads;     /* at most so many, up to 1,024; default: the CPUs this process may use */
    unsigned queue;       /* jobs that may wait while all are busy; default WEFT_LANE_QUEUE */
    weft_lane_full full;
    int nice;             /* of its threads, 0 to 19, beyond the process's own */
    const unsigned *cpus; /* where they may run; default: wherever the caller of weft_run() might ... */
    unsigned cpu_count;   /* ... so many of them. They are copied */
} weft_lane_config;

/* Figures of a lane; all but the first three only grow. To look at the clock costs a tenth of a short call, so times
 * are taken of every 16th only, or of all as long as they take 10 us and more: a mean is total / timed. */
typedef struct weft_lane_stats {
    unsigned threads;                 /* there are so many now, of which ... */
    unsigned running;                 /* ... so many are running something */
    unsigned queued;                  /* jobs in the queue */
    uint64_t done;                    /* calls that its threads have made */
    uint64_t here;                    /* ... that whoever started them made (WEFT_LANE_HERE) */
    uint64_t refused;                 /* ... that could not be started */
    uint64_t cancelled;               /* ... that were taken back before they had begun */
    uint64_t timed;                   /* calls whose times were taken: */
    int64_t wait_ns, wait_max_ns;     /* from being started to being begun, in all and the longest */
    int64_t run_ns, run_max_ns;       /* from there to the end */
} weft_lane_stats;

/* Offloaded work in its starter's hands: one call, or many. It must stay in place from its start to the end of
 * weft_job_await(), which every job that was started needs. */
typedef struct weft_job {
    uintptr_t priv[24];
} weft_job;

WEFT_BEGIN

/* [Tsc] fn(arg) in lane blocking; its result. While all threads are busy the job waits its turn, and
 * a caller that is stopped meanwhile gets -ECANCELED or -ETIMEDOUT and fn never runs. Once fn runs it
 * is not stopped and its result is returned. -EAGAIN when the lane has no thread and can start none. */
WEFT_API int weft_offload(weft_fn fn, void *arg);

/* [Tsc] The same in a lane of the caller's runtime. Also -EAGAIN when that is full and refuses, -ESHUTDOWN when it is
 * being closed. */
WEFT_API int weft_offload_on(weft_lane *lane, weft_fn fn, void *arg);

/* [A--] For offloaded code that runs for long: has the task that waits for it been told to stop, or is its time over?
 * Then nobody wants more of it than a quick end. In a task itself, between weft_blocking_begin() and end or where it
 * runs its own job (WEFT_LANE_HERE): has it been told to stop? On any other thread false. As cheap as a few loads. */
WEFT_API bool weft_offload_cancelled(void);

/* [Tsc] Start now, await later: 0, and fn(arg) has its place in the lane. Below zero, and it never runs: as above, or
 * -ECANCELED or -ETIMEDOUT when the caller was stopped while it waited for room. */
WEFT_API int weft_job_start(weft_job *job, weft_lane *lane, weft_fn fn, void *arg);

/* [Tsc] The same for n calls, fn(args), fn(args + size), ...: one job, one place in the queue, as many threads as find
 * something to do. No call begins after a later one. */
WEFT_API int weft_job_start_all(weft_job *job, weft_lane *lane, weft_fn fn, void *args, size_t size, size_t n);

/* [A--] Has it ended? For its starter and those who know it not to have been awaited yet. */
WEFT_API bool weft_job_done(const weft_job *job);

/* [Tsc] Wait for the end, once, by any task of the runtime: the result of its call, or of many the first failure, or 0.
 * A caller that is stopped meanwhile takes back what has not begun and tells the rest (weft_offload_cancelled), waits
 * for that, and gets -ECANCELED or -ETIMEDOUT if there was anything to take back. */
WEFT_API int weft_job_await(weft_job *job);

/* [T--] The lanes that every runtime has. */
WEFT_API weft_lane *weft_lane_blocking(void);
WEFT_API weft_lane *weft_lane_cpu(void);
WEFT_API weft_lane *weft_lane_dns(void);

/* [T--] A lane of one's own, for all tasks of the runtime. 0, -ENOMEM, -EINVAL a config out of range, no name, or a
 * CPU that this process may not use. What is still open when the last task has ended weft_run() closes. */
WEFT_API int weft_lane_open(weft_lane **ret, const weft_lane_config *config);

/* [Ts-] Wait until every job that was started in it has been awaited, and end its threads. Meanwhile nothing is
 * started in it any more (-ESHUTDOWN); afterwards it must not be used. To close one of the runtime's own, or one
 * twice, is misuse. NULL: nothing. */
WEFT_API void weft_lane_close(weft_lane *lane);

/* [A--] Figures so far. From any thread while the lane is open. */
WEFT_API void weft_lane_stats_read(weft_lane *lane, weft_lane_stats *ret);

/* [Ts-] From begin on, the calling task itself runs on a thread of lane blocking, so it may block; from end on it is
 * back on a worker. Pairs may nest. In between, calls marked T are misuse. If the lane has no thread
 * and can start none, begin leaves the task where it is, and it blocks its worker. */
WEFT_API void weft_blocking_begin(void);
WEFT_API void weft_blocking_end(void);

WEFT_END

#endif
