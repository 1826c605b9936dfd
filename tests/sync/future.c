/* future.c - tests of sync/future.c. */
#include "tests/sync/with.h"

TEST(future, is_not_done_until_it_is_set)
{
    weft_future f = {0};
    int x = 7;
    void *got = NULL;
    CHECK(!weft_future_done(&f));
    CHECK_EQ(weft_future_set(&f, &x), 0);
    CHECK(weft_future_done(&f));
    CHECK_EQ(weft_future_await(&f, &got), 0);
    CHECK(got == &x);
    CHECK_EQ(weft_future_await(&f, NULL), 0);
}

TEST(future, keeps_its_first_answer)
{
    weft_future set = {0}, failed = {0};
    void *got;
    CHECK_EQ(weft_future_set(&set, "first"), 0);
    CHECK_EQ(weft_future_set(&set, "second"), -EALREADY);
    CHECK_EQ(weft_future_fail(&set, -EIO), -EALREADY);
    CHECK_EQ(weft_future_await(&set, &got), 0);
    CHECK_STR(got, "first");
    CHECK_EQ(weft_future_fail(&failed, -EIO), 0);
    CHECK_EQ(weft_future_set(&failed, "late"), -EALREADY);
    CHECK_EQ(weft_future_await(&failed, NULL), -EIO);
}

TEST(future, that_failed_leaves_the_result_untouched)
{
    weft_future f = {0};
    void *got = &f;
    CHECK_EQ(weft_future_fail(&f, -ENOENT), 0);
    CHECK_EQ(weft_future_await(&f, &got), -ENOENT);
    CHECK(got == &f);
    CHECK(weft_future_done(&f));
}

TEST(future, can_be_set_to_null)
{
    weft_future f = {0};
    void *got = &f;
    CHECK_EQ(weft_future_set(&f, NULL), 0);
    CHECK_EQ(weft_future_await(&f, &got), 0);
    CHECK(got == NULL);
}

TEST_DIES(future, refuses_a_failure_that_is_none, "weft_future_fail", "5")
{
    weft_future f = {0};
    weft_future_fail(&f, 5);
}

/* Plain threads. */

struct shared {
    weft_future f;
    WF_ATOMIC(unsigned) arrived, answered;
    int expected;
};

static void *await_on_thread(void *arg)
{
    struct shared *s = arg;
    void *got = NULL;
    wf_add(&s->arrived, 1u, relaxed);
    CHECK_EQ(weft_future_await(&s->f, &got), s->expected);
    CHECK(s->expected < 0 ? got == NULL : got == s);
    wf_add(&s->answered, 1u, relaxed);
    return NULL;
}

static void answer_threads(struct shared *s)
{
    pthread_t id[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, await_on_thread, s), 0);
    while (wf_load(&s->arrived, relaxed) < 4)
        sched_yield();
    CHECK_EQ(s->expected < 0 ? weft_future_fail(&s->f, s->expected) : weft_future_set(&s->f, s), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(id[i], NULL), 0);
    CHECK_EQ(wf_load(&s->answered, relaxed), 4);
}

TEST(future, gives_its_value_to_every_waiting_thread)
{
    for (int i = 0; i < TEST_TIMES(100); i++)
        answer_threads(&(struct shared){0});
}

TEST(future, gives_its_failure_to_every_waiting_thread)
{
    for (int i = 0; i < TEST_TIMES(100); i++)
        answer_threads(&(struct shared){.expected = -EPROTO});
}

/* Two threads that hand each other futures which the receiver frees as soon as it knows them to be done. */
struct relay {
    WF_ATOMIC(weft_future *) next;
    int rounds;
    bool ask; /* instead of awaiting */
};

static void *set_each(void *arg)
{
    struct relay *r = arg;
    for (int i = 0; i < r->rounds; i++) {
        weft_future *f;
        while (!(f = wf_swap(&r->next, NULL, acquire)))
            sched_yield();
        CHECK_EQ(weft_future_set(f, r), 0);
    }
    return NULL;
}

static void free_each_when_done(struct relay *r)
{
    pthread_t setter;
    CHECK_EQ(pthread_create(&setter, NULL, set_each, r), 0);
    for (int i = 0; i < r->rounds; i++) {
        weft_future *f = calloc(1, sizeof *f);
        CHECK(f);
        wf_store(&r->next, f, release);
        if (r->ask)
            while (!weft_future_done(f))
                sched_yield();
        else
            CHECK_EQ(weft_future_await(f, NULL), 0);
        memset(f, 0xff, sizeof *f); /* A lock word of this value would make a setter that is late hang. */
        free(f);
    }
    CHECK_EQ(pthread_join(setter, NULL), 0);
}

TEST(future, may_be_freed_by_its_waiter_at_once)
{
    free_each_when_done(&(struct relay){.rounds = TEST_TIMES(20000)});
}

TEST(future, may_be_freed_by_who_asked_whether_it_is_done)
{
    free_each_when_done(&(struct relay){.rounds = TEST_TIMES(20000), .ask = true});
}

/* Tasks. */

static int await_shared(void *arg)
{
    await_on_thread(arg);
    return 0;
}

static int many_waiters(void *arg)
{
    struct shared s = {.expected = *(int *)arg};
    WEFT_SCOPE(scope);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_go(&scope, await_shared, &s), 0);
    yield_until(&s.arrived, 50); /* Some wait, some come after the answer. */
    CHECK_EQ(s.expected < 0 ? weft_future_fail(&s.f, s.expected) : weft_future_set(&s.f, &s), 0);
    int err = weft_scope_close(&scope);
    CHECK_EQ(wf_load(&s.answered, relaxed), 100);
    return err;
}

TEST(future, wakes_every_waiting_task)
{
    with_workers(many_waiters, &(int){0});
    with_workers(many_waiters, &(int){-EIO});
}

static void *set_from_thread(void *arg)
{
    struct shared *s = arg;
    while (wf_load(&s->arrived, acquire) == 0)
        sched_yield();
    CHECK_EQ(weft_future_set(&s->f, s), 0);
    return NULL;
}

static int wait_for_thread(void *arg)
{
    struct shared s = {0};
    pthread_t id;
    CHECK_EQ(pthread_create(&id, NULL, set_from_thread, &s), 0);
    await_on_thread(&s);
    CHECK_EQ(pthread_join(id, NULL), 0);
    return *(int *)arg;
}

TEST(future, set_by_a_plain_thread_wakes_a_task)
{
    for (int i = 0; i < TEST_TIMES(30); i++)
        with_workers(wait_for_thread, &(int){0});
}

static int stopped_await(void *arg)
{
    (void)arg;
    weft_future done = {0}, empty = {0};
    void *got = NULL;
    CHECK_EQ(weft_future_set(&done, "answer"), 0);
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_future_await(&done, &got), 0);
    CHECK_STR(got, "answer");
    CHECK_EQ(weft_future_await(&empty, &got), -ECANCELED);
    CHECK_STR(got, "answer");
    return weft_scope_close(&s);
}

TEST(future, that_is_done_answers_even_a_stopped_caller)
{
    with_workers(stopped_await, NULL);
}

static int await_future(void *arg)
{
    return weft_future_await(arg, NULL);
}

static int stop_half(void *arg)
{
    (void)arg;
    weft_future f = {0};
    weft_task *t[64];
    WEFT_SCOPE(s);
    for (int i = 0; i < 64; i++)
        t[i] = weft_spawn(&s, await_future, &f);
    let_all_run();
    for (int i = 0; i < 64; i += 2)
        weft_cancel(t[i]);
    CHECK_EQ(weft_future_set(&f, NULL), 0);
    for (int i = 0; i < 64; i++) {
        int result = weft_await(t[i]);
        CHECK(result == 0 || (i % 2 == 0 && result == -ECANCELED));
    }
    return weft_scope_close(&s);
}

TEST(future, wakes_the_others_when_some_were_stopped)
{
    for (int i = 0; i < TEST_TIMES(50); i++)
        with_workers(stop_half, NULL);
}

/* On one worker: stopped and answered before it could run again. */
static int answer_after_stop(void *arg)
{
    (void)arg;
    weft_future f = {0};
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, await_future, &f);
    let_all_run();
    weft_cancel(t);
    CHECK_EQ(weft_future_fail(&f, -EPROTO), 0);
    CHECK_EQ(weft_await(t), -EPROTO);
    return weft_scope_close(&s);
}

TEST(future, answers_a_waiter_that_was_stopped_a_moment_before)
{
    with_one_worker(answer_after_stop, NULL);
}

static int wait_too_long(void *arg)
{
    (void)arg;
    weft_future f = {0};
    CHECK_EQ(weft_within(WEFT_MSEC, await_future, &f), -ETIMEDOUT);
    CHECK(!weft_future_done(&f));
    CHECK_EQ(weft_future_set(&f, NULL), 0);
    return weft_future_await(&f, NULL);
}

TEST(future, can_be_set_after_a_deadline_ended_its_wait)
{
    with_workers(wait_too_long, NULL);
}
