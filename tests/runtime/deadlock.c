/* deadlock.c - tests of what is said when all tasks wait and nothing is under way, and that else nothing is said. */
#include "runtime/worker.h"
#include "tests/runtime/with.h"

#include <sys/mman.h>
#include <unistd.h>

static const int64_t LIMIT_NS = 20 * WEFT_MSEC;

struct lock_step {
    weft_future first, second;
    WF_ATOMIC(unsigned) told;
    int pipe[2];
};

static int await_first(void *arg)
{
    struct lock_step *l = arg;
    void *value;
    CHECK_EQ(weft_future_await(&l->first, &value), 0);
    CHECK_EQ(weft_future_set(&l->second, NULL), 0);
    return 0;
}

static int await_second(void *arg)
{
    struct lock_step *l = arg;
    void *value;
    CHECK_EQ(weft_future_await(&l->second, &value), 0);
    return 0;
}

/* The second could let the first go on, and the first the second. */
static int wait_for_each_other(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, await_first, arg);
    weft_go(&s, await_second, arg);
    return weft_scope_close(&s);
}

static void count(void *ctx)
{
    wf_add(&((struct lock_step *)ctx)->told, 1u, relaxed);
}

static void end_it(void *ctx)
{
    count(ctx);
    CHECK_EQ(weft_future_set(&((struct lock_step *)ctx)->first, NULL), 0);
}

TEST(deadlock, is_told_once_and_a_thread_may_end_it)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct lock_step l = {0};
        weft_config config = {.workers = workers, .stall_ns = LIMIT_NS, .on_deadlock = end_it, .ctx = &l};
        CHECK_EQ(weft_run(&config, wait_for_each_other, &l), 0);
        CHECK_EQ(wf_load(&l.told, relaxed), 1);
    }
}

static int deadlock_twice(void *arg)
{
    struct lock_step *l = arg;
    CHECK_EQ(wait_for_each_other(l), 0);
    l->first = l->second = (weft_future){0};
    return wait_for_each_other(l);
}

TEST(deadlock, is_told_again_when_it_is_another)
{
    struct lock_step l = {0};
    weft_config config = {.workers = 2, .stall_ns = LIMIT_NS, .on_deadlock = end_it, .ctx = &l};
    CHECK_EQ(weft_run(&config, deadlock_twice, &l), 0);
    CHECK_EQ(wf_load(&l.told, relaxed), 2);
}

static weft_runtime *runtime;

static int deadlock_twice_alone(void *arg)
{
    runtime = weft_runtime_self();
    return deadlock_twice(arg);
}

/* And come back only when the other one is there. */
static void end_it_slowly(void *ctx)
{
    struct wf_worker *w = &runtime->workers[0];
    uint64_t before = wf_load(&w->parks, relaxed);
    end_it(ctx);
    while (wf_load(&w->parks, relaxed) == before || wf_load(&w->rest, relaxed) != WF_REST_QUIET)
        if (wf_load(&runtime->stopping, relaxed))
            return;
}

TEST(deadlock, is_told_again_though_all_sleep_again_by_the_time_it_was_told)
{
    struct lock_step l = {0};
    weft_config config = {.workers = 1, .stall_ns = LIMIT_NS, .on_deadlock = end_it_slowly, .ctx = &l};
    CHECK_EQ(weft_run(&config, deadlock_twice_alone, &l), 0);
    CHECK_EQ(wf_load(&l.told, relaxed), 2);
}

/* ---- in words ---- */

static char text[65536];

/* Sets the first when the last line is there. */
static void *end_once_written(void *arg)
{
    struct lock_step *l = arg;
    do
        CHECK(pread(STDERR_FILENO, text, sizeof text - 1, 0) >= 0);
    while (!strstr(text, " await_second (") || text[strlen(text) - 1] != '\n');
    CHECK_EQ(weft_future_set(&l->first, NULL), 0);
    return NULL;
}

TEST(deadlock, is_written_for_people_if_nobody_else_is_told)
{
    struct lock_step l = {0};
    int before = dup(STDERR_FILENO), fd = memfd_create("stderr", MFD_CLOEXEC);
    CHECK(before >= 0 && fd >= 0);
    CHECK(dup2(fd, STDERR_FILENO) >= 0);
    pthread_t id = start_thread(end_once_written, &l);
    int err = weft_run(&(weft_config){.workers = 2, .stall_ns = LIMIT_NS}, wait_for_each_other, &l);
    join_thread(id);
    CHECK(dup2(before, STDERR_FILENO) >= 0);
    CHECK_EQ(err, 0);
    CHECK(strstr(text, "weft: nothing can go on: 3 tasks wait, all 2 workers sleep") != NULL);
    char *line = strstr(text, " await_second (spawned at ");
    CHECK(line && strstr(line, "deadlock.c:"));
    if (strstr(line, "called by")) /* else the system lets nobody read there */
        CHECK(strstr(line, "waits in weft_future_await, called by await_second (deadlock.c:") != NULL);
}

/* ---- and none ---- */

static void compute(int64_t ns)
{
    for (weft_time start = weft_now(); weft_since(start) < ns;)
        wf_pause();
}

static int compute_long(void *arg)
{
    (void)arg;
    compute(10 * LIMIT_NS);
    return 0;
}

static void *write_late(void *arg)
{
    compute(10 * LIMIT_NS);
    CHECK_EQ(write(((struct lock_step *)arg)->pipe[1], "x", 1), 1);
    return NULL;
}

static int wait_for_what_comes(void *arg)
{
    struct lock_step *l = arg;
    char byte;
    CHECK_EQ(weft_sleep(10 * LIMIT_NS), 0);
    CHECK_EQ(weft_offload(compute_long, NULL), 0);
    weft_blocking_begin();
    compute(10 * LIMIT_NS);
    weft_blocking_end();
    pthread_t id = start_thread(write_late, l);
    CHECK_EQ(weft_read(l->pipe[0], &byte, 1), 1);
    join_thread(id);
    return 0;
}

TEST(deadlock, is_not_told_of_a_timer_a_job_or_a_request)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct lock_step l = {0};
        CHECK_EQ(pipe(l.pipe), 0);
        weft_config config = {.workers = workers, .stall_ns = LIMIT_NS, .on_deadlock = count, .ctx = &l};
        CHECK_EQ(weft_run(&config, wait_for_what_comes, &l), 0);
        CHECK_EQ(wf_load(&l.told, relaxed), 0);
    }
}
