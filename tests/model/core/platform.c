/* platform.c - the platform of a model: weft's seams with bodies of the checker's.
 *
 * Nobody here talks to the system. A futex, a thread, a clock are the checker's own; a panic is a failure. */
#include "tests/model/core/core.h"

#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/barrier.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/thread.h"

#include <stdarg.h>
#include <stdio.h>
#include <weft/base.h>
#undef errno

/* ---- panic.h ---- */

void wf_panic(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    model_fail("panic: %s", text);
}

void wf_warn(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    NOTE("warning: %s", text);
}

/* ---- futex.h ---- */

int wf_futex_wait(const void *word, uint32_t value, int64_t deadline_ns)
{
    return model_futex_wait(word, value, deadline_ns);
}

void wf_futex_wake(const void *word, int n)
{
    model_futex_wake(word, n);
}

/* ---- barrier.h ---- */

int wf_barrier_prepare(void)
{
    return 0;
}

void wf_barrier(void)
{
    fence_everywhere((uintptr_t)__builtin_return_address(0));
}

/* ---- thread.h ---- */

int wf_thread_start(struct wf_thread *t, void *(*fn)(void *), void *arg, const char *name)
{
    (void)name;
    point(NULL, true, (uintptr_t)__builtin_return_address(0));
    t->id = add_thread(NULL, fn, arg);
    return 0;
}

void wf_thread_join(struct wf_thread *t)
{
    point(NULL, true, (uintptr_t)__builtin_return_address(0));
    join_threads(1u << t->id);
}

void wf_thread_detach(struct wf_thread *t)
{
    (void)t;
}

int wf_thread_cpu(void)
{
    return -1;
}

void wf_thread_yield(void)
{
    model_pause();
}

void wf_thread_nap(int64_t ns)
{
    run.clock_ns += ns;
    model_pause();
}

void wf_thread_affinity(struct wf_affinity *ret)
{
    ret->saved = 0;
}

int wf_thread_choose(const unsigned *cpus, unsigned n, struct wf_affinity *ret)
{
    (void)cpus, (void)n;
    ret->saved = 0;
    return 0;
}

void wf_thread_nice(int more)
{
    (void)more;
}

void wf_thread_hurry(int64_t slice_ns)
{
    (void)slice_ns;
}

void wf_thread_bind(int cpu, struct wf_affinity *ret)
{
    (void)cpu;
    ret->saved = 0;
}

void wf_thread_unbind(const struct wf_affinity *a)
{
    (void)a;
}

void wf_thread_block_sigpipe(struct wf_sigpipe *ret)
{
    ret->was_blocked = ret->was_pending = 0;
}

void wf_thread_restore_sigpipe(const struct wf_sigpipe *s)
{
    (void)s;
}

/* ---- local.h ---- */

struct wf_local *wf_local(void)
{
    return &self()->local;
}

void *wf_local_room(void)
{
    static const struct emutls room = {.size = WF_LOCAL_ROOM, .align = 16};
    return __emutls_get_address(&room);
}

struct wf_worker *wf_worker_self(void)
{
    return self()->local.worker;
}

int *weft_errno(void)
{
    return &self()->saved_errno;
}

int wf_errno_read(void)
{
    return self()->saved_errno;
}

void wf_errno_write(int value)
{
    self()->saved_errno = value;
}

/* ---- clock.h ---- */

int64_t wf_clock_now(void)
{
    return run.clock_ns;
}
