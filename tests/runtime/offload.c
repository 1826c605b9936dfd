/* offload.c - tests of lane blocking: calls in it, tasks that go there, and how many threads that takes. */
#include "runtime/platform/clock.h"
#include "runtime/worker.h"
#include "tests/runtime/with.h"

#include <dirent.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

static int return_it(void *arg)
{
    return (int)(intptr_t)arg;
}

static int offload_results(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_offload(return_it, (void *)(intptr_t)7), 7);
    CHECK_EQ(weft_offload(return_it, (void *)(intptr_t)-EIO), -EIO);
    for (int i = 0; i < TEST_TIMES(3000); i++)
        CHECK_EQ(weft_offload(return_it, (void *)(intptr_t)i), i);
    return 0;
}

TEST(offload, gives_the_result_of_the_function)
{
    with_workers(offload_results, NULL);
}

static int where_am_i(void *arg)
{
    *(pid_t *)arg = gettid();
    return 0;
}

static int is_elsewhere(void *arg)
{
    pid_t there;
    (void)arg;
    CHECK_EQ(weft_offload(where_am_i, &there), 0);
    CHECK(there != gettid());
    return 0;
}

TEST(offload, runs_on_a_thread_that_is_no_worker)
{
    with_one_worker(is_elsewhere, NULL);
}

static int call_what_only_tasks_may(void *arg)
{
    (void)arg;
    return weft_yield();
}

static int offload_misuse(void *arg)
{
    return weft_offload(call_what_only_tasks_may, arg);
}

TEST_DIES(offload, must_not_call_what_only_tasks_may, "weft_yield called outside a task")
{
    weft_run(NULL, offload_misuse, NULL);
}

/* ---- Many at once ---- */

struct crowd {
    WF_ATOMIC(unsigned) inside, most, done;
    unsigned wanted;
};

static void enter(struct crowd *c)
{
    unsigned n = wf_add(&c->inside, 1, acq_rel) + 1, most = wf_load(&c->most, relaxed);
    while (n > most && !wf_cas_weak(&c->most, &most, n, relaxed))
        ;
}

/* Stays until as many as are wanted have been inside at once. */
static int stay_until_full(void *arg)
{
    struct crowd *c = arg;
    enter(c);
    while (wf_load(&c->most, acquire) < c->wanted)
        sched_yield();
    wf_sub(&c->inside, 1, acq_rel);
    wf_add(&c->done, 1, relaxed);
    return 0;
}

static int offload_stay(void *arg)
{
    return weft_offload(stay_until_full, arg);
}

static int fill_the_pool(void *arg)
{
    struct crowd *c = arg;
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < 3 * c->wanted; i++)
        CHECK_EQ(weft_go(&s, offload_stay, c), 0);
    return weft_scope_close(&s);
}

TEST(offload, runs_as_many_at_once_as_the_limit_says_and_no_more)
{
    for (unsigned limit = 1; limit <= 16; limit *= 4) {
        struct crowd c = {.wanted = limit};
        CHECK_EQ(weft_run(&(weft_config){.workers = 2, .offload_max = limit}, fill_the_pool, &c), 0);
        CHECK_EQ(wf_load(&c.most, relaxed), limit);
        CHECK_EQ(wf_load(&c.done, relaxed), 3 * limit);
    }
}

/* ---- Stops ---- */

struct stopped {
    sem_t go_on;
    WF_ATOMIC(bool) started, other_ran;
    WF_ATOMIC(int) result;
};

static int wait_for_it(void *arg)
{
    struct stopped *s = arg;
    raise_flag(&s->started);
    while (sem_wait(&s->go_on) < 0)
        ;
    return 42;
}

static int offload_and_note(void *arg)
{
    struct stopped *s = arg;
    wf_store(&s->result, weft_offload(wait_for_it, s), relaxed);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    return 0;
}

static int note_that_it_ran(void *arg)
{
    raise_flag(&((struct stopped *)arg)->other_ran);
    return 0;
}

static int offload_other(void *arg)
{
    return weft_offload(note_that_it_ran, arg);
}

/* One thread: the first call runs on it, the second waits its turn. */
static int cancel_both(void *arg)
{
    struct stopped s = {0};
    (void)arg;
    sem_init(&s.go_on, 0, 0);
    WEFT_SCOPE(scope);
    weft_task *running = weft_spawn(&scope, offload_and_note, &s);
    yield_until(&s.started);
    weft_task *queued = weft_spawn(&scope, offload_other, &s);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0); /* perhaps it is queued by now; if not, it is stopped even earlier */
    weft_cancel(running);
    weft_cancel(queued);
    CHECK_EQ(weft_await(queued), -ECANCELED);
    CHECK(!weft_done(running)); /* it runs, so it is waited for */
    sem_post(&s.go_on);
    CHECK_EQ(weft_await(running), 0);
    CHECK_EQ(wf_load(&s.result, relaxed), 42); /* and its result is given, stopped or not */
    CHECK_EQ(weft_scope_close(&scope), 0);
    CHECK(!wf_load(&s.other_ran, acquire));
    return 0;
}

TEST(offload, is_taken_back_while_it_waits_and_waited_for_once_it_runs)
{
    for (unsigned workers = 1; workers <= 3; workers++)
        CHECK_EQ(weft_run(&(weft_config){.workers = workers, .offload_max = 1}, cancel_both, NULL), 0);
}

/* ---- Going there oneself ---- */

/* Not pthread_self(): its result is the same for ever, as compilers know. */
static int nest(void *arg)
{
    (void)arg;
    pid_t worker = gettid();
    weft_blocking_begin();
    pid_t there = gettid();
    CHECK(there != worker);
    weft_blocking_begin();
    CHECK_EQ(gettid(), there);
    weft_blocking_end();
    CHECK_EQ(gettid(), there);
    weft_blocking_end();
    CHECK_EQ(gettid(), worker);
    CHECK_EQ(weft_yield(), 0);
    return 0;
}

TEST(offload, takes_a_task_there_and_back)
{
    with_one_worker(nest, NULL);
}

static int block_until_woken(void *arg)
{
    struct stopped *s = arg;
    weft_blocking_begin();
    int result = wait_for_it(s);
    weft_blocking_end();
    wf_store(&s->result, result, relaxed);
    return 0;
}

static int go_on_beside_it(void *arg)
{
    struct stopped s = {0};
    (void)arg;
    sem_init(&s.go_on, 0, 0);
    WEFT_SCOPE(scope);
    CHECK_EQ(weft_go(&scope, block_until_woken, &s), 0);
    yield_until(&s.started); /* with one worker: others go on while it blocks */
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    sem_post(&s.go_on);
    CHECK_EQ(weft_scope_close(&scope), 0);
    CHECK_EQ(wf_load(&s.result, relaxed), 42);
    return 0;
}

TEST(offload, lets_others_go_on_while_a_task_blocks)
{
    with_workers(go_on_beside_it, NULL);
}

static int keep_errno(void *arg)
{
    int mine = (int)(intptr_t)arg;
    for (int i = 0; i < TEST_TIMES(200); i++) {
        errno = mine;
        weft_blocking_begin();
        CHECK_EQ(errno, mine);
        errno = mine + 1;
        weft_blocking_end();
        CHECK_EQ(errno, mine + 1);
        CHECK_EQ(weft_offload(return_it, NULL), 0);
        CHECK_EQ(errno, mine + 1);
    }
    return 0;
}

static int keep_many_errnos(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (intptr_t i = 1; i <= 8; i++)
        CHECK_EQ(weft_go(&s, keep_errno, (void *)(i * 10)), 0);
    return weft_scope_close(&s);
}

TEST(offload, carries_errno_there_and_back)
{
    with_workers(keep_many_errnos, NULL);
}

static int suspend_while_blocking(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    return weft_sleep(1);
}

TEST_DIES(offload, must_not_suspend_a_task_that_blocks, "weft_sleep called between weft_blocking_begin",
          "first task")
{
    weft_run(NULL, suspend_while_blocking, NULL);
}

static int end_without_begin(void *arg)
{
    (void)arg;
    weft_blocking_end();
    return 0;
}

TEST_DIES(offload, must_not_end_what_was_not_begun, "weft_blocking_end without weft_blocking_begin")
{
    weft_run(NULL, end_without_begin, NULL);
}

static int return_blocking(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    return 0;
}

TEST_DIES(offload, must_not_return_while_it_blocks, "between weft_blocking_begin and weft_blocking_end")
{
    weft_run(NULL, return_blocking, NULL);
}

/* ---- How many threads ---- */

/* Threads of the pool, by their name. */
static unsigned threads_now(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        n += f && fgets(name, sizeof name, f) && strcmp(name, "weft-blocking\n") == 0;
        if (f)
            fclose(f);
    }
    closedir(dir);
    return n;
}

static int call_on_and_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_offload(return_it, NULL), 0);
    CHECK(threads_now() < 10); /* one, but for calls that come before the last one's thread has sat down */
    return 0;
}

TEST(offload, uses_few_threads_for_one_call_at_a_time)
{
    with_one_worker(call_on_and_on, NULL);
}

static int grow_and_shrink(void *arg)
{
    struct crowd *c = arg;
    CHECK_EQ(fill_the_pool(c), 0);
    CHECK_EQ(threads_now(), c->wanted);
    weft_time start = weft_now();
    while (threads_now() > 0) { /* idle ones go after ten seconds */
        CHECK(weft_since(start) < 15 * WEFT_SEC);
        CHECK_EQ(weft_sleep(100 * WEFT_MSEC), 0);
    }
    CHECK(weft_since(start) > 9 * WEFT_SEC);
    CHECK_EQ(weft_offload(return_it, (void *)(intptr_t)3), 3); /* and one comes again, and joins those */
    CHECK_EQ(threads_now(), 1);
    return 0;
}

TEST_WITHIN(offload, lets_idle_threads_go, 30)
{
    struct crowd c = {.wanted = 4};
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .offload_max = 4}, grow_and_shrink, &c), 0);
}

TEST(offload, leaves_no_thread_behind)
{
    for (int i = 0; i < 10; i++) {
        struct crowd c = {.wanted = 4};
        CHECK_EQ(weft_run(&(weft_config){.workers = 2, .offload_max = 4}, fill_the_pool, &c), 0);
        while (threads_now() > 0) /* one that has been joined is listed for a moment more */
            sched_yield();
    }
}

static int cpus_of_caller(void *arg)
{
    cpu_set_t cpus;
    (void)arg;
    CHECK_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    return CPU_COUNT(&cpus);
}

static int cpus_when_pinned(void *arg)
{
    CHECK_EQ(cpus_of_caller(NULL), 1);
    CHECK_EQ(weft_offload(cpus_of_caller, NULL), *(int *)arg);
    return 0;
}

TEST(offload, may_use_all_cores_though_its_workers_are_bound_to_one_each)
{
    int cpus = cpus_of_caller(NULL);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .pin = true}, cpus_when_pinned, &cpus), 0);
    CHECK_EQ(cpus_of_caller(NULL), cpus);
}

/* ---- Looking on before going to sleep ---- */

static const int64_t FOR_LONG = 20 * WEFT_SEC;

static uint64_t parks_now(void)
{
    weft_stats s;
    weft_stats_read(weft_runtime_self(), &s);
    return s.parks;
}

/* The pool of the calling task's runtime, before its first job: as on a machine with so many CPUs, and patient. */
static struct wf_awake *patient_pool(unsigned cpus)
{
    struct wf_awake *a = &weft_runtime_self()->lanes.awake;
    wf_store(&a->cpus, cpus, relaxed);
    wf_store(&a->spin_ns, FOR_LONG, relaxed);
    return a;
}

/* Where its threads may run. */
static unsigned long *cpu_mask(void)
{
    return weft_lane_blocking()->affinity.mask;
}

/* Its threads on one CPU, and the calling worker on another. False: there are no two. */
static bool keep_apart(void)
{
    cpu_set_t all, mine;
    int cpu[2], n = 0;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &all))
            cpu[n++] = i;
    if (n < 2)
        return false;
    CPU_ZERO(&mine);
    CPU_SET(cpu[0], &mine);
    CHECK_EQ(sched_setaffinity(0, sizeof mine, &mine), 0);
    memset(cpu_mask(), 0, sizeof(cpu_set_t));
    cpu_mask()[cpu[1] / 64] = 1UL << (cpu[1] % 64);
    return true;
}

/* The first call starts the thread, and the worker parks meanwhile. */
static int call_without_a_sleep(void *arg)
{
    struct wf_awake *a = patient_pool(64);
    (void)arg;
    if (!keep_apart())
        return 0;
    CHECK_EQ(weft_offload(return_it, NULL), 0);
    uint64_t parks = parks_now();
    for (int i = 0; i < TEST_TIMES(1000); i++) {
        CHECK_EQ(weft_offload(return_it, (void *)(intptr_t)i), i);
        CHECK_EQ(wf_load(&a->threads, relaxed), 1);
    }
    CHECK_EQ(parks_now(), parks);
    return 0;
}

TEST_WITHIN(offload, hands_a_job_that_follows_to_a_thread_that_still_looks_and_back, 15)
{
    with_one_worker(call_without_a_sleep, NULL); /* nor does its end wait for a thread that looks */
}

/* Runs until its caller's worker has gone to sleep. */
static int outlast_the_worker(void *arg)
{
    struct wf_idle *workers = arg;
    while (wf_load(&workers->asleep, relaxed) == 0)
        sched_yield();
    return 0;
}

/* Neither the worker nor the thread looks on: else one of them would be awake for ever. */
static void call_and_see_both_sleep(struct wf_awake *a)
{
    for (int i = 0; i < TEST_TIMES(100); i++) {
        CHECK_EQ(weft_offload(outlast_the_worker, a->workers), 0);
        while (wf_load(&a->threads, relaxed) > 0)
            sched_yield();
    }
}

static int call_with_sleeps(void *arg)
{
    struct wf_awake *a = patient_pool(1);
    (void)arg;
    call_and_see_both_sleep(a);
    return 0;
}

TEST_WITHIN(offload, lets_nobody_look_where_there_is_no_cpu_to_spare, 15)
{
    with_one_worker(call_with_sleeps, NULL);
}

/* A job that ends when some task of its caller's worker has run: were the worker to look for that job and for nothing
 * else, it would be for long. */
struct meanwhile {
    WF_ATOMIC(bool) done;
    int pipe[2];
};

static int outlast_the_task(void *arg)
{
    struct meanwhile *m = arg;
    if (m->pipe[1] > 0)
        CHECK_EQ(write(m->pipe[1], "x", 1), 1);
    spin_until(&m->done);
    return 0;
}

static int sleep_a_little(void *arg)
{
    CHECK_EQ(weft_sleep(5 * WEFT_MSEC), 0);
    raise_flag(&((struct meanwhile *)arg)->done);
    return 0;
}

static int read_a_byte(void *arg)
{
    struct meanwhile *m = arg;
    char byte;
    CHECK_EQ(weft_read(m->pipe[0], &byte, 1), 1);
    raise_flag(&m->done);
    return 0;
}

static void outlast(weft_fn task, struct meanwhile *m)
{
    patient_pool(64);
    keep_apart();
    CHECK_EQ(weft_offload(return_it, NULL), 0); /* from now on its thread looks on */
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, task, m), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_offload(outlast_the_task, m), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
}

static int look_past_a_timer(void *arg)
{
    (void)arg;
    outlast(sleep_a_little, &(struct meanwhile){0});
    return 0;
}

TEST_WITHIN(offload, looks_no_longer_than_until_the_next_timer, 15)
{
    with_one_worker(look_past_a_timer, NULL);
}

static int look_past_a_completion(void *arg)
{
    struct meanwhile m = {0};
    weft_stats s;
    (void)arg;
    weft_stats_read(weft_runtime_self(), &s);
    if (strcmp(s.driver, "ring") != 0)
        return 0; /* epoll tells only who asks the kernel */
    CHECK_EQ(pipe(m.pipe), 0);
    outlast(read_a_byte, &m);
    CHECK_EQ(close(m.pipe[0]) + close(m.pipe[1]), 0);
    return 0;
}

TEST_WITHIN(offload, looks_for_what_the_kernel_has_done_as_well, 15)
{
    with_one_worker(look_past_a_completion, NULL);
}

static int take_long(void *arg)
{
    int64_t until = wf_clock_now() + 2 * WEFT_MSEC; /* a nap lasts 50 us */
    (void)arg;
    while (wf_clock_now() < until)
        sched_yield();
    return 0;
}

static int offload_something_long(void *arg)
{
    return weft_offload(take_long, arg);
}

/* One thread, so that jobs wait in the queue, for much longer than a nap. */
static int nap_in_vain(void *arg)
{
    uint64_t parks = parks_now();
    (void)arg;
    for (int i = 0; i < 4; i++) {
        WEFT_SCOPE(s);
        for (int k = 0; k < 4; k++)
            CHECK_EQ(weft_go(&s, offload_something_long, NULL), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    CHECK(parks_now() - parks >= 4);
    return 0;
}

TEST(offload, sleeps_when_its_naps_are_in_vain)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .offload_max = 1}, nap_in_vain, NULL), 0);
}

static int other_job(void *arg)
{
    weft_offload(return_it, arg);
    return 0;
}

/* All on one CPU: who looked on would keep the others from it. */
static int call_on_one_cpu(void *arg)
{
    struct wf_awake *a = patient_pool(64);
    cpu_set_t mine;
    (void)arg;
    CPU_ZERO(&mine);
    CPU_SET(sched_getcpu(), &mine);
    CHECK_EQ(sched_setaffinity(0, sizeof mine, &mine), 0);
    memcpy(cpu_mask(), &mine, sizeof mine);
    call_and_see_both_sleep(a);
    return 0;
}

TEST_WITHIN(offload, lets_nobody_look_on_a_cpu_that_the_other_needs, 15)
{
    with_one_worker(call_on_one_cpu, NULL);
}

/* Two CPUs, and two tasks with a job each: the second thread finds worker and first thread awake. */
static int call_two_at_a_time(void *arg)
{
    struct wf_awake *a = patient_pool(2);
    (void)arg;
    for (int i = 0; i < TEST_TIMES(100); i++) {
        WEFT_SCOPE(s);
        CHECK_EQ(weft_go(&s, other_job, NULL), 0);
        CHECK_EQ(weft_go(&s, other_job, NULL), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
        while (wf_load(&a->threads, relaxed) > 1) /* we are the other one */
            sched_yield();
    }
    return 0;
}

TEST_WITHIN(offload, lets_one_look_while_there_is_a_cpu_for_one, 15)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .offload_max = 2}, call_two_at_a_time, NULL), 0);
}

static int64_t cpu_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * WEFT_SEC + t.tv_nsec;
}

static int be_idle_after_calls(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(1000); i++)
        CHECK_EQ(weft_offload(return_it, NULL), 0);
    int64_t before = cpu_time_ns();
    CHECK_EQ(weft_sleep(WEFT_SEC), 0);
    CHECK(cpu_time_ns() - before < 5 * WEFT_MSEC); /* half a percent of a core */
    return 0;
}

TEST(offload, uses_no_cpu_when_there_is_nothing_to_do)
{
    with_workers(be_idle_after_calls, NULL);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .spin_ns = 100 * WEFT_USEC}, be_idle_after_calls, NULL), 0);
}
