/* weft/sim.h - run a program in a simulation.
 *
 * Link with weft::sim instead of weft::weft, and the program runs on one thread of the machine, in a time of its own.
 * One number, the seed, decides everything that a machine leaves open: which thread goes on at every access to shared
 * memory, when a timer is late, in which order requests complete, what is refused. The same seed is the same run, so
 * a failure that shows once in a thousand runs can be looked at as often as one likes. Nothing waits: an hour of
 * sleeps takes milliseconds.
 *
 * A program that calls weft_run() need not know: each call is a simulation then, and the environment says which.
 *
 *     WEFT_SEED=0x2a      the seed; 1 if it is not set
 *     WEFT_FAULTS=all     what may go wrong, by name (short,eintr,memory) or as a mask; nothing if it is not set
 *     WEFT_WORKERS=3      as ever; the seed decides if neither this nor the program does
 *     WEFT_SIM_VERBOSE=1  one line at the end; 2: every event
 *
 * weft_sim() is for tests that run many seeds. What a simulation cannot see: threads that the program makes itself,
 * and what it asks of the kernel without weft, which take the machine's own time. docs/sim.md has more. */
#ifndef WEFT_SIM_H
#define WEFT_SIM_H

#include <weft/base.h>

/* What may go wrong. Each seed takes some of those it is allowed, and how often is up to the seed as well. */
enum weft_sim_fault {
    WEFT_SIM_DELAY = 1 << 0,         /* requests take their time, and overtake one another */
    WEFT_SIM_SHORT = 1 << 1,         /* fewer bytes are read or written than were asked for */
    WEFT_SIM_EINTR = 1 << 2,         /* requests are given up for no reason */
    WEFT_SIM_EAGAIN = 1 << 3,        /* requests say "later" although they could wait */
    WEFT_SIM_BUSY = 1 << 4,          /* the kernel takes fewer requests than it is given, or none */
    WEFT_SIM_OVERFLOW = 1 << 5,      /* queues are tiny: completions find no room */
    WEFT_SIM_NOBUFS = 1 << 6,        /* ENOBUFS, ENOMEM on a request */
    WEFT_SIM_NOFILES = 1 << 7,       /* EMFILE, ENFILE on accept and socket */
    WEFT_SIM_LATE_CANCEL = 1 << 8,   /* a cancel comes too late */
    WEFT_SIM_RESET = 1 << 9,         /* connections are reset, or refused */
    WEFT_SIM_LATE_TIMER = 1 << 10,   /* whoever sleeps oversleeps; never the other way */
    WEFT_SIM_SLOW_THREAD = 1 << 11,  /* a thread begins long after it was made */
    WEFT_SIM_NO_THREAD = 1 << 12,    /* a thread cannot be made */
    WEFT_SIM_NO_MEMORY = 1 << 13,    /* memory is out */
    WEFT_SIM_SPURIOUS = 1 << 14,     /* a futex returns for nothing */
    WEFT_SIM_HELD_BACK = 1 << 15,    /* the kernel keeps completions of a computing worker until it comes by */
    WEFT_SIM_EARLY_CANCEL = 1 << 17, /* a cancel comes too early, and finds nothing */
    WEFT_SIM_GENTLE = 0x2cd3f,       /* all that a correct program need not notice: no errors but passing ones */
    WEFT_SIM_NO_STACK = 1 << 16,     /* a task gets no stack, and ends with -ENOMEM without having run */
    WEFT_SIM_ALL = 0x3ffff
};

/* Zero means default, so {0} is a good config: seed 0, no faults. */
typedef struct weft_sim_config {
    uint64_t seed;
    unsigned faults;      /* of enum weft_sim_fault: what this seed may choose from */
    unsigned fault_rate;  /* of 1,000 chances, how many are taken, at most; default: by the seed, up to 250 */
    unsigned workers;     /* for a program that asks for no number of its own; default: by the seed, 1 to 4 */
    uint64_t fault_steps; /* after so many steps nothing goes wrong any more; default 50,000 */
    uint64_t steps_max;   /* by when it must have ended; default 5,000,000; past it, it is said to be stuck */
    int64_t time_max_ns;  /* the same in virtual time; default: 10 years */
    bool in_child;        /* in a child process: a failure is reported, not fatal; what main writes stays there */
    bool quiet;           /* print nothing at all: the report says it */
    unsigned verbose;     /* 1: a line at the end; 2: every event */
    const char *again;    /* how it is run again, for the line of a failure; default: environment and program */
} weft_sim_config;

typedef struct weft_sim_report {
    int result;          /* what main returned */
    uint64_t seed;
    unsigned faults;     /* the classes that this seed took */
    uint64_t steps;      /* choices of who goes on */
    uint64_t switches;   /* of these, how many fell on another thread */
    int64_t time_ns;     /* how far virtual time went */
    uint64_t hash;       /* of all that happened: the same seed gives the same */
    char failure[512];   /* what broke, on one line; empty if nothing did */
} weft_sim_report;

#define WEFT_SIM_API __attribute__((visibility("default")))

WEFT_BEGIN

/* [plain thread only, blocks] Run main(arg) as the first thread of a simulation; it may call weft_run(), more than
 * once. All threads must have ended when it returns. 0, and ret is filled in; or, in a child: -EDEADLK all wait for
 * one another, -ETIMEDOUT a limit was reached, -EPROTO something broke, with ret->failure. Not in a child a failure
 * prints its line and aborts. -EBUSY inside a simulation, -ENOMEM. config and ret may be NULL. */
WEFT_SIM_API int weft_sim(const weft_sim_config *config, int (*main)(void *arg), void *arg, weft_sim_report *ret);

/* [A--] Are we in one? */
WEFT_SIM_API bool weft_sim_running(void);

/* [A--] The calling thread is busy for that long: it computes, or is in a system call. On a worker, its other tasks
 * wait meanwhile, as they would. */
WEFT_SIM_API void weft_sim_busy(int64_t ns);

/* [A--] From here on nothing goes wrong any more. */
WEFT_SIM_API void weft_sim_calm(void);

/* [A--] A number below n, which is not 0, by the seed: for what a test decides by chance. */
WEFT_SIM_API uint64_t weft_sim_below(uint64_t n);

/* [A--] Say that something broke: prints the line and how to run it again, and ends the simulation. */
WEFT_SIM_API void weft_sim_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

WEFT_END

#endif
