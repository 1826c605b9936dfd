/* core.h - what the parts of the checker share. Models see model.h only.
 *
 *     threads.c   model threads are coroutines of one thread of the system; who runs next, who sleeps
 *     memory.c    what C11 says about each access: stores, clocks, races
 *     hooks.c     the functions that the compiler calls for each access
 *     explore.c   choices: at random, by priorities, depth first, repeated
 *     alloc.c     memory of an execution, and the model's static variables
 *     trace.c     what happened, for people
 *     platform.c  bodies of weft's platform for models
 *     main.c      options, and the loop over models
 *
 * All of it is one compilation (core.c), for speed: an operation of a model takes tens of nanoseconds. None of it is
 * instrumented. */
#ifndef MODEL_CORE_H
#define MODEL_CORE_H

#include "runtime/platform/context.h"
#include "runtime/platform/local.h"
#include "tests/model/model.h"

#include <errno.h>
#include <string.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- clocks ---- */

/* A number per thread, and one for fences. A thread counts its own up whenever it has published something. */
typedef int16_t lanes __attribute__((vector_size(16)));
enum { LANES = 8, FENCE_LANE = 7, NEVER = INT16_MAX, OPS_LIMIT = 30000 };
_Static_assert(MODEL_THREADS_MAX < LANES, "a lane each, and one for fences");

static inline lanes later(lanes a, lanes b)
{
    lanes above = a > b;
    return (a & above) | (b & ~above);
}

static inline bool any(lanes a)
{
    typedef uint64_t halves __attribute__((vector_size(16)));
    halves h = (halves)a;
    return (h[0] | h[1]) != 0;
}

/* ---- threads ---- */

enum state { UNUSED, RUNNABLE, ASLEEP, BLOCKED, JOINING, ENDED };

struct thread {
    struct wf_context context;
    enum state state;
    lanes now;     /* its clock: what has happened before its next operation */
    lanes pending; /* what its relaxed loads have read: an acquiring fence gets it */
    lanes fenced;  /* its clock at its last releasing fence */
    void (*body)(void);
    void *(*start)(void *);
    void *arg;
    const void *word;          /* ASLEEP on it */
    int64_t deadline;          /* ASLEEP, BLOCKED: INT64_MAX for none */
    bool (*wakeable)(void *);  /* BLOCKED */
    void *wakeable_arg;
    const char *what;
    unsigned joined;           /* JOINING: these threads, a bit each */
    bool timed_out;
    uintptr_t pc;              /* of its last operation */
    const struct spot *next;   /* where its next operation is, once it is known; NULL: it has to do with everything */
    bool next_writes;
    bool begun;
    unsigned passed_over; /* how often others were chosen while somebody paused */
    unsigned pauses, pauses_since; /* how many, and run.writes when they began */
    struct wf_local local;
    int saved_errno;
};

struct run {
    const struct model *model;
    uint32_t execution;           /* which one; memory remembers when it was touched last */
    unsigned self;                /* who runs */
    unsigned runnable, paused, ended, blocked, timed; /* a bit per thread; timed: asleep with a deadline */
    unsigned brief;               /* of the paused: until anybody does anything */
    unsigned writes;              /* by anybody */
    bool alone;                   /* nobody else runs */
    unsigned dormant;             /* threads whose turn would lead to what has been explored: explore.c */
    unsigned count;               /* threads of this execution */
    unsigned ops, points, streak, rounds;
    unsigned spurious, early;     /* how many are left */
    int stale;
    int fences;
    bool tracing, failed, pruned, learned; /* learned: this execution has met a conflict that was not known */
    int64_t clock_ns;
    struct thread thread[MODEL_THREADS_MAX];
    struct wf_context explorer;
    char failure[512];
};
static struct run run;

/* Whoever has paused may find something new. */
static inline void wrote_something(void)
{
    run.writes++;
    run.paused = 0;
    run.rounds = 0;
}

static inline struct thread *self(void)
{
    return &run.thread[run.self];
}

/* ---- memory ---- */

struct store {
    uint64_t value;
    lanes release;  /* what its reader may acquire */
    lanes seen;     /* when each thread wrote or first read it, NEVER */
    int16_t sc;     /* fences before the first sequentially consistent operation that wrote or read it, NEVER */
    uint8_t writer;
    uint32_t op;    /* when it was written, for the trace */
};

/* A piece of memory as it is accessed: up to eight bytes within eight aligned ones. */
struct spot {
    uintptr_t at;
    struct spot *next;      /* in the same eight bytes */
    uint32_t execution;     /* of everything below but who has ever touched it */
    uint8_t size;
    uint8_t writers, readers; /* who has ever, in any execution; thread 0 left out */
    uint8_t stale[LANES];   /* how often in a row each has been given an outdated store */
    lanes wrote, read, atomic_wrote, atomic_read; /* when each did, last */
    struct store *stores;   /* in modification order; none: it is plain, or not yet known as anything */
    int count, room;
};

/* ---- between the parts ---- */

enum order { RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST };
enum choice { CHOICE_THREAD, CHOICE_STORE, CHOICE_WEAK, CHOICE_OTHER };

/* explore.c: below n, 0 is the usual; and which of the candidates runs next: `self` among them is the usual. */
static unsigned choose(enum choice kind, unsigned n);
static unsigned choose_thread(unsigned candidates, bool forced);

/* alloc.c */
static void reset_memory(void);
static void check_alive(uintptr_t at, size_t size);
static void check_leaks(void);
static void end_memory_of_thread(unsigned thread);

/* memory.c */
static void plain_access(uintptr_t at, size_t size, bool write, uintptr_t pc);
static void end_of_spots(uintptr_t at, size_t size, uintptr_t pc);
static const struct spot *known_spot(uintptr_t at);

/* trace.c */
enum event { EVENT_LOAD, EVENT_STORE, EVENT_RMW, EVENT_CAS_FAILED, EVENT_FENCE, EVENT_READ, EVENT_WRITE, EVENT_SWITCH,
             EVENT_NOTE };
static void trace(enum event kind, uintptr_t pc, uintptr_t at, unsigned size, unsigned order, uint64_t value,
                  uint64_t before, unsigned back, uint32_t from);
static const char *describe(uintptr_t at);      /* names for addresses; each good for a few more calls */
static const char *describe_code(uintptr_t pc);
#define NOTE(...) (UNLIKELY(run.tracing) ? model_note(__VA_ARGS__) : (void)0)

/* threads.c */
static void point(const struct spot *s, bool write, uintptr_t pc);
static void execute(const struct model *m);

#endif
