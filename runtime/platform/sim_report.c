/* sim_report.c - what happened: a hash of everything, the last of it in words, and the end when something broke.
 *
 * The hash is over events in the order in which they happened, with the virtual time of each. Two runs of a seed have
 * the same hash, or something decides that is not the seed: that is a bug of the simulator, or the program looks at
 * what is not simulated.
 *
 * Whoever breaks off stands on any stack, perhaps with locks held. So nothing is cleaned up: a child is ended, and so
 * is a process that was not asked to make one. A program that aborts by itself, by an assertion of its own, is given
 * the line that says how to see it again as well. */
#include "runtime/platform/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRACE = 4096, TRACE_SHOWN = 24, TRACE_WORDY = 400 };

static struct {
    weft_sim_config config;
    struct wf_sim_outcome *to;
    uint64_t hash;
    struct note {
        const char *what;
        uint64_t a, b;
        int64_t at;
        unsigned thread;
    } notes[TRACE]; /* the last ones, in a circle */
    uint64_t count;
    bool breaking;
    struct sigaction before;
} record;

/* ---- noting ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static void print_note(const struct note *n)
{
    fprintf(stderr, "  %12.6f ms  thread %-2u %s %" PRId64 " %" PRId64 "\n", (double)n->at / 1e6, n->thread, n->what,
            (int64_t)n->a, (int64_t)n->b);
}

void wf_sim_note(const char *what, uint64_t a, uint64_t b)
{
    if (!wf_sim_inside())
        return;
    const struct wf_sim_thread *t = wf_sim_self();
    struct note *n = &record.notes[record.count++ % TRACE];
    *n = (struct note){what, a, b, wf_sim_now() - WF_SIM_START_NS, t->number};
    record.hash = mix(mix(mix(record.hash, (uint64_t)n->at), (uint64_t)what[0] << 32 | t->number), a ^ b << 17);
    if (record.config.verbose >= 2)
        print_note(n);
}

/* ---- the end ---- */

static void print_line(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static void print_trace(void)
{
    uint64_t shown = record.config.verbose ? TRACE_WORDY : TRACE_SHOWN;
    uint64_t from = record.count > shown ? record.count - shown : 0;
    if (record.config.verbose >= 2)
        return; /* all of it has been printed */
    for (uint64_t i = from; i < record.count; i++)
        print_note(&record.notes[i % TRACE]);
}

static void fill(weft_sim_report *r)
{
    r->seed = record.config.seed;
    r->faults = wf_sim_faults_on();
    r->hash = record.hash;
    wf_sim_figures(r);
}

static void print_failure(const weft_sim_report *r)
{
    char faults[256], again[512];
    wf_sim_name_faults(record.config.faults, faults, sizeof faults);
    if (record.config.again)
        snprintf(again, sizeof again, "%s", record.config.again);
    else
        snprintf(again, sizeof again, "WEFT_SEED=0x%" PRIx64 " WEFT_FAULTS=%s %s", r->seed, faults,
                 program_invocation_name);
    fprintf(stderr, "weft-sim: %s; at %.6f ms, step %" PRIu64 ", in thread %u, %s; again: %s\n", r->failure,
            (double)r->time_ns / 1e6, r->steps, wf_sim_self()->number, wf_sim_self()->name, again);
}

/* Into the report and onto stderr; once. */
static void tell(int err, const char *text)
{
    if (record.breaking)
        return;
    record.breaking = true;
    wf_sim_hold();
    weft_sim_report *r = &record.to->report;
    fill(r);
    snprintf(r->failure, sizeof r->failure, "%s", text);
    record.to->err = err;
    record.to->over = true;
    if (record.config.quiet)
        return;
    print_failure(r);
    print_trace();
    wf_sim_threads_dump(print_line);
    if (wf_sim_on_broken)
        wf_sim_on_broken(); /* the last: it takes locks that somebody may hold, and then this is the end */
}

void wf_sim_stop(void)
{
    if (record.config.in_child)
        _exit(1);
    signal(SIGABRT, SIG_DFL);
    abort();
}

void wf_sim_broke(int err, const char *format, ...)
{
    char text[sizeof record.to->report.failure];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(err, text);
    wf_sim_stop();
}

void weft_sim_fail(const char *format, ...)
{
    char text[sizeof record.to->report.failure];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!wf_sim_inside()) {
        fprintf(stderr, "weft-sim: %s\n", text);
        abort();
    }
    wf_sim_broke(-EPROTO, "%s", text);
}

/* Somebody calls abort(): the program, or weft's own checks, which have said why. */
static void on_abort(int sig)
{
    if (wf_sim_inside())
        tell(-EPROTO, "aborted");
    signal(sig, SIG_DFL);
    if (record.config.in_child && record.to->over)
        _exit(1);
}

void wf_sim_report_begin(const weft_sim_config *config, struct wf_sim_outcome *to)
{
    record.config = *config;
    record.to = to;
    record.hash = record.count = 0;
    record.breaking = false;
    memset(to, 0, sizeof *to);
    struct sigaction ours = {.sa_handler = on_abort};
    sigaction(SIGABRT, &ours, &record.before);
}

void wf_sim_report_end(void)
{
    weft_sim_report *r = &record.to->report;
    fill(r);
    record.to->over = true;
    sigaction(SIGABRT, &record.before, NULL);
    if (record.config.verbose)
        fprintf(stderr,
                "weft-sim: seed 0x%" PRIx64 ": %.6f ms in %" PRIu64 " steps, %" PRIu64 " switches, hash %016" PRIx64
                "\n",
                r->seed, (double)r->time_ns / 1e6, r->steps, r->switches, r->hash);
}
