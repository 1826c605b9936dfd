/* timers.c - what does a timer cost, alone and among a million, and how late does it fire?
 *
 *   insert_N    N timers are armed, 1 to 61 s ahead, as operations that hardly ever take that long have them
 *   cancel_N    and all of them taken back
 *   fire_N      CPU time of each of N that fire, scattered over 60 ms
 *   pair        one is armed and taken back while there is no other
 *   sleep       one weft_sleep() of 1 to 10 ms, 10,000 tasks at it at a time: CPU time of insert, park, fire, resume
 *   lateness    how long after its time a task runs that slept 1 ms on an idle worker; beside it a plain thread in
 *               clock_nanosleep(2) with the least timer slack, which is the limit
 *
 * Twice for weft. "weft-wheel" is runtime/timer.c by itself, armed and looked at from here: the bars are its. "weft" is
 * what a task does: weft_scope_set_deadline() of scopes that are open, and for what fires tasks in weft_sleep_until(),
 * so that a task is resumed as well, and a million of them would not fit. It reads the clock for every deadline that is
 * set, to stop a scope at once whose time is over.
 *
 * Beside them: libuv's uv_timer_start() and uv_timer_stop(), Tokio's Sleep, polled once and dropped, Go's AfterFunc()
 * and Stop(). What fires is a callback, one task for all, a goroutine each. The first two keep time in whole
 * milliseconds, so their lateness is not compared. */
#include "bench/bench.h"
#include "bench/peer.h"
#include "runtime/timer.h"

#include <weft.h>

enum {
    SIZES = 3, MOST = 1000000, MOST_QUICK = 100000, TASKS_MOST = 30000,
    PAIRS = 1000000, PAIRS_QUICK = 100000, SLEEPS = 200000, SLEEPS_QUICK = 50000, LIVE = 10000,
    NAPS = 200, NAPS_QUICK = 50, METRICS = 11
};

static unsigned size[SIZES] = {1000, 30000, MOST}; /* the peers have the same, and are told the last */
static unsigned pairs = PAIRS, sleeps = SLEEPS, naps = NAPS;
static const int64_t SPREAD = 60 * WEFT_MSEC;

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static const uint64_t SEED = UINT64_C(88172645463325252);

static int64_t any_timeout(uint64_t *x)
{
    return (int64_t)(1000 + draw(x) % 60000) * WEFT_MSEC;
}

static void *new_array(size_t n, size_t each)
{
    void *p = malloc(n * each);
    if (p == NULL)
        bench_die("timers: no memory");
    return memset(p, 0, n * each);
}

static void run_task(weft_fn fn, double *value)
{
    int err = weft_run(&(weft_config){.workers = 1}, fn, value);
    if (err < 0)
        bench_die("timers: %s", weft_strerror(err));
}

/* ---- the wheel by itself ---- */

static unsigned fired;

static void count_fired(struct wf_timer *t)
{
    (void)t;
    fired++;
}

static void wheel_many(struct wf_wheel *w, struct wf_timer *timer, unsigned n, double *value)
{
    uint64_t x = SEED;
    int64_t base = bench_now_ns(), start = bench_now_ns();
    for (unsigned i = 0; i < n; i++)
        wf_timer_arm(w, &timer[i], base + any_timeout(&x));
    int64_t armed = bench_now_ns();
    for (unsigned i = 0; i < n; i++)
        wf_timer_cancel(&timer[i]);
    value[0] = (double)(armed - start) / n;
    value[1] = (double)(bench_now_ns() - armed) / n;
    int64_t first = base + WEFT_SEC;
    for (unsigned i = 0; i < n; i++)
        wf_timer_arm(w, &timer[i], first + (int64_t)(draw(&x) % (uint64_t)SPREAD));
    fired = 0;
    start = bench_now_ns();
    for (int64_t now = first; fired < n; now += WEFT_MSEC)
        wf_wheel_expire(w, now);
    value[2] = (double)(bench_now_ns() - start) / n;
}

/* Its time begins anew with each size, as a wheel's may not go back. */
static void run_wheel(unsigned workers, double *value)
{
    static struct wf_timer *timer;
    static struct wf_wheel wheel;
    (void)workers;
    if (timer == NULL)
        timer = new_array(size[SIZES - 1], sizeof *timer);
    for (unsigned i = 0; i < size[SIZES - 1]; i++)
        timer[i].fire = count_fired;
    for (int k = 0; k < SIZES; k++) {
        memset(&wheel, 0, sizeof wheel);
        wf_wheel_open(&wheel, bench_now_ns());
        wheel_many(&wheel, timer, size[k], value + 3 * k);
    }
    memset(&wheel, 0, sizeof wheel);
    wf_wheel_open(&wheel, bench_now_ns());
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < pairs; i++) {
        wf_timer_arm(&wheel, timer, start + (1000 + i % 1000) * WEFT_MSEC);
        wf_timer_cancel(timer);
    }
    value[9] = (double)(bench_now_ns() - start) / pairs;
    value[10] = BENCH_NOT_MEASURED;
}

/* ---- what a task does ---- */

static weft_scope *scope;

static void set_many(unsigned n, double *value)
{
    uint64_t x = SEED;
    for (unsigned i = 0; i < n; i++)
        weft_scope_open(&scope[i]);
    int64_t base = bench_now_ns(), start = bench_now_ns();
    for (unsigned i = 0; i < n; i++)
        weft_scope_set_deadline(&scope[i], (weft_time){base + any_timeout(&x)});
    int64_t armed = bench_now_ns();
    for (unsigned i = 0; i < n; i++)
        weft_scope_set_deadline(&scope[i], weft_never());
    value[0] = (double)(armed - start) / n;
    value[1] = (double)(bench_now_ns() - armed) / n;
    for (unsigned i = n; i > 0; i--)
        weft_scope_close(&scope[i - 1]);
}

static int64_t first_due; /* of those that fire */
static unsigned asleep;

static int sleep_once(void *arg)
{
    uint64_t x = SEED + (uintptr_t)arg;
    draw(&x);
    asleep++;
    return weft_sleep_until((weft_time){first_due + (int64_t)(draw(&x) % (uint64_t)SPREAD)});
}

static double sleep_many(unsigned n)
{
    first_due = bench_now_ns() + WEFT_SEC / 5;
    asleep = 0;
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < n; i++)
        weft_go(&s, sleep_once, (void *)(uintptr_t)(i * 7919));
    while (asleep < n) /* one worker: no race */
        weft_yield();
    int64_t cpu = bench_cpu_ns();
    weft_scope_close(&s);
    return (double)(bench_cpu_ns() - cpu) / n;
}

static double set_pairs(void)
{
    WEFT_SCOPE(s);
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < pairs; i++) {
        weft_scope_set_deadline(&s, (weft_time){start + (60000 + i % 1000) * WEFT_MSEC});
        weft_scope_set_deadline(&s, weft_never());
    }
    double ns = (double)(bench_now_ns() - start) / pairs;
    weft_scope_close(&s);
    return ns;
}

static int sleep_short(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    for (unsigned k = 0; k < sleeps / LIVE; k++)
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
    return (double)(bench_cpu_ns() - cpu) / (sleeps / LIVE * LIVE);
}

static int measure(void *arg)
{
    double *value = arg;
    for (int k = 0; k < SIZES; k++) {
        set_many(size[k], value + 3 * k);
        value[3 * k + 2] = size[k] <= TASKS_MOST ? sleep_many(size[k]) : BENCH_NOT_MEASURED;
    }
    value[9] = set_pairs();
    value[10] = sleeps_cpu();
    return 0;
}

static void run(unsigned workers, double *value)
{
    (void)workers;
    if (scope == NULL)
        scope = new_array(size[SIZES - 1], sizeof *scope);
    run_task(measure, value);
}

/* ---- lateness ---- */

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
        run_task(nap_task, late_us[0]);
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
    struct bench_metric metric[METRICS] = {
        {"insert_1k", "ns", 60}, {"cancel_1k", "ns", 60}, {"fire_1k", "ns", 0},
        {"insert_30k", "ns", 60}, {"cancel_30k", "ns", 60}, {"fire_30k", "ns", 0},
        {"insert_1M", "ns", 60}, {"cancel_1M", "ns", 60}, {"fire_1M", "ns", 0},
        {"pair", "ns", 20}, {"sleep", "ns", 0}};
    struct bench_options o = bench_options(&argc, argv, 7, NULL);
    unsetenv("WEFT_WORKERS");
    if (o.quick) {
        pairs = PAIRS_QUICK;
        sleeps = SLEEPS_QUICK;
        naps = NAPS_QUICK;
        size[SIZES - 1] = MOST_QUICK;
        metric[6].name = "insert_100k";
        metric[7].name = "cancel_100k";
        metric[8].name = "fire_100k";
    }
    struct bench_entry entry[] = {
        {.who = "weft-wheel", .version = weft_version(), .workers = 1, .run = run_wheel},
        {.who = "weft", .version = weft_version(), .workers = 1, .run = run},
        {.workers = 1, .command = bench_command("peers/uv_peer timers %u %u %u", pairs, sleeps, size[2])},
        {.workers = 1, .command = bench_command("peers/tokio_peer timers 0 %u %u %u", pairs, sleeps, size[2])},
        {.workers = 1, .command = bench_command("peers/go_timers 1 %u %u %u", pairs, sleeps, size[2])},
    };
    bench_rounds("timers", &o, entry, 5, metric, METRICS);
    lateness(o.rounds);
    return 0;
}
