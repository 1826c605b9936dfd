/* offload.c - what does it cost to have something done on the offload pool?
 *
 * An empty job and back: one after another, which is the latency of two wakes; and by 64 tasks at once, which is
 * what a job costs when there are plenty. On one worker with two CPUs, so that the pool has one of its own.
 * Beside it: Tokio's spawn_blocking() in both of its runtimes, libuv's uv_queue_work(). */
#include "bench/bench.h"
#include "bench/peer.h"

#include <weft.h>

enum { JOBS = 20000, JOBS_QUICK = 4000, WIDTH = 64, METRICS = 2 };

static unsigned jobs = JOBS;

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int caller(void *arg)
{
    unsigned n = *(unsigned *)arg;
    int err = 0;
    for (unsigned i = 0; i < n && err == 0; i++)
        err = weft_offload(nothing, NULL);
    return err;
}

static int measure(void *arg)
{
    static const unsigned width[METRICS] = {1, WIDTH};
    double *us = arg;
    for (int m = 0; m < METRICS; m++) {
        unsigned each = jobs / width[m];
        int64_t start = bench_now_ns();
        WEFT_SCOPE(s);
        for (unsigned i = 0; i < width[m]; i++)
            weft_go(&s, caller, &each);
        int err = weft_scope_close(&s);
        us[m] = (double)(bench_now_ns() - start) / 1e3 / (each * width[m]);
        if (err < 0)
            return err;
    }
    return 0;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("offload: %s", weft_strerror(err));
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric[METRICS] = {{"round_trip", "us", 0}, {"job_of_64_at_once", "us", 0}};
    struct bench_options o = bench_options(&argc, argv, 7, NULL);
    struct bench_entry entry[] = {
        {.who = "weft", .version = weft_version(), .workers = 1, .cpus = 2, .run = run},
        {.workers = 1, .cpus = 2, .command = "peers/tokio_peer offload 0 20000"},
        {.workers = 1, .cpus = 2, .command = "peers/tokio_peer offload 1 20000"},
        {.workers = 1, .cpus = 2, .command = "peers/uv_peer offload 20000"},
    };
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        jobs = JOBS_QUICK;
    bench_rounds("offload", &o, entry, 4, metric, METRICS);
    return 0;
}
