/* sim: runs cases and scenarios in simulations, one seed after another, and makes a failure small.
 *
 *     sim --list
 *     sim --seeds 20000 [--from 1] [--jobs 2] [--verify 100]    all cases in turn; one run in 100 is run again, in
 *                                                               another process with other addresses, and must be
 *                                                               the same
 *     sim --scenario NAME --seed 0x2a [--faults short,eintr]    one run; --trace prints every event
 *     sim --scenario canary --seeds 200 --must-fail             there is a bug, and it must be found
 *     sim ... --keep-going                                      do not stop at the first failure
 *
 * Each simulation is a child process. The first one that fails is told with all that is needed to see it again, and
 * is tried with each class of faults left out, as long as it still fails. The last line counts: N passed, N failed. */
#include "tests/scenario/scenario.h"
#include "tests/sim/cases.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weft/sim.h>

enum { JOBS_MAX = 64, SECONDS_PER_RUN = 60 };

struct options {
    const char *scenario;
    uint64_t from, seeds, fault_steps, steps;
    const char *faults;
    unsigned jobs, verify, verbose;
    bool must_fail, hash_only, keep_going;
};

/* What all jobs share. */
struct tally {
    _Alignas(64) struct job {
        uint64_t passed, failed, verified, steps, switches;
        int64_t virtual_ns;
    } job[JOBS_MAX];
    volatile bool stop;
};

static struct options options = {.from = 1, .seeds = 1, .jobs = 1};
static struct tally *tally;
static const char *self;

/* ---- what there is ---- */

enum { CASES_MAX = 256 };

static struct sim_case cases[CASES_MAX];
static size_t case_count;

/* These give a descriptor to the task that is to serve it. Started but given no stack, it ends without having run, so
 * the descriptor stays open and its client waits. */
static unsigned spared(const char *name)
{
    static const char *const giving[] = {"echo_storm", "reset", "shortage", "service"};
    for (size_t i = 0; i < sizeof giving / sizeof *giving; i++)
        if (!strcmp(name, giving[i]))
            return WEFT_SIM_NO_STACK;
    return 0;
}

static void gather(void)
{
    for (const struct sim_case *c = sim_cases; c->name; c++)
        cases[case_count++] = *c;
    for (size_t i = 0; scenarios[i] && case_count < CASES_MAX; i++)
        cases[case_count++] = (struct sim_case){scenarios[i]->name, NULL, WEFT_SIM_ALL & ~spared(scenarios[i]->name),
                                                scenarios[i]};
}

static bool wanted(const struct sim_case *c)
{
    return options.scenario ? !strcmp(options.scenario, c->name) : strcmp(c->name, "canary") != 0;
}

/* ---- one run ---- */

struct run {
    const struct sim_case *c;
    uint64_t seed;
    unsigned faults;
};

/* A scenario is small most of the time: what a few tasks can show they show sooner, and more seeds fit in a second. */
static int run_scenario(const struct run *r)
{
    bool unkind = r->faults & ~(unsigned)WEFT_SIM_GENTLE; /* else a scenario checks as if nothing had gone wrong */
    struct scenario_env env = {.scenario = r->c->scenario, .faults = unkind, .seed = r->seed};
    uint64_t most = env.scenario->size;
    while (most > 2 && weft_sim_below(4) != 0)
        most /= 2;
    env.size = 1 + (unsigned)weft_sim_below(most);
    return scenario_run(&env, NULL);
}

static int run_case(void *arg)
{
    const struct run *r = arg;
    alarm(SECONDS_PER_RUN); /* a child's own: a run that hangs is ended, and has failed */
    return r->c->main ? r->c->main(NULL) : run_scenario(r);
}

static unsigned faults_of(const struct sim_case *c)
{
    return options.faults ? (unsigned)strtoul(options.faults, NULL, 0) & c->faults : c->faults;
}

static int run_one(const struct sim_case *c, uint64_t seed, unsigned faults, unsigned verbose, weft_sim_report *ret)
{
    char again[256];
    snprintf(again, sizeof again, "%s --scenario %s --seed 0x%" PRIx64 " --faults 0x%x", self, c->name, seed, faults);
    weft_sim_config config = {.seed = seed,
                              .faults = faults,
                              .in_child = true,
                              .verbose = verbose,
                              .fault_steps = options.fault_steps,
                              .steps_max = options.steps,
                              .again = again};
    struct run run = {c, seed, faults};
    return weft_sim(&config, run_case, &run, ret);
}

/* The same run in a process of its own, from its first instruction on. */
static uint64_t hash_elsewhere(const struct sim_case *c, uint64_t seed, unsigned faults)
{
    char command[512];
    uint64_t hash = 0;
    snprintf(command, sizeof command, "exec %s --scenario %s --seed 0x%" PRIx64 " --faults 0x%x --hash", self, c->name,
             seed, faults);
    FILE *f = popen(command, "r");
    if (f && fscanf(f, "%" SCNx64, &hash) != 1)
        hash = 0;
    if (f)
        pclose(f);
    return hash;
}

/* ---- a failure ---- */

static void silence(void)
{
    if (!freopen("/dev/null", "w", stderr))
        exit(2);
}

/* Does it still fail? Without a word. */
static bool fails_quietly(const struct sim_case *c, uint64_t seed, unsigned faults)
{
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        weft_sim_report r;
        silence();
        _exit(run_one(c, seed, faults, 0, &r) != 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status != 0;
}

/* Leave out every class of faults that the failure does not need. */
static void shrink(const struct sim_case *c, uint64_t seed, unsigned faults)
{
    unsigned needed = faults;
    for (unsigned bit = 1; bit <= WEFT_SIM_ALL; bit <<= 1)
        if ((needed & bit) && fails_quietly(c, seed, needed & ~bit))
            needed &= ~bit;
    fprintf(stderr, "smallest: %s --scenario %s --seed 0x%" PRIx64 " --faults 0x%x\n", self, c->name, seed, needed);
}

static bool judge(const struct sim_case *c, uint64_t seed, struct job *j)
{
    weft_sim_report r = {0};
    unsigned faults = faults_of(c);
    int err = run_one(c, seed, faults, options.verbose, &r);
    j->steps += r.steps;
    j->switches += r.switches;
    j->virtual_ns += r.time_ns;
    if (err == 0 && options.verify && seed % options.verify == 0) {
        j->verified++;
        uint64_t other = hash_elsewhere(c, seed, faults);
        if (other != r.hash) {
            fprintf(stderr, "sim: %s, seed 0x%" PRIx64 ": two runs differ: %016" PRIx64 " and %016" PRIx64 "\n",
                    c->name, seed, r.hash, other);
            err = -EPROTO;
        }
    } else if (err != 0 && !options.must_fail && !options.keep_going) {
        shrink(c, seed, r.faults);
    }
    return err == 0;
}

/* ---- many runs ---- */

static void run_job(unsigned number)
{
    struct job *j = &tally->job[number];
    const struct sim_case *chosen[CASES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < case_count; i++)
        if (wanted(&cases[i]))
            chosen[n++] = &cases[i];
    for (uint64_t i = number; i < options.seeds && !tally->stop; i += options.jobs) {
        uint64_t seed = options.from + i;
        if (judge(chosen[seed % n], seed, j)) {
            j->passed++;
        } else {
            j->failed++;
            tally->stop = !options.keep_going;
        }
    }
}

static void run_jobs(void)
{
    pid_t jobs[JOBS_MAX];
    for (unsigned i = 1; i < options.jobs; i++) {
        jobs[i] = fork();
        if (jobs[i] == 0) {
            run_job(i);
            _exit(0);
        }
    }
    run_job(0);
    for (unsigned i = 1; i < options.jobs; i++)
        waitpid(jobs[i], NULL, 0);
}

static int sum_up(double seconds)
{
    struct job all = {0};
    for (unsigned i = 0; i < options.jobs; i++) {
        const struct job *j = &tally->job[i];
        all.passed += j->passed;
        all.failed += j->failed;
        all.verified += j->verified;
        all.steps += j->steps;
        all.switches += j->switches;
        all.virtual_ns += j->virtual_ns;
    }
    printf("%" PRIu64 " seeds in %.1f s, %" PRIu64 " of them twice: %.0f seeds/s, %.2f million steps/s, %.0f s of "
           "virtual time\n",
           all.passed + all.failed, seconds, all.verified, (double)(all.passed + all.failed) / seconds,
           (double)all.steps / seconds / 1e6, (double)all.virtual_ns / 1e9);
    if (options.must_fail) {
        all.failed = all.failed == 0;
        all.passed = !all.failed;
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", all.passed, all.failed);
    return all.failed != 0;
}

/* ---- the command line ---- */

static void list_cases(void)
{
    for (const struct sim_case *c = cases; c < cases + case_count; c++)
        printf("%-24s faults 0x%x\n", c->name, c->faults);
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(name, "--must-fail") || !strcmp(name, "--hash") || !strcmp(name, "--trace") ||
            !strcmp(name, "--keep-going")) {
            options.keep_going |= name[2] == 'k';
            options.must_fail |= name[2] == 'm';
            options.hash_only |= name[2] == 'h';
            options.verbose |= name[2] == 't' ? 2 : 0;
            continue;
        }
        if (!value)
            return false;
        i++;
        if (!strcmp(name, "--scenario"))
            options.scenario = value;
        else if (!strcmp(name, "--seed") || !strcmp(name, "--from"))
            options.from = strtoull(value, NULL, 0);
        else if (!strcmp(name, "--seeds"))
            options.seeds = strtoull(value, NULL, 0);
        else if (!strcmp(name, "--faults"))
            options.faults = value;
        else if (!strcmp(name, "--jobs"))
            options.jobs = (unsigned)strtoul(value, NULL, 0);
        else if (!strcmp(name, "--verify"))
            options.verify = (unsigned)strtoul(value, NULL, 0);
        else if (!strcmp(name, "--fault-steps"))
            options.fault_steps = strtoull(value, NULL, 0);
        else if (!strcmp(name, "--steps"))
            options.steps = strtoull(value, NULL, 0);
        else
            return false;
    }
    return options.jobs >= 1 && options.jobs <= JOBS_MAX && options.seeds >= 1;
}

static int print_hash(void)
{
    weft_sim_report r = {0};
    for (const struct sim_case *c = cases; c < cases + case_count; c++)
        if (wanted(c) && run_one(c, options.from, faults_of(c), 0, &r) == 0)
            printf("%016" PRIx64 "\n", r.hash);
    return 0;
}

int main(int argc, char **argv)
{
    self = argv[0];
    gather();
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        list_cases();
        return 0;
    }
    bool known = false;
    if (parse(argc, argv))
        for (const struct sim_case *c = cases; c < cases + case_count; c++)
            known |= wanted(c);
    if (!known) {
        fprintf(stderr, "usage: see the first lines of tests/sim/sim.c\n");
        return 2;
    }
    if (options.hash_only)
        return print_hash();
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 2;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    run_jobs();
    clock_gettime(CLOCK_MONOTONIC, &end);
    return sum_up((double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
}
