/* context.h - leave one stack and go on with another.
 *
 * A context is a point of execution that stands still. Switching saves the caller's callee-saved
 * registers on its own stack, keeps the stack pointer in its context, and resumes the other the same
 * way: the whole ABI, the floating-point control words included (they are callee-saved too, and are
 * written only when they differ, since that costs as much as the rest).
 *
 * The switch is a function in assembly, one file per architecture, with unwind information at every step
 * so that gdb, perf and backtrace() walk a running context; an entry frame ends the walk. In an ordinary
 * build a switch is one call of it and nothing else.
 *
 * Sanitizers are told about every switch, here and nowhere else; Valgrind is told about stacks, by stack.c.
 * ThreadSanitizer must know more than which stack is in use, since a worker's loop runs on the stacks of tasks: for
 * that there are sides, at the end of this file. */
#ifndef WF_CONTEXT_H
#define WF_CONTEXT_H

#include "runtime/platform/atomic.h"

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WF_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WF_ASAN 1
#endif
#endif

/* All of it belongs to whoever holds the context. */
struct wf_context {
    void *sp;          /* where it stands; meaningless while it runs */
#if defined(WF_ASAN)
    void *fake_stack;  /* ASan's, while it stands */
    const void *low;   /* its stack, as ASan wants to hear it */
    size_t size;
#endif
#if defined(WF_TSAN)
    void *fiber;       /* TSan's name for it; NULL: none yet */
    bool adopted;      /* it is a thread's own, which is not ours to destroy */
    void *origin, *second; /* then: the side that new ones come from, and another; made when first asked for */
#endif
};

/* Make c ready to begin in entry(arg) on the stack [low, low + size), its end aligned to 16. entry must not
 * return. c is zeroed, or was made before and then left for good; it begins anew. It begins with the
 * floating-point control words of the thread that was adopted last, whoever makes it: not with what the
 * task that happens to run has set for itself. */
void wf_context_make(struct wf_context *c, void *low, size_t size, void (*entry)(void *), void *arg);

/* Name the calling thread's own stack, so that it can be switched from. Before its first use as `from`. */
void wf_context_adopt_thread(struct wf_context *c);

/* Forget a context that stands still and will not be resumed. A zeroed one is fine. */
#if defined(WF_TSAN)
void wf_context_finish(struct wf_context *c);
#else
static inline void wf_context_finish(struct wf_context *c)
{
    (void)c;
}
#endif

/* In assembly; only for what follows. */
void wf_context_swap(void **from, void **to);
_Noreturn void wf_context_leave(void **to);

#if defined(WF_ASAN) && defined(WF_SIM)
extern const void *wf_context_left_low; /* the stack that was left for the first function of a fresh one */
extern size_t wf_context_left_size;
#endif

#if defined(WF_ASAN) || defined(WF_TSAN)

void wf_context_switch(struct wf_context *from, struct wf_context *to);
_Noreturn void wf_context_switch_last(struct wf_context *from, struct wf_context *to);

#else

#define WF_ALWAYS_INLINE __attribute__((always_inline)) static inline

/* Leave `from` standing, go on with `to`. Returns when somebody switches to `from`, perhaps on another
 * thread. */
WF_ALWAYS_INLINE void wf_context_switch(struct wf_context *from, struct wf_context *to)
{
    wf_context_swap(&from->sp, &to->sp);
}

/* The same when `from` will never be resumed, only made anew: writes nothing to it. Does not return. */
_Noreturn WF_ALWAYS_INLINE void wf_context_switch_last(struct wf_context *from, struct wf_context *to)
{
    (void)from;
    wf_context_leave(&to->sp);
}

#endif

/* ---- Sides: whose accesses they are, for ThreadSanitizer ------------------------------------------------
 *
 * A side is what ThreadSanitizer takes for a thread (it says fiber). Each task is one, from its first instruction to
 * its last; and each thread is one, which stands for the loop of its worker, on whatever stack that runs. Whoever
 * takes a side says: what follows is done by that one. Taking a side orders nothing. So what a worker keeps for
 * itself is touched by its own side only; and two tasks that touch one thing are told even if they share a worker and
 * never run at once, unless something that each thread would need orders them: a channel, a lock, an await.
 *
 * A function in which the side changes for good is WF_UNOBSERVED, since it is entered on one shadow call stack and left
 * on another; so are the few that read, on the worker's side, what belongs to the task in hand.
 *
 * The memory of a stack or a task that is used again must not remember its last user: it is cleared.
 *
 * In other builds all of it is nothing. docs/design/tsan.md has the reasons and what remains unseen. */

#if defined(WF_TSAN)

#if defined(__clang__)
#define WF_UNOBSERVED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define WF_UNOBSERVED __attribute__((noinline, no_sanitize_thread))
#endif

/* A step that is inlined where it is taken, as a call costs as much as it does; unobserved as well. */
#define WF_STEP static WF_UNOBSERVED

void *wf_side_take(void *side);              /* returns whose it was; what lies below on this stack is cleared */
void *wf_side_of(const struct wf_context *c); /* the side of the thread that c adopted */
void *wf_side_second(struct wf_context *c);  /* another one of that thread's, for what it does in the name of tasks */
void wf_side_new(void **ret, struct wf_context *c); /* knows what that thread knew at its first, and no more */
void wf_side_end(void *side);                /* not the current one */
void wf_side_clear(void *low, size_t size);  /* as if nobody had touched it */
void wf_side_clear_below(void *low);         /* from low to the caller's frame */
void wf_side_give(void *key);                /* what this side has done so far is before ... */
void wf_side_get(void *key);                 /* ... what this side does from now on */

/* A stack whose switches change no side: whoever switches takes one. */
void wf_context_make_aside(struct wf_context *c, void *low, size_t size, void (*entry)(void *), void *arg);
#define wf_context_switch_aside(from, to) wf_context_swap(&(from)->sp, &(to)->sp)
#define wf_context_switch_last_aside(from, to) ((void)(from), wf_context_leave(&(to)->sp))

#else

#define WF_UNOBSERVED
#define WF_STEP static inline __attribute__((always_inline))

static inline void *wf_side_take(void *side)
{
    return side;
}

static inline void *wf_side_of(const struct wf_context *c)
{
    (void)c;
    return NULL;
}

static inline void *wf_side_second(struct wf_context *c)
{
    (void)c;
    return NULL;
}

static inline void wf_side_new(void **ret, struct wf_context *c)
{
    (void)ret;
    (void)c;
}

static inline void wf_side_end(void *side)
{
    (void)side;
}

static inline void wf_side_clear(void *low, size_t size)
{
    (void)low;
    (void)size;
}

static inline void wf_side_clear_below(void *low)
{
    (void)low;
}

static inline void wf_side_give(void *key)
{
    (void)key;
}

static inline void wf_side_get(void *key)
{
    (void)key;
}

#define wf_context_make_aside wf_context_make
#define wf_context_switch_aside wf_context_switch
#define wf_context_switch_last_aside wf_context_switch_last

#endif

/* The registers from which to unwind a context that stands still: as its caller will see them when the
 * switch returns. For dumps. */
struct wf_context_frame {
    const void *pc, *sp, *fp;
};
struct wf_context_frame wf_context_frame(const struct wf_context *c);

/* How many bytes below a standing context's stack pointer are in use: nobody may take those pages away. */
#if defined(__x86_64__)
enum { WF_CONTEXT_BELOW_SP = 128 };
#else
enum { WF_CONTEXT_BELOW_SP = 0 };
#endif

#endif
