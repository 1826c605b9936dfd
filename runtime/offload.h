/* offload.h - plain threads for code that blocks or computes for long.
 *
 * One queue, first in first out, under one lock. A thread is started when a job finds none idle, up to a limit;
 * an idle one looks on for a moment, then sleeps, and retires after ten seconds. The thread that became idle last is
 * called first, so the others can retire. A job is in the queue, or taken by one thread: both under the lock, so a job
 * that is withdrawn never runs and one that runs is waited for.
 *
 * Three kinds of job: a call, whose record lies in the frame of the task that waits for it; a task itself, which
 * goes on as a guest of the thread (weft_blocking_begin) until it leaves; and a call that nobody waits for, which owns
 * its record: the soft driver has a pool for what it cannot do without sleeping.
 *
 * A pool thread never submits to a ring: requests would die with it. */
#ifndef WF_OFFLOAD_H
#define WF_OFFLOAD_H

#include "runtime/idle.h"
#include "runtime/platform/lock.h"
#include "runtime/platform/thread.h"
#include "runtime/task.h"

enum { WF_OFFLOAD_THREADS_DEFAULT = 64, WF_OFFLOAD_THREADS_MAX = 1024 };

struct wf_offload_idle;

struct wf_offload_job {
    struct wf_offload_job *next, **link; /* link: NULL once it is taken; under the pool's lock */
    weft_task *guest;                    /* a task to go on; else: */
    void (*call)(struct wf_offload_job *j); /* nobody waits, and the pool forgets j first; else: */
    weft_fn fn;
    void *arg;
    int result;
    int cpu;                             /* where it comes from; -1: nobody waits */
    bool done;                           /* under the pool's lock */
    weft_waiter waiter;                  /* under the pool's lock */
};

struct wf_offload_thread;

struct wf_offload {
    struct wf_lock lock; /* for all below */
    struct wf_offload_job *first, **last;
    struct wf_offload_idle *idle;     /* threads with nothing to do, latest first */
    struct wf_offload_thread *exited; /* threads that have ended, to be joined */
    unsigned threads, threads_max;
    unsigned expected;                /* tasks on their way here: the last thread does not retire */
    bool stopping;
    struct wf_affinity affinity;      /* of its threads, whatever worker starts them; constant */
    WF_ATOMIC(uint32_t) alive;        /* threads that may still take the lock; close sleeps on it */
    WF_ATOMIC(unsigned) awake;        /* threads that do not sleep here; a hint */
    struct wf_idle *workers;          /* whose jobs these are; constant */
    WF_ATOMIC(unsigned) cpus;         /* for them and the threads; 0: nobody looks on; constant */
    WF_ATOMIC(int64_t) spin_ns;       /* how long; constant */
};

void wf_offload_open(struct wf_offload *o, unsigned threads_max);
bool wf_offload_is_quiet(struct wf_offload *o); /* no job is queued, on its way or being done */
void wf_offload_close(struct wf_offload *o); /* no jobs left; joins the threads */

/* Let threads with nothing to do look on for a moment before they sleep, while workers and they leave a CPU free. */
void wf_offload_allow_spin(struct wf_offload *o, struct wf_idle *workers, unsigned cpus);

/* Is there a CPU for the caller, awake, beside all others who are awake? A hint. */
static inline bool wf_offload_has_cpu(struct wf_offload *o)
{
    unsigned workers = o->workers->workers - wf_idle_asleep(o->workers);
    return workers + wf_load(&o->awake, relaxed) <= wf_load(&o->cpus, relaxed);
}

/* And one for somebody else, whom it waits for? */
static inline bool wf_offload_has_spare_cpu(struct wf_offload *o)
{
    return wf_load(&o->cpus, relaxed) >= 2 && wf_offload_has_cpu(o);
}

/* Make sure there will be a thread for a task on its way. False: there is none and none can be started. */
bool wf_offload_reserve(struct wf_offload *o);

/* Hand over that task, which has left its worker's stack. */
void wf_offload_task(struct wf_offload *o, weft_task *t);

/* Have j->call(j) run on a thread. False: there is none and none can be started. */
bool wf_offload_call(struct wf_offload *o, struct wf_offload_job *j);

/* Take it out of the queue again. False: a thread has taken it. */
bool wf_offload_withdraw(struct wf_offload *o, struct wf_offload_job *j);

#endif
