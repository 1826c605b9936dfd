/* plan.c - how much of everything, and what arithmetic says it should take.
 *
 * The ideal is what a machine without any overhead would need. With N tasks that each make k requests of
 * D ms and compute C ms, and with a mode that can compute on c cores at once (its degree):
 *
 *     seq      N * (k * D + C)           one thing after another
 *     others   k * D + ceil(N / c) * C   all waits overlap; computing takes turns on c cores
 *
 * The second line holds because all tasks begin together, so all of them are done waiting at k * D and
 * none can compute earlier. Sizes are fixed work, never fixed time, and N is a multiple of the workers, so
 * that no core is left over in the last turn.
 *
 * For pings beside jobs of J ms that begin every E ms: a ping on the worker that computes waits for the
 * rest of the job, evenly spread over J, and that happens to a share J / E of them. All others need nothing
 * but the way there and back, which is what the idle run measures. It is the same for innocent requests beside
 * others that compute: only where there is one thread, and it computes, do they wait. */
#include "bench/contrast.d/contrast.h"

const char *const ct_work_names[CT_WORKS] = {"io", "cpu", "mixed"};
const char *const ct_mode_names[CT_MODES] = {"seq", "conc", "par", "offload", "par+offload", "threads"};
const char *const ct_ping_names[CT_PINGS] = {"idle", "in line", "par", "offload", "par+offload"};
const char *const ct_stall_names[CT_STALLS] = {"seq", "conc", "par", "offload"};

#define TASKS_MIN 8u

static void plan_common(struct ct_plan *p, unsigned cores, unsigned workers)
{
    *p = (struct ct_plan){.cores = cores, .workers = workers};
    unsigned each = (TASKS_MIN + workers - 1) / workers;
    p->tasks = workers * (each < 2 ? 2 : each);
    p->requests[CT_IO] = 2;
    p->requests[CT_MIXED] = 1;
    p->computes[CT_CPU] = true;
    p->computes[CT_MIXED] = true;
    p->ping_rate = 1000;
    p->ping_conns = 4;
}

static void plan_jobs(struct ct_plan *p, int64_t job_ns, unsigned ping_count)
{
    p->job_ns = job_ns;
    p->job_every_ns = 2 * job_ns;
    p->ping_count = ping_count;
    p->stall_count = ping_count / 2;
}

/* A long row of tasks would make seq endless: shorten what each does, but never below what can be
 * measured beside a wake-up. */
static void plan_sizes(struct ct_plan *p, int64_t wait_ns, int64_t compute_ns)
{
    p->wait_ns = wait_ns;
    p->compute_ns = compute_ns * TASKS_MIN / p->tasks;
    if (p->compute_ns < 2 * CT_MSEC)
        p->compute_ns = 2 * CT_MSEC;
}

void ct_plan_quick(struct ct_plan *p, unsigned cores, unsigned workers)
{
    plan_common(p, cores, workers);
    plan_sizes(p, 10 * CT_MSEC, 8 * CT_MSEC);
    plan_jobs(p, 20 * CT_MSEC, 240);
    p->size = "quick";
    p->rounds = 5;
}

/* Small sizes, many rounds: shapes need a steady median, not long runs. But waits and jobs are long beside a
 * turn that the system gives to another program, 3 to 4 ms, which on a busy machine is in every figure. */
void ct_plan_check(struct ct_plan *p, unsigned cores, unsigned workers)
{
    plan_common(p, cores, workers);
    plan_sizes(p, 25 * CT_MSEC, 8 * CT_MSEC);
    plan_jobs(p, 40 * CT_MSEC, 320);
    p->size = "check";
    p->rounds = 9;
    p->extra_rounds = 36;
}

void ct_plan_full(struct ct_plan *p, unsigned cores, unsigned workers)
{
    plan_common(p, cores, workers);
    plan_sizes(p, 25 * CT_MSEC, 25 * CT_MSEC);
    plan_jobs(p, 25 * CT_MSEC, 1200);
    p->size = "full";
    p->rounds = 9;
}

/* Turn durations into turns of the compute loop. */
void ct_plan_calibrated(struct ct_plan *p, double turn_ns)
{
    p->turn_ns = turn_ns;
    p->compute_turns = (uint64_t)((double)p->compute_ns / turn_ns);
    p->job_turns = (uint64_t)((double)p->job_ns / turn_ns);
}

bool ct_plan_has(enum ct_work w, enum ct_mode m)
{
    return m != CT_LIMIT || w == CT_CPU;
}

/* How many cores a mode can compute on at once. */
unsigned ct_plan_degree(const struct ct_plan *p, enum ct_mode m)
{
    if (m == CT_SEQ || m == CT_CONC)
        return 1;
    return p->workers < p->cores ? p->workers : p->cores;
}

int64_t ct_plan_ideal(const struct ct_plan *p, enum ct_work w, enum ct_mode m)
{
    int64_t wait = (int64_t)p->requests[w] * p->wait_ns;
    int64_t compute = p->computes[w] ? p->compute_ns : 0;
    unsigned degree = ct_plan_degree(p, m);
    if (m == CT_SEQ)
        return p->tasks * (wait + compute);
    return wait + (p->tasks + degree - 1) / degree * compute;
}

/* What the jobs alone must add, at that percentile, to a ping on the one thread that computes them. */
static int64_t behind_jobs(const struct ct_plan *p, double percentile)
{
    double busy = (double)p->job_ns / (double)p->job_every_ns;
    double above = 1 - percentile / 100;
    return above < busy ? (int64_t)((double)p->job_ns * (1 - above / busy)) : 0;
}

int64_t ct_plan_ping_ideal(const struct ct_plan *p, enum ct_ping mode, double percentile)
{
    bool stuck = mode == CT_PING_INLINE || (mode == CT_PING_PAR && p->workers == 1);
    return stuck ? behind_jobs(p, percentile) : 0;
}

int64_t ct_plan_stall_ideal(const struct ct_plan *p, enum ct_stall mode, double percentile)
{
    bool stuck = mode == CT_STALL_SEQ || mode == CT_STALL_CONC || (mode == CT_STALL_PAR && p->workers == 1);
    return stuck ? behind_jobs(p, percentile) : 0;
}
