/* weft/run.h - from main() into the first task, and back. */
#ifndef WEFT_RUN_H
#define WEFT_RUN_H

#include <weft/base.h>

/* A task's body. A result below zero is a failure, a negated errno by convention. A C++ exception
 * must not leave it. */
typedef int (*weft_fn)(void *arg);

typedef struct weft_runtime weft_runtime;

/* A task is keeping a worker from its other tasks. Valid only during the callback. */
typedef struct weft_stall {
    const char *task;   /* its name, else the text of its body */
    const char *where;  /* file:line where it was spawned */
    unsigned worker;    /* whose turn it takes */
    int64_t held_ns;    /* so far; it is still running */
    uint64_t number;    /* of the task, as in weft_dump() */
    const char *doing;  /* "computes", "is blocked in the system call read", ...; "" when the system does not say */
    unsigned waiting;   /* tasks that are ready to run on that worker, about */
    unsigned elsewhere; /* and those that idle workers have taken away from it meanwhile */
    void *const *backtrace; /* where it is: program counters, the innermost first; ... */
    unsigned depth;         /* ... so many, 0 when the system does not say */
} weft_stall;

/* How a worker's ring is set up. The default lets every worker serve every ring, and interrupts one that computes,
 * unnoticed by its task, when the kernel keeps completions for its thread. The others exist to be compared against:
 * DEFER binds a ring to its worker, SILENT interrupts nobody, EAGER has the kernel interrupt at every completion. */
typedef enum weft_ring_mode {
    WEFT_RING_SHARED,
    WEFT_RING_DEFER,
    WEFT_RING_SILENT,
    WEFT_RING_EAGER
} weft_ring_mode;

/* How tasks wait for descriptors: by an io_uring ring per worker; or by epoll, with threads for files, which
 * works wherever Linux does. The default is rings, and epoll where those are refused: by a container engine's
 * seccomp filter, kernel.io_uring_disabled, RLIMIT_MEMLOCK or an old kernel. One line on stderr says so then,
 * once per process. A program does the same on both; epoll costs more per request. */
typedef enum weft_driver {
    WEFT_DRIVER_AUTO,
    WEFT_DRIVER_RING,   /* rings or nothing */
    WEFT_DRIVER_SOFT    /* epoll; weft_ring_mode means nothing then */
} weft_driver;

/* Zero means default, so {0} is a good config. The environment outranks it, so that a program can be
 * tried with other values unchanged: WEFT_WORKERS, WEFT_RING (shared, defer, silent, eager), WEFT_DRIVER (auto,
 * ring, soft), WEFT_RESCUE (on, off: no_rescue), WEFT_STALL_MS and WEFT_SPILL_MS (stall_ns, spill_ns, in milliseconds),
 * WEFT_SPIN_US (spin_ns, in microseconds).
 *
 * spill_ns is for programs with very many tasks that mostly wait: one that is spilled takes 1.25 KiB and no page. It
 * then goes on with the same bytes at the same addresses. Only waits are chosen in which weft itself has no use for the
 * stack: no scope is open in the task, it has forked nothing, and the buffer or address given is not on its own stack.
 * Your part of it: while a task without an open scope sleeps, or waits for a descriptor, nobody else may use what lies
 * on its stack. Who does dies of SIGSEGV, with a line that names both tasks. From Linux 6.13 on; on older kernels a
 * line on stderr says that it is off. */
typedef struct weft_config {
    unsigned workers;     /* default: the CPUs this process may use, by affinity and cgroup quota; at most 256 */
    unsigned offload_max; /* threads of lane blocking, for weft_offload(); default 64 */
    size_t stack_size;    /* of every task, in bytes, guard not counted; default 64 KiB, 16 KiB to 1 GiB */
    bool no_fault_handler; /* leave SIGSEGV and SIGBUS alone: a stack overflow then dies without its line */
    bool pin;             /* one core per worker, placed by topology, nearest together */
    weft_ring_mode ring;
    weft_driver driver;
    bool no_rescue;       /* nobody does for a worker that runs one task for long what it cannot do meanwhile: sleeps
                             and calls of its other tasks end when it gets to them. To see what helping is worth;
                             default: others help, from a fifth of a millisecond on */
    int64_t spin_ns;      /* how long an idle worker looks on before it sleeps, at most 1 ms; default: not at all.
                             It answers sooner then, and uses its CPU instead of leaving it */
    int64_t stall_ns;     /* report a task that holds its worker past this; default: 1 s; below 0, or WEFT_STALL_MS=0:
                             never. Who watches sleeps while all workers do.
                             It also calls a spare worker when all (of two or more) are blocked in system calls; or
                             compute, and something waits that has begun before, with which alone the spare goes on.
                             There may be as many, or six if that is more; weft_worker() has them behind the others */
    void (*on_stall)(const weft_stall *report, void *ctx); /* on the watchdog's thread; must not block. Default: a few
                                                              lines on stderr, once a minute for each task */
    void *ctx;            /* handed to on_stall, on_deadlock */
    int64_t spill_ns;     /* let a task that has waited this long (up to twice) in weft_sleep() or for a descriptor give
                           * its stack back meanwhile; default: off. See above */
    void (*on_deadlock)(void *ctx); /* for stall_ns all tasks have waited, and no timer, request or job is under way
                                     * that could end it, so only a thread of your own can. On the watchdog's thread,
                                     * once until something happens. Default: a few lines on stderr; but if stall_ns was
                                     * not given either, only when the process has no thread but weft's */
} weft_config;

/* What the runtime has done so far; every count only grows. */
typedef struct weft_stats {
    unsigned workers;      /* how many there are; this and the next are no counts */
    const char *driver;    /* what they stand on: "ring" or "soft" */
    uint64_t tasks;        /* bodies that were started */
    uint64_t switches;     /* stack switches between tasks */
    uint64_t steals;       /* batches taken from another worker's queue */
    uint64_t parks;        /* times a worker went to sleep in its ring */
    uint64_t submits;      /* calls of the driver made to submit or to collect, parks not counted */
    uint64_t completions;  /* kernel operations completed */
    uint64_t served;       /* of these, how many were collected by a worker that does not own the ring */
    uint64_t spills;       /* stacks given back while their task waited (spill_ns) */
    uint64_t restores;     /* ... and filled again, as it was to go on */
    uint64_t stalls;       /* tasks that were found to hold their worker (stall_ns) */
    uint64_t deadlocks;    /* times that nothing could go on, and that was said */
    uint64_t spares;       /* times that all workers stood still, and a spare one came */
} weft_stats;

WEFT_BEGIN

/* [plain thread only, blocks] Start workers, run fn(arg) as the first task, and stop when it and
 * everything it started is done. The calling thread is worker 0 meanwhile: SIGPIPE is blocked in it,
 * and if pin is set it is bound to one core; both are undone on return. Returns what fn returned (a
 * failed weft_submit() counts only if fn did not fail), or why nothing could start: -ENOMEM, -EMFILE,
 * -EAGAIN no thread, -EINVAL a config out of range, -ENOSYS no io_uring here although WEFT_DRIVER_RING was
 * wanted (one line on stderr says why). config may be NULL and is not kept. Several runtimes may run one
 * after another or side by side. */
WEFT_API int weft_run(const weft_config *config, weft_fn fn, void *arg);

/* [T--] The runtime of the calling task, to hand to threads outside. Valid until weft_run returns. */
WEFT_API weft_runtime *weft_runtime_self(void);

/* [A--] Start fn(arg) from outside, from any thread. Nobody holds it; its failure is the runtime's.
 * 0, -ESHUTDOWN once the first task and all others are done, -ENOMEM. */
WEFT_API int weft_submit_at(weft_runtime *rt, weft_fn fn, void *arg, const char *site);
#define weft_submit(rt, fn, arg) weft_submit_at((rt), (fn), (arg), WEFT_SITE(fn))

/* [A--] Figures so far. From any thread while the runtime lives. */
WEFT_API void weft_stats_read(weft_runtime *rt, weft_stats *ret);

/* [A--] Write a line for every task of every runtime of this process: number, name, state, what it
 * waits for, where it was spawned. A snapshot of moving things: a line may be a moment old. */
WEFT_API void weft_dump(int fd);

WEFT_END

#endif
