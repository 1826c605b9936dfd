/* sim.h - the world of a simulation, for the bodies that stand in for the machine's.
 *
 * Only in a build with WF_SIM. All threads are coroutines on one thread of the machine, so exactly one runs, and it
 * runs until it comes to a point (before every access to shared memory, WF_POINT in atomic.h), waits, or asks for the
 * time. What happens at a point is up to the seed: nothing, or another thread goes on.
 *
 *     sim.c         the world: threads, who goes on, virtual time
 *     sim_event.c   what happens at a moment; the generators of chance
 *     sim_thread.c  threads, futexes, thread-locals, cores: what platform/ promises
 *     sim_fault.c   what goes wrong, and how often
 *     sim_report.c  the hash, the trace, and the end when something broke
 *     sim_run.c     weft/sim.h
 *     io/sim.c      the kernel behind a ring
 *
 * Chance comes in streams, each a generator of its own: what one class of faults decides does not shift what the
 * others do, so switching one off changes as little as possible. No pointer's value decides anything. */
#ifndef WF_SIM_H
#define WF_SIM_H

#include "runtime/platform/context.h"
#include "runtime/platform/local.h"
#include "runtime/platform/sim_point.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft/sim.h>

/* ---- chance ---- */

enum wf_sim_stream {
    WF_SIM_SCHEDULE, /* who goes on, and when that is asked */
    WF_SIM_WORLD,    /* what the seed decides once: modes, rates, workers */
    WF_SIM_KERNEL,   /* how long requests take */
    WF_SIM_USER,     /* weft_sim_below */
    WF_SIM_SELECT,   /* wf_random_here */
    WF_SIM_FAULTS,   /* from here on one for each class, by its bit's number */
    WF_SIM_STREAMS = WF_SIM_FAULTS + 18
};

int wf_sim_streams_begin(uint64_t seed); /* and without events; -ENOMEM */
uint64_t wf_sim_random(enum wf_sim_stream stream);
uint64_t wf_sim_below(enum wf_sim_stream stream, uint64_t n); /* n is not 0 */

/* Does it go wrong here? Asks the seed, for a class that is on, as long as faults are. */
bool wf_sim_fault(enum weft_sim_fault kind);

/* How much of something, at most: 1 to max, and small more often than large. */
int64_t wf_sim_amount(enum weft_sim_fault kind, int64_t max);

/* ---- time ---- */

/* Something that happens at a moment. Fires on whichever thread is running, calmly: see below. */
struct wf_sim_event {
    int64_t at_ns;
    uint64_t order; /* of those at the same moment */
    size_t place;   /* in the heap, from 1; 0: in none */
    void (*fire)(struct wf_sim_event *e);
};

#define WF_SIM_START_NS INT64_C(1000000000) /* when a simulation begins: nobody depends on a clock that begins at 0 */
int64_t wf_sim_now(void);
void wf_sim_event_add(struct wf_sim_event *e, int64_t at_ns);
void wf_sim_event_remove(struct wf_sim_event *e); /* fine if it is in none */
struct wf_sim_event *wf_sim_event_first(void);    /* the next, or NULL */

/* ---- threads ---- */

struct wf_sim_thread {
    struct wf_context context;    /* while it stands still */
    struct wf_local local;
    _Alignas(16) char room[WF_LOCAL_ROOM];
    int saved_errno;
    void *(*fn)(void *);
    void *arg;
    void *(*late_fn)(void *);     /* what a thread that begins late does after that */
    void *late_arg;
    char name[16];
    unsigned number;              /* from 0, the first thread */
    size_t runnable;              /* its place among the runnable, from 1; 0: it waits */
    uint64_t priority;            /* in that mode, more goes first */
    struct wf_sim_event alarm;    /* the end of its sleep */
    bool roused, ended;
    bool busy;                    /* it sleeps, but in truth it computes */
    const char *why;              /* it waits; for the report */
    const void *on;
    struct wf_sim_thread *joiner, *next; /* next: all threads, or the free ones */
    struct wf_sim_thread *sleeper_next;  /* on a futex */
    char *stack;
};

struct wf_sim_thread *wf_sim_self(void);
struct wf_sim_thread *wf_sim_thread_new(void *(*fn)(void *), void *arg, const char *name); /* NULL: no memory */
void wf_sim_thread_join(struct wf_sim_thread *t);
void wf_sim_thread_free(struct wf_sim_thread *t); /* it has ended, and nobody else will */
void wf_sim_start(struct wf_sim_thread *t);       /* it is runnable from now on */

/* Sleep until roused or until then (INT64_MAX: for ever). True: roused. */
bool wf_sim_sleep(int64_t until_ns, const char *why, const void *on);
void wf_sim_rouse(struct wf_sim_thread *t);

void wf_sim_futexes_begin(void); /* nobody sleeps on any */

bool wf_sim_held(void);

/* ---- a simulation ---- */

bool wf_sim_inside(void);
unsigned wf_sim_workers(void);

/* Begin one; run fn(arg) as its first thread and return when that has ended; end it. */
int wf_sim_begin(const weft_sim_config *config);
void wf_sim_figures(weft_sim_report *ret); /* steps, switches, time so far */
void wf_sim_main(int (*fn)(void *), void *arg, weft_sim_report *ret);
void wf_sim_over(void);

/* Called with the world held, when nobody can go on for so long: a place to look for work that lies. */
extern void (*wf_sim_on_idle)(int64_t for_ns);
/* Called when everything has ended: what should be empty now? And when something broke: what is there to be said? */
extern void (*wf_sim_on_end)(void);
extern void (*wf_sim_on_broken)(void);
extern void (*wf_sim_on_thread_end)(const struct wf_sim_thread *t);
bool wf_sim_lenient(void); /* of a program that does not know: it may leave its descriptors to its process's end */

/* As the environment says; what fn returns. */
int wf_sim_by_environment(int (*fn)(void *), void *arg);

void wf_sim_faults_begin(const weft_sim_config *config);
void wf_sim_faults_end(void);
unsigned wf_sim_faults_on(void);                  /* the classes that this seed took */
bool wf_sim_parse_faults(const char *text, unsigned *ret); /* false: there is no such name */
void wf_sim_name_faults(unsigned faults, char *text, size_t size); /* so that it can be parsed */

/* ---- what happened ---- */

/* Into the hash and the trace. No pointers, no descriptors: they differ from run to run. */
void wf_sim_note(const char *what, uint64_t a, uint64_t b);

/* It broke: say so, with all that is needed to see it again; do not return. err is what weft_sim() returns. */
_Noreturn void wf_sim_broke(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void wf_sim_stop(void); /* the end of the process, after that */

/* Of the simulation that runs: where its report goes, and how it is run again. `to` may be memory that a parent
 * shares. */
struct wf_sim_outcome {
    weft_sim_report report;
    int err;   /* what weft_sim() returns */
    bool over; /* err and report are there */
};
void wf_sim_report_begin(const weft_sim_config *config, struct wf_sim_outcome *to);
void wf_sim_report_end(void);
void wf_sim_threads_dump(void (*line)(const char *text)); /* who waits for what */

#endif
