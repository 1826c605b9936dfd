/* scope.c - tests of scopes: what close says, who stops whom, and that a stop stays. */
#include "runtime/task.h"
#include "tests/runtime/with.h"

static int fail_with(void *arg)
{
    return (int)(intptr_t)arg;
}

#define AS_ARG(err) ((void *)(intptr_t)(err))

/* ---- What close says ---- */

static int close_empty(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_scope_leave(&s); /* nothing, once closed */
    weft_scope_cancel(&s);
    return weft_checkpoint();
}

TEST(scope, without_tasks_closes_at_once)
{
    with_workers(close_empty, NULL);
}

static int close_with_failures(void *arg)
{
    (void)arg;
    {
        WEFT_SCOPE(s); /* a task that nobody holds: its failure stops the scope and is what close says */
        weft_go(&s, sleep_for_ever, NULL);
        weft_go(&s, fail_with, AS_ARG(-EIO));
        CHECK_EQ(weft_scope_close(&s), -EIO);
    }
    {
        WEFT_SCOPE(s); /* held: nobody awaited it, so close says it; but it does not stop the others */
        int ok = 0;
        weft_task *t = weft_spawn(&s, fail_with, AS_ARG(-EIO));
        while (!weft_done(t))
            CHECK_EQ(weft_yield(), 0);
        weft_go(&s, fail_with, AS_ARG(ok));
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(weft_scope_close(&s), -EIO);
    }
    {
        WEFT_SCOPE(s); /* held and awaited: its failure has been given away */
        CHECK_EQ(weft_await(weft_spawn(&s, fail_with, AS_ARG(-EIO))), -EIO);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    {
        WEFT_SCOPE(s); /* the first of several: in the order of spawning */
        weft_spawn(&s, fail_with, AS_ARG(-EIO));
        weft_spawn(&s, fail_with, AS_ARG(-EPIPE));
        CHECK_EQ(weft_scope_close(&s), -EIO);
    }
    CHECK_EQ(weft_checkpoint(), 0);
    return 0;
}

TEST(scope, says_the_first_failure_that_nobody_awaited)
{
    with_workers(close_with_failures, NULL);
}

static int close_cancelled(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, sleep_for_ever, NULL);
    weft_spawn(&s, sleep_for_ever, NULL);
    weft_scope_cancel(&s);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_checkpoint();
}

TEST(scope, that_was_cancelled_by_its_owner_has_not_failed)
{
    with_workers(close_cancelled, NULL);
}

static int close_late(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(WEFT_MSEC));
    CHECK(!weft_scope_expired(&s));
    weft_go(&s, sleep_for_ever, NULL);
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ETIMEDOUT);
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ETIMEDOUT);
    CHECK_EQ(weft_checkpoint(), -ETIMEDOUT);
    CHECK(weft_scope_expired(&s));
    weft_scope_set_deadline(&s, weft_never()); /* it has happened and is not taken back */
    CHECK_EQ(weft_checkpoint(), -ETIMEDOUT);
    CHECK_EQ(weft_scope_close(&s), -ETIMEDOUT);
    return weft_checkpoint();
}

TEST(scope, that_ran_out_of_time_says_so)
{
    with_workers(close_late, NULL);
}

static int close_inner_of_cancelled(void *arg)
{
    (void)arg;
    WEFT_SCOPE(outer);
    {
        WEFT_SCOPE(inner);
        weft_go(&inner, sleep_for_ever, NULL);
        weft_scope_cancel(&outer);
        CHECK_EQ(weft_scope_close(&inner), -ECANCELED);
    }
    {
        WEFT_SCOPE(later); /* opened in a stopped one: stopped from the start */
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        CHECK_EQ(weft_scope_close(&later), -ECANCELED);
    }
    CHECK_EQ(weft_scope_close(&outer), 0);
    return weft_checkpoint();
}

TEST(scope, that_was_stopped_from_outside_says_so)
{
    with_workers(close_inner_of_cancelled, NULL);
}

static int cancel_after_timeout(void *arg)
{
    (void)arg;
    WEFT_SCOPE(outer);
    {
        WEFT_SCOPE(inner);
        weft_scope_set_deadline(&inner, weft_after(-1));
        CHECK_EQ(weft_checkpoint(), -ETIMEDOUT);
        weft_scope_cancel(&outer);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        weft_scope_leave(&inner);
    }
    CHECK_EQ(weft_scope_close(&outer), 0);
    return weft_checkpoint();
}

TEST(scope, tells_a_cancel_rather_than_a_timeout)
{
    with_workers(cancel_after_timeout, NULL);
}

static int end_when_stopped(void *arg)
{
    int result = sleep_for_ever(NULL);
    CHECK_EQ(result, -ECANCELED);
    wf_add((WF_ATOMIC(int) *)arg, 1, relaxed);
    return result;
}

static int leave_early(WF_ATOMIC(int) *ended, int how)
{
    WEFT_SCOPE(s);
    weft_go(&s, end_when_stopped, ended);
    for (int i = 0; i < 3; i++) {
        WEFT_SCOPE(inner);
        weft_go(&inner, end_when_stopped, ended);
        if (how == 1)
            return 1;
        if (how == 2)
            break;
    }
    return 0;
}

static int leave_in_all_ways(void *arg)
{
    (void)arg;
    static const int tasks[] = {4, 2, 2};
    for (int how = 0; how < 3; how++) {
        WF_ATOMIC(int) ended = 0;
        CHECK_EQ(leave_early(&ended, how), how == 1);
        CHECK_EQ(wf_load(&ended, relaxed), tasks[how]);
    }
    return weft_checkpoint();
}

TEST(scope, that_is_left_early_stops_its_tasks_and_waits)
{
    with_workers(leave_in_all_ways, NULL);
}

/* ---- Failure ---- */

static int wait_and_note(void *arg)
{
    int result = weft_sleep(60 * WEFT_SEC);
    wf_store((WF_ATOMIC(int) *)arg, result, relaxed);
    return result;
}

static int fail_among_siblings(void *arg)
{
    WF_ATOMIC(int) noted = 0;
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, wait_and_note, &noted);
    weft_task *held = weft_spawn(&s, sleep_for_ever, NULL);
    weft_go(&s, fail_with, AS_ARG(-EPROTO));
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ECANCELED); /* the opener is told, too */
    CHECK_EQ(weft_await(held), -ECANCELED);
    CHECK_EQ(weft_scope_close(&s), -EPROTO);
    CHECK_EQ(wf_load(&noted, relaxed), -ECANCELED);
    return weft_checkpoint();
}

TEST(scope, stops_all_when_a_task_fails_that_nobody_holds)
{
    with_workers(fail_among_siblings, NULL);
}

static int fail_deep(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return -EBADMSG;
    WEFT_SCOPE(s);
    weft_go(&s, sleep_for_ever, NULL);
    weft_go(&s, fail_deep, AS_ARG(depth - 1));
    return weft_scope_close(&s);
}

static int start_deep_failure(void *arg)
{
    (void)arg;
    CHECK_EQ(fail_deep(AS_ARG(100)), -EBADMSG);
    return weft_checkpoint();
}

TEST(scope, passes_a_failure_up_the_tree)
{
    with_workers(start_deep_failure, NULL);
}

/* ---- Cancelling ---- */

static int cancel_one(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *a = weft_spawn(&s, sleep_for_ever, NULL), *b = weft_spawn(&s, sleep_for_ever, NULL);
    CHECK_EQ(weft_sleep(100 * WEFT_USEC), 0);
    weft_cancel(a);
    CHECK_EQ(weft_await(a), -ECANCELED);
    CHECK(!weft_done(b));
    CHECK_EQ(weft_checkpoint(), 0);
    weft_cancel(a); /* done: nothing */
    weft_cancel(b);
    CHECK_EQ(weft_scope_close(&s), 0); /* b was told, and has not failed */
    return 0;
}

TEST(scope, lets_one_task_be_cancelled_and_not_its_siblings)
{
    with_workers(cancel_one, NULL);
}

static int check_that_it_is_told(void *arg)
{
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_sleep(0), -ECANCELED);
    {
        WEFT_SCOPE(s);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        weft_scope_close(&s);
    }
    *(bool *)arg = true;
    return 5;
}

static int cancel_before_it_runs(void *arg)
{
    bool ran = false;
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, check_that_it_is_told, &ran);
    weft_cancel(t);
    CHECK_EQ(weft_await(t), 5);
    CHECK(ran); /* no task is killed */
    return weft_scope_close(&s);
}

TEST(scope, lets_a_task_run_that_was_cancelled_before)
{
    with_workers(cancel_before_it_runs, NULL);
}

static int cancel_my_scope(void *arg)
{
    weft_scope_cancel(arg);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    return 0;
}

static int cancel_from_inside(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, sleep_for_ever, NULL);
    weft_go(&s, cancel_my_scope, &s);
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(scope, may_be_cancelled_by_a_task_in_it)
{
    with_workers(cancel_from_inside, NULL);
}

struct for_a_thread {
    weft_scope *scope;
    weft_task *task;
    WF_ATOMIC(bool) done;
};

static void *cancel_on_thread(void *arg)
{
    struct for_a_thread *f = arg;
    if (f->scope)
        weft_scope_cancel(f->scope);
    if (f->task)
        weft_cancel(f->task);
    raise_flag(&f->done);
    return NULL;
}

static int cancel_from_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(100); i++) {
        WEFT_SCOPE(s);
        weft_task *t = weft_spawn(&s, sleep_for_ever, NULL);
        if (i % 2)
            weft_yield();
        struct for_a_thread f = {.scope = i % 3 ? &s : NULL, .task = i % 3 == 1 ? NULL : t};
        pthread_t id = start_thread(cancel_on_thread, &f);
        CHECK_EQ(weft_await(t), -ECANCELED);
        spin_until(&f.done);
        join_thread(id);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    return weft_checkpoint();
}

TEST(scope, may_be_cancelled_from_a_plain_thread)
{
    with_workers(cancel_from_thread, NULL);
}

static int cancel_as_task(void *f)
{
    cancel_on_thread(f);
    return 0;
}

static void *cancel_in_another_runtime(void *f)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, cancel_as_task, f), 0);
    return NULL;
}

/* It is no worker of ours, so it only leaves a note; and while our only worker is here, nobody reads that. */
static int cancel_from_another_runtime(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 2; i++) {
        weft_task *t = weft_spawn(&s, sleep_for_ever, NULL);
        struct for_a_thread f = {.scope = i ? &s : NULL, .task = i ? NULL : t};
        pthread_t id = start_thread(cancel_in_another_runtime, &f);
        spin_until(&f.done);
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(wf_load(&t->stop, relaxed), 0);
        join_thread(id);
        CHECK_EQ(weft_await(t), -ECANCELED);
    }
    CHECK_EQ(weft_sleep_until(weft_never()), -ECANCELED); /* in s, which was the second one's */
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_checkpoint();
}

TEST(scope, may_be_cancelled_by_a_task_of_another_runtime)
{
    with_one_worker(cancel_from_another_runtime, NULL);
}

static int cancel_while_blocking(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, sleep_for_ever, NULL);
    weft_blocking_begin();
    weft_cancel(t); /* from a thread of the pool */
    weft_blocking_end();
    CHECK_EQ(weft_await(t), -ECANCELED);
    weft_blocking_begin();
    weft_scope_cancel(&s);
    weft_blocking_end();
    CHECK_EQ(weft_sleep_until(weft_never()), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(scope, may_be_cancelled_from_the_pool)
{
    with_workers(cancel_while_blocking, NULL);
}

/* Whoever cannot wait any more still gets what is there. */
static int take_what_is_there(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, return_zero, NULL), *u = weft_spawn(&s, sleep_for_ever, NULL);
    while (!weft_done(t))
        weft_yield();
    weft_scope_cancel(&s);
    CHECK_EQ(weft_await(t), 0);
    CHECK_EQ(weft_await(u), -ECANCELED);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_sleep(0), -ECANCELED);
    CHECK_EQ(weft_sleep(-1), -ECANCELED);
    CHECK_EQ(weft_sleep_until(weft_never()), -ECANCELED);
    CHECK_EQ(weft_offload(return_zero, NULL), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(scope, fails_every_wait_once_it_is_stopped)
{
    with_workers(take_what_is_there, NULL);
}

/* ---- Deadlines ---- */

static int move_deadlines(void *arg)
{
    const int64_t early = 30 * WEFT_MSEC;
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(60 * WEFT_SEC));
    weft_time start = weft_now();
    weft_scope_set_deadline(&s, weft_after(early));
    weft_scope_set_deadline(&s, weft_after(60 * WEFT_SEC)); /* later */
    bool in_time = weft_since(start) < early; /* unless the machine took the core away for so long */
    int slept = weft_sleep(early + WEFT_MSEC);
    if (!in_time)
        return weft_scope_close(&s) == slept ? 0 : -1;
    CHECK_EQ(slept, 0);
    weft_scope_set_deadline(&s, weft_never()); /* taken back */
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    start = weft_now();
    weft_scope_set_deadline(&s, weft_after(WEFT_MSEC)); /* earlier */
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ETIMEDOUT);
    CHECK(weft_since(start) >= WEFT_MSEC);
    CHECK_EQ(weft_scope_close(&s), -ETIMEDOUT);
    return weft_checkpoint();
}

TEST(scope, has_a_deadline_that_can_be_moved)
{
    with_workers(move_deadlines, NULL);
}

static int set_deadline_of(void *scope)
{
    weft_scope_set_deadline(scope, weft_after(100 * WEFT_USEC));
    return 0;
}

static int let_a_task_set_it(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(60 * WEFT_SEC));
    weft_go(&s, set_deadline_of, &s);
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ETIMEDOUT);
    return weft_scope_close(&s) == -ETIMEDOUT ? 0 : -EIO;
}

TEST(scope, has_a_deadline_that_its_tasks_may_move)
{
    with_workers(let_a_task_set_it, NULL);
}

static int set_at_the_ends_of_time(void *arg)
{
    (void)arg;
    WEFT_SCOPE(far);
    weft_scope_set_deadline(&far, (weft_time){INT64_MAX - 1});
    weft_scope_set_deadline(&far, weft_never());
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    {
        WEFT_SCOPE(past);
        weft_scope_set_deadline(&past, (weft_time){INT64_MIN});
        CHECK_EQ(weft_checkpoint(), -ETIMEDOUT);
        CHECK_EQ(weft_scope_close(&past), -ETIMEDOUT);
    }
    return weft_scope_close(&far);
}

TEST(scope, takes_any_point_in_time_as_its_deadline)
{
    with_workers(set_at_the_ends_of_time, NULL);
}

static int sleep_arg(void *arg)
{
    return weft_sleep((intptr_t)arg);
}

static int within(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_within(60 * WEFT_SEC, fail_with, AS_ARG(7)), 7);
    CHECK_EQ(weft_within(60 * WEFT_SEC, fail_with, AS_ARG(-EIO)), -EIO);
    CHECK_EQ(weft_within(WEFT_MSEC, sleep_for_ever, NULL), -ETIMEDOUT);
    CHECK_EQ(weft_within(0, sleep_for_ever, NULL), -ETIMEDOUT);
    CHECK_EQ(weft_within(-1, fail_with, AS_ARG(3)), 3); /* fn does not look, so it does not fail */
    CHECK_EQ(weft_within(INT64_MAX, sleep_arg, AS_ARG(1000)), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_within(60 * WEFT_SEC, sleep_for_ever, NULL), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(scope, calls_a_function_within_a_time)
{
    with_workers(within, NULL);
}

static int sleep_within(void *arg)
{
    (void)arg;
    return weft_within(60 * WEFT_SEC, sleep_for_ever, NULL);
}

static int within_within(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_within(WEFT_MSEC, sleep_within, NULL), -ETIMEDOUT); /* the outer one was first */
    return weft_checkpoint();
}

TEST(scope, is_stopped_by_the_deadline_of_an_outer_one)
{
    with_workers(within_within, NULL);
}

/* ---- Shields ---- */

static int clean_up_shielded(void *arg)
{
    (void)arg;
    CHECK_EQ(sleep_for_ever(NULL), -ECANCELED);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    weft_scope_shield(&s);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    CHECK_EQ(weft_await(weft_spawn(&s, sleep_arg, AS_ARG(1000))), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(weft_checkpoint(), -ECANCELED); /* outside the shield it is as it was */
    return -ECANCELED;
}

static int cancel_shielded(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, clean_up_shielded, NULL);
    CHECK_EQ(weft_sleep(100 * WEFT_USEC), 0);
    weft_cancel(t);
    CHECK_EQ(weft_await(t), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(scope, may_be_shielded_from_outer_stops)
{
    with_workers(cancel_shielded, NULL);
}

struct shielded {
    WF_ATOMIC(bool) inside;
    weft_event go_on;
};

static int wait_behind_a_shield(void *arg)
{
    struct shielded *s = arg;
    WEFT_SCOPE(around);
    {
        WEFT_SCOPE(shield);
        weft_scope_shield(&shield);
        WEFT_SCOPE(inner);
        raise_flag(&s->inside);
        CHECK_EQ(weft_event_wait(&s->go_on), 0);
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(weft_scope_close(&inner), 0);
        CHECK_EQ(weft_scope_close(&shield), 0);
    }
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_close(&around), -ECANCELED);
    return 0;
}

static int cancel_around_a_shield(void *arg)
{
    struct shielded s = {0};
    (void)arg;
    WEFT_SCOPE(scope);
    weft_task *t = weft_spawn(&scope, wait_behind_a_shield, &s);
    yield_until(&s.inside);
    weft_cancel(t);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    CHECK(!weft_done(t));
    weft_event_set(&s.go_on);
    CHECK_EQ(weft_await(t), 0);
    return weft_scope_close(&scope);
}

TEST(scope, inside_a_shielded_one_is_shielded_too)
{
    with_workers(cancel_around_a_shield, NULL);
}

static int shielded_deadline(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_shield(&s);
    weft_scope_set_deadline(&s, weft_after(WEFT_MSEC));
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ETIMEDOUT); /* its own stops still count */
    weft_scope_cancel(&s);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_close(&s), -ETIMEDOUT);
    return weft_checkpoint();
}

TEST(scope, that_is_shielded_can_still_be_stopped_itself)
{
    with_workers(shielded_deadline, NULL);
}

/* ---- Misuse ---- */

static int close_outer_first(void *arg)
{
    (void)arg;
    WEFT_SCOPE(outer);
    WEFT_SCOPE(inner);
    return weft_scope_close(&outer);
}

TEST_DIES(scope, must_not_be_closed_around_an_open_one, "inside it is open")
{
    weft_run(NULL, close_outer_first, NULL);
}

static int close_it(void *scope)
{
    return weft_scope_close(scope);
}

static int close_by_a_stranger(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, close_it, &s);
    return weft_scope_close(&s);
}

TEST_DIES(scope, must_not_be_closed_by_a_stranger, "did not open", "close_it", "scope.c:")
{
    weft_run(NULL, close_by_a_stranger, NULL);
}

static int go_into_closed(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_close(&s);
    return weft_go(&s, return_zero, NULL);
}

TEST_DIES(scope, must_be_open_for_tasks_to_start_in_it, "not open")
{
    weft_run(NULL, go_into_closed, NULL);
}

static int prepare_for_nothing(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_prepare(&s, sleep_for_ever, NULL);
    weft_prepare(&s, return_zero, NULL);
    return weft_scope_close(&s);
}

static void run_prepare_for_nothing(void)
{
    CHECK_EQ(weft_run(NULL, prepare_for_nothing, NULL), 0);
}

TEST(scope, drops_prepared_tasks_that_were_never_started_and_says_so)
{
    char said[4096];
    CHECK_EQ(test_in_child(run_prepare_for_nothing, 10, said, sizeof said), 0);
    char *first = strstr(said, "sleep_for_ever"), *second = strstr(said, "return_zero");
    CHECK(first && second);
    CHECK(strstr(first, "scope.c:") && strstr(said, "never started"));
    int lines = 0;
    for (char *at = said; (at = strchr(at, '\n')); at++)
        lines++;
    CHECK_EQ(lines, 2);
}

/* ---- Size ---- */

struct chain {
    int depth;
    WF_ATOMIC(int) *alive;
};

/* Each task opens a scope and starts the next: a chain of tasks and scopes. */
static int link_chain(void *arg)
{
    struct chain *c = arg, next = {c->depth - 1, c->alive};
    if (c->depth == 0)
        return sleep_for_ever(NULL);
    WEFT_SCOPE(s);
    wf_add(c->alive, 1, relaxed);
    weft_go(&s, link_chain, &next);
    int closed = weft_scope_close(&s);
    wf_sub(c->alive, 1, relaxed);
    return closed;
}

static int cancel_a_chain(void *arg)
{
    int depth = TEST_TIMES(10000);
    WF_ATOMIC(int) alive = 0;
    (void)arg;
    WEFT_SCOPE(s);
    struct chain c = {depth, &alive};
    weft_task *t = weft_spawn(&s, link_chain, &c);
    while (wf_load(&alive, relaxed) < depth)
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    weft_cancel(t);
    CHECK_EQ(weft_await(t), -ECANCELED);
    CHECK_EQ(wf_load(&alive, relaxed), 0);
    return weft_scope_close(&s);
}

TEST_WITHIN(scope, stops_a_chain_of_ten_thousand_without_recursion, 60)
{
    with_workers(cancel_a_chain, NULL);
}

static int cancel_a_crowd(void *arg)
{
    int n = TEST_TIMES(100000);
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(&s, sleep_for_ever, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

TEST_WITHIN(scope, stops_a_hundred_thousand_tasks, 60)
{
    with_workers(cancel_a_crowd, NULL);
}

/* ---- Results that only look like a stop ---- */

static int return_canceled(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

static int return_timedout(void *arg)
{
    (void)arg;
    return -ETIMEDOUT;
}

/* Nobody was told to stop, so these are failures like any other. */
static int failures_that_look_like_stops(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_within(WEFT_SEC, return_canceled, NULL), -ECANCELED);
    CHECK_EQ(weft_within(WEFT_SEC, return_timedout, NULL), -ETIMEDOUT);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, return_timedout, NULL), 0);
    CHECK_EQ(weft_scope_close(&s), -ETIMEDOUT);
    CHECK_EQ(weft_checkpoint(), 0);
    return 0;
}

TEST(scope, takes_a_result_for_a_failure_when_nobody_was_told_to_stop)
{
    with_workers(failures_that_look_like_stops, NULL);
}

static void *cancel_twice_on_thread(void *arg)
{
    struct for_a_thread *f = arg;
    for (int i = 0; i < 2; i++) {
        weft_scope_cancel(f->scope);
        weft_cancel(f->task);
    }
    raise_flag(&f->done);
    return NULL;
}

/* The only worker is busy, so the second call finds the first one's note still there. */
static int cancel_twice(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, sleep_for_ever, NULL);
    CHECK_EQ(weft_yield(), 0);
    struct for_a_thread f = {.scope = &s, .task = t};
    pthread_t id = start_thread(cancel_twice_on_thread, &f);
    spin_until(&f.done);
    join_thread(id);
    CHECK_EQ(weft_await(t), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(scope, may_be_cancelled_twice_before_a_worker_looks)
{
    with_one_worker(cancel_twice, NULL);
}

/* The only worker is busy while a thread stops several scopes and tasks: it finds all of their notes at once. */
enum { NOTES = 4 };

struct notes {
    WF_ATOMIC(weft_scope *) scope[NOTES]; /* each of a task of its own, which waits in it */
    weft_task *opener[NOTES], *sleeper[NOTES];
    WF_ATOMIC(bool) done;
};

struct note {
    WF_ATOMIC(weft_scope *) *scope;
};

static int sleep_in_a_scope(void *arg)
{
    struct note *n = arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, sleep_for_ever, NULL);
    wf_store(n->scope, &s, release);
    CHECK_EQ(weft_await(t), -ECANCELED);
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_checkpoint(); /* its own scope and no other */
}

static void *leave_many_notes(void *arg)
{
    struct notes *n = arg;
    for (int i = 0; i < NOTES; i++) {
        weft_scope_cancel(wf_load(&n->scope[i], acquire));
        weft_cancel(n->sleeper[i]);
    }
    raise_flag(&n->done);
    return NULL;
}

static int find_many_notes(void *arg)
{
    struct notes n = {.done = false};
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < NOTES; i++) {
        n.opener[i] = weft_spawn_with(&s, sleep_in_a_scope, struct note, .scope = &n.scope[i]);
        n.sleeper[i] = weft_spawn(&s, sleep_for_ever, NULL);
    }
    let_all_run();
    pthread_t id = start_thread(leave_many_notes, &n);
    spin_until(&n.done);
    join_thread(id);
    for (int i = 0; i < NOTES; i++) {
        CHECK_EQ(weft_await(n.opener[i]), 0);
        CHECK_EQ(weft_await(n.sleeper[i]), -ECANCELED);
    }
    return weft_scope_close(&s);
}

TEST(scope, is_one_of_many_that_a_plain_thread_may_cancel_before_a_worker_looks)
{
    with_one_worker(find_many_notes, NULL);
}

/* ---- A deadline after a cancel, and a function that makes a cancel of a timeout ---- */

static int time_out_after_cancel(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    weft_scope_set_deadline(&s, weft_now());
    CHECK_EQ(weft_checkpoint(), -ECANCELED); /* the first outranks */
    CHECK(!weft_scope_expired(&s));
    return weft_scope_close(&s);
}

static int sleep_and_say_canceled(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep_until(weft_never()), -ETIMEDOUT);
    return -ECANCELED;
}

static int make_a_cancel_of_a_timeout(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_within(WEFT_USEC, sleep_and_say_canceled, NULL), -ETIMEDOUT);
    return 0;
}

TEST(scope, keeps_a_cancel_though_its_deadline_passes_too)
{
    with_workers(time_out_after_cancel, NULL);
}

TEST(scope, says_timeout_of_a_function_that_failed_because_of_it)
{
    with_workers(make_a_cancel_of_a_timeout, NULL);
}

/* ---- gather ---- */

struct item {
    int give, result;
};

static int work_on(void *arg)
{
    struct item *i = arg;
    int err = weft_yield();
    i->result = 1;
    return err < 0 ? err : i->give;
}

static int gather_items(void *arg)
{
    (void)arg;
    struct item item[100] = {{0}};
    CHECK_EQ(weft_gather(work_on, item, 100), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(item[i].result, 1);
    CHECK_EQ(weft_gather(work_on, item, 0), 0);
    return 0;
}

TEST(scope, gather_runs_a_task_for_each_item_and_waits_for_all)
{
    with_workers(gather_items, NULL);
}

static int sleep_or_fail(void *arg)
{
    struct item *i = arg;
    i->result = i->give ? i->give : weft_sleep(60 * WEFT_SEC);
    return i->result;
}

static int gather_failure(void *arg)
{
    (void)arg;
    struct item item[3] = {{0, 0}, {-EIO, 0}, {0, 0}};
    CHECK_EQ(weft_gather(sleep_or_fail, item, 3), -EIO);
    CHECK_EQ(item[0].result, -ECANCELED);
    CHECK_EQ(item[2].result, -ECANCELED);
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    item[0].result = 0;
    CHECK_EQ(weft_gather(work_on, item, 1), -ECANCELED);
    CHECK_EQ(item[0].result, 0); /* who is stopped already starts nothing */
    CHECK_EQ(weft_scope_close(&s), 0);
    return 0;
}

TEST(scope, gather_fails_as_the_first_that_fails_and_stops_the_others)
{
    with_one_worker(gather_failure, NULL);
}
