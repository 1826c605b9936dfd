/* lane.h - plain threads for code that blocks or computes for long, and the queue they work off.
 *
 * One queue, first in first out, under one lock. A thread is started when a job finds none idle, up to a limit;
 * an idle one looks on for a moment, then sleeps, and retires after ten seconds. The thread that became idle last is
 * called first, so the others can retire. A job is in the queue, or taken by one thread: both under the lock, so a job
 * that is taken back never runs and one that runs is waited for.
 *
 *     first -> job -> job -> job -> job -> job -> NULL        `queued` are inside, at most `queue_max` of them while
 *                                   ^ outside                 all threads are busy; who starts one of the others
 *                                                             waits until there is room for it
 *
 * Three kinds of job: calls, of which a record may stand for many, and whose record is its owner's until it has awaited
 * it; a task itself, which goes on as a guest of the thread (weft_blocking_begin) until it leaves; and a call that
 * nobody waits for, which owns its record: the soft driver has a lane for what it cannot do without sleeping.
 *
 * A lane's thread never submits to a ring: requests would die with it. */
#ifndef WF_LANE_H
#define WF_LANE_H

#include "runtime/idle.h"
#include "runtime/platform/lock.h"
#include "runtime/platform/thread.h"
#include "runtime/task.h"

#include <weft/offload.h>

struct wf_lane_idle;
struct wf_lane_thread;

/* What a job's waiter is there for; under the lane's lock. */
enum wf_job_wait {
    WF_JOB_NOTHING,
    WF_JOB_ROOM, /* its starter waits for the queue to have room for it */
    WF_JOB_END
};

struct wf_job {
    struct wf_job *next, **link;    /* link: NULL once all is taken. Under the lane's lock, as all that changes */
    weft_lane *lane;                /* constant until it has been awaited, then NULL: by its owner */
    weft_task *guest;               /* a task to go on; else: */
    void (*call)(struct wf_job *);  /* nobody waits, and the lane forgets it first; else: */
    weft_fn fn;                     /* constant */
    char *arg;                      /* of the next call to begin, and as far as ... */
    size_t stride;                  /* ... this beyond it that of the one after; constant */
    size_t more;                    /* calls to begin after that one */
    size_t unended;                 /* calls that have not ended and were not taken back */
    int64_t asked_ns;               /* when it came, 0: its times are not taken */
    int result;                     /* of one call; of many the first failure */
    int cpu;                        /* where it comes from; -1: nobody waits; constant */
    struct wf_worker *home;         /* of whoever waits since it was started, else NULL; constant */
    bool many;                      /* it stands for more or less than one call; constant */
    bool outside;                   /* there was no room for it */
    bool cut;                       /* some of its calls were taken back */
    unsigned char waits;            /* enum wf_job_wait */
    WF_ATOMIC(bool) told;           /* that nobody wants its result any more: a hint to fn */
    WF_ATOMIC(bool) done;           /* all of it (O4) */
    weft_waiter waiter;
};

/* On to the argument of the next call; which may be the same, and NULL. */
static inline void wf_job_step(struct wf_job *j)
{
    if (j->stride)
        j->arg += j->stride;
}

/* Who is awake: workers of a runtime and threads of all its lanes. */
struct wf_awake {
    struct wf_idle *workers;     /* constant */
    WF_ATOMIC(unsigned) threads; /* that do not sleep; a hint */
    WF_ATOMIC(unsigned) cpus;    /* for all of them; 0: no thread looks on before it sleeps; constant */
    WF_ATOMIC(int64_t) spin_ns;  /* how long one does; constant */
};

/* What a lane is like. */
struct wf_lane_plan {
    const char *name;
    unsigned threads_max, queue_max;
    weft_lane_full full;
    int nice;
    const struct wf_affinity *affinity; /* of its threads, whichever worker starts them */
    struct wf_awake *awake;
};

struct weft_lane {
    /* What starters and threads touch for each job: two cache lines. */
    _Alignas(64) struct wf_lock lock; /* for all below that is not constant */
    unsigned queued;                /* jobs inside */
    struct wf_job *first, **last;
    struct wf_job *outside;         /* the first that there was no room for; all after it are such, too */
    struct wf_lane_idle *idle;      /* threads with nothing to do, latest first */
    struct wf_job **gathered_last;
    size_t users;                   /* jobs that were started and not awaited yet, nor gathered */
    unsigned running;
    bool closing, stopping;         /* nothing is started any more; threads with nothing to do go */
    bool slow;                      /* the last time that was taken was long: all are */
    struct wf_job *gathered;        /* have ended while their home naps, which will tell; claimed */
    weft_waiter *closer;            /* waits until there are none, and no users */
    uint64_t started;               /* jobs */
    uint64_t done;                  /* calls */
    struct wf_lane_thread *exited;  /* threads that have ended, to be joined */
    unsigned threads, threads_max;
    unsigned queue_max;             /* jobs inside, while all threads are busy */
    unsigned expected;              /* tasks on their way here: the last thread does not retire */

    weft_lane_full full;            /* constant */
    int nice;                       /* constant */
    uint64_t here, refused, cancelled, timed; /* figures: calls */
    int64_t wait_ns, wait_max_ns, run_ns, run_max_ns;
    struct wf_awake *awake;         /* constant */
    struct wf_affinity affinity;    /* constant */
    WF_ATOMIC(uint32_t) alive;      /* threads that may still take the lock; close sleeps on it */
    weft_runtime *rt;               /* constant; NULL: a driver's */
    weft_lane *next;                /* of the runtime's: lanes.h */
    char name[16];                  /* of its threads; constant */
};

void wf_lane_open(weft_lane *l, const struct wf_lane_plan *plan);
bool wf_lane_is_quiet(weft_lane *l); /* no job is queued, on its way or being done, and no result */

/* No new jobs come any more: do those that are left and join the threads. Blocks. */
void wf_lane_close(weft_lane *l);

/* Is there a CPU for the caller, awake, beside all others who are awake? A hint. */
static inline bool wf_awake_has_cpu(struct wf_awake *a)
{
    unsigned workers = a->workers->workers - wf_idle_asleep(a->workers);
    return workers + wf_load(&a->threads, relaxed) <= wf_load(&a->cpus, relaxed);
}

/* And one for somebody else, whom it waits for? */
static inline bool wf_awake_has_spare_cpu(struct wf_awake *a)
{
    return wf_load(&a->cpus, relaxed) >= 2 && wf_awake_has_cpu(a);
}

/* Who will take a job. */
struct wf_taker {
    struct wf_lane_idle *idle; /* to be called, after the lock; NULL: whoever comes first */
    int cpu;                   /* where that is */
    bool busy;                 /* or all are busy; */
    bool outside;              /* and there is no room for it yet */
};

/* Whether it was awake, and has the job by now. */
bool wf_taker_call(struct wf_taker by);

enum { WF_LANE_IS_FULL = 1 };

/* Put it in the queue. Then `ret` is to be called. If j->waits is WF_JOB_ROOM its waiter is told when there is room, if
 * there is none yet. 0; WF_LANE_IS_FULL: its owner is to run it; -EAGAIN no room, or there is no thread and none can
 * be started; -ESHUTDOWN. */
int wf_lane_submit(weft_lane *l, struct wf_job *j, struct wf_taker *ret);

/* All of j is over, or what has not begun is taken back; then wait, whatever happens, for what has. Suspends. */
void wf_lane_give_up(struct wf_job *j, weft_task *t);

/* j's starter was told to stop as it waited for room. True: none of it has begun, and none will. */
bool wf_lane_unstart(struct wf_job *j);

/* A job of no calls: 0, -ESHUTDOWN. */
int wf_lane_enter(struct wf_job *j);

/* The caller's wait, which is armed, is for the end of j. False: that has been, and the wait is over. */
bool wf_lane_await(struct wf_job *j, weft_task *t);

/* j has been awaited, though nobody waited as it ended: the lane may be closed as far as it is concerned. */
void wf_lane_leave(struct wf_job *j);

/* Start nothing any more, and wait until all that was started has been awaited. Suspends. */
void wf_lane_shut(weft_lane *l, weft_task *t);

/* Tell whoever waits for what was gathered. By a worker that has napped, and said that it does no more. True: there was
 * some. */
bool wf_lane_collect(weft_lane *l);

/* Have j->call(j) run on a thread. False: there is none and none can be started. */
bool wf_lane_call(weft_lane *l, struct wf_job *j);

/* Take that out of the queue again. False: a thread has taken it. */
bool wf_lane_withdraw(weft_lane *l, struct wf_job *j);

/* Make sure there will be a thread for a task on its way. False: there is none and none can be started. */
bool wf_lane_reserve(weft_lane *l);

/* Hand over that task, which has left its worker's stack. */
void wf_lane_host(weft_lane *l, weft_task *t);

#endif
