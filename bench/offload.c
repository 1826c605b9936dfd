/* offload.c - what does it cost to have something done on the offload pool?
 *
 *     round_trip_hot      an empty job and back, one right after another: whoever gets it is still awake
 *     round_trip_parked   the same after a millisecond's pause, in which all of them have gone to sleep: two wakes
 *     job_1us             a job that computes for a microsecond, a thousand of them in flight; with a pool of one
 *                         thread, and of two. The second of two times: a runtime is new in every round, and until
 *                         its threads have a CPU each some milliseconds pass; peers keep theirs from round to round
 *
 * On one worker with two CPUs: a pool of one thread has a CPU of its own, a pool of two shares one with the worker.
 * Beside it: libuv's uv_queue_work(), Tokio's spawn_blocking(), Boost.Asio's thread_pool. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <weft.h>

enum { JOBS = 50000, JOBS_QUICK = 10000, WIDTH = 1000, PAUSED = 100, METRICS = 3 };

static unsigned jobs = JOBS, pool;

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int compute(void *arg)
{
    int64_t until = bench_now_ns() + 1000;
    (void)arg;
    while (bench_now_ns() < until)
        ;
    return 0;
}

struct calls {
    weft_fn job;
    unsigned n;
};

static int one_after_another(void *arg)
{
    struct calls *c = arg;
    int err = 0;
    for (unsigned i = 0; i < c->n && err == 0; i++)
        err = weft_offload(c->job, NULL);
    return err;
}

/* Nanoseconds a job, by so many tasks at once. */
static double in_flight(unsigned width, weft_fn job)
{
    struct calls c = {job, jobs / width};
    int64_t start = bench_now_ns();
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < width; i++)
        weft_go(&s, one_after_another, &c);
    int err = weft_scope_close(&s);
    if (err < 0)
        bench_die("offload: %s", weft_strerror(err));
    return (double)(bench_now_ns() - start) / (c.n * width);
}

static int measure(void *arg)
{
    double *value = arg;
    int64_t paused = 0;
    int err = 0;
    value[0] = in_flight(1, nothing) / 1e3;
    for (int i = 0; i < PAUSED && err == 0; i++) {
        weft_sleep(WEFT_MSEC);
        int64_t start = bench_now_ns();
        err = weft_offload(nothing, NULL);
        paused += bench_now_ns() - start;
    }
    value[1] = (double)paused / 1e3 / PAUSED;
    for (int i = 0; i < 2; i++)
        value[2] = in_flight(WIDTH, compute);
    return err;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers, .offload_max = pool}, measure, value);
    if (err < 0)
        bench_die("offload: %s", weft_strerror(err));
}

static void rounds(const char *name, const struct bench_options *o, unsigned threads, const struct bench_metric *metric)
{
    char tokio[2][64], uv[64], boost[64];
    struct bench_entry entry[] = {
        {.who = "weft", .version = weft_version(), .workers = 1, .cpus = 2, .run = run},
        {.workers = 1, .cpus = 2, .command = tokio[0]},
        {.workers = 1, .cpus = 2, .command = tokio[1]},
        {.workers = 1, .cpus = 2, .command = uv},
        {.workers = 1, .cpus = 2, .command = boost},
    };
    for (unsigned i = 0; i < 2; i++)
        snprintf(tokio[i], sizeof tokio[i], "peers/tokio_peer offload %u %u %u", i, threads, jobs);
    snprintf(uv, sizeof uv, "peers/uv_peer offload %u %u", threads, jobs);
    snprintf(boost, sizeof boost, "peers/boost_offload %u %u", threads, jobs);
    pool = threads;
    bench_rounds(name, o, entry, 5, metric, METRICS);
}

int main(int argc, char **argv)
{
    static const struct bench_metric one[METRICS] = {
        {"round_trip_hot", "us", 2}, {"round_trip_parked", "us", 85}, {"job_1us", "ns", 1250}};
    static const struct bench_metric two[METRICS] = {
        {"round_trip_hot", "us", 0}, {"round_trip_parked", "us", 0}, {"job_1us", "ns", 833}};
    struct bench_options o = bench_options(&argc, argv, 7, NULL);
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        jobs = JOBS_QUICK;
    rounds("offload_1", &o, 1, one);
    rounds("offload_2", &o, 2, two);
    return 0;
}
