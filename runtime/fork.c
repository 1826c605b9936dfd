/* fork.c - offering forks, settling who calls them, and loops made of them. The picture is in fork.h. */
#include "runtime/fork.h"

#include "runtime/panic.h"
#include "runtime/worker.h"

#include <string.h>

/* A fork task's copy of its arguments. */
struct offer {
    weft_fork *fork;
    WF_ATOMIC(bool) begun; /* somebody calls it: the task, or its parent */
    bool refused;          /* it was the task, and it had no stack */
};
_Static_assert(sizeof(struct offer) <= WF_TASK_INLINE_ARGS, "an offer fits its task");

static struct wf_forks *inside(weft_forks *forks)
{
    return (struct wf_forks *)forks;
}

static struct offer *offer_of(weft_task *t)
{
    return (struct offer *)(void *)t->args;
}

weft_forks *weft_forks_self(void)
{
    weft_task *t = wf_task_require("weft_forks_self");
    struct wf_forks *f = wf_forks_of(wf_load(&t->stack, relaxed));
    if (!f->open.newest)
        f->open.newest = f->offered = wf_fork_listed(&f->bottom);
    if (!wf_forks_any(f))
        wf_shared_store(&f->open.wanted, 1, relaxed); /* a look, at the first fork */
    return &f->open;
}

/* ---- listing ---- */

/* The task's, that runs on this stack. */
void wf_forks_list(weft_task *t, struct wf_forks *f)
{
    weft_fork *newer = NULL;
    void **pointer = &f->open.newest;
    while (!wf_fork_is_listed(*pointer)) {
        weft_fork *fork = *pointer;
        *pointer = wf_fork_listed(fork);
        fork->newer = newer;
        fork->scope = t->inner;
        fork->task = NULL;
        newer = fork;
        pointer = &fork->older;
    }
    wf_fork_at(*pointer)->newer = newer;
}

/* ---- offering ---- */

static int begin_elsewhere(void *arg)
{
    struct offer *o = arg;
    if (wf_swap(&o->begun, true, relaxed)) { /* X1: its parent has called it, and is gone perhaps */
        wf_task_self()->held = false;        /* nobody waits for our end */
        return 0;
    }
    weft_fork *fork = o->fork;
    fork->how->call(weft_forks_self(), fork);
    return 0;
}

/* The oldest that is no task; there is one. */
static weft_fork *oldest(weft_task *self, struct wf_forks *f)
{
    weft_fork *offered = wf_fork_at(f->offered);
    if (!offered->newer)
        wf_forks_list(self, f);
    return offered->newer;
}

/* Make a task of it. False: no memory, and it stays what it was. */
static bool offer(struct wf_worker *w, weft_task *self, struct wf_forks *f)
{
    weft_fork *fork = oldest(self, f);
    struct wf_scope *s = fork->scope ? fork->scope : self->scope;
    void *side = wf_side_take(wf_side_of(&w->base));
    weft_task *t = wf_task_get(&w->rt->tasks, &w->tasks);
    wf_side_take(side);
    if (!t)
        return false;
    wf_task_init(t, s, begin_elsewhere, NULL, fork->how->site);
    wf_store(&t->number, wf_worker_number(w), relaxed);
    t->arg = t->args;
    t->held = true; /* by its parent */
    offer_of(t)->fork = fork;
    wf_store(&offer_of(t)->begun, false, relaxed);
    offer_of(t)->refused = false;
    fork->task = t;
    f->offered = wf_fork_listed(fork);
    wf_scope_count_start(s, self);
    wf_worker_spawn(w, t);
    return true;
}

void weft_fork_offer(weft_forks *forks)
{
    struct wf_forks *f = inside(forks);
    struct wf_worker *w = wf_worker_self();
    WF_REQUIRE(w, "a fork between weft_blocking_begin and weft_blocking_end");
    wf_shared_store(&forks->wanted, 0, relaxed); /* X2 */
    wf_fence();
    if (wf_queue_any(&w->queue) || !wf_idle_any(&w->rt->idle)) /* there is something to take, or nobody to take it */
        return;
    offer(w, wf_load(&w->current, relaxed), f);
}

void wf_forks_offer_all(weft_task *t, struct wf_forks *f)
{
    struct wf_worker *w = wf_worker_self();
    while (wf_forks_hidden(f) && offer(w, t, f))
        ;
}

/* ---- settling ---- */

/* A stop of the parent alone reaches none of its forks that lie in its own scope: hand it on. */
static void pass_on_stop(const weft_task *self, weft_task *t)
{
    if (wf_load(&self->stop, relaxed))
        wf_task_stop(t);
}

/* Wait for t's end, stopped or not. */
static void wait_for(weft_task *self, weft_task *t)
{
    unsigned kind = WF_WAIT_STOPPABLE;
    int result;
    while (!wf_task_ready(t, &result)) {
        weft_waiter me;
        if (wf_wait_arm(&self->wait, kind)) {
            pass_on_stop(self, t);
            kind = 0;
            continue;
        }
        wf_waiter_init(&me, &self->wait, 0);
        if (!wf_task_enqueue(t, &me)) {
            wf_wait_disarm(&self->wait);
        } else if (wf_wait_suspend(&self->wait) == WF_WAIT_STOPPED) {
            wf_task_dequeue(t, &me);
            pass_on_stop(self, t);
            kind = 0;
        }
    }
}

bool weft_fork_settle(weft_forks *forks, weft_fork *fork)
{
    struct wf_forks *f = inside(forks);
    WF_REQUIRE(forks->newest == wf_fork_listed(fork), "a join of a fork that is not the latest");
    forks->newest = fork->older;
    wf_fork_at(fork->older)->newer = NULL;
    weft_task *t = fork->task;
    if (!t)
        return true;
    f->offered = fork->older; /* those before it were offered before it */
    if (!wf_swap(&offer_of(t)->begun, true, relaxed)) /* X1 */
        return true;
    weft_task *self = wf_task_require("a join");
    wait_for(self, t);
    bool refused = offer_of(t)->refused;
    struct wf_worker *w = wf_worker_self();
    wf_task_put(&w->rt->tasks, &w->tasks, t);
    return refused;
}

bool wf_fork_excuses(weft_task *t)
{
    if (t->fn != begin_elsewhere)
        return false;
    t->held = !wf_swap(&offer_of(t)->begun, true, relaxed); /* X1: else nobody waits for its end */
    offer_of(t)->refused = true;
    return true;
}

/* ---- loops ---- */

enum { PIECES = 16 }; /* into how many the rest is cut while nobody wants any of it */

struct loop {
    int64_t from, to;
    weft_for_fn body;
    void *ctx;
};

static void run_loop(weft_forks *forks, struct loop *l);
WEFT_FORKABLE_VOID(run_loop, struct loop *)

static bool is_wanted(weft_forks *forks)
{
    return wf_shared_load(&forks->wanted, relaxed);
}

/* The next piece: twice the last one, but a small part of what is left. */
static int64_t next_piece(int64_t last, int64_t left)
{
    int64_t most = left / PIECES + 1;
    return last < most / 2 ? 2 * last : most;
}

static void run_loop(weft_forks *forks, struct loop *l)
{
    for (int64_t piece = 1; l->from < l->to; piece = next_piece(piece, l->to - l->from)) {
        int64_t left = l->to - l->from;
        if (is_wanted(forks) && left > 1) {
            struct loop right = *l;
            struct run_loop_fork fork;
            right.from = l->to = l->from + left / 2;
            run_loop_fork(forks, &fork, &right);
            run_loop(forks, l);
            run_loop_join(forks, &fork);
            return;
        }
        l->body(forks, l->from, l->from + piece, l->ctx);
        l->from += piece;
    }
}

void weft_for(weft_forks *forks, int64_t from, int64_t to, weft_for_fn body, void *ctx)
{
    run_loop(forks, &(struct loop){from, to, body, ctx});
}

struct sum {
    int64_t from, to;
    weft_reduce_fn body;
    weft_reduce_join join;
    void *ctx;
    size_t size;
    const void *neutral;
    void *at; /* where it is added up */
};

static void run_sum(weft_forks *forks, struct sum *s);
WEFT_FORKABLE_VOID(run_sum, struct sum *)

static void split_sum(weft_forks *forks, struct sum *s)
{
    _Alignas(16) char beside[WEFT_REDUCE_MAX];
    struct sum right = *s;
    struct run_sum_fork fork;
    memcpy(beside, s->neutral, s->size);
    right.at = beside;
    right.from = s->to = s->from + (s->to - s->from) / 2;
    run_sum_fork(forks, &fork, &right);
    run_sum(forks, s);
    run_sum_join(forks, &fork);
    s->join(s->at, beside, s->ctx);
}

static void run_sum(weft_forks *forks, struct sum *s)
{
    for (int64_t piece = 1; s->from < s->to; piece = next_piece(piece, s->to - s->from)) {
        if (is_wanted(forks) && s->to - s->from > 1) {
            split_sum(forks, s);
            return;
        }
        s->body(forks, s->from, s->from + piece, s->at, s->ctx);
        s->from += piece;
    }
}

void weft_reduce(weft_forks *forks, int64_t from, int64_t to, void *sum, size_t size, weft_reduce_fn body,
                 weft_reduce_join join, void *ctx)
{
    _Alignas(16) char neutral[WEFT_REDUCE_MAX];
    WF_REQUIRE(size <= WEFT_REDUCE_MAX, "weft_reduce of %zu bytes; %d are possible", size, WEFT_REDUCE_MAX);
    memcpy(neutral, sum, size);
    run_sum(forks, &(struct sum){from, to, body, join, ctx, size, neutral, sum});
}
