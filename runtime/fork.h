/* fork.h - what a task has forked and not joined yet; the public half is in weft/fork.h.
 *
 *     bottom <-> fork <-> fork <-> fork <-- fork <-- fork <-- newest
 *                 ^ offered         ^ listed            oldest first; all up to `offered` are tasks, or were
 *
 * A fork that is made and joined by its task alone is linked to the one before it and says whom to call, no more: two
 * stores, and one that makes it the newest. The rest is filled in when somebody asks: all that are not listed yet are,
 * from the newest down, and what points to a listed one points to the byte behind its first, be it `newest` or the next
 * one's `older`. So one comparison at its join finds out that the fork is not simply the newest, and each is listed at
 * most once. They are listed before one of them is offered, and when a scope is opened: all that are not listed were
 * forked in the scope that is innermost now.
 *
 * It lies in the room at the top of the task's stack, so that it is where the stack is touched anyway, and so that any
 * thread may write `wanted` at any time: that memory stays as long as the runtime. The rest is the task's alone.
 *
 * Offering makes a task of the oldest fork that is none yet. From then on two may begin it: that task, and the parent,
 * which comes to its join. A word in the task's copy of its arguments decides: it outlives the fork, which is in the
 * parent's frame. Whoever changes it first calls the function. If that is the parent, what is left is a task with
 * nothing to do, which ends by itself; else the parent waits for the task's end.
 *
 * Nobody offers unless it is wanted, so a fork that nobody takes costs some stores. A worker that is about to sleep
 * raises `wanted` in whoever runs; a task that has waited raises its own. At its next fork the task clears it and
 * looks: if its worker's queue has nothing to take, and somebody sleeps or searches, it offers one. Where more of them
 * do, the first to find something wakes the next (idle.h), who wishes anew.
 *
 * Ordering: X1 the fork task's exchange of `begun` <-> the parent's: one of them is first, and no more is asked of it.
 *              What the parent wrote comes with the task (queue.h); what the call wrote, with its end (task.c).
 *           X2 clearing wanted, fence, looking at the queue and for sleepers <-> X3 taking what was in the queue, going
 *              to sleep, fence (I3), raising wanted: either both are seen, or the wish stays. */
#ifndef WF_FORK_H
#define WF_FORK_H

#include "runtime/task.h"

#include <weft/fork.h>

struct wf_forks {
    weft_forks open; /* first: what users point to */
    void *offered;   /* as `newest` would point to it */
    weft_fork bottom;
};
_Static_assert(sizeof(struct wf_forks) <= WF_STACK_ROOM, "they fit the room at the top of a stack");

/* Of the task that runs on this stack. All zero at first. */
static inline struct wf_forks *wf_forks_of(struct wf_stack *s)
{
    return (struct wf_forks *)(void *)s->room;
}

/* How a listed fork is pointed to. */
static inline void *wf_fork_listed(weft_fork *fork)
{
    return (char *)fork + 1;
}

static inline bool wf_fork_is_listed(const void *fork)
{
    return (uintptr_t)fork & 1;
}

/* ... and who it is, listed or not. */
static inline weft_fork *wf_fork_at(void *fork)
{
    return (weft_fork *)(void *)((char *)fork - wf_fork_is_listed(fork));
}

/* Has it forked what it has not joined? */
static inline bool wf_forks_any(struct wf_forks *f)
{
    return f->open.newest && f->open.newest != wf_fork_listed(&f->bottom);
}

/* ... in s, which is its innermost scope? */
static inline bool wf_forks_any_in(struct wf_forks *f, const struct wf_scope *s)
{
    void *newest = f->open.newest;
    return wf_forks_any(f) && (!wf_fork_is_listed(newest) || wf_fork_at(newest)->scope == s);
}

/* ... of which nobody else knows? */
static inline bool wf_forks_hidden(struct wf_forks *f)
{
    return f->open.newest != f->offered;
}

void wf_forks_list(weft_task *t, struct wf_forks *f);

/* [T--] t, the caller, is about to open a scope. */
static inline void wf_forks_before_scope(weft_task *t)
{
    struct wf_forks *f = wf_forks_of(wf_load(&t->stack, relaxed));
    if (wf_forks_any(f))
        wf_forks_list(t, f);
}

void wf_forks_offer_all(weft_task *t, struct wf_forks *f);

/* [T--] t, the caller, is about to wait: offer all it has forked, and look who has nothing to do when it forks again,
 * as whoever goes to sleep meanwhile does not find it running. */
static inline void wf_forks_before_wait(weft_task *t)
{
    struct wf_forks *f = wf_forks_of(wf_load(&t->stack, relaxed));
    if (__builtin_expect(wf_forks_hidden(f), 0))
        wf_forks_offer_all(t, f);
    wf_shared_store(&f->open.wanted, 1, relaxed);
}

/* Somebody has nothing to do; t is whoever ran a moment ago on another worker. */
static inline void wf_forks_want(weft_task *t)
{
    struct wf_stack *s = wf_load(&t->stack, acquire); /* U7: it may just have been filled again */
    if (s && !wf_shared_load(&wf_forks_of(s)->open.wanted, relaxed))
        wf_shared_store(&wf_forks_of(s)->open.wanted, 1, relaxed); /* X3 */
}

/* t cannot run for want of memory. True: it is a fork, which its parent calls instead. */
bool wf_fork_excuses(weft_task *t);

#endif
