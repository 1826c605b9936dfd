/* spills.h - stacks of tasks that wait for long are put aside, and come back as they were.
 *
 * A task that waits keeps a page of stack at least, of which it uses some hundred bytes. In a runtime that is told so
 * (weft_config.spill_ns) those bytes go to the heap after a while, and the stack's pages to the system; what is left
 * there is a guard, so that a stray access faults with a line that says whose stack it was, and never reads zeros. When
 * the task is to run, whoever runs it puts the bytes back where they were, first of all: no pointer changes.
 *
 * Which tasks. While a task waits, its stack may be touched by whoever ends the wait: the waiter lies there, or a
 * timer, a buffer, a scope whose tasks are counted in it. So a wait says when it is armed that nothing of it does
 * (WF_WAIT_SPILLABLE): sleeps, whose timer is on the heap then, and requests to the kernel whose pointers lead
 * elsewhere; of tasks with no scope open and nothing forked. All others keep their stacks.
 *
 * When. A sweep goes through all tasks, in slices between other work. It marks the waits that it finds in their word
 * (WF_WAIT_SEEN), and spills those that have the mark already: so nothing is asked of a wait but a bit, and a stack
 * goes between one and two periods after its task has come to rest. A sweep follows while the last one has marked
 * anything or anybody has run a task since it began. After that there is none, and nobody wakes up for it.
 *
 * How. The sweeper takes PARKED out of the word: to all who may end the wait this is now a task that is just leaving
 * its stack, which they leave alone. So it belongs to the sweeper, who parks it again as a worker does on arriving
 * (worker.c), and makes it run if it was fired meanwhile. A spilled task has no stack, like a fresh one, so that only
 * the way of fresh ones asks for it: by fn, which is wf_spills_marker, and arg, the record.
 *
 * Two look at stacks that are not theirs, for a hint, and may come late: wf_queue_warm(), which keeps off in a runtime
 * that spills, and ask_for_forks() in search.c, which holds `lock` meanwhile, as the sweeper does when it gives pages
 * up. The reasons are in docs/design/spill.md.
 *
 * Ordering: U1 the swap of stirred, by who has run tasks (release) <-> U2 its swap as a sweep begins (acquire): the
 *              sweep sees the waits of all who have swapped it.
 *           U3 stirred, fence, looking at resting <-> U4 resting, fence, looking at stirred: one of the two sees the
 *              other, so some sweep follows.
 *           U8 the store of resting (release) <-> the swap that takes it back (acquire), and then arms the timer, which
 *              is in no wheel.
 *           U5 the timer's store of due (release) <-> U6 a sweep's load (acquire): the timer is in no wheel.
 *           U7 restore's store of the stack (release) <-> wf_forks_want()'s load (acquire): it is filled again. */
#ifndef WF_SPILLS_H
#define WF_SPILLS_H

#include "runtime/task.h"
#include "runtime/timer.h"

/* What a spilled stack held. */
struct wf_spilled {
    struct wf_stack *stack; /* not to be touched */
    char *from;             /* where the bytes were: the lowest in use */
    size_t size;
    char bytes[];
};

/* Of a runtime. */
struct wf_spills {
    bool on;            /* constant */
    int64_t after_ns;   /* constant */
    struct wf_lock lock; /* no stack changes between here and away; see above */
    WF_ATOMIC(bool) due;     /* a sweep is to begin or to go on */
    WF_ATOMIC(bool) stirred; /* somebody has run tasks since the last one began */
    WF_ATOMIC(bool) resting; /* there will be no sweep unless somebody does */
    struct wf_timer timer;   /* of the next sweep: by whoever takes due or resting back */
    struct wf_lock sweeping; /* tried, never waited for; for all below */
    bool begun;              /* a sweep is under way */
    struct wf_task_cursor at; /* where it is */
    unsigned marked;         /* waits marked by it */
};

/* Before any worker runs, the pool of stacks is open. Says in one line if this kernel cannot. */
void wf_spills_open(weft_runtime *rt);

/* On a worker, between tasks: sweep on for a slice, if it is time. w->sweeping says then that more is to be done. */
void wf_spills_look(struct wf_worker *w);

/* The way back of a task whose function is wf_spills_marker, by whoever is about to run it. */
void wf_spills_restore(weft_task *t);

/* True: t was spilled, and has its stack again. Of a task in hand that has none. */
static inline WF_UNOBSERVED bool wf_spills_back(weft_task *t)
{
    if (__builtin_expect(t->fn != wf_spills_marker, 1))
        return false;
    wf_spills_restore(t);
    return true;
}

#endif
