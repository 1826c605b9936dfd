/* task.h - what a task is, where it comes from and how it ends.
 *
 * A task is 256 bytes from a pool of its runtime, and no more until it first runs. The pool never gives
 * memory back while the runtime lives, so the word of a task's wait outlives the task and a late wake can
 * be refused instead of guessed at.
 *
 *     state      runs   where it is             its stack belongs to
 *     FREE       no     pool or cache           it has none
 *     PREPARED   no     its scope's held list   it has none
 *     READY      no     queue, slot or inbox    the queue (a fresh one has none)
 *     RUNNING    yes    nowhere                 its worker
 *     WAITING    no     wait queues             whoever wakes it, once its wait says PARKED
 *     BLOCKING   yes    nowhere                 a thread of a lane
 *     DONE       no     its scope's held list   it has none any more
 *
 * The state is for reports. What decides is the wait word (wait.h) and who holds the pointer. */
#ifndef WF_TASK_H
#define WF_TASK_H

#include "runtime/platform/lock.h"
#include "runtime/platform/stack.h"
#include "runtime/wait.h"

#include <weft/task.h>


struct wf_job;
struct wf_scope;
struct wf_worker;

enum wf_task_state {
    WF_TASK_FREE,
    WF_TASK_PREPARED,
    WF_TASK_READY,
    WF_TASK_RUNNING,
    WF_TASK_WAITING,
    WF_TASK_BLOCKING,
    WF_TASK_DONE
};

enum { WF_TASK_INLINE_ARGS = 48, WF_TASK_NAME_MAX = 32, WF_TASK_TEXT_MAX = 128 };

struct weft_task {
    /* What a switch touches. By whoever holds the task, unless said otherwise. */
    WF_ATOMIC(struct wf_stack *) stack; /* NULL until it first runs; others only guess by it what to prefetch */
    weft_task *next;        /* in a queue, an inbox or the pool */
    weft_fn fn;             /* until it first runs; spills.h has another use for it and arg */
    void *arg;
    struct wf_scope *scope; /* its owner; constant */
    struct wf_scope *inner; /* the innermost scope it has open: written by itself under lock */
    struct wf_wait wait;

    WF_ATOMIC(uint8_t) state;   /* enum wf_task_state, by whoever holds it; DONE under lock: result can be read */
    bool held : 1;              /* by weft_spawn or weft_prepare; constant */
    bool args_on_heap : 1;      /* constant */
    WF_ATOMIC(bool) awaited;    /* somebody was given its result */
    bool listed;                /* in its scope's list of waiting tasks: by itself under that scope's lock */
    uint8_t pins : 6;           /* by itself: how often it is pinned */
    uint8_t overruns : 2;       /* by its worker, as it leaves: slice.h */
    uint8_t blocking;           /* by itself: how deep in weft_blocking_begin */
    WF_ATOMIC(bool) named;      /* by itself: name counts, not the site */
    WF_ATOMIC(bool) errand;     /* a plain thread has asked to stop it: errand.c */
    int result;                 /* written once, before DONE; until then of the operation it waits for */
    WF_ATOMIC(int) stop;        /* 0 or -ECANCELED: weft_cancel() */
    int saved_errno;            /* while it does not run */
    struct wf_lock lock;        /* for inner, joiners, the end; innermost but for queues */
    WF_ATOMIC(struct wf_worker *) home; /* who ran it last: by its worker; others only ask for its runtime */
    WF_ATOMIC(const char *) site; /* text of the body, a zero, file:line; constant, but a dump may look at it */
    WF_ATOMIC(uint64_t) number;   /* of the runtime, from 1; the same */
    weft_task *held_next;       /* in its scope's list of held tasks, under that scope's lock */
    weft_waiter *joiners;       /* who awaits it, under lock */

    /* What a task that only runs and returns never touches. */
    weft_task *list_prev, *list_next; /* in its scope's list of waiting tasks, under that scope's lock */
    union {
        struct {
            WF_ATOMIC(uint64_t) user_data; /* of the kernel operation it waits for; written before its wait is */
            WF_ATOMIC(struct wf_driver *) driver; /* armed, read by who stops it; valid if the exchange succeeds */
        } op;
        struct {
            /* Atomic, as a late cancel may still look at op, in vain. */
            WF_ATOMIC(struct wf_job *) job; /* its own, on the way to a thread of a lane */
            WF_ATOMIC(struct wf_context *) host;    /* and that thread's stack, meanwhile */
        } pool;
    };
    char name[WF_TASK_NAME_MAX];
    weft_task *errand_next;     /* in the runtime's list of errands */
    union {                     /* for checks; else unused: args stay aligned for any type */
        WF_ATOMIC(struct wf_worker *) owner; /* WF_DEBUG: who runs it now, or NULL */
        void *side;                          /* ThreadSanitizer's name for it */
    };
    char args[WF_TASK_INLINE_ARGS]; /* weft_go_copy: the copy, or {pointer, size} of it */
};
_Static_assert(offsetof(weft_task, args) % _Alignof(max_align_t) == 0, "a copy is aligned for any type");
_Static_assert(sizeof(weft_task) == 256, "a task is four cache lines");

/* Where tasks come from: chunks of them, cut once and recycled for as long as the runtime lives. A worker has some of
 * its own: those that have ended here lately, and what is left of a group of neighbours in a chunk. */
struct wf_task_chunk;
struct wf_task_pool {
    struct wf_lock lock;              /* for all below */
    struct wf_task_chunk *chunks;
    struct wf_task_chunk *with_free;  /* those that have free tasks */
    struct wf_task_chunk **by_address; /* all of them, in order */
    unsigned count, room;
};

struct wf_task_cache {
    weft_task *head;   /* lately ended, the last one first, chained by next */
    unsigned count;
    weft_task *group;  /* of this and the 63 tasks after it ... */
    uint64_t free;     /* ... these are ours, a bit each */
};

enum { WF_TASK_CACHE_MAX = 1024, WF_TASK_BATCH = 256 };

void wf_task_pool_close(struct wf_task_pool *p);
weft_task *wf_task_pool_refill(struct wf_task_pool *p, struct wf_task_cache *c); /* NULL: no memory */
void wf_task_pool_spill(struct wf_task_pool *p, struct wf_task_cache *c);

/* Through all of them, in use or not, a few at a time: those that are made meanwhile are left out. False: that was all.
 * By one at a time. */
struct wf_task_cursor {
    struct wf_task_chunk *chunk;
    unsigned index;
};
void wf_task_pool_first(struct wf_task_pool *p, struct wf_task_cursor *c);
bool wf_task_pool_next(struct wf_task_cursor *c, unsigned n, void (*fn)(weft_task *t, void *ctx), void *ctx);

void wf_task_pool_each(struct wf_task_pool *p, void (*fn)(weft_task *t, void *ctx), void *ctx);

/* The next of the group. Those after it come in the order of their memory, which processors foresee. */
static inline weft_task *wf_task_get_neighbour(struct wf_task_cache *c)
{
    weft_task *t = c->group + __builtin_ctzll(c->free);
    c->free &= c->free - 1;
    return t;
}

/* The cache may be NULL: then straight from the pool. */
static inline weft_task *wf_task_get(struct wf_task_pool *p, struct wf_task_cache *c)
{
    weft_task *t = c ? c->head : NULL;
    if (t) {
        c->head = t->next;
        c->count--;
        return t;
    }
    return c && c->free ? wf_task_get_neighbour(c) : wf_task_pool_refill(p, c);
}

void wf_task_put(struct wf_task_pool *p, struct wf_task_cache *c, weft_task *t);

void wf_task_init(weft_task *t, struct wf_scope *s, weft_fn fn, void *arg, const char *site);

/* The function of a task that is spilled (spills.h); never called. */
int wf_spills_marker(void *record);

/* Is its body on its way, with a stack or a spilled one? Of a task in hand. */
static inline WF_UNOBSERVED bool wf_task_has_begun(const weft_task *t)
{
    return wf_load(&t->stack, relaxed) || t->fn == wf_spills_marker;
}

/* The runtime that t belongs to; once it was made runnable. Any thread. */
weft_runtime *wf_task_runtime(const weft_task *t);

/* The task that runs the caller, wherever; NULL outside. */
weft_task *wf_task_self(void);

/* That task, which must be on a worker: misuse in the caller's name otherwise. */
weft_task *wf_task_require(const char *function);

/* Its name or the text of its body, for the task itself and for who keeps it from changing; where it was spawned. */
const char *wf_task_name(const weft_task *t);
const char *wf_task_place(const weft_task *t);

/* The same for a task that goes on meanwhile: its name is copied, the place is a literal. A snapshot. */
const char *wf_task_describe(const weft_task *t, char name[WF_TASK_TEXT_MAX]);

/* Its body has returned, on its own stack; or it never ran, which fails its scope even if somebody holds it. Give the
 * result to whoever awaits it and to its scope. The task must not be touched any more. */
void wf_task_finish(struct wf_worker *w, weft_task *t, int result, bool has_run);

/* For weft_select(): is t done, with what result; wait for it; stop waiting (false: it has fired). */
bool wf_task_ready(weft_task *t, int *ret);
bool wf_task_enqueue(weft_task *t, weft_waiter *r);
bool wf_task_dequeue(weft_task *t, weft_waiter *r);

#endif
