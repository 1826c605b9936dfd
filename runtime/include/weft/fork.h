/* weft/fork.h - calls too small to be tasks, in parallel.
 *
 * A fork is a call that may run beside what follows it, up to its join. It costs about as much as the call: nothing is
 * allocated, and if nobody takes it, the join is the call. While a worker has nothing to do, the oldest forks are
 * offered to it: one that is taken becomes a task, so it may do whatever a task may: wait, sleep, do I/O, fork.
 *
 *     static long fib(weft_forks *forks, int n);
 *     WEFT_FORKABLE(long, fib, int)                    result, function, the types of its other arguments
 *
 *     static long fib(weft_forks *forks, int n)
 *     {
 *         if (n < 2)
 *             return n;
 *         struct fib_fork left;                        in the caller's frame until it is joined
 *         fib_fork(forks, &left, n - 1);               perhaps somebody else calls fib(n - 1) now
 *         long right = fib(forks, n - 2);
 *         return fib_join(forks, &left) + right;       if nobody has, it is called here
 *     }
 *
 *     static int work(void *arg) { return fib(weft_forks_self(), 40); }
 *
 * Rules. Every fork is joined, exactly once, by the function that made it, the latest first, before it returns and
 * before it closes a scope that it opened before the fork. Breaking them is misuse. The result of a call is the call's
 * own business: nothing fails because it is negative.
 *
 * Order. Alone, a worker does what the function calls itself, and then its forks, the latest first. Where the parts lie
 * behind each other in memory, fork the later ones and call the first: so they are taken in the order of memory.
 *
 * Stops. A fork that was taken belongs to the scope that was innermost when it was forked, and is stopped with it. It
 * is joined all the same: join waits for its end. So a forked call that may run for long looks at weft_checkpoint().
 *
 * Where. The first argument of a forkable function is its task's: in a fork that was taken it is another one than its
 * parent's. A task that waits offers all it has forked so far, so forked waits wait at once. Between
 * weft_blocking_begin() and end nothing may be forked or joined. A task with weft_pin() stays; its forks need not.
 *
 * Since 0.1. */
#ifndef WEFT_FORK_H
#define WEFT_FORK_H

#include <weft/base.h>

typedef struct weft_forks weft_forks; /* of a task: what it has forked and not joined yet */
typedef struct weft_fork weft_fork;

/* Weft's own, laid open for the code below to be inlined. */
struct weft_fork_how {
    void (*call)(weft_forks *forks, weft_fork *fork);
    const char *site;
};

struct weft_fork {
    void *older; /* what `newest` was before */
    const struct weft_fork_how *how;
    weft_fork *newer; /* from here on only if it is listed: runtime/fork.h */
    void *scope, *task;
};

struct weft_forks {
    void *newest;         /* the latest fork; if it is listed, the byte behind its first */
    unsigned char wanted; /* somebody has nothing to do */
};

WEFT_BEGIN

/* [T--] The calling task's, for as long as it lives. */
WEFT_API weft_forks *weft_forks_self(void);

/* [T--] Call body for pieces that together are [from, to), in any order, some of them at once where workers have
 * nothing to do: a range is cut when somebody wants a part of it, so there is no grain to choose. It returns when all
 * have returned. Nothing for an empty range. */
typedef void (*weft_for_fn)(weft_forks *forks, int64_t from, int64_t to, void *ctx);
WEFT_API void weft_for(weft_forks *forks, int64_t from, int64_t to, weft_for_fn body, void *ctx);

/* [T--] The same, where each piece adds to *sum, which holds `size` bytes, at most WEFT_REDUCE_MAX. *sum is the neutral
 * element at first: every part that is cut off begins with a copy of it. `join` adds what stands to the right of
 * `into` to it; it must be associative, and need not be commutative. */
enum { WEFT_REDUCE_MAX = 256 };
typedef void (*weft_reduce_fn)(weft_forks *forks, int64_t from, int64_t to, void *sum, void *ctx);
typedef void (*weft_reduce_join)(void *into, const void *right, void *ctx);
WEFT_API void weft_reduce(weft_forks *forks, int64_t from, int64_t to, void *sum, size_t size, weft_reduce_fn body,
                          weft_reduce_join join, void *ctx);

/* [T--] What WEFT_FORKABLE's functions do when somebody has nothing to do, and when the fork is listed: true if the
 * caller has to call it. */
WEFT_API void weft_fork_offer(weft_forks *forks);
WEFT_API bool weft_fork_settle(weft_forks *forks, weft_fork *fork);

WEFT_END

static inline void weft_fork_push(weft_forks *forks, weft_fork *fork, const struct weft_fork_how *how)
{
    fork->older = forks->newest;
    fork->how = how;
    forks->newest = fork;
    if (__builtin_expect(__atomic_load_n(&forks->wanted, __ATOMIC_RELAXED), 0))
        weft_fork_offer(forks);
}

/* True: the caller has to call it. */
static inline bool weft_fork_pop(weft_forks *forks, weft_fork *fork)
{
    if (__builtin_expect(forks->newest != fork, 0))
        return weft_fork_settle(forks, fork);
    forks->newest = fork->older;
    return true;
}

/* After the declaration of fn(weft_forks *, ...), which has one to six other arguments: the type struct fn_fork and the
 * functions fn_fork and fn_join, of the file it stands in. The second is for functions that return nothing. Types are
 * names, as in `T x;`. */
#define WEFT_FORKABLE(result, fn, ...) \
    WEFT_FORK_OF(WEFT_FORK_COUNT(__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0), WEFT_FORK_VALUE, result, fn, __VA_ARGS__)
#define WEFT_FORKABLE_VOID(fn, ...) \
    WEFT_FORK_OF(WEFT_FORK_COUNT(__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0), WEFT_FORK_NOTHING, void, fn, __VA_ARGS__)

#define WEFT_FORK_COUNT(a, b, c, d, e, f, n, ...) n
#define WEFT_FORK_OF(n, kind, ...) WEFT_FORK_OF_(n, kind, __VA_ARGS__)
#define WEFT_FORK_OF_(n, kind, ...) WEFT_FORK_##n(kind, __VA_ARGS__)
#define WEFT_FORK_BARE(...) __VA_ARGS__

#define WEFT_FORK_1(kind, R, fn, A) kind(R, fn, (A a;), (A a), (f->a = a;), (f->a))
#define WEFT_FORK_2(kind, R, fn, A, B) kind(R, fn, (A a; B b;), (A a, B b), (f->a = a; f->b = b;), (f->a, f->b))
#define WEFT_FORK_3(kind, R, fn, A, B, C) \
    kind(R, fn, (A a; B b; C c;), (A a, B b, C c), (f->a = a; f->b = b; f->c = c;), (f->a, f->b, f->c))
#define WEFT_FORK_4(kind, R, fn, A, B, C, D) \
    kind(R, fn, (A a; B b; C c; D d;), (A a, B b, C c, D d), (f->a = a; f->b = b; f->c = c; f->d = d;), \
         (f->a, f->b, f->c, f->d))
#define WEFT_FORK_5(kind, R, fn, A, B, C, D, E) \
    kind(R, fn, (A a; B b; C c; D d; E e;), (A a, B b, C c, D d, E e), \
         (f->a = a; f->b = b; f->c = c; f->d = d; f->e = e;), (f->a, f->b, f->c, f->d, f->e))
#define WEFT_FORK_6(kind, R, fn, A, B, C, D, E, F) \
    kind(R, fn, (A a; B b; C c; D d; E e; F f6;), (A a, B b, C c, D d, E e, F f6), \
         (f->a = a; f->b = b; f->c = c; f->d = d; f->e = e; f->f6 = f6;), (f->a, f->b, f->c, f->d, f->e, f->f6))

#define WEFT_FORK_VALUE(R, fn, FIELDS, PARAMS, KEEP, ARGS) \
    struct fn##_fork { weft_fork fork; WEFT_FORK_BARE FIELDS R result; }; \
    WEFT_FORK_CALL(fn, ARGS, f->result = ) \
    WEFT_FORK_PUSH(fn, PARAMS, KEEP) \
    static inline __attribute__((unused)) R fn##_join(weft_forks *forks, struct fn##_fork *f) \
    { \
        if (__builtin_expect(weft_fork_pop(forks, &f->fork), 1)) \
            return fn(forks, WEFT_FORK_BARE ARGS); \
        return f->result; \
    }

#define WEFT_FORK_NOTHING(R, fn, FIELDS, PARAMS, KEEP, ARGS) \
    struct fn##_fork { weft_fork fork; WEFT_FORK_BARE FIELDS }; \
    WEFT_FORK_CALL(fn, ARGS, ) \
    WEFT_FORK_PUSH(fn, PARAMS, KEEP) \
    static inline __attribute__((unused)) R fn##_join(weft_forks *forks, struct fn##_fork *f) \
    { \
        if (__builtin_expect(weft_fork_pop(forks, &f->fork), 1)) \
            fn(forks, WEFT_FORK_BARE ARGS); \
    }

#define WEFT_FORK_CALL(fn, ARGS, RESULT) \
    static void fn##_call(weft_forks *forks, weft_fork *fork) \
    { \
        struct fn##_fork *f = (struct fn##_fork *)(void *)fork; \
        RESULT fn(forks, WEFT_FORK_BARE ARGS); \
    }

#define WEFT_FORK_PUSH(fn, PARAMS, KEEP) \
    static inline __attribute__((unused)) void fn##_fork(weft_forks *forks, struct fn##_fork *f, \
                                                         WEFT_FORK_BARE PARAMS) \
    { \
        static const struct weft_fork_how how = {fn##_call, WEFT_SITE(fn)}; \
        WEFT_FORK_BARE KEEP \
        weft_fork_push(forks, &f->fork, &how); \
    }

#endif
