/* sim_run.c - weft/sim.h: one simulation, here or in a child process.
 *
 * In a child everything is as it was when the child was made, however the last simulation ended; and what breaks, a
 * crash too, is a report. The report lies in memory that both share. */
#include "runtime/platform/sim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

bool weft_sim_running(void)
{
    return wf_sim_inside();
}

uint64_t weft_sim_below(uint64_t n)
{
    return wf_sim_below(WF_SIM_USER, n);
}

static int run_here(const weft_sim_config *config, int (*fn)(void *), void *arg, struct wf_sim_outcome *to)
{
    wf_sim_report_begin(config, to);
    int err = wf_sim_begin(config);
    if (err) {
        to->err = err;
        to->over = true;
        return err;
    }
    wf_sim_main(fn, arg, &to->report);
    wf_sim_report_end();
    wf_sim_over();
    return 0;
}

static void judge_child(int status, const weft_sim_config *config, struct wf_sim_outcome *to)
{
    if (to->over)
        return;
    to->err = -EPROTO;
    to->report.seed = config->seed;
    if (WIFSIGNALED(status))
        snprintf(to->report.failure, sizeof to->report.failure, "ended by signal %d, %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(to->report.failure, sizeof to->report.failure, "ended by exit(%d)", WEXITSTATUS(status));
    if (!config->quiet)
        fprintf(stderr, "weft-sim: %s; again: seed 0x%llx\n", to->report.failure, (unsigned long long)config->seed);
}

static int run_in_child(const weft_sim_config *config, int (*fn)(void *), void *arg, struct wf_sim_outcome *shared)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child == 0) {
        run_here(config, fn, arg, shared);
        fflush(NULL);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    judge_child(status, config, shared);
    return shared->err;
}

int weft_sim(const weft_sim_config *given, int (*fn)(void *), void *arg, weft_sim_report *ret)
{
    const weft_sim_config none = {0}, *config = given ? given : &none;
    if (wf_sim_inside())
        return -EBUSY;
    if (!config->in_child) {
        struct wf_sim_outcome here;
        int err = run_here(config, fn, arg, &here);
        if (ret)
            *ret = here.report;
        return err;
    }
    const int flags = MAP_SHARED | MAP_ANONYMOUS;
    struct wf_sim_outcome *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (shared == MAP_FAILED)
        return -ENOMEM;
    int err = run_in_child(config, fn, arg, shared);
    if (ret)
        *ret = shared->report;
    munmap(shared, sizeof *shared);
    return err;
}

/* ---- a program that does not know ---- */

static bool lenient;

bool wf_sim_lenient(void)
{
    return lenient;
}

static void read_environment(weft_sim_config *config)
{
    const char *seed = getenv("WEFT_SEED"), *faults = getenv("WEFT_FAULTS"), *verbose = getenv("WEFT_SIM_VERBOSE");
    char *end = NULL;
    config->seed = seed && *seed ? strtoull(seed, &end, 0) : 1;
    if (end && *end) {
        fprintf(stderr, "weft-sim: WEFT_SEED is \"%s\": a number is needed\n", seed);
        exit(2);
    }
    if (faults && *faults && !wf_sim_parse_faults(faults, &config->faults)) {
        fprintf(stderr, "weft-sim: WEFT_FAULTS is \"%s\": names as in weft/sim.h, or a mask, are needed\n", faults);
        exit(2);
    }
    config->verbose = verbose ? (unsigned)strtoul(verbose, NULL, 0) : 0;
}

int wf_sim_by_environment(int (*fn)(void *), void *arg)
{
    weft_sim_config config = {0};
    weft_sim_report report;
    read_environment(&config);
    lenient = true;
    int err = weft_sim(&config, fn, arg, &report);
    lenient = false;
    return err ? err : report.result;
}
