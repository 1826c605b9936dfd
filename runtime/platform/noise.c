/* noise.c - see noise.h. Built only where WEFT_NOISE is on.
 *
 * Whatever happens here must not disturb what is looked at: no lock, no memory, no errno (clock_nanosleep returns its
 * error), nothing that orders memory but the system calls themselves. The thread's generator is not a task's: a task
 * comes to a point, and has left this function, on one thread. ThreadSanitizer is kept out of it, since two tasks
 * that use one thread's generator in turn look like a race without an order between tasks.
 *
 * Sleeps are short more often than long: each power of two up to the longest is as likely as the next. */
#undef WF_NOISE /* what is accessed here is no point */
#include "runtime/platform/noise.h"

#include "runtime/platform/atomic.h"
#include "runtime/platform/random.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MILLION = 1000000, THREAD_STRIDE = 1000003 };

static uint64_t seed; /* these four are written before main, by one thread */
static uint32_t yields = 10000, sleeps = 1000, longest_us = 1000;
static char line[96]; /* what is printed at the end: made beforehand, for a signal handler */
static WF_ATOMIC(uint64_t) threads;

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* After abort(); the process ends when this returns. */
static void say_seed(int sig)
{
    (void)sig;
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* nobody listens */
}

__attribute__((constructor)) static void read_environment(void)
{
    struct timespec now;
    struct sigaction before, ours = {.sa_handler = say_seed, .sa_flags = (int)SA_RESETHAND};
    clock_gettime(CLOCK_REALTIME, &now);
    seed = number("WEFT_NOISE_SEED", (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / MILLION);
    yields = (uint32_t)number("WEFT_NOISE_YIELD", yields);
    sleeps = (uint32_t)number("WEFT_NOISE_SLEEP", sleeps);
    longest_us = (uint32_t)number("WEFT_NOISE_US", longest_us);
    snprintf(line, sizeof line, "noise: WEFT_NOISE_SEED=%llu\n", (unsigned long long)seed);
    if (sigaction(SIGABRT, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        sigaction(SIGABRT, &ours, NULL);
}

/* Zero until its thread's first point; a state that comes round to zero begins anew, which does no harm. */
static _Thread_local struct wf_random of_thread __attribute__((tls_model("initial-exec"))); /* does not migrate */

static void sleep_a_little(struct wf_random *r)
{
    uint32_t us = longest_us;
    for (uint32_t halves = wf_random_below(r, 10); halves > 0; halves--)
        us /= 2;
    struct timespec t = {us / MILLION, (long)(us % MILLION) * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

__attribute__((noinline, no_sanitize_thread)) void wf_point(void)
{
    struct wf_random *r = &of_thread;
    if (r->s == 0)
        wf_random_seed(r, seed + THREAD_STRIDE * (wf_add(&threads, 1, relaxed) + 1));
    uint32_t choice = wf_random_below(r, MILLION);
    if (choice < sleeps)
        sleep_a_little(r);
    else if (choice < sleeps + yields)
        sched_yield();
}
