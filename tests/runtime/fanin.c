/* fanin.c - tests of what idle workers do for one that computes: fire its timers, collect its completions, take its
 * tasks. A task that does not let go must not keep others waiting while a worker is idle. */
#include "runtime/lookout.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/random.h"
#include "tests/runtime/with.h"

#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

enum { OTHERS = 12, ROUNDS = 30 };

/* How long others may take while a task computes. It would do so for COMPUTE_MAX_NS if they did not come. */
static const int64_t COMPUTE_MAX_NS = 2 * WEFT_SEC * TEST_SLOWNESS;
static const int64_t COMPUTE_AFTER_NS = 3 * WEFT_MSEC;

struct scene {
    WF_ATOMIC(unsigned) left;   /* others that have not come yet */
    WF_ATOMIC(unsigned) beside; /* others that waited on the worker that computes, in all rounds */
    WF_ATOMIC(unsigned) worker; /* that one */
    bool pinned;
    bool nobody_idle;           /* the others run something too, if short */
    sem_t computes;
    int pipe[OTHERS][2];
    WF_ATOMIC(unsigned) next_pipe;
};

/* Sleep while all is quiet, then compute until the others have come. */
static int compute(void *arg)
{
    struct scene *s = arg;
    if (s->pinned)
        weft_pin();
    wf_store(&s->worker, weft_worker(), relaxed);
    CHECK_EQ(weft_sleep(COMPUTE_AFTER_NS), 0);
    sem_post(&s->computes);
    weft_time start = weft_now();
    while (wf_load(&s->left, acquire) > 0)
        CHECK(weft_since(start) < COMPUTE_MAX_NS);
    if (s->pinned)
        weft_unpin();
    return 0;
}

static void come(struct scene *s, unsigned waited_on)
{
    if (waited_on == wf_load(&s->worker, relaxed))
        wf_add(&s->beside, 1, relaxed);
    wf_sub(&s->left, 1, acq_rel);
}

static int wait_for_time(void *arg)
{
    unsigned here = weft_worker();
    CHECK_EQ(weft_sleep(2 * COMPUTE_AFTER_NS), 0);
    come(arg, here);
    return 0;
}

static int wait_for_pipe(void *arg)
{
    struct scene *s = arg;
    char item;
    unsigned here = weft_worker(), me = wf_add(&s->next_pipe, 1, relaxed);
    CHECK_EQ(weft_read(s->pipe[me % OTHERS][0], &item, 1), 1);
    come(s, here);
    return 0;
}

static void *write_to_pipes(void *arg)
{
    struct scene *s = arg;
    while (sem_wait(&s->computes) < 0)
        ;
    for (int i = 0; i < OTHERS; i++)
        CHECK_EQ(write(s->pipe[i][1], "x", 1), 1);
    return NULL;
}

static int give_way_all_the_time(void *arg)
{
    struct scene *s = arg;
    while (wf_load(&s->left, acquire) > 0)
        CHECK_EQ(weft_yield(), 0);
    return 0;
}

static void play(struct scene *s, weft_fn other)
{
    pthread_t id = {0};
    while (sem_trywait(&s->computes) == 0)
        ;
    wf_store(&s->left, OTHERS, relaxed);
    WEFT_SCOPE(scope);
    CHECK_EQ(weft_go(&scope, compute, s), 0);
    for (int i = 0; i < OTHERS; i++)
        CHECK_EQ(weft_go(&scope, other, s), 0);
    for (unsigned i = 0; s->nobody_idle && i < weft_runtime_self()->worker_count; i++)
        CHECK_EQ(weft_go(&scope, give_way_all_the_time, s), 0);
    if (other == wait_for_pipe)
        id = start_thread(write_to_pipes, s);
    CHECK_EQ(weft_scope_close(&scope), 0);
    if (other == wait_for_pipe)
        join_thread(id);
}

static int play_with_time(void *arg)
{
    struct scene *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        s->pinned = i % 2;
        play(s, wait_for_time);
    }
    return 0;
}

static int play_with_pipes(void *arg)
{
    struct scene *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        s->pinned = i % 2;
        play(s, wait_for_pipe);
    }
    return 0;
}

static void run(weft_fn fn, weft_ring_mode ring)
{
    static const unsigned workers[] = {2, 3, 6};
    struct scene s = {0};
    sem_init(&s.computes, 0, 0);
    for (int i = 0; i < OTHERS; i++)
        CHECK_EQ(pipe2(s.pipe[i], O_CLOEXEC), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = workers[i], .ring = ring}, fn, &s), 0);
    for (int i = 0; i < OTHERS; i++) {
        close(s.pipe[i][0]);
        close(s.pipe[i][1]);
    }
    CHECK(wf_load(&s.beside, relaxed) > 0); /* else it has tested nothing */
}

TEST_WITHIN(fanin, fires_the_timers_of_a_worker_that_computes, 60)
{
    run(play_with_time, WEFT_RING_SHARED);
}

TEST_WITHIN(fanin, collects_the_completions_of_a_worker_that_computes, 60)
{
    run(play_with_pipes, WEFT_RING_SHARED);
}

TEST_WITHIN(fanin, collects_them_without_knocking_where_the_kernel_interrupts, 60)
{
    run(play_with_pipes, WEFT_RING_EAGER);
}

TEST_WITHIN(fanin, collects_them_later_where_nobody_knocks, 60)
{
    run(play_with_pipes, WEFT_RING_SILENT);
}

/* ---- Switched off ---- */

static const int64_t NAP_NS = 50 * WEFT_MSEC;

struct left_alone {
    unsigned worker;
    weft_time since;
    WF_ATOMIC(bool) waits, woken;
};

static int nap(void *arg)
{
    struct left_alone *l = arg;
    l->worker = weft_worker();
    l->since = weft_now();
    raise_flag(&l->waits);
    CHECK_EQ(weft_sleep(NAP_NS), 0);
    raise_flag(&l->woken);
    return 0;
}

/* Compute beside a task that naps on the same worker, for longer than that. False: it did not come to that. */
static bool compute_beside(void)
{
    struct left_alone l = {0};
    WEFT_SCOPE(scope);
    weft_pin();
    CHECK_EQ(weft_go(&scope, nap, &l), 0);
    yield_until(&l.waits);
    bool beside = l.worker == weft_worker() && weft_since(l.since) < NAP_NS / 2;
    while (beside && weft_since(l.since) < 3 * NAP_NS)
        CHECK(!wf_load(&l.woken, acquire));
    weft_unpin();
    CHECK_EQ(weft_scope_close(&scope), 0);
    return beside;
}

static int leave_alone(void *arg)
{
    (void)arg;
    while (!compute_beside())
        continue;
    CHECK_EQ(wf_load(&weft_runtime_self()->stalled, relaxed), 0);
    return 0;
}

TEST(fanin, is_not_done_if_that_is_switched_off)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .no_rescue = true}, leave_alone, NULL), 0);
    setenv("WEFT_RESCUE", "off", 1);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, leave_alone, NULL), 0);
}

TEST(fanin, is_done_if_only_the_program_has_switched_it_off)
{
    struct scene s = {0};
    sem_init(&s.computes, 0, 0);
    setenv("WEFT_RESCUE", "on", 1);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .no_rescue = true}, play_with_time, &s), 0);
}

/* ---- Nobody looks out ---- */

enum { WORKED = 6, LEFT_ROUNDS = 10 };

/* Go to work a few times in a row, for one task alone, so that nobody is woken to look out in the end; then compute
 * beside a task that naps on the same worker. False: it did not come to that. */
static bool compute_unguarded(void)
{
    struct left_alone l = {0};
    WEFT_SCOPE(scope);
    weft_pin();
    CHECK_EQ(weft_go(&scope, nap, &l), 0);
    yield_until(&l.waits);
    for (int i = 0; i < WORKED; i++)
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    bool beside = l.worker == weft_worker() && weft_since(l.since) < NAP_NS / 2;
    while (beside && !wf_load(&l.woken, acquire))
        CHECK(weft_since(l.since) < COMPUTE_MAX_NS);
    weft_unpin();
    CHECK_EQ(weft_scope_close(&scope), 0);
    return beside;
}

static int leave_unguarded(void *arg)
{
    *(int *)arg += compute_unguarded();
    return 0;
}

/* Each time in a runtime where nobody has stood still before, which would have them woken. */
TEST_WITHIN(fanin, is_done_for_whom_nobody_looks_out, 60)
{
    for (int rounds = 0; rounds < LEFT_ROUNDS;)
        CHECK_EQ(weft_run(&(weft_config){.workers = 2}, leave_unguarded, &rounds), 0);
}

/* What the watchdog does: look, and leave word. */
struct marker {
    weft_runtime *rt;
    WF_ATOMIC(bool) stop;
};

static void *mark(void *arg)
{
    struct marker *m = arg;
    while (!wf_load(&m->stop, acquire)) {
        wf_lookout_mark(m->rt, wf_clock_now());
        sched_yield();
    }
    return NULL;
}

static int play_while_nobody_is_idle(void *arg)
{
    struct scene *s = arg;
    struct marker m = {.rt = weft_runtime_self()};
    pthread_t id = start_thread(mark, &m);
    s->nobody_idle = true;
    for (int i = 0; i < ROUNDS; i++) {
        s->pinned = i % 2;
        play(s, i % 4 < 2 ? wait_for_time : wait_for_pipe);
    }
    wf_store(&m.stop, true, release);
    join_thread(id);
    return 0;
}

TEST_WITHIN(fanin, is_done_by_the_busy_if_nobody_is_idle, 60)
{
    run(play_while_nobody_is_idle, WEFT_RING_SHARED);
}

/* ---- Theft ---- */

struct spread {
    WF_ATOMIC(unsigned) arrived;
    unsigned wanted;
};

/* Does not let go before all are there: they run at the same time, so each is on a worker of its own. */
static int meet(void *arg)
{
    struct spread *s = arg;
    weft_time start = weft_now();
    wf_add(&s->arrived, 1, acq_rel);
    while (wf_load(&s->arrived, acquire) < s->wanted) {
        CHECK(weft_since(start) < COMPUTE_MAX_NS);
        sched_yield();
    }
    return 0;
}

static int spread_out(void *arg)
{
    struct spread *s = arg;
    for (int i = 0; i < TEST_TIMES(200); i++) {
        wf_store(&s->arrived, 0, relaxed);
        WEFT_SCOPE(scope);
        for (unsigned n = 1; n < s->wanted; n++)
            CHECK_EQ(weft_go(&scope, meet, s), 0);
        CHECK_EQ(meet(s), 0);
        CHECK_EQ(weft_scope_close(&scope), 0);
        if (i % 10 == 0)
            CHECK_EQ(weft_sleep(WEFT_MSEC), 0); /* all asleep */
    }
    return 0;
}

TEST_WITHIN(fanin, lets_as_many_tasks_run_at_once_as_there_are_workers, 60)
{
    static const unsigned workers[] = {2, 3, 8};
    for (int i = 0; i < 3; i++) {
        struct spread s = {.wanted = workers[i]};
        CHECK_EQ(weft_run(&(weft_config){.workers = workers[i]}, spread_out, &s), 0);
    }
}

/* A task in the slot of a worker that computes: whoever woke it does not let go. */
struct slot {
    weft_event event;
    WF_ATOMIC(bool) ran, waits;
};

static int wait_for_event(void *arg)
{
    struct slot *s = arg;
    raise_flag(&s->waits);
    CHECK_EQ(weft_event_wait(&s->event), 0);
    raise_flag(&s->ran);
    return 0;
}

static int wake_and_compute(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(50); i++) {
        struct slot s = {0};
        WEFT_SCOPE(scope);
        CHECK_EQ(weft_go(&scope, wait_for_event, &s), 0);
        yield_until(&s.waits);
        CHECK_EQ(weft_sleep((i % 4) * WEFT_MSEC), 0);
        weft_event_set(&s.event);
        weft_time start = weft_now();
        while (!wf_load(&s.ran, acquire))
            CHECK(weft_since(start) < COMPUTE_MAX_NS);
        CHECK_EQ(weft_scope_close(&scope), 0);
    }
    return 0;
}

TEST_WITHIN(fanin, takes_the_task_that_a_computing_one_has_woken, 60)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, wake_and_compute, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 4}, wake_and_compute, NULL), 0);
}

/* What is submitted from outside to a worker that computes. */
static int raise_it(void *arg)
{
    raise_flag(arg);
    return 0;
}

struct outside {
    weft_runtime *rt;
    WF_ATOMIC(bool) ran[8];
};

static void *submit_eight(void *arg)
{
    struct outside *o = arg;
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_submit(o->rt, raise_it, &o->ran[i]), 0);
    return NULL;
}

static int compute_while_others_submit(void *arg)
{
    struct outside o = {.rt = weft_runtime_self()};
    (void)arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    pthread_t id = start_thread(submit_eight, &o);
    weft_time start = weft_now();
    for (int i = 0; i < 8; i++)
        while (!wf_load(&o.ran[i], acquire))
            CHECK(weft_since(start) < COMPUTE_MAX_NS);
    join_thread(id);
    return 0;
}

TEST(fanin, takes_what_is_submitted_to_a_worker_that_computes)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, compute_while_others_submit, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 4}, compute_while_others_submit, NULL), 0);
}
