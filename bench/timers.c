/* timers.c - what does a timer cost while many others are pending, and how late does it fire?
 *
 *   unfired_pair  set a deadline and take it back, as a timeout around an operation does that succeeds: wall time of a
 *                 pair, while LIVE tasks sleep for a minute
 *   sleep_cpu     one weft_sleep() of 1 to 10 ms, LIVE tasks at it at a time: CPU time of insert, park, fire, resume
 *   lateness      how long after its time a task runs that slept 1 ms on an idle worker; beside it a plain
 *                 thread in clock_nanosleep(2) with the least timer slack, which is the limit
 *
 * Beside it: Tokio's timeout() and sleep(), libuv's uv_timer_start() and uv_timer_stop(). Both keep time in whole
 * milliseconds, so their lateness is not compared. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <weft.h>

enum { LIVE = 10000, COUNT = 200000, COUNT_QUICK = 50000, NAPS = 200, NAPS_QUICK = 50, METRICS = 2 };

static unsigned count = COUNT, naps = NAPS;

static int sleep_long(void *arg)
{
    unsigned *arrived = arg;
    ++*arrived;
    return weft_sleep(60 * WEFT_SEC);
}

static double unfired_pairs(void)
{
    unsigned arrived = 0;
    WEFT_SCOPE(pending);
    for (unsigned i = 0; i < LIVE; i++)
        weft_go(&pending, sleep_long, &arrived);
    while (arrived < LIVE) /* one worker: no race */
        weft_yield();
    WEFT_SCOPE(s);
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < count; i++) {
        weft_scope_set_deadline(&s, weft_after(WEFT_SEC + i % 1000 * WEFT_MSEC));
        weft_scope_set_deadline(&s, weft_never());
    }
    double ns = (double)(bench_now_ns() - start) / count;
    weft_scope_close(&s);
    weft_scope_cancel(&pending);
    weft_scope_close(&pending);
    return ns;
}

static int sleep_short(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    for (unsigned k = 0; k < count / LIVE; k++)
        weft_sleep((1 + (i + k) % 10) * WEFT_MSEC);
    return 0;
}

static double sleeps_cpu(void)
{
    int64_t cpu = bench_cpu_ns();
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < LIVE; i++)
        weft_go(&s, sleep_short, (void *)(uintptr_t)i);
    weft_scope_close(&s);
    return (double)(bench_cpu_ns() - cpu) / (count / LIVE * LIVE);
}

static int measure(void *arg)
{
    double *value = arg;
    value[0] = unfired_pairs();
    value[1] = sleeps_cpu();
    return 0;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("timers: %s", weft_strerror(err));
}

static int nap_task(void *arg)
{
    double *late_us = arg;
    for (unsigned i = 0; i < naps; i++) {
        int64_t due = bench_now_ns() + WEFT_MSEC;
        weft_sleep_until((weft_time){due});
        late_us[i] = (double)(bench_now_ns() - due) / 1e3;
    }
    return 0;
}

static void nap_thread(double *late_us)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    for (unsigned i = 0; i < naps; i++) {
        int64_t due = bench_now_ns() + WEFT_MSEC;
        struct timespec at = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        late_us[i] = (double)(bench_now_ns() - due) / 1e3;
    }
    prctl(PR_SET_TIMERSLACK, 0UL); /* back to the thread's default */
}

/* The median and the 99th of a hundred, in turn for weft and for a plain thread. */
static void lateness(unsigned rounds)
{
    static double late_us[2][NAPS];
    struct bench_figure f[2][2];
    for (int who = 0; who < 2; who++)
        for (int p = 0; p < 2; p++)
            f[who][p] = (struct bench_figure){.bench = "timers", .who = who == 0 ? "weft" : "clock_nanosleep",
                                              .version = weft_version(), .metric = p == 0 ? "late_p50" : "late_p99",
                                              .unit = "us", .workers = 1};
    for (unsigned round = 0; round <= rounds; round++) {
        int err = weft_run(&(weft_config){.workers = 1}, nap_task, late_us[0]);
        if (err < 0)
            bench_die("timers: %s", weft_strerror(err));
        nap_thread(late_us[1]);
        for (int who = 0; who < 2 && round > 0; who++) {
            qsort(late_us[who], naps, sizeof late_us[who][0], bench_compare);
            bench_add(&f[who][0], late_us[who][naps / 2]);
            bench_add(&f[who][1], late_us[who][naps * 99 / 100]);
        }
    }
    for (int p = 0; p < 2; p++)
        for (int who = 0; who < 2; who++)
            bench_report(&f[who][p]);
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric[METRICS] = {{"unfired_pair", "ns", 0}, {"sleep_cpu", "ns", 0}};
    struct bench_options o = bench_options(&argc, argv, 7, NULL);
    struct bench_entry entry[] = {
        {.who = "weft", .version = weft_version(), .workers = 1, .run = run},
        {.workers = 1, .command = "peers/tokio_peer timers 0 10000 200000"},
        {.workers = 1, .command = "peers/uv_peer timers 10000 200000"},
    };
    unsetenv("WEFT_WORKERS");
    if (o.quick) {
        count = COUNT_QUICK;
        naps = NAPS_QUICK;
    }
    bench_rounds("timers", &o, entry, 3, metric, METRICS);
    lateness(o.rounds);
    return 0;
}
