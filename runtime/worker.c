/* worker.c - the loop: whom to run next, and how to get there.
 *
 * The loop runs on task stacks. A fresh task is called, right there, by the loop; when it returns, the loop goes on
 * with the next one on the same stack, so tasks that never suspend cost no switch. A task that suspends picks its
 * successor itself: a started one is switched to directly, a fresh one (or nothing) gets a stack with a new loop on
 * it. A loop that picks a started task switches to it and gives its own stack back. So a worker has at most one loop,
 * and every other stack belongs to a task.
 *
 *     task A suspends                          its stack stands, with A on it
 *       -> B is started: switch                A's stack | B's stack
 *       -> C is fresh:   switch to a new loop, which calls C
 *       -> nobody:       switch to a new loop, which looks around, polls, steals, sleeps
 *
 * Whoever leaves a stack cannot finish leaving: it still stands on it. So it notes what is left to do (enum wf_left),
 * and the side that arrives does it first of all: only then may others run that task.
 *
 * On a thread's own stack there is a base loop, for the first step, the last one, and for when memory for stacks is
 * out: then started tasks go on, and a fresh one ends with -ENOMEM, unrun, and fails its scope.
 *
 * After any switch the thread may be another one: `w` is read anew, and nothing else about it is kept. */
#include "runtime/worker.h"

#include "runtime/child.h"
#include "runtime/fork.h"
#include "runtime/panic.h"

enum { NUMBER_BATCH = 1024, SLOT_RUNS_MAX = 3 }; /* times in a row that the slot goes before the queue */

WF_UNOBSERVED static void loop(void *stack);

/* The steps of a switch are inlined where they are taken: calls made a yield a fifth dearer. ThreadSanitizer observes
 * none, as they read tasks on the worker's side; UNSEEN: others take it too; OBSERVED: called by it, and to be seen. */
#if defined(WF_TSAN)
#define UNSEEN WF_UNOBSERVED
#define OBSERVED __attribute__((noinline))
#else
#define UNSEEN inline __attribute__((always_inline))
#define OBSERVED inline __attribute__((always_inline))
#endif

struct wf_driver *wf_worker_driver(void)
{
    struct wf_worker *w = wf_worker_self();
    return w ? w->driver : NULL;
}

struct wf_wheel *wf_worker_wheel(void)
{
    return &wf_worker_self()->wheel;
}

WF_UNOBSERVED uint64_t wf_worker_number(struct wf_worker *w)
{
    if (w->number == w->number_end) {
        w->number = wf_add(&w->rt->numbers, NUMBER_BATCH, relaxed) + 1;
        w->number_end = w->number + NUMBER_BATCH;
    }
    return w->number++;
}

/* ---- ends held back ---- */

void wf_worker_flush_ends(struct wf_worker *w)
{
    struct wf_scope *s = w->ended_scope;
    if (!s)
        return;
    w->ended_scope = NULL;
    int64_t ended = w->ended;
    void *side = wf_side_take(wf_side_second(&w->base));
    wf_side_get(&w->ended);
    bool last = wf_scope_count_ends(s, ended);
    wf_side_take(side);
    if (last)
        wf_runtime_stop(w->rt);
}

/* ---- switching ---- */

/* From here on w has t, until it has left its stack. Relaxed: a check shall not order what it is to watch. */
WF_STEP void own(struct wf_worker *w, weft_task *t)
{
    (void)w, (void)t;
#ifndef WF_TSAN /* which would tell, and has the field for itself */
    WF_DEBUG_CHECK(wf_swap(&t->owner, w, relaxed) == NULL);
#endif
}

WF_STEP void disown(struct wf_worker *w, weft_task *t)
{
    (void)w, (void)t;
#ifndef WF_TSAN
    WF_DEBUG_CHECK(wf_swap(&t->owner, NULL, relaxed) == w);
#endif
}

/* Of a task that is in our hands: NULL for a fresh one. */
WF_STEP struct wf_stack *stack_of(weft_task *t)
{
    return wf_load(&t->stack, relaxed);
}

/* At the queue's end. A call of its own for ThreadSanitizer: arrive is not observed, this must be. */
OBSERVED static void push(struct wf_worker *w, weft_task *t)
{
    wf_worker_append(w, t);
}

/* t is about to run on w. */
WF_STEP void begin(struct wf_worker *w, weft_task *t)
{
    if (w->ended_scope && (stack_of(t) || t->scope != w->ended_scope))
        wf_worker_flush_ends(w);
    own(w, t);
    wf_store(&t->home, w, relaxed);
    wf_store(&t->state, WF_TASK_RUNNING, relaxed);
    wf_store(&w->current, t, release); /* D1: whoever looks at it from outside sees a task, not raw memory */
    WF_COUNT(w->run_seq);
    wf_side_clear(&t->next, sizeof t->next); /* was ours, and will be another's */
}

/* Do what the side that left could not do itself. */
WF_STEP void arrive(struct wf_worker *w)
{
    enum wf_left left = w->left;
    weft_task *t = w->left_task;
    if (left == WF_LEFT_NOTHING)
        return;
    w->left = WF_LEFT_NOTHING;
    switch (left) {
    case WF_LEFT_NOTHING: break;
    case WF_LEFT_PARKING:
        disown(w, t);
        if (!wf_wait_park(&t->wait))
            wf_worker_ready(t); /* fired while it was leaving */
        break;
    case WF_LEFT_YIELDED:
        disown(w, t);
        if (t->pins)
            wf_worker_append_pinned(w, t);
        else
            push(w, t);
        break;
    case WF_LEFT_BLOCKING:
        disown(w, t);
        wf_side_get(&t->pool);
        wf_lane_host(wf_load(&t->pool.job, relaxed)->lane, t);
        break;
    case WF_LEFT_STACK:
        wf_side_clear(w->left_stack, sizeof *w->left_stack); /* it may have come here from another worker */
        wf_stack_put(&w->rt->stacks, &w->stacks, w->left_stack);
        break;
    }
}

static weft_task *pick_pinned(struct wf_worker *w)
{
    weft_task *t = w->pinned;
    w->pinned = t->next;
    if (!w->pinned)
        w->pinned_last = &w->pinned;
    return t;
}

/* There are tasks aside of the ring: those of low priority have every eighth turn. */
static weft_task *pick_low(struct wf_worker *w)
{
    return ++w->aside_picks % WF_TICK_LOW ? NULL : wf_queue_pop_low(&w->queue);
}

/* In the slot is who was woken by one of the tasks it has started, and will perhaps wait for the next one: that goes
 * first, so that who waits for many waits once, not once for each. NULL: nothing is next, or enough went first. */
static weft_task *pick_sibling(struct wf_worker *w, bool aside)
{
    if (w->patience == 0)
        return NULL;
    weft_task *t = aside ? wf_queue_pop_nest(&w->queue) : NULL;
    if (!t)
        t = wf_queue_pop(&w->queue);
    if (t)
        wf_side_get(&t->fn);
    w->patience = t && t->scope == w->siblings ? w->patience - 1 : 0;
    return t;
}

/* The next task that is at hand: the slot (not for ever), pinned ones, the queue; if there is nothing else, and
 * low says so, also one of low priority before its turn. */
OBSERVED static weft_task *pick(struct wf_worker *w, bool low)
{
    weft_task *t = NULL;
    w->tick++;
    bool aside = WF_UNLIKELY(wf_load(&w->queue.aside, relaxed));
    if (aside && (t = pick_low(w)))
        return t;
    weft_task *in_slot = wf_load(&w->queue.slot, relaxed);
    if (in_slot) {
        if (WF_UNLIKELY(in_slot == w->patient) && (t = pick_sibling(w, aside)))
            return t;
        w->patient = NULL; /* it is its turn */
        t = wf_queue_slot(&w->queue, NULL);
        if (t && ++w->slot_runs <= SLOT_RUNS_MAX)
            return t;
        if (t)
            wf_queue_push(&w->queue, t);
    }
    w->slot_runs = 0;
    if (w->pinned && (w->tick & 1))
        return pick_pinned(w); /* every other time, so that neither side starves */
    if (aside && (w->tick & 3) && (t = wf_queue_pop_nest(&w->queue)))
        return t; /* three times of four, for the same reason */
    t = wf_queue_pop(&w->queue);
    if (!t && aside)
        t = low ? wf_queue_pop_aside(&w->queue) : wf_queue_pop_nest(&w->queue);
    return t || !w->pinned ? t : pick_pinned(w);
}

weft_task *wf_worker_pick(struct wf_worker *w)
{
    return pick(w, true);
}

/* Prepare a loop on a stack of its own, to begin with `first`. NULL: no memory; then the base loop does. */
static struct wf_context *fresh_loop(struct wf_worker *w, weft_task *first)
{
    struct wf_stack *s = wf_stack_get(&w->rt->stacks, &w->stacks);
    w->first = first;
    if (!s)
        return &w->base;
    wf_context_make_aside(&s->context, s->low, s->size, loop, s);
    return &s->context;
}

/* Leave the stack of t, the caller, for that of next, or for a loop that has time to look around. On the worker's
 * side. Suspends, and returns on t's. */
WF_STEP void leave_for(struct wf_worker *w, weft_task *t, enum wf_left how, weft_task *next)
{
    t->saved_errno = *w->errno_at;
    if (how != WF_LEFT_NOTHING) { /* which it says anyway */
        w->left = how;
        w->left_task = t;
    }
    struct wf_context *to;
    WF_DEBUG_CHECK(next != t); /* a switch from a stack to itself would go astray */
    if (next && stack_of(next)) {
        begin(w, next);
        to = &stack_of(next)->context;
    } else {
        wf_store(&w->current, NULL, relaxed);
        to = fresh_loop(w, next);
    }
    WF_COUNT(w->switches);
    wf_context_switch_aside(&stack_of(t)->context, to);

    if (how != WF_LEFT_NOTHING) /* else it is this worker's, and there is no other */
        w = wf_worker_self(); /* perhaps another one, perhaps none: on a lane's thread */
    if (WF_LIKELY(w)) {
        arrive(w);
        wf_side_take(t->side);
        *w->errno_at = t->saved_errno;
    } else {
        wf_side_take(t->side);
        wf_side_get(&t->pool);
        wf_errno_write(t->saved_errno);
    }
}

/* Time to look outside? After so many tasks; and soon, if another thread has brought something. */
WF_STEP bool is_time_to_look(struct wf_worker *w)
{
    return w->tick % WF_TICK_OUTSIDE == 0 ||
           (w->tick % WF_TICK_INBOX == 0 && (wf_inbox_any(&w->inbox) || wf_inbox_any(&w->pinned_inbox)));
}

WF_UNOBSERVED static void leave(struct wf_worker *w, weft_task *t, enum wf_left how)
{
    if (how == WF_LEFT_BLOCKING)
        wf_side_give(&t->pool);
    if (how == WF_LEFT_NOTHING)
        disown(w, t);
    wf_side_give(&w->rest); /* to the watchdog, once all sleep */
    wf_side_take(wf_side_of(&w->base));
    wf_slice_end(w, t);
    leave_for(w, t, how, is_time_to_look(w) ? NULL : pick(w, true));
}

void wf_worker_suspend(weft_task *t, bool is_parked)
{
    struct wf_worker *w = wf_worker_self();
    if (WF_UNLIKELY(!w))
        wf_child_refuse("a call that suspends");
    WF_REQUIRE(w, "a call that suspends between weft_blocking_begin and weft_blocking_end");
    wf_forks_before_wait(t);
    wf_store(&t->state, WF_TASK_WAITING, relaxed);
    leave(w, t, is_parked ? WF_LEFT_NOTHING : WF_LEFT_PARKING);
}

void wf_worker_leave_for_pool(weft_task *t)
{
    wf_forks_before_wait(t);
    wf_store(&t->state, WF_TASK_BLOCKING, relaxed);
    leave(wf_worker_self(), t, WF_LEFT_BLOCKING);
}

WF_UNOBSERVED void wf_worker_return_from_pool(weft_task *t)
{
    t->saved_errno = wf_errno_read();
    struct wf_context *host = wf_load(&t->pool.host, relaxed); /* its thread is this one */
    wf_side_take(wf_side_of(host));
    wf_context_switch_aside(&stack_of(t)->context, host);
    arrive(wf_worker_self());
    wf_side_take(t->side);
    wf_errno_write(t->saved_errno);
}

/* Give way on a worker that has no thieves. Who yields can be in the queue before it has left its stack, so that
 * nothing is left to do by who comes. False: it is not that simple this time. */
WF_STEP bool yield_alone(struct wf_worker *w, weft_task *t)
{
    if (!w->queue.alone || w->pinned || is_time_to_look(w) || wf_slice_counts(w, t))
        return false;
    weft_task *next = wf_queue_rotate(&w->queue, t);
    if (!next)
        return false;
    w->tick++;
    w->slot_runs = 0;
    disown(w, t);
    leave_for(w, t, WF_LEFT_NOTHING, next);
    return true;
}

WF_UNOBSERVED int weft_yield(void)
{
    struct wf_worker *w = wf_worker_self();
    weft_task *t = w ? wf_load(&w->current, relaxed) : NULL;
    if (WF_UNLIKELY(!t))
        wf_worker_refuse("weft_yield");
    void *side = wf_side_take(wf_side_of(&w->base));
    wf_store(&t->state, WF_TASK_READY, relaxed);
    if (!yield_alone(w, t)) {
        bool looks = is_time_to_look(w);
        weft_task *next = looks ? NULL : pick(w, wf_slice_is_low(t)); /* else it goes on itself */
        if (next || looks) {
            wf_slice_end(w, t);
            leave_for(w, t, WF_LEFT_YIELDED, next);
        } else {
            wf_store(&t->state, WF_TASK_RUNNING, relaxed);
        }
    }
    wf_side_take(side);
    return wf_scope_stop_reason(t); /* after giving way: a loop that ignores it starves nobody */
}

/* ---- the loop ---- */

/* Call a fresh task on this stack. Returns the worker that it ended on. Suspends whenever the task does. */
WF_UNOBSERVED static struct wf_worker *call(struct wf_worker *w, weft_task *t, struct wf_stack *s)
{
    begin(w, t);
    WF_COUNT(w->runs);
    wf_store(&t->stack, s, relaxed);
    wf_side_new(&t->side, &w->base);
    wf_side_clear_below(s->low);
    wf_side_clear(s->room, sizeof s->room);
    wf_side_take(t->side);
    wf_side_get(&t->fn);
    int result = t->fn(t->arg);
    w = wf_worker_self();
    if (WF_UNLIKELY(!w))
        wf_child_refuse("a task returned");
    WF_REQUIRE(w, "a task returned between weft_blocking_begin and weft_blocking_end");
    WF_REQUIRE(!t->inner, "a task returned with a scope open");
    WF_REQUIRE(t->pins == 0, "a task returned pinned");
    WF_REQUIRE(!wf_forks_any(wf_forks_of(s)), "a task returned before what it forked was joined");
    disown(w, t);
    wf_store(&w->current, NULL, relaxed);
    wf_store(&t->stack, NULL, relaxed);
    void *side = t->side;
    wf_task_finish(w, t, result, true);
    wf_side_take(wf_side_of(&w->base));
    wf_side_end(side);
    return w;
}

/* The loop of whichever worker is here, on a task stack. It ends by giving the stack up. */
WF_UNOBSERVED static void loop(void *arg)
{
    struct wf_stack *s = arg;
    struct wf_worker *w = wf_worker_self();
    arrive(w);
    weft_task *t = w->first;
    w->first = NULL;
    for (;;) {
        if (!t && !is_time_to_look(w))
            t = pick(w, true);
        if (!t)
            t = wf_worker_find(w);
        if (!t || stack_of(t) || wf_spills_back(t))
            break;
        w = call(w, t, s);
        wf_side_clear_below(s->low); /* another worker's loop may have been here */
        t = NULL;
    }
    w->left = WF_LEFT_STACK;
    w->left_stack = s;
    if (t) {
        begin(w, t);
        WF_COUNT(w->switches);
    }
    wf_context_switch_last_aside(&s->context, t ? &stack_of(t)->context : &w->base);
}

/* A task that cannot have a stack ends without having run. */
static void end_unrun(struct wf_worker *w, weft_task *t)
{
    begin(w, t);
    disown(w, t);
    wf_store(&w->current, NULL, relaxed);
    bool excused = wf_fork_excuses(t);
    wf_task_finish(w, t, excused ? 0 : -ENOMEM, excused);
}

void wf_worker_run(struct wf_worker *w)
{
    (void)wf_side_second(&w->base); /* now that the workers have met, and before it learns anything of any task */
    for (;;) {
        weft_task *t = w->first ? w->first : wf_worker_find(w);
        w->first = NULL;
        if (!t)
            break;
        struct wf_context *to;
        if (stack_of(t) || wf_spills_back(t)) {
            begin(w, t);
            to = &stack_of(t)->context;
        } else if ((to = fresh_loop(w, t)) == &w->base) {
            w->first = NULL;
            end_unrun(w, t);
            continue;
        }
        wf_context_switch_aside(&w->base, to);
        arrive(w);
    }
}
