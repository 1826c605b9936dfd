/* stack.c - a task that needs more stack than it has: the line names it, whichever way it ran over. */
#include "runtime/platform/atomic.h"
#include "tests/death/dies.h"

#include <alloca.h>
#include <signal.h>
#include <unistd.h>

static volatile int depth = 1 << 30; /* more than any stack; the compiler must not know that it never ends */

__attribute__((noinline)) static int recurse(int n)
{
    volatile char frame[256];
    frame[0] = (char)n;
    return n == 0 ? 0 : recurse(n - 1) + frame[0];
}

static int recurse_for_ever(void *arg)
{
    (void)arg;
    return recurse(depth);
}

/* A megabyte at once: it must touch the guard, not leap over it into a neighbour. */
static int have_a_large_frame(void *arg)
{
    volatile char frame[1 << 20];
    (void)arg;
    for (size_t i = 0; i < sizeof frame; i += 4096)
        frame[i] = 1;
    return frame[depth & 0xfffff];
}

static int allocate_on_it(void *arg)
{
    (void)arg;
    for (int i = 0;; i++) {
        volatile char *more = alloca(1000);
        more[0] = (char)i;
        if (more[0] + i == depth)
            return 0;
    }
}

/* The C library runs over, with whatever locks it holds. */
__attribute__((noinline)) static int print_deeper(int n)
{
    char text[512];
    snprintf(text, sizeof text, "%*d %.9f", 100, n, (double)n);
    return n == 0 ? 0 : print_deeper(n - 1) + text[n & 7];
}

static int run_over_in_printf(void *arg)
{
    (void)arg;
    return print_deeper(depth);
}

static void on_signal(int sig)
{
    (void)sig;
    recurse(depth);
}

/* A handler of the program's, on the task's own stack. */
__attribute__((unused)) static int run_over_in_a_handler(void *arg)
{
    (void)arg;
    signal(SIGUSR1, on_signal);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGUSR1);
    return 0;
}

/* Its stack has been left and entered again, and it is not the first on its worker. */
static int run_over_after_a_wait(void *arg)
{
    weft_sleep(WEFT_MSEC);
    return recurse_for_ever(arg);
}

static int run_over_on_the_pool(void *arg)
{
    weft_blocking_begin();
    return recurse_for_ever(arg);
}

/* The line of an overflow names the task in its middle, as it goes on with what to do. */
#define RUNS_OVER(name, body)                                                                      \
    static int spawn_for_##name(void *arg)                                                         \
    {                                                                                              \
        WEFT_SCOPE(s);                                                                             \
        weft_go(&s, body, arg);                                                                    \
        return weft_scope_close(&s);                                                               \
    }                                                                                              \
    TEST_DIES(stack, name, "stack overflow in task " #body " (spawned at " __FILE__ ":" TEXT_OF(__LINE__) ")", \
              "weft_config.stack_size")                                                            \
    {                                                                                              \
        weft_run(&(weft_config){.workers = 1}, spawn_for_##name, NULL);                            \
    }

RUNS_OVER(recursion_is_reported, recurse_for_ever)
RUNS_OVER(frame_of_a_megabyte_is_reported, have_a_large_frame)
RUNS_OVER(alloca_is_reported, allocate_on_it)
RUNS_OVER(overflow_in_printf_is_reported, run_over_in_printf)
#ifndef WF_TSAN /* which calls handlers itself, somewhat later */
RUNS_OVER(overflow_in_a_signal_handler_is_reported, run_over_in_a_handler)
#endif
RUNS_OVER(overflow_after_a_wait_is_reported, run_over_after_a_wait)
RUNS_OVER(overflow_on_the_pool_is_reported, run_over_on_the_pool)
