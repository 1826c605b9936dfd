/* offload.c - calls in lanes, jobs that are awaited later, tasks that go there and come back, pinned tasks, and stops
 * among all of it.
 *
 * A job runs once or never: never only when the caller was told to stop. errno is each task's own. */
#include "tests/stress/stress.h"

#include <time.h>

enum { USERS = 40 };

struct job {
    WF_ATOMIC(int) runs;
    int result;
    uint32_t spin;
};

static int run_job(void *arg)
{
    struct job *j = arg;
    wf_add(&j->runs, 1, relaxed);
    for (volatile uint32_t i = 0; i < j->spin; i++)
        ;
    errno = ENOTTY; /* the pool thread's, nobody's business */
    return j->result;
}

static int call_job(struct wf_random *r)
{
    struct job j = {.result = (int)wf_random_below(r, 1000), .spin = wf_random_below(r, 3000)};
    int result = weft_offload(run_job, &j);
    if (is_stop(result)) {
        CHECK_EQ(wf_load(&j.runs, relaxed), 0);
        return result;
    }
    CHECK_EQ(result, j.result);
    CHECK_EQ(wf_load(&j.runs, relaxed), 1);
    return 0;
}

/* Two jobs, one of several calls, in a lane with little room. */
static weft_lane *narrow;

static int run_jobs(struct wf_random *r)
{
    struct job j[4] = {0};
    weft_job one, many;
    for (int i = 0; i < 4; i++)
        j[i].spin = wf_random_below(r, 3000);
    int result = weft_job_start(&one, narrow, run_job, &j[0]);
    int other = weft_job_start_all(&many, narrow, run_job, &j[1], sizeof *j, 3);
    if (other == 0)
        other = weft_job_await(&many);
    if (result == 0)
        result = weft_job_await(&one);
    CHECK((result == 0 || is_stop(result)) && (other == 0 || is_stop(other)));
    CHECK_EQ(wf_load(&j[0].runs, relaxed), result == 0);
    for (int i = 1; i < 4; i++) {
        int runs = wf_load(&j[i].runs, relaxed);
        CHECK(runs <= (i > 1 ? wf_load(&j[i - 1].runs, relaxed) : 1)); /* in their order */
        CHECK(runs == 1 || other < 0);
    }
    return result ? result : other;
}

static void block(struct wf_random *r)
{
    struct timespec t = {0, (long)wf_random_below(r, 100000)};
    bool twice = one_in(r, 2);
    weft_blocking_begin();
    if (twice)
        weft_blocking_begin();
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    CHECK(weft_now().ns > 0);
    if (twice)
        weft_blocking_end();
    weft_blocking_end();
}

static void pinned(struct wf_random *r)
{
    weft_pin();
    unsigned here = weft_worker();
    int *address = &errno;
    if (one_in(r, 2))
        block(r);
    else
        weft_yield();
    CHECK_EQ(weft_worker(), here);
    CHECK(&errno == address);
    weft_unpin();
}

static int use_pool(void *arg)
{
    struct wf_random random = stress_random();
    (void)arg;
    int result = 0;
    for (int i = 0; i < 20 && result == 0; i++) {
        int mine = 1 + (int)wf_random_below(&random, 100);
        errno = mine;
        switch (wf_random_below(&random, 5)) {
        case 0:
        case 1: result = call_job(&random); break;
        case 2: block(&random); break;
        case 3: result = run_jobs(&random); break;
        default: pinned(&random); break;
        }
        CHECK_EQ(errno, mine);
        stress_count();
    }
    return result;
}

static int use_in_rounds(void *arg)
{
    struct wf_random random = stress_random();
    while (!stress_over()) {
        CHECK_EQ(weft_lane_open(&narrow, &(weft_lane_config){.name = "narrow", .threads = 2, .queue = 3}), 0);
        WEFT_SCOPE(s);
        for (int i = 0; i < USERS; i++)
            CHECK_EQ(weft_go(&s, use_pool, arg), 0);
        bool stopped = one_in(&random, 2);
        if (stopped)
            weft_scope_set_deadline(&s, weft_after(wf_random_below(&random, 1000) * WEFT_USEC));
        int closed = weft_scope_close(&s);
        CHECK(closed == 0 || (stopped && closed == -ETIMEDOUT));
        weft_lane_close(narrow);
    }
    return 0;
}

/* Few threads, so that jobs wait their turn and can still be taken back. */
int main(int argc, char **argv)
{
    static const unsigned each[] = {1, 2, 3, 8};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    for (size_t i = 0; i < 4; i++) {
        stress_workers = argc > 2 ? (unsigned)atoi(argv[2]) : each[i];
        stress_end = weft_after((int64_t)(seconds / 4 * 1e9));
        wf_store(&stress_steps, 0, relaxed);
        weft_config config = {.workers = stress_workers, .offload_max = 1 + (unsigned)i};
        CHECK_EQ(weft_run(&config, use_in_rounds, NULL), 0);
        printf("offload, %u workers, %u threads: %" PRIu64 " steps\n", config.workers, config.offload_max,
               wf_load(&stress_steps, relaxed));
        fflush(stdout);
    }
    return 0;
}
