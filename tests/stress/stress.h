/* stress.h - what the stress programs share: how long, with how many workers, and chance.
 *
 *     stress_tree [SECONDS] [WORKERS]
 *
 * SECONDS (5 by default) are shared by runtimes of 1, 2, 3 and 8 workers, or are all for one of WORKERS. What a
 * program checks, it checks with CHECK of tests/test.h; it prints how much it did. All chance follows from
 * STRESS_SEED (0, if it is not set). One that does not come to an end says which tasks it has, and aborts. tests/soak
 * runs all of them for as long as one likes: with many seeds, on one core and on all, beside a process that wants the
 * cores for itself. */
#ifndef STRESS_H
#define STRESS_H

#include "runtime/platform/atomic.h"
#include "runtime/platform/random.h"
#include "tests/test.h"

#include <signal.h>
#include <unistd.h>
#include <weft.h>

enum { STRESS_PATIENCE_SEC = 90 };

static weft_time stress_end;
static unsigned stress_workers;
static WF_ATOMIC(uint64_t) stress_seed, stress_steps;

__attribute__((constructor)) static void stress_read_seed(void)
{
    const char *text = getenv("STRESS_SEED");
    wf_store(&stress_seed, text ? strtoull(text, NULL, 0) << 32 : 0, relaxed);
}

static inline bool stress_over(void)
{
    return weft_since(stress_end) >= 0;
}

/* A generator for whoever asks, unlike all others. */
static inline struct wf_random stress_random(void)
{
    return (struct wf_random){.s = wf_add(&stress_seed, 1, relaxed) * UINT64_C(0x9e3779b97f4a7c15)};
}

static inline bool one_in(struct wf_random *r, uint32_t n)
{
    return wf_random_below(r, n) == 0;
}

static inline void stress_count(void)
{
    wf_add(&stress_steps, 1, relaxed);
}

/* A result that a stop explains. */
static inline bool is_stop(int result)
{
    return result == -ECANCELED || result == -ETIMEDOUT;
}

static inline void stress_run(const char *name, unsigned workers, double seconds, weft_fn fn)
{
    wf_store(&stress_steps, 0, relaxed);
    stress_workers = workers;
    stress_end = weft_after((int64_t)(seconds * 1e9));
    CHECK_EQ(weft_run(&(weft_config){.workers = workers}, fn, NULL), 0);
    printf("%s, %u workers: %" PRIu64 " steps\n", name, workers, wf_load(&stress_steps, relaxed));
    fflush(stdout);
}

static void stress_stands_still(int signal)
{
    (void)signal;
    weft_dump(STDERR_FILENO);
    abort();
}

static inline int stress_main(int argc, char **argv, const char *name, weft_fn fn)
{
    static const unsigned each[] = {1, 2, 3, 8};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    size_t n = sizeof each / sizeof *each;
    signal(SIGALRM, stress_stands_still);
    alarm((unsigned)seconds + STRESS_PATIENCE_SEC);
    if (argc > 2)
        stress_run(name, (unsigned)atoi(argv[2]), seconds, fn);
    else
        for (size_t i = 0; i < n; i++)
            stress_run(name, each[i], seconds / (double)n, fn);
    return 0;
}

#endif
