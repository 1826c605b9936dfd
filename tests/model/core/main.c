/* main.c - one program of models: options, the loop over executions, what is printed.
 *
 *     PROGRAM [OPTION...] [MODEL...]          default: of every model, --learn 500, --dfs its bound, --pct 20000,3
 *
 *     --list             names only
 *     --dfs BOUND        depth first with at most BOUND preemptions, until all is seen
 *     --random N         N executions at random
 *     --pct N,DEPTH      N executions by random priorities that change DEPTH - 1 times
 *     --seed S           for both
 *     --max N            give up depth first search after N executions: that is a failure
 *     --enough N         end depth first search after N executions, and be content
 *     --replay STRING    one execution, with its trace
 *     --places           print every atomic operation met: its address, what it is, its order
 *     --weaken PC=ORDER  this one shall be weaker
 *     --quiet            print failures only, without their traces
 *     --first            end with the first failure
 *
 * What is printed last: N passed, N failed. */
#include "tests/model/core/core.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MODELS_MAX = 64, LEARN = 500, PCT_DEFAULT = 20000, PCT_DEPTH = 3 };

static const struct model *models[MODELS_MAX];
static unsigned model_count;

static struct {
    int bound; /* -1: the model's */
    uint64_t random, pct, seed, max, enough;
    unsigned pct_depth;
    bool bound_given, any_given, places, quiet, list, first;
    const char *replay;
} options = {.bound = -1, .seed = 1, .max = 5000000};

static uint64_t executions;

void model_add(const struct model *m)
{
    if (model_count == MODELS_MAX)
        abort();
    models[model_count++] = m;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- failures ---- */

static void show_again(const struct model *m)
{
    char before[sizeof run.failure];
    memcpy(before, run.failure, sizeof before);
    explore.mode = MODE_REPEAT;
    event_count = 0;
    run.tracing = true;
    execute_one(m);
    run.tracing = false;
    print_trace();
    if (!run.failed)
        printf("*** but not when it is repeated: the model does not depend on its choices alone\n");
    else if (strncmp(before, run.failure, 40) != 0)
        printf("*** when it is repeated, it is this: %s\n", run.failure);
    memcpy(run.failure, before, sizeof before);
}

static void report(const struct model *m)
{
    if (!options.quiet && run.failed) {
        char text[sizeof run.failure];
        memcpy(text, run.failure, sizeof text);
        show_again(m);
        memcpy(run.failure, text, sizeof text);
    }
    printf("FAILED  %s after %lu executions: %s\n", m->name, (unsigned long)executions, run.failure);
    printf("        --replay ");
    print_picks(stdout);
    printf(" %s\n", m->name);
}

/* A fault of the model's code is a failure of the model. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    snprintf(run.failure, sizeof run.failure, "signal %d, at address %p, after %s", sig, info->si_addr,
             describe_code(self()->pc));
    run.failed = true;
    wf_context_switch_last(&self()->context, &run.explorer);
}

static void catch_faults(void)
{
    static char stack[64 * 1024];
    stack_t at = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaltstack(&at, NULL);
    sigaction(SIGSEGV, &act, NULL);
    sigaction(SIGBUS, &act, NULL);
    sigaction(SIGFPE, &act, NULL);
}

/* ---- exploring ---- */

static bool some(const struct model *m, enum mode mode, uint64_t n)
{
    explore.mode = mode;
    for (uint64_t i = 0; i < n; i++) {
        execute_one(m);
        executions++;
        if (run.failed)
            return false;
    }
    return true;
}

/* Where threads do not meet there are no choices. When an execution finds a new place where they do, what was explored
 * without it does not count. */
static bool depth_first_search(const struct model *m, int bound, uint64_t *count)
{
    explore.mode = MODE_DEPTH;
    explore.bound = bound;
    explore.height = 0;
    *count = 0;
    for (;;) {
        execute_one(m);
        executions++;
        ++*count;
        if (run.failed)
            return false;
        if (run.learned) {
            explore.height = 0;
            *count = 0;
        } else if (!next_path()) {
            return true;
        }
        if (options.enough && executions > options.enough)
            return true;
        if (executions > options.max) {
            snprintf(run.failure, sizeof run.failure, "not exhausted");
            explore.pick_count = 0;
            return false;
        }
    }
}

static bool check_model(const struct model *m)
{
    double start = seconds();
    executions = 0;
    explore.random = options.seed;
    explore.steps = 0;
    char said[200] = "";
    size_t used = 0;
    bool usual = !options.any_given, good = some(m, MODE_RANDOM, usual ? LEARN : options.random);
    if (good && (usual || options.bound_given)) {
        int bound = options.bound_given ? options.bound : m->bound ? m->bound : 2;
        uint64_t count;
        good = depth_first_search(m, bound, &count);
        used += (size_t)snprintf(said, sizeof said, "all %lu of bound %d", (unsigned long)count, bound);
        if (explore.outdated_max >= 0)
            used += (size_t)snprintf(said + used, sizeof said - used, ".%d", explore.outdated_max);
    }
    if (good && (usual || options.pct)) {
        uint64_t n = !usual ? options.pct : options.enough ? options.enough / 4 : PCT_DEFAULT;
        explore.depth_wanted = options.pct_depth ? options.pct_depth : PCT_DEPTH;
        good = some(m, MODE_PCT, n);
        used += (size_t)snprintf(said + used, sizeof said - used, "%s%lu by priorities", used ? ", " : "",
                                 (unsigned long)n);
    }
    double took = seconds() - start;
    if (!good)
        report(m);
    else if (!options.quiet)
        printf("ok      %-32s %s; %.2f s, %.0f executions/s\n", m->name, used ? said : "at random", took,
               (double)executions / took);
    return good;
}

static bool replay(const struct model *m)
{
    if (!parse_picks(options.replay)) {
        fprintf(stderr, "not a string of ours: %s\n", options.replay);
        exit(2);
    }
    explore.mode = MODE_REPEAT;
    run.tracing = true;
    execute_one(m);
    run.tracing = false;
    print_trace();
    printf("%s  %s%s%s\n", run.failed ? "FAILED" : "ok", m->name, run.failed ? ": " : "",
           run.failed ? run.failure : "");
    return !run.failed;
}

/* ---- options ---- */

static _Noreturn void usage(const char *program)
{
    fprintf(stderr, "usage: %s [--list | --places] [--dfs BOUND] [--random N] [--pct N,DEPTH] [--seed S]\n"
                    "       [--max N] [--enough N] [--weaken PC=ORDER]\n"
                    "       [--replay STRING] [--quiet] [--first] [MODEL...]\n", program);
    exit(2);
}

static bool take_option(const char *name, const char *value)
{
    if (strcmp(name, "--dfs") == 0)
        options.bound = atoi(value), options.bound_given = options.any_given = true;
    else if (strcmp(name, "--random") == 0)
        options.random = strtoul(value, NULL, 10), options.any_given = true;
    else if (strcmp(name, "--pct") == 0)
        options.any_given = sscanf(value, "%lu,%u", &options.pct, &options.pct_depth) == 2;
    else if (strcmp(name, "--seed") == 0)
        options.seed = strtoul(value, NULL, 0);
    else if (strcmp(name, "--max") == 0)
        options.max = strtoul(value, NULL, 10);
    else if (strcmp(name, "--enough") == 0)
        options.enough = strtoul(value, NULL, 10);
    else if (strcmp(name, "--replay") == 0)
        options.replay = value;
    else if (strcmp(name, "--weaken") != 0 || !weaken(value))
        return false;
    return true;
}

static int take_options(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--list") == 0)
            options.list = true;
        else if (strcmp(argv[i], "--places") == 0)
            options.places = places_kept = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            options.quiet = true;
        else if (strcmp(argv[i], "--first") == 0)
            options.first = true;
        else if (i + 1 == argc || !take_option(argv[i], argv[i + 1]))
            usage(argv[0]);
        else
            i++;
    }
    return i;
}

static bool is_wanted(const struct model *m, int argc, char **argv, int from)
{
    for (int i = from; i < argc; i++)
        if (strcmp(m->name, argv[i]) == 0)
            return true;
    return from == argc;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    int from = take_options(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    wf_context_adopt_thread(&run.explorer);
    map_stacks();
    map_memory();
    catch_faults();
    for (unsigned i = 0; i < model_count; i++) {
        if (!is_wanted(models[i], argc, argv, from) || (failed && options.first))
            continue;
        if (options.list)
            printf("%s\n", models[i]->name);
        else if (options.replay ? replay(models[i]) : check_model(models[i]))
            passed++;
        else
            failed++;
    }
    if (options.list)
        return 0;
    if (options.places)
        print_places();
    printf("%u passed, %u failed\n", passed, failed);
    return failed || !passed ? 1 : 0;
}
