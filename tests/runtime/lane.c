/* lane.c - tests of lanes: what becomes of jobs when all threads are busy, jobs that are awaited later, many calls in
 * one, closing, and figures. tests/runtime/offload.c has the threads themselves. */
#include "runtime/platform/clock.h"
#include "runtime/worker.h"
#include "tests/runtime/with.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <unistd.h>

static weft_lane *open_lane(const weft_lane_config *config)
{
    weft_lane *l = NULL;
    CHECK_EQ(weft_lane_open(&l, config), 0);
    return l;
}

static weft_lane_stats stats_of(weft_lane *l)
{
    weft_lane_stats s;
    weft_lane_stats_read(l, &s);
    return s;
}

static int return_it(void *arg)
{
    return (int)(intptr_t)arg;
}

/* A job that runs until it is let go. */
struct gate {
    sem_t open;
    WF_ATOMIC(bool) entered;
};

static int pass(void *arg)
{
    struct gate *g = arg;
    raise_flag(&g->entered);
    while (sem_wait(&g->open) < 0)
        ;
    return 42;
}

/* One thread, busy: whatever comes now has to wait. To be let go and awaited. */
static void keep_busy(weft_lane *l, struct gate *g, weft_job *job)
{
    sem_init(&g->open, 0, 0);
    wf_store(&g->entered, false, relaxed);
    CHECK_EQ(weft_job_start(job, l, pass, g), 0);
    yield_until(&g->entered);
}

static void let_go(struct gate *g, weft_job *job)
{
    sem_post(&g->open);
    CHECK_EQ(weft_job_await(job), 42);
}

static int count(void *arg)
{
    wf_add((WF_ATOMIC(int) *)arg, 1, relaxed);
    return 7;
}

/* ---- What there is ---- */

static int niceness(void *arg)
{
    (void)arg;
    return getpriority(PRIO_PROCESS, 0);
}

static int name_of_thread(void *arg)
{
    FILE *f = fopen("/proc/thread-self/comm", "re");
    bool read = f && fgets(arg, 32, f);
    if (f)
        fclose(f);
    return read;
}

static void check_name(weft_lane *l, const char *wanted)
{
    char name[32];
    CHECK_EQ(weft_offload_on(l, name_of_thread, name), 1);
    CHECK_STR(name, wanted);
}

static int know_each_lane(void *arg)
{
    (void)arg;
    check_name(weft_lane_cpu(), "weft-cpu\n");
    check_name(weft_lane_blocking(), "weft-blocking\n");
    check_name(weft_lane_dns(), "weft-dns\n");
    weft_lane *l = open_lane(&(weft_lane_config){.name = "a long one", .threads = 1});
    check_name(l, "weft-a long one\n");
    weft_lane_close(l);
    l = open_lane(&(weft_lane_config){.name = "an even longer one"});
    check_name(l, "weft-an even lo\n");
    weft_lane_close(l);
    int mine = niceness(NULL), nicer = mine + WF_LANE_CPU_NICE;
    CHECK_EQ(weft_offload_on(weft_lane_blocking(), niceness, NULL), mine);
    CHECK_EQ(weft_offload_on(weft_lane_cpu(), niceness, NULL), nicer < 19 ? nicer : 19);
    return 0;
}

TEST(lane, has_threads_of_its_own_name_and_niceness)
{
    with_one_worker(know_each_lane, NULL);
}

static int be_lazy(void *arg)
{
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "lazy"});
    CHECK_EQ(stats_of(l).threads, 0u);
    CHECK_EQ(stats_of(weft_lane_cpu()).threads, 0u);
    CHECK_EQ(weft_offload_on(l, return_it, (void *)3), 3);
    CHECK_EQ(stats_of(l).threads, 1u);
    CHECK_EQ(stats_of(weft_lane_cpu()).threads, 0u);
    weft_lane_close(l);
    weft_lane_close(NULL);
    return 0;
}

TEST(lane, has_no_thread_before_its_first_job)
{
    with_workers(be_lazy, NULL);
}

static int look_up_names(void *arg)
{
    weft_addr a[4];
    (void)arg;
    CHECK(weft_resolve("localhost:80", a, 4) != -EINVAL);
    CHECK_EQ(stats_of(weft_lane_dns()).done, 1u);
    CHECK_EQ(stats_of(weft_lane_blocking()).done, 0u);
    return 0;
}

TEST(lane, of_names_has_nothing_else_in_it)
{
    with_one_worker(look_up_names, NULL);
}

static int refuse_configs(void *arg)
{
    static const unsigned nowhere[] = {CPU_SETSIZE};
    const weft_lane_config wrong[] = {
        {.name = NULL},
        {.name = ""},
        {.name = "x", .threads = 1025},
        {.name = "x", .nice = -1},
        {.name = "x", .nice = 20},
        {.name = "x", .full = (weft_lane_full)3},
        {.name = "x", .cpus = nowhere, .cpu_count = 1},
    };
    weft_lane *l = NULL;
    (void)arg;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQ(weft_lane_open(&l, &wrong[i]), -EINVAL);
    CHECK(!l);
    return 0;
}

TEST(lane, refuses_a_config_out_of_range)
{
    with_one_worker(refuse_configs, NULL);
}

static int first_cpu(void *arg)
{
    cpu_set_t cpus;
    (void)arg;
    CHECK_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    int first = 0;
    while (!CPU_ISSET(first, &cpus))
        first++;
    return CPU_COUNT(&cpus) == 1 ? first : -1 - first;
}

static int stay_on_a_cpu(void *arg)
{
    (void)arg;
    int first = first_cpu(NULL);
    unsigned cpu = (unsigned)(first < 0 ? -1 - first : first);
    weft_lane *l = open_lane(&(weft_lane_config){.name = "there", .cpus = &cpu, .cpu_count = 1, .nice = 3});
    CHECK_EQ(weft_offload_on(l, first_cpu, NULL), (int)cpu);
    weft_lane_close(l);
    return 0;
}

TEST(lane, keeps_its_threads_where_they_are_to_be)
{
    with_one_worker(stay_on_a_cpu, NULL);
}

/* ---- A full queue ---- */

static int be_refused(void *arg)
{
    struct gate g;
    weft_job busy, job[2], more;
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "strict", .threads = 1, .queue = 2, .full = WEFT_LANE_REFUSE});
    keep_busy(l, &g, &busy);
    CHECK_EQ(weft_job_start(&job[0], l, return_it, (void *)1), 0);
    CHECK_EQ(weft_job_start(&job[1], l, return_it, (void *)2), 0);
    CHECK_EQ(weft_job_start(&more, l, return_it, (void *)3), -EAGAIN);
    CHECK_EQ(weft_offload_on(l, return_it, (void *)4), -EAGAIN);
    CHECK_EQ(stats_of(l).queued, 2u);
    CHECK_EQ(stats_of(l).running, 1u);
    CHECK_EQ(stats_of(l).refused, 2u);
    let_go(&g, &busy);
    CHECK_EQ(weft_job_await(&job[0]), 1);
    CHECK_EQ(weft_job_await(&job[1]), 2);
    CHECK_EQ(weft_offload_on(l, return_it, (void *)5), 5);
    weft_lane_close(l);
    return 0;
}

TEST(lane, that_is_full_refuses)
{
    with_workers(be_refused, NULL);
}

static int thread_and_stop(void *arg)
{
    *(pid_t *)arg = gettid();
    return weft_offload_cancelled();
}

static int run_it_here(void *arg)
{
    struct gate g;
    weft_job busy, queued, here;
    pid_t where[3] = {0};
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "near", .threads = 1, .queue = 1, .full = WEFT_LANE_HERE});
    keep_busy(l, &g, &busy);
    CHECK_EQ(weft_job_start(&queued, l, return_it, (void *)1), 0);
    CHECK_EQ(weft_offload_on(l, thread_and_stop, &where[0]), 0);
    CHECK_EQ(where[0], gettid());
    CHECK_EQ(weft_job_start_all(&here, l, thread_and_stop, &where[1], sizeof *where, 2), 0);
    CHECK(weft_job_done(&here));
    CHECK_EQ(weft_job_await(&here), 0);
    CHECK(where[1] > 0 && where[2] == where[1]);
    CHECK_EQ(stats_of(l).here, 3u);
    CHECK_EQ(stats_of(l).refused, 0u);
    let_go(&g, &busy);
    CHECK_EQ(weft_job_await(&queued), 1);
    CHECK_EQ(stats_of(l).done, 2u);
    weft_lane_close(l);
    return 0;
}

TEST(lane, that_is_full_has_it_run_by_whoever_comes)
{
    with_one_worker(run_it_here, NULL);
}

struct starter {
    weft_lane *lane;
    weft_job job;
    WF_ATOMIC(bool) started;
    WF_ATOMIC(int) ran;
    int result;
};

static int start_one(void *arg)
{
    struct starter *s = arg;
    s->result = weft_job_start(&s->job, s->lane, count, &s->ran);
    raise_flag(&s->started);
    return 0;
}

/* Of four that wait for room one is stopped: it never runs, and those behind it come in all the same. */
static int wait_for_room(void *arg)
{
    struct gate g;
    struct starter s[4] = {0};
    weft_task *t[4];
    weft_job busy, inside;
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "narrow", .threads = 1, .queue = 1});
    keep_busy(l, &g, &busy);
    CHECK_EQ(weft_job_start(&inside, l, return_it, (void *)1), 0);
    WEFT_SCOPE(scope);
    for (int i = 0; i < 4; i++) {
        s[i].lane = l;
        t[i] = weft_spawn(&scope, start_one, &s[i]);
    }
    let_all_run();
    for (int i = 0; i < 4; i++)
        CHECK(!wf_load(&s[i].started, acquire));
    CHECK_EQ(stats_of(l).queued, 1u);
    weft_cancel(t[1]);
    yield_until(&s[1].started);
    CHECK_EQ(s[1].result, -ECANCELED);
    let_go(&g, &busy);
    CHECK_EQ(weft_job_await(&inside), 1);
    for (int i = 0; i < 4; i++) {
        yield_until(&s[i].started);
        if (i != 1)
            CHECK_EQ(weft_job_await(&s[i].job), 7);
        CHECK_EQ(wf_load(&s[i].ran, relaxed), i != 1);
    }
    CHECK_EQ(weft_scope_close(&scope), 0);
    CHECK_EQ(stats_of(l).cancelled, 1u);
    weft_lane_close(l);
    return 0;
}

TEST(lane, that_is_full_has_its_starters_wait_for_room_and_lets_them_go_when_they_are_told_to)
{
    with_one_worker(wait_for_room, NULL);
}

/* ---- Told to stop ---- */

struct told {
    weft_lane *lane;
    WF_ATOMIC(bool) begun;
    weft_time limit; /* zero: none */
    int result;
};

static int run_until_told(void *arg)
{
    struct told *t = arg;
    CHECK(!weft_offload_cancelled());
    raise_flag(&t->begun);
    while (!weft_offload_cancelled())
        sched_yield();
    return 9;
}

static int offload_until_told(void *arg)
{
    struct told *t = arg;
    t->result = weft_offload_on(t->lane, run_until_told, t);
    return 0;
}

static int job_until_told(void *arg)
{
    struct told *t = arg;
    weft_job job;
    CHECK_EQ(weft_job_start(&job, t->lane, run_until_told, t), 0);
    t->result = weft_job_await(&job);
    return 0;
}

static int tell_running_jobs(void *arg)
{
    static const weft_fn bodies[] = {offload_until_told, job_until_told};
    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct told t = {.lane = weft_lane_cpu()};
        WEFT_SCOPE(s);
        weft_task *task = weft_spawn(&s, bodies[i / 2], &t);
        yield_until(&t.begun);
        if (i % 2)
            weft_scope_set_deadline(&s, weft_after(WEFT_MSEC));
        else
            weft_cancel(task);
        CHECK_EQ(weft_scope_close(&s), i % 2 ? -ETIMEDOUT : 0);
        CHECK_EQ(t.result, 9);
    }
    CHECK(!weft_offload_cancelled());
    return 0;
}

TEST(lane, tells_a_job_that_runs_that_nobody_wants_it_any_more)
{
    with_workers(tell_running_jobs, NULL);
}

static int ask_as_guest(void *arg)
{
    WF_ATOMIC(bool) *begun = arg;
    weft_blocking_begin();
    CHECK(!weft_offload_cancelled());
    raise_flag(begun);
    while (!weft_offload_cancelled())
        sched_yield();
    weft_blocking_end();
    return weft_checkpoint();
}

static int tell_a_guest(void *arg)
{
    WF_ATOMIC(bool) begun = false;
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, ask_as_guest, &begun);
    yield_until(&begun);
    weft_cancel(t);
    CHECK_EQ(weft_await(t), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(lane, tells_a_task_that_blocks_as_well)
{
    with_one_worker(tell_a_guest, NULL);
    CHECK(!weft_offload_cancelled());
}

/* ---- Started now, awaited later ---- */

static int start_and_await(void *arg)
{
    weft_job job[8];
    (void)arg;
    for (int i = 0; i < TEST_TIMES(500); i++) {
        for (intptr_t k = 0; k < 8; k++)
            CHECK_EQ(weft_job_start(&job[k], weft_lane_cpu(), return_it, (void *)(k - 3)), 0);
        for (int k = 7; k >= 0; k--)
            CHECK_EQ(weft_job_await(&job[k]), k - 3);
    }
    while (!weft_job_done(&job[0])) /* it stays so */
        sched_yield();
    return 0;
}

TEST(job, is_awaited_whenever_one_likes)
{
    with_workers(start_and_await, NULL);
}

static int await_it(void *arg)
{
    return weft_job_await(arg);
}

static int take_jobs_back(void *arg)
{
    struct gate g;
    weft_job busy, queued;
    WF_ATOMIC(int) ran = 0;
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "one", .threads = 1});
    keep_busy(l, &g, &busy);
    CHECK_EQ(weft_job_start(&queued, l, count, &ran), 0);
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, await_it, &queued);
    let_all_run();
    weft_cancel(t);
    CHECK_EQ(weft_await(t), -ECANCELED);
    weft_task *late = weft_prepare(&s, await_it, &busy); /* told before it asks */
    weft_cancel(late);
    weft_start(late);
    let_all_run();
    sem_post(&g.open);
    CHECK_EQ(weft_await(late), 42);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_lane_close(l);
    CHECK_EQ(wf_load(&ran, relaxed), 0);
    return 0;
}

TEST(job, is_taken_back_by_whoever_awaits_it_and_is_stopped)
{
    with_one_worker(take_jobs_back, NULL);
}

/* ---- Many calls in one ---- */

enum { CALLS = 1000 };

static int mark(void *arg)
{
    (*(int *)arg)++;
    return *(int *)arg - 1; /* 0, if it was the only one */
}

static int run_each_once(void *arg)
{
    static int ran[CALLS];
    weft_job job;
    (void)arg;
    memset(ran, 0, sizeof ran);
    for (size_t n = 0; n <= CALLS; n = n ? n * 10 : 1) {
        CHECK_EQ(weft_job_start_all(&job, weft_lane_cpu(), mark, ran, sizeof *ran, n), 0);
        CHECK_EQ(weft_job_await(&job), 0);
        for (size_t i = 0; i < CALLS; i++)
            CHECK_EQ(ran[i], i < n);
        memset(ran, 0, sizeof ran);
    }
    CHECK_EQ(stats_of(weft_lane_cpu()).done, 1111u);
    return 0;
}

TEST(job, of_many_calls_runs_each_once)
{
    with_workers(run_each_once, NULL);
}

struct crowd {
    WF_ATOMIC(unsigned) inside;
    unsigned wanted;
};

/* Ends when as many are inside at once as are wanted. */
static int meet(void *arg)
{
    struct crowd *c = arg;
    wf_add(&c->inside, 1, acq_rel);
    while (wf_load(&c->inside, acquire) < c->wanted)
        sched_yield();
    return 0;
}

static int meet_in_a_lane(void *arg)
{
    struct crowd c = {.wanted = 5};
    weft_job job;
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "wide", .threads = 5});
    CHECK_EQ(weft_job_start_all(&job, l, meet, &c, 0, 5), 0);
    CHECK_EQ(weft_job_await(&job), 0);
    CHECK_EQ(stats_of(l).threads, 5u);
    weft_lane_close(l);
    return 0;
}

TEST(job, of_many_calls_gets_as_many_threads_as_it_can_use)
{
    with_one_worker(meet_in_a_lane, NULL);
}

static int fail_or_not(void *arg)
{
    return *(int *)arg;
}

static int same_argument(void *arg)
{
    return arg ? -EINVAL : 0;
}

static int use_one_argument(void *arg)
{
    weft_job job;
    CHECK_EQ(weft_job_start_all(&job, weft_lane_cpu(), same_argument, arg, 0, 5), 0);
    CHECK_EQ(weft_job_await(&job), 0);
    return 0;
}

TEST(job, of_many_calls_may_give_all_the_same_argument)
{
    with_workers(use_one_argument, NULL);
}

static int fail_in_the_middle(void *arg)
{
    int results[] = {5, -EIO, 0, -ENOENT};
    weft_job job;
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "one", .threads = 1});
    CHECK_EQ(weft_job_start_all(&job, l, fail_or_not, results, sizeof *results, 4), 0);
    CHECK_EQ(weft_job_await(&job), -EIO);
    CHECK_EQ(weft_job_start_all(&job, l, fail_or_not, results, sizeof *results, 1), 0);
    CHECK_EQ(weft_job_await(&job), 0);
    weft_lane_close(l);
    return 0;
}

TEST(job, of_many_calls_says_the_first_failure)
{
    with_workers(fail_in_the_middle, NULL);
}

struct cut {
    struct gate gate;
    WF_ATOMIC(int) ran;
};

static int pass_and_count(void *arg)
{
    struct cut *c = arg;
    wf_add(&c->ran, 1, relaxed);
    return pass(&c->gate);
}

/* One call of ten runs as its owner is stopped: that one is waited for, the others never run. */
static int cut_a_job(void *arg)
{
    struct cut c = {0};
    weft_job job;
    (void)arg;
    sem_init(&c.gate.open, 0, 0);
    weft_lane *l = open_lane(&(weft_lane_config){.name = "one", .threads = 1});
    CHECK_EQ(weft_job_start_all(&job, l, pass_and_count, &c, 0, 10), 0);
    yield_until(&c.gate.entered);
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, await_it, &job);
    let_all_run();
    weft_cancel(t);
    while (stats_of(l).cancelled == 0)
        CHECK_EQ(weft_yield(), 0);
    CHECK(!weft_done(t));
    sem_post(&c.gate.open);
    CHECK_EQ(weft_await(t), -ECANCELED);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(wf_load(&c.ran, relaxed), 1);
    CHECK_EQ(stats_of(l).cancelled, 9u);
    weft_lane_close(l);
    return 0;
}

TEST(job, of_many_calls_is_taken_back_as_far_as_it_has_not_begun)
{
    with_one_worker(cut_a_job, NULL);
}

/* ---- The end ---- */

static unsigned threads_named(const char *wanted)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        n += f && fgets(name, sizeof name, f) && strcmp(name, wanted) == 0;
        if (f)
            fclose(f);
    }
    closedir(dir);
    return n;
}

struct closing {
    weft_lane *lane;
    WF_ATOMIC(bool) begins, closed;
};

static int close_it(void *arg)
{
    struct closing *c = arg;
    raise_flag(&c->begins);
    weft_lane_close(c->lane);
    raise_flag(&c->closed);
    return 0;
}

/* One job runs, one is queued: both are done and awaited before the lane is closed, and nothing new is taken. */
static int close_with_users(void *arg)
{
    struct gate g;
    weft_job busy, queued, late;
    struct closing c = {.lane = open_lane(&(weft_lane_config){.name = "ending", .threads = 1})};
    (void)arg;
    keep_busy(c.lane, &g, &busy);
    CHECK_EQ(weft_job_start(&queued, c.lane, return_it, (void *)3), 0);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, close_it, &c), 0);
    yield_until(&c.begins);
    let_all_run();
    CHECK_EQ(weft_job_start(&late, c.lane, return_it, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_job_start_all(&late, c.lane, return_it, NULL, 0, 0), -ESHUTDOWN);
    CHECK_EQ(weft_offload_on(c.lane, return_it, NULL), -ESHUTDOWN);
    let_go(&g, &busy);
    let_all_run();
    CHECK(!wf_load(&c.closed, acquire));
    CHECK_EQ(weft_job_await(&queued), 3);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK(wf_load(&c.closed, acquire));
    while (threads_named("weft-ending\n") > 0) /* one that has been joined is listed for a moment more */
        sched_yield();
    return 0;
}

TEST(lane, is_closed_when_all_that_was_started_has_been_awaited)
{
    with_one_worker(close_with_users, NULL);
}

static weft_job forgotten[3];
static WF_ATOMIC(int) done_late;

static int take_a_moment(void *arg)
{
    int64_t until = wf_clock_now() + 5 * WEFT_MSEC;
    while (wf_clock_now() < until)
        sched_yield();
    return count(arg);
}

static int leave_jobs_behind(void *arg)
{
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "left", .threads = 1});
    CHECK_EQ(weft_job_start(&forgotten[0], l, take_a_moment, &done_late), 0);
    CHECK_EQ(weft_job_start(&forgotten[1], l, take_a_moment, &done_late), 0);
    CHECK_EQ(weft_job_start(&forgotten[2], weft_lane_cpu(), take_a_moment, &done_late), 0);
    return 0;
}

TEST(lane, that_is_left_open_is_closed_when_its_jobs_are_done)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, leave_jobs_behind, NULL), 0);
    CHECK_EQ(wf_load(&done_late, relaxed), 3);
    for (int i = 0; i < 3; i++)
        CHECK(weft_job_done(&forgotten[i]));
    while (threads_named("weft-left\n") + threads_named("weft-cpu\n") > 0)
        sched_yield();
}

/* ---- Figures ---- */

static int take_times(void *arg)
{
    weft_job job[3];
    (void)arg;
    weft_lane *l = open_lane(&(weft_lane_config){.name = "timed", .threads = 1});
    CHECK_EQ(weft_offload_on(l, take_a_moment, &done_late), 7); /* the first one's times are taken: it is slow */
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_job_start(&job[i], l, take_a_moment, &done_late), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_job_await(&job[i]), 7);
    weft_lane_stats s = stats_of(l);
    CHECK_EQ(s.done, 4u);
    CHECK_EQ(s.timed, 4u);
    CHECK_EQ(s.queued + s.running, 0u);
    CHECK(s.run_ns >= 20 * WEFT_MSEC && s.run_max_ns >= 5 * WEFT_MSEC && s.run_max_ns <= s.run_ns);
    CHECK(s.wait_ns >= 14 * WEFT_MSEC && s.wait_max_ns >= 9 * WEFT_MSEC && s.wait_max_ns <= s.wait_ns);
    weft_lane_close(l);
    return 0;
}

TEST(lane, keeps_figures)
{
    with_one_worker(take_times, NULL);
}

/* ---- Exactly once ---- */

enum { AT_ONCE = 32 };

struct call {
    weft_lane *lane;
    WF_ATOMIC(int) ran;
    int result;
    bool later;
};

static int make_call(void *arg)
{
    struct call *c = arg;
    weft_job job;
    if (!c->later) {
        c->result = weft_offload_on(c->lane, count, &c->ran);
        return 0;
    }
    c->result = weft_job_start(&job, c->lane, count, &c->ran);
    if (c->result == 0)
        c->result = weft_job_await(&job);
    return 0;
}

/* Half of the callers are stopped: outside, in the queue, in the middle, afterwards. */
static int call_and_cancel(weft_lane *l, bool some_later, uint32_t chance)
{
    struct call c[AT_ONCE] = {0};
    weft_task *t[AT_ONCE];
    int stopped = 0;
    WEFT_SCOPE(s);
    for (int i = 0; i < AT_ONCE; i++) {
        c[i].lane = l;
        c[i].later = some_later && i % 2;
        t[i] = weft_spawn(&s, make_call, &c[i]);
    }
    if (chance & 1)
        CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < AT_ONCE; i++, chance = chance * 1664525 + 1013904223)
        if (chance >> 31)
            weft_cancel(t[i]);
    CHECK_EQ(weft_scope_close(&s), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        CHECK(c[i].result == 7 || c[i].result == -ECANCELED);
        CHECK_EQ(wf_load(&c[i].ran, relaxed), c[i].result == 7);
        stopped += c[i].result != 7;
    }
    return stopped;
}

/* Two threads, of a lane that has room for two jobs and is closed again, and of one that stays and has room for all. */
static int call_and_cancel_often(void *arg)
{
    int stopped = 0;
    uint32_t chance = 1;
    (void)arg;
    for (int i = 0; i < TEST_TIMES(100000 / AT_ONCE); i++, chance = chance * 22695477 + 1) {
        weft_lane *l = open_lane(&(weft_lane_config){.name = "two", .threads = 2, .queue = 2});
        stopped += call_and_cancel(l, true, chance);
        weft_lane_close(l);
        stopped += call_and_cancel(weft_lane_blocking(), false, chance);
    }
    CHECK(stopped > 0);
    return 0;
}

TEST_WITHIN(lane, runs_each_of_a_hundred_thousand_jobs_once_or_says_that_it_did_not, 120)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .offload_max = 2}, call_and_cancel_often, NULL), 0);
}
