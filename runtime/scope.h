/* scope.h - the tree of scopes and tasks, and how a stop travels down it.
 *
 *     task --opens--> scope --owns--> tasks --open--> scopes ...
 *
 * A task has a chain of scopes it has open, innermost first (task->inner, scope->outer). A scope has a list
 * of those of its tasks that a stop must reach: a task enters it before its first wait that can be stopped
 * and before it opens a scope, and leaves it when it ends. Tasks that do neither never touch a list.
 *
 * Stopping is a state, scope->stop. It is raised in a scope, in the opener's scopes inside it and, through
 * the listed tasks, in all scopes below; a shield cuts it off. Every task looks at one scope only, its
 * innermost (or its owner). Whoever waits is interrupted. No recursion: scopes still to be visited form a
 * list, and a scope in it is pinned by scope->visits, for which its close waits.
 *
 * Counting. A scope is done when every task started in it has ended. The opener's own starts are counted
 * without atomics; those of other tasks and all ends go to `pending`, which carries a bias until the opener
 * closes, so it reaches zero only then, once. A worker may hold back ends (worker.c) while it runs another
 * task of the same scope, which keeps that scope open anyway.
 *
 * Lock order: wheel, scope, task. A scope's lock may be followed by its opener's or its tasks'.
 *
 * Ordering: S1 raising stop (seq_cst exchange), then looking at wait words <-> S2 arming a wait (seq_cst
 *           exchange), then looking at stop: one of the two sees the other.
 *           S3 end's subtraction from pending (acq_rel) <-> S4 close's addition (acq_rel): what the tasks
 *           wrote is seen by whoever closes. */
#ifndef WF_SCOPE_H
#define WF_SCOPE_H

#include "runtime/task.h"
#include "runtime/timer.h"

struct wf_scope {
    struct wf_lock lock;      /* for waiting, held */
    WF_ATOMIC(int) stop;      /* 0, -ETIMEDOUT, -ECANCELED: why everything inside should stop */
    WF_ATOMIC(int) own;       /* the same, as far as it was raised in this very scope */
    WF_ATOMIC(bool) expired;  /* by its own deadline */
    WF_ATOMIC(int) error;     /* the first failure of a task that nobody holds, or that memory was out for */
    WF_ATOMIC(int) visits;    /* stops that still have to pass through here */
    WF_ATOMIC(int) queued;    /* it is in the list of some stop */
    bool shield;              /* by the opener, under the opener's lock */
    bool open;                /* by the opener */
    bool is_root;             /* the runtime's own; constant */
    weft_task *opener;        /* constant; NULL for the root */
    struct wf_scope *outer;   /* the next scope outward of the same opener; constant */
    weft_task *waiting;       /* its tasks that a stop must reach */
    weft_task *held;          /* its tasks that stay until it closes */
    WF_ATOMIC(uint64_t) started; /* by the opener, not counted in pending yet; others only look */
    WF_ATOMIC(int64_t) pending;
    weft_waiter closer;       /* the opener, waiting in close */
    struct wf_timer deadline;
    struct wf_scope *visit_next; /* in the list of a stop: by whoever set queued */
    WF_ATOMIC(bool) errand;      /* a plain thread has asked to stop it: errand.c */
    struct wf_scope *errand_next;
};

static inline struct wf_scope *wf_scope_of(weft_scope *s)
{
    return (struct wf_scope *)(void *)s;
}

enum { WF_SCOPE_ROOT_TASKS = 1 }; /* the first task: what a root scope's pending begins with */
void wf_scope_open_root(struct wf_scope *s);

/* Why t should stop: 0, -ECANCELED, -ETIMEDOUT. t is the caller, or cannot go on meanwhile. */
static inline int wf_scope_stop_reason(const weft_task *t)
{
    if (t->inner)
        return wf_load(&t->inner->stop, seq_cst); /* S2 */
    int own = wf_load(&t->stop, seq_cst);
    return own ? own : wf_load(&t->scope->stop, seq_cst); /* S2; a task's own is always the stronger */
}

/* Enter the list of the owner's tasks that a stop must reach; leave it. By t itself. */
void wf_scope_list(weft_task *t);
void wf_scope_unlist(weft_task *t);

/* One more task was started in s, by `by`. */
static inline void wf_scope_count_start(struct wf_scope *s, const weft_task *by)
{
    if (by && s->opener == by)
        wf_store(&s->started, wf_load(&s->started, relaxed) + 1, relaxed);
    else
        wf_add(&s->pending, 1, relaxed); /* the caller is in s and keeps it open: nobody closes on this */
}

/* n tasks of s have ended. s must not be touched any more. True: that was the end of a root scope. */
bool wf_scope_count_ends(struct wf_scope *s, int64_t n);

/* Is this the result of a task that ended because s was stopped, rather than a failure of its own? */
static inline bool wf_scope_told(struct wf_scope *s, int result)
{
    return (result == -ECANCELED || result == -ETIMEDOUT) && wf_load(&s->stop, relaxed);
}

/* A task that nobody holds has failed in s, or there was no memory for one. */
void wf_scope_fail(struct wf_scope *s, int error);

void wf_scope_stop(struct wf_scope *s, int reason); /* as raised in s itself; any thread */
void wf_task_stop(weft_task *t);                    /* weft_cancel() */

#endif
