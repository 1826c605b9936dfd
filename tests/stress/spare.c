/* spare.c - all workers stand still, for long or again and again: the others' tasks go on, and none is lost.
 *
 *     stress_spare [SECONDS [ROUNDS]]
 *
 * First both of two workers sleep in nanosleep(2) for SECONDS, while other tasks sleep a millisecond at a time,
 * offload and ask the kernel: how late do they run? Then the same while both compute. Then ROUNDS times: both workers
 * are blocked in a read that only a third task ends, once it has seen a thousand others through. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

enum { WORKERS = 2, LATE_MAX = 1 << 20, OTHERS = 1000 };

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ---- for long ---- */

static struct {
    double seconds;
    bool computes;
    WF_ATOMIC(unsigned) blocked; /* or about to be */
    int64_t late_ns[LATE_MAX]; /* by the tick alone */
    unsigned ticks;
    uint64_t exchanged;
} lasting;

static int block_long(void *arg)
{
    struct timespec t = {(time_t)lasting.seconds, (long)((lasting.seconds - (double)(time_t)lasting.seconds) * 1e9)};
    (void)arg;
    if (lasting.computes) {
        weft_time end = weft_after((int64_t)(lasting.seconds * 1e9));
        while (weft_since(end) < 0)
            continue;
    } else {
        nanosleep(&t, NULL); /* what nobody should do in a task */
    }
    wf_sub(&lasting.blocked, 1u, relaxed);
    return 0;
}

static int tick(void *arg)
{
    (void)arg;
    while (wf_load(&lasting.blocked, relaxed) > 0 && lasting.ticks < LATE_MAX) {
        weft_time due = weft_after(WEFT_MSEC);
        CHECK_EQ(weft_sleep_until(due), 0);
        lasting.late_ns[lasting.ticks++] = weft_since(due);
    }
    return 0;
}

static int add_one(void *arg)
{
    ++*(uint64_t *)arg;
    return 0;
}

static int exchange(void *arg)
{
    int *pipe = arg;
    char byte;
    while (wf_load(&lasting.blocked, relaxed) > 0) {
        CHECK_EQ(weft_write(pipe[1], "x", 1), 1);
        CHECK_EQ(weft_read(pipe[0], &byte, 1), 1);
        CHECK_EQ(weft_offload(add_one, &lasting.exchanged), 0);
        CHECK_EQ(weft_sleep(100 * WEFT_USEC), 0);
    }
    return 0;
}

/* Those who look on have begun before: else a spare that comes while others compute does not begin them. */
static int last_long(void *arg)
{
    int pair[2];
    (void)arg;
    CHECK_EQ(pipe2(pair, O_CLOEXEC), 0);
    WEFT_SCOPE(s);
    wf_store(&lasting.blocked, WORKERS, relaxed);
    CHECK_EQ(weft_go(&s, tick, NULL), 0);
    CHECK_EQ(weft_go(&s, exchange, pair), 0);
    CHECK_EQ(weft_sleep(10 * WEFT_MSEC), 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(weft_go(&s, block_long, NULL), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static void measure_lateness(double seconds, bool computes)
{
    lasting.seconds = seconds;
    lasting.computes = computes;
    lasting.ticks = 0;
    lasting.exchanged = 0;
    CHECK_EQ(weft_run(&(weft_config){.workers = WORKERS, .stall_ns = 3600 * WEFT_SEC}, last_long, NULL), 0);
    CHECK(lasting.ticks > 0);
    qsort(lasting.late_ns, lasting.ticks, sizeof *lasting.late_ns, compare);
    printf("both %s for %.1f s: %u ticks, late by %.2f ms at the median, %.2f ms p99.9, %.2f ms at most; "
           "%llu exchanges\n",
           computes ? "compute" : "blocked", seconds, lasting.ticks, (double)lasting.late_ns[lasting.ticks / 2] / 1e6,
           (double)lasting.late_ns[(uint64_t)lasting.ticks * 999 / 1000] / 1e6,
           (double)lasting.late_ns[lasting.ticks - 1] / 1e6, (unsigned long long)lasting.exchanged);
}

/* ---- again and again ---- */

struct round {
    int pipe[2];
    WF_ATOMIC(unsigned) blocking, seen;
    weft_event all_block;
};

static int block(void *arg)
{
    struct round *r = arg;
    char byte;
    if (wf_add(&r->blocking, 1u, acq_rel) + 1 == WORKERS)
        weft_event_set(&r->all_block);
    CHECK_EQ(read(r->pipe[0], &byte, 1), 1);
    return 0;
}

static int be_seen(void *arg)
{
    struct round *r = arg;
    CHECK_EQ(weft_yield(), 0);
    wf_add(&r->seen, 1u, relaxed);
    return 0;
}

static int let_go(void *arg)
{
    struct round *r = arg;
    CHECK_EQ(weft_event_wait(&r->all_block), 0);
    WEFT_SCOPE(s);
    for (int i = 0; i < OTHERS; i++)
        CHECK_EQ(weft_go(&s, be_seen, r), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(wf_load(&r->seen, relaxed), OTHERS);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(write(r->pipe[1], "x", 1), 1);
    return 0;
}

static int play_rounds(void *arg)
{
    unsigned rounds = *(unsigned *)arg;
    for (unsigned i = 0; i < rounds; i++) {
        struct round r = {0};
        CHECK_EQ(pipe2(r.pipe, O_CLOEXEC), 0);
        WEFT_SCOPE(s);
        CHECK_EQ(weft_go(&s, let_go, &r), 0);
        for (int n = 0; n < WORKERS; n++)
            CHECK_EQ(weft_go(&s, block, &r), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
        close(r.pipe[0]);
        close(r.pipe[1]);
    }
    weft_stats stats;
    weft_stats_read(weft_runtime_self(), &stats);
    printf("both blocked %u times: a spare came %llu times, no task lost\n", rounds, (unsigned long long)stats.spares);
    CHECK(stats.spares > 0);
    return 0;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 4;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : TEST_TIMES(200);
    measure_lateness(seconds, false);
    measure_lateness(seconds, true);
    fflush(stdout);
    CHECK_EQ(weft_run(&(weft_config){.workers = WORKERS}, play_rounds, &rounds), 0);
    return 0;
}
