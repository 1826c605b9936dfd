/* worker.h - one worker and the runtime it belongs to. worker.c runs the loop. */
#ifndef WF_WORKER_H
#define WF_WORKER_H

#include "runtime/driver.h"
#include "runtime/idle.h"
#include "runtime/inbox.h"
#include "runtime/lanes.h"
#include "runtime/panic.h"
#include "runtime/platform/local.h"
#include "runtime/platform/spin.h"
#include "runtime/platform/thread.h"
#include "runtime/queue.h"
#include "runtime/scope.h"
#include "runtime/slice.h"
#include "runtime/spills.h"
#include "runtime/timer.h"
#include "runtime/watchdog.h"

enum { WF_LOOKOUT_FIRST_NS = 100000 }; /* half of how long a lookout sleeps at first */

/* What the arriving side of a switch still has to do for the side that left. */
enum wf_left {
    WF_LEFT_NOTHING,
    WF_LEFT_PARKING,  /* a task that waits: it has left its stack now */
    WF_LEFT_YIELDED,  /* a task that goes to the back of the queue */
    WF_LEFT_BLOCKING, /* a task that goes on as a thread of a lane */
    WF_LEFT_STACK     /* a stack whose loop is over */
};

/* A task has handed a job to a lane that may soon be back. */
enum wf_linger {
    WF_LINGER_NOT,
    WF_LINGER_LOOKING,  /* to a thread that looked on: back before a wake would be, if it is short */
    WF_LINGER_NAPPING   /* to a queue: with others before it, so they had better come back together */
};

/* How a worker sleeps. */
enum wf_rest {
    WF_REST_NOT,
    WF_REST_UNTIL, /* ... a timer, a request, which will end that */
    WF_REST_QUIET  /* nothing under way will end it */
};

/* What a spare is there for: spare.h. */
enum wf_duty {
    WF_DUTY_NONE,  /* on standby */
    WF_DUTY_GO_ON, /* with what has begun */
    WF_DUTY_ALL
};

struct wf_worker {
    /* By the worker alone. */
    weft_runtime *rt;                     /* constant */
    unsigned index;                       /* constant */
    unsigned tick;                        /* tasks picked; every so often the outside is looked at */
    unsigned slot_runs;                   /* how often in a row the slot was picked */
    unsigned patience;                    /* so many at most go, still, before who is patient: */
    weft_task *patient;                   /* lets tasks go first, while it is in the slot; only compared: */
    struct wf_scope *siblings;            /* those of this scope; only compared */
    unsigned aside_picks;                 /* tasks picked while some of low priority waited, or there was a nest */
    bool collecting;                      /* what becomes ready comes from outside: it goes to the queue's end */
    bool searching;                       /* counted as a searcher */
    enum wf_linger linger;                /* before it sleeps the next time */
    struct wf_spin_habit spins, naps;     /* whether that has paid */
    enum wf_left left;
    weft_task *left_task;
    struct wf_stack *left_stack;
    weft_task *first;                     /* what a loop on a fresh stack begins with */
    struct wf_scope *ended_scope;         /* ends held back, see wf_worker_count_end */
    int64_t ended;
    weft_task *pinned, **pinned_last;     /* runnable tasks that nobody else may run */
    struct wf_slice slice;
    struct wf_stack_cache stacks;
    struct wf_task_cache tasks;
    uint64_t number, number_end;          /* task numbers still to be given out */
    struct wf_context base;               /* the thread's own stack; its side is the loop's (context.h) */
    unsigned char victims[WF_TOPOLOGY_WORKERS_MAX]; /* whom to steal from, nearest first; constant */
    int64_t lookout_ns;                   /* how long the next sleep as lookout lasts */
    uint32_t stolen;                      /* tasks of the last theft, 0 once it has been judged */
    int64_t stolen_ns, pause_ns, paused_until_ns; /* when that was; see judge_theft */
    bool spare;                           /* one of spare.h's; constant */
    struct wf_thread thread;
    int *errno_at;                        /* the thread's; constant */
    uint64_t looked_seq;                  /* run_seq when it last looked whether a sweep is due (spills.h) */
    bool spills_on;                       /* the runtime's; constant */
    bool sweeping;                        /* it has a sweep to go on with before it sleeps */
    int cpu;                              /* where it is bound to, -1: anywhere; constant */

    /* Read by others. */
    _Alignas(64) WF_ATOMIC(weft_task *) current; /* who runs; NULL in the loop: written by the worker */
    WF_ATOMIC(uint64_t) run_seq;                 /* grows with every task that is run: written by the worker */
    WF_ATOMIC(uint64_t) overran;                 /* the last run that has overrun its slice; by who looks: a hint */
    WF_ATOMIC(uint64_t) runs, switches, steals, parks, spills, restores; /* figures: written by the worker */
    WF_ATOMIC(uint64_t) taken;                   /* tasks that others have stolen from its queue: by them */
    WF_ATOMIC(enum wf_rest) rest;                /* written by the worker */
    WF_ATOMIC(bool) napping;                     /* and collects what is gathered in lanes then (lane.c): by itself */
    WF_ATOMIC(uint64_t) stood_seq;               /* run_seq when all stood still the last time: by the watchdog */
    WF_ATOMIC(enum wf_duty) duty;                /* a spare's: given by the watchdog, taken back by the spare */
    WF_ATOMIC(int) thread_id;                    /* as wf_where_look() wants it; written before it runs anything */
    struct wf_driver *driver;                    /* constant while the runtime runs */
    struct wf_inbox inbox;                       /* from other threads; whoever is idle may empty it */
    struct wf_inbox pinned_inbox;                /* the same, for this worker alone */
    struct wf_wheel wheel;
    struct wf_queue queue;
    struct {
        WF_ATOMIC(uint64_t) seq;     /* run_seq when it was last looked at */
        WF_ATOMIC(int64_t) since_ns; /* and since when it has been that */
        WF_ATOMIC(int64_t) again_ns; /* stands still and was helped: not again before this; by who helps */
    } seen;                          /* by whoever looks: hints */
};

/* See spare.h. */
struct wf_spares {
    struct wf_lock lock;        /* between who calls one and the end of the runtime */
    WF_ATOMIC(uint32_t) come;   /* whether the one that is being made has come */
    int64_t again_ns;           /* no other is made before that; by the watchdog: */
    bool told;
    WF_ATOMIC(uint64_t) calls;  /* a figure */
};

struct weft_runtime {
    unsigned worker_count;
    WF_ATOMIC(unsigned) present; /* ... and spares that have come, which follow them */
    struct wf_worker *workers; /* constant while it runs */
    struct wf_idle idle;
    struct wf_stack_pool stacks;
    struct wf_task_pool tasks;
    struct wf_lanes lanes;
    struct wf_watchdog watchdog;
    struct wf_spares spares;
    struct wf_spills spills;
    struct wf_scope root;
    WF_ATOMIC(bool) stopping;   /* everything is done: workers leave their loops */
    WF_ATOMIC(uint32_t) lookout; /* index + 1 of the idle worker that watches the busy ones, 0: none */
    WF_ATOMIC(int64_t) guarded_ns; /* nobody need be woken to become that before then; by who goes to work: a hint */
    WF_ATOMIC(int64_t) wary_until_ns; /* ... unless it is before this, as one stood still; by whoever looks: a hint */
    WF_ATOMIC(uint32_t) stalled; /* the same of one that stands still; by whoever looks: a hint */
    WF_ATOMIC(uint32_t) started, stopped; /* workers that have come up, that have left their loop */
    WF_ATOMIC(int) start_error;
    WF_ATOMIC(uint64_t) numbers;
    WF_ATOMIC(unsigned) submit_next; /* round robin */
    WF_ATOMIC(struct wf_scope *) errand_scopes; /* to be stopped on behalf of plain threads */
    WF_ATOMIC(weft_task *) errand_tasks;
    WF_ATOMIC(weft_task *) first; /* the first task, NULL once it has ended: by it; others only compare */
    int result, submit_error;   /* submit_error: under the root's lock */
    weft_config config;
    weft_driver driver;         /* of all workers, RING or SOFT; constant while they run */
    weft_runtime *next;         /* of the process, for dumps */
    _Alignas(64) WF_ATOMIC(uint32_t) visitors; /* threads from outside that are just waking somebody: often, and
                                                  workers that look for work read what is above */
};

/* The worker that runs the calling task: misuse in the caller's name if there is none. True until the next
 * suspension. */
_Noreturn void wf_worker_refuse(const char *function);

static inline struct wf_worker *wf_worker_require(const char *function)
{
    struct wf_worker *w = wf_worker_self();
    if (WF_UNLIKELY(!w || !wf_load(&w->current, relaxed)))
        wf_worker_refuse(function);
    return w;
}

enum {
    WF_PATIENCE = 32,     /* who waits for one task after another lets so many of them go first */
    WF_TICK_OUTSIDE = 64, /* tasks between two looks at inbox, timers and ring */
    WF_TICK_INBOX = 4,    /* between two looks whether there is anything in the inbox at all */
    WF_TICK_LOW = 8       /* and of these, one of low priority at least, if there is any */
};

#define WF_COUNT(figure) wf_store(&(figure), wf_load(&(figure), relaxed) + 1, relaxed)

/* search.c: the next task to run, however long it takes. NULL: the runtime stops. May park the thread. */
weft_task *wf_worker_find(struct wf_worker *w);

/* By a task: before its worker sleeps the next time, it lingers. */
static inline void wf_worker_linger(enum wf_linger how)
{
    struct wf_worker *w = wf_worker_self();
    void *side = wf_side_take(wf_side_of(&w->base)); /* it is the worker's own */
    w->linger = how;
    wf_side_take(side);
}

/* What search.c needs of worker.c: the next task at hand; a pinned one that may run; give ends held back to their
 * scope; there is work that others could take: wake one, unless somebody searches. */
weft_task *wf_worker_pick(struct wf_worker *w);
void wf_worker_append_pinned(struct wf_worker *w, weft_task *t);
void wf_worker_flush_ends(struct wf_worker *w);
void wf_worker_wake_one(struct wf_worker *w);

static inline bool wf_worker_at_hand(struct wf_worker *w)
{
    return wf_queue_any(&w->queue) || wf_load(&w->queue.slot, relaxed) || w->pinned;
}

/* Is the length of t's run, which is about to end, of any account? */
static inline WF_UNOBSERVED bool wf_slice_counts(struct wf_worker *w, const weft_task *t)
{
    return WF_UNLIKELY(t->overruns || wf_load(&w->overran, relaxed) == wf_load(&w->run_seq, relaxed));
}

static inline WF_UNOBSERVED void wf_slice_end(struct wf_worker *w, weft_task *t)
{
    if (wf_slice_counts(w, t))
        wf_slice_judge(t, wf_load(&w->overran, relaxed) == wf_load(&w->run_seq, relaxed));
}

/* To the end of w's queue, its own side; or with the others of low priority. */
static inline bool wf_worker_append(struct wf_worker *w, weft_task *t)
{
    if (WF_LIKELY(!wf_slice_is_low(t)))
        return wf_queue_push_any(&w->queue, t);
    wf_queue_push_low(&w->queue, t);
    return true;
}

/* Does t belong to a runtime of one worker? Then nobody else ever runs it. */
static inline bool wf_worker_is_alone(const weft_task *t)
{
    return wf_load(&t->home, relaxed)->queue.alone;
}

/* Is this a worker of the runtime that t belongs to, once that was started? */
static inline bool wf_worker_is_of(const weft_task *t)
{
    struct wf_worker *w = wf_worker_self();
    return w && w->rt == wf_task_runtime(t);
}

/* Does the runtime of t, the caller, spill? */
static inline bool wf_spills_on(const weft_task *t)
{
    return wf_load(&t->home, relaxed)->spills_on;
}

/* To be added to the kind of a wait that t, the caller, is about to arm, in a runtime that spills; of that wait nothing
 * lies in t's stack but perhaps what these point to. */
unsigned wf_spills_kind(weft_task *t, const void *one, const void *other);

/* The loop. On the worker's own thread, on its base stack; returns once the runtime stops. */
void wf_worker_run(struct wf_worker *w);

/* Leave this stack until somebody makes t, the caller, run again; which may have been done, if its wait has been PARKED
 * from the start. Suspends. */
void wf_worker_suspend(weft_task *t, bool is_parked);

/* Leave the worker for a thread of a lane. Suspends, and returns on that thread. */
void wf_worker_leave_for_pool(weft_task *t);

/* And back, on that thread. Suspends, and returns on a worker. */
void wf_worker_return_from_pool(weft_task *t);

/* By whoever has t in hand and makes it run, on whose side is the same: its own writes come before, and after it runs
 * again. */
static inline WF_UNOBSERVED bool wf_worker_is_pinned(const weft_task *t)
{
    return t->pins > 0;
}

/* A task that waited may run again. Any thread. */
void wf_worker_ready(weft_task *t);

/* A fresh task of ours may run. On worker w. */
void wf_worker_spawn(struct wf_worker *w, weft_task *t);

/* A fresh or a returning task from a plain thread, to be run by w or whoever is idle. */
void wf_worker_deliver(struct wf_worker *w, weft_task *t);

/* A task of s has ended on w. The count may be held back while w runs fresh tasks of s: they keep s open. */
static inline void wf_worker_count_end(struct wf_worker *w, struct wf_scope *s)
{
    wf_side_give(&w->ended);
    void *side = wf_side_take(wf_side_of(&w->base));
    if (w->ended_scope != s) {
        wf_worker_flush_ends(w);
        w->ended_scope = s;
        w->ended = 0;
    }
    w->ended++;
    wf_side_take(side);
}

/* A task of s has ended on w, whose opener it may have woken: by its end, or by what it has sent. Others go first then,
 * if there are any; but not for each that ends as many again. */
static inline void wf_worker_be_patient(struct wf_worker *w, struct wf_scope *s)
{
    weft_task *woken = wf_load(&w->queue.slot, relaxed);
    if (WF_LIKELY(!woken || woken != s->opener || wf_load(&s->started, relaxed) <= 1))
        return;
    void *side = wf_side_take(wf_side_of(&w->base));
    if (w->patient != woken) {
        w->patient = woken;
        w->siblings = s;
        w->patience = WF_PATIENCE;
    }
    wf_side_take(side);
}

/* A number for a new task. */
uint64_t wf_worker_number(struct wf_worker *w);

/* The driver of the worker whose thread this is; NULL on a plain thread. */
struct wf_driver *wf_worker_driver(void);

/* Stop a scope, a task, on behalf of a plain thread: a worker does it soon. The scope, or the task's, stays
 * open that long. */
void wf_errand_scope(struct wf_scope *s);
void wf_errand_task(weft_task *t);
void wf_errand_run(weft_runtime *rt);

/* The result of a task of the root scope: the first one's, or a submitted one's. */
void wf_runtime_result(weft_runtime *rt, weft_task *t, int result);

/* A thread from outside is about to hand something over, after which the runtime may come to its end, and still
 * has to wake somebody then: drivers stay open until it leaves. */
static inline void wf_runtime_visit(weft_runtime *rt)
{
    wf_add(&rt->visitors, 1, relaxed); /* ordered by what it hands over */
}

static inline void wf_runtime_leave(weft_runtime *rt)
{
    wf_sub(&rt->visitors, 1, release); /* partner: await_others' load (crew.c); rt is not touched any more */
}

/* Everything is done: let the workers go. */
void wf_runtime_stop(weft_runtime *rt);

#endif
