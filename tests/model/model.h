/* model.h - how to write a model: a small program of real files of weft, run in every order that matters.
 *
 * A model includes the files it is about (.c as well, so that each build of it is one compilation and a mutant may
 * stand in for any of them), says what its threads do, and what must hold. The checker runs it again and again, each
 * time with other choices: who runs next, and which of the stores that C11 allows a load returns. What it finds it
 * prints as a trace and a string that repeats it. docs/design/model.md says what is checked and what is not.
 *
 *     #include "tests/model/model.h"
 *     #include "runtime/queue.c"
 *
 *     static struct wf_queue q;
 *
 *     static void setup(void)  { wf_queue_open(&q, false); }
 *     static void owner(void)  { ... model_check(...); }
 *     static void thief(void)  { ... }
 *     static void finish(void) { ... }
 *
 *     MODEL(queue_steal, .setup = setup, .threads = {owner, thief, thief}, .finish = finish, .bound = 3)
 *
 * The model's own code is instrumented like the files it includes: plain memory that its threads share without order
 * is a data race and is reported. Static variables begin each execution as the compiler initialised them. Memory from
 * wf_alloc() is tracked. Nothing else outlives an execution, so nothing else may be kept: no stdio, no malloc.
 *
 * setup runs alone, as thread 0. Then threads 1, 2, ... run; when they have ended thread 0 joins them and runs finish.
 * Setup may start threads as well (wf_thread_start), and any thread may. */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_THREADS_MAX = 7 }; /* alive and ended ones together, thread 0 counted */

struct model {
    const char *name, *file;
    void (*setup)(void);                            /* NULL: nothing */
    void (*threads[MODEL_THREADS_MAX - 1])(void);
    void (*finish)(void);                           /* NULL: nothing */
    int bound;   /* preemptions up to which `run` exhausts it; 0: 2 */
    int outdated; /* outdated loads of an execution, when it is exhausted; 0: 2; -1: any number */
    int stale;   /* how often in a row a thread may be given the same outdated store; 0: 2 */
    int spurious; /* how many weak exchanges of an execution fail for no reason; 0: 1; -1: none */
    int early;   /* how many timed sleeps of an execution time out though others could run; 0: 1; -1: none */
    int ops_max; /* operations of one execution that count as a livelock; 0: 5,000 */
    bool keeps;  /* what wf_alloc() gave may be left at the end */
};

/* One model; a file may have several. */
#define MODEL(name_, ...)                                                                                       \
    static const struct model model_of_##name_ = {.name = #name_, .file = __FILE__, __VA_ARGS__};              \
    __attribute__((constructor)) static void model_add_##name_(void)                                           \
    {                                                                                                           \
        model_add(&model_of_##name_);                                                                           \
    }
void model_add(const struct model *m);

/* ---- for the code of models ---- */

/* What must hold, in threads, setup and finish. */
#define model_check(cond) ((cond) ? (void)0 : model_fail("%s at %s:%d", #cond, __FILE__, __LINE__))
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Who runs: 0 in setup and finish, then in the order of threads[]. */
unsigned model_self(void);

/* Sleep while the word of four bytes holds value; a deadline of INT64_MAX is none. 0, -EAGAIN, -ETIMEDOUT. The body
 * of wf_futex_wait. Wake up to n of those that sleep on it. */
int model_futex_wait(const void *word, uint32_t value, int64_t deadline_ns);
void model_futex_wake(const void *word, int n);

/* Nothing but another thread can help: let one go first. The body of wf_pause() and wf_thread_yield(). */
void model_pause(void);

/* Sleep until wakeable(arg) is true, or false: it is time. It is asked in between others' steps, by whoever runs, so it
 * must not be instrumented: MODEL_PLAIN. For bodies of things that sleep, such as a kernel's ring. */
bool model_block(bool (*wakeable)(void *arg), void *arg, int64_t deadline_ns, const char *what);

/* Functions that the checker does not look into: they order nothing, and are never interrupted. */
#define MODEL_PLAIN __attribute__((noinline, disable_sanitizer_instrumentation))

/* Between the two nobody else runs; it orders nothing. For what happens at once in reality, as in a kernel. */
void model_alone_begin(void);
void model_alone_end(void);

/* A step that others' steps may come before or after, though nothing of it is instrumented. */
void model_step(void);

/* The memory is gone, as a frame that was left or a thread's local variables: who touches it from now on fails, and so
 * does who touched it without order before. */
void model_gone(const void *p, size_t size);

/* A choice of the checker's: below n, every one of which is tried. For what the environment may do. */
unsigned model_choose(unsigned n);

/* The virtual clock: it stands still but for sleeps that time out, and this. */
int64_t model_now(void);
void model_advance(int64_t ns);

/* Say something that a trace should show. */
void model_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
