/* event.c - tests of sync/event.c. */
#include "tests/sync/with.h"

TEST(event, stays_set_until_it_is_cleared)
{
    weft_event e = {0};
    CHECK(!weft_event_is_set(&e));
    weft_event_set(&e);
    weft_event_set(&e);
    CHECK(weft_event_is_set(&e));
    CHECK_EQ(weft_event_wait(&e), 0);
    CHECK_EQ(weft_event_wait(&e), 0);
    weft_event_clear(&e);
    CHECK(!weft_event_is_set(&e));
}

struct gate {
    weft_event open;
    WF_ATOMIC(unsigned) arrived, passed;
};

static void *pass(void *arg)
{
    struct gate *g = arg;
    wf_add(&g->arrived, 1u, relaxed);
    CHECK_EQ(weft_event_wait(&g->open), 0);
    wf_add(&g->passed, 1u, relaxed);
    return NULL;
}

static int pass_task(void *arg)
{
    pass(arg);
    return 0;
}

TEST(event, lets_every_waiting_thread_pass)
{
    for (int round = 0; round < TEST_TIMES(100); round++) {
        struct gate g = {0};
        pthread_t id[4];
        for (int i = 0; i < 4; i++)
            CHECK_EQ(pthread_create(&id[i], NULL, pass, &g), 0);
        while (wf_load(&g.arrived, relaxed) < 2)
            sched_yield();
        weft_event_set(&g.open);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(pthread_join(id[i], NULL), 0);
        CHECK_EQ(wf_load(&g.passed, relaxed), 4);
    }
}

static int open_for_all(void *arg)
{
    (void)arg;
    struct gate g = {0};
    WEFT_SCOPE(s);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_go(&s, pass_task, &g), 0);
    yield_until(&g.arrived, 60);
    weft_event_set(&g.open);
    int err = weft_scope_close(&s);
    CHECK_EQ(wf_load(&g.passed, relaxed), 100);
    return err;
}

TEST(event, lets_every_waiting_task_pass)
{
    with_workers(open_for_all, NULL);
}

static int hold_back(void *arg)
{
    (void)arg;
    struct gate g = {0};
    WEFT_SCOPE(s);
    weft_event_set(&g.open);
    weft_event_clear(&g.open);
    CHECK_EQ(weft_go(&s, pass_task, &g), 0);
    let_all_run();
    CHECK_EQ(wf_load(&g.arrived, relaxed), 1);
    CHECK_EQ(wf_load(&g.passed, relaxed), 0);
    weft_event_set(&g.open);
    weft_event_clear(&g.open); /* Who was waiting passes all the same. */
    int err = weft_scope_close(&s);
    CHECK_EQ(wf_load(&g.passed, relaxed), 1);
    return err;
}

TEST(event, holds_back_who_comes_after_it_was_cleared)
{
    with_one_worker(hold_back, NULL);
}

/* The common protocol: one side changes data and sets; the other clears, looks, and waits if there was
 * nothing. A set that is lost leaves the reader waiting for ever. Each round begins with the event set, and both
 * sides at once: that is where a set that only looks would go wrong. */
struct mailbox {
    weft_event changed;
    WF_ATOMIC(unsigned) data, round; /* the data is the number of the round it was written in */
    unsigned rounds;
};

static void *write_mail(void *arg)
{
    struct mailbox *m = arg;
    for (unsigned i = 1; i <= m->rounds; i++) {
        for (int spins = 0; wf_load(&m->round, acquire) != i; spins++)
            if (spins % 256 == 255)
                sched_yield();
        wf_store(&m->data, i, relaxed);
        weft_event_set(&m->changed);
    }
    return NULL;
}

static void read_mail(struct mailbox *m)
{
    pthread_t writer;
    CHECK_EQ(pthread_create(&writer, NULL, write_mail, m), 0);
    for (unsigned i = 1; i <= m->rounds; i++) {
        weft_event_set(&m->changed);
        wf_store(&m->round, i, release);
        do {
            CHECK_EQ(weft_event_wait(&m->changed), 0);
            weft_event_clear(&m->changed);
        } while (wf_load(&m->data, relaxed) != i);
    }
    CHECK_EQ(pthread_join(writer, NULL), 0);
}

TEST(event, is_not_lost_between_clearing_and_waiting)
{
    read_mail(&(struct mailbox){.rounds = TEST_TIMES(100000)});
}

static int read_mail_of_thread(void *arg)
{
    read_mail(&(struct mailbox){.rounds = *(unsigned *)arg});
    return 0;
}

TEST(event, set_by_a_plain_thread_wakes_a_task)
{
    with_workers(read_mail_of_thread, &(unsigned){TEST_TIMES(5000)});
}

struct relay {
    WF_ATOMIC(weft_event *) next;
    int rounds;
};

static void *set_each(void *arg)
{
    struct relay *r = arg;
    for (int i = 0; i < r->rounds; i++) {
        weft_event *e;
        while (!(e = wf_swap(&r->next, NULL, acquire)))
            sched_yield();
        weft_event_set(e);
    }
    return NULL;
}

TEST(event, may_be_freed_by_its_waiter_at_once)
{
    struct relay r = {.rounds = TEST_TIMES(20000)};
    pthread_t setter;
    CHECK_EQ(pthread_create(&setter, NULL, set_each, &r), 0);
    for (int i = 0; i < r.rounds; i++) {
        weft_event *e = calloc(1, sizeof *e);
        CHECK(e);
        wf_store(&r.next, e, release);
        if (i % 3)
            CHECK_EQ(weft_event_wait(e), 0);
        else
            while (!weft_event_is_set(e))
                sched_yield();
        memset(e, 0xff, sizeof *e);
        free(e);
    }
    CHECK_EQ(pthread_join(setter, NULL), 0);
}

/* ---- Stops --------------------------------------------------------------------------------------- */

static int wait_for_event(void *arg)
{
    return weft_event_wait(arg);
}

static int stop_waiters(void *arg)
{
    (void)arg;
    weft_event e = {0};
    weft_task *t[32];
    WEFT_SCOPE(s);
    for (int i = 0; i < 32; i++)
        t[i] = weft_spawn(&s, wait_for_event, &e);
    let_all_run();
    for (int i = 0; i < 32; i += 2)
        weft_cancel(t[i]);
    weft_event_set(&e);
    for (int i = 0; i < 32; i++) {
        int result = weft_await(t[i]);
        CHECK(result == 0 || (i % 2 == 0 && result == -ECANCELED));
    }
    return weft_scope_close(&s);
}

TEST(event, wakes_the_others_when_some_were_stopped)
{
    for (int i = 0; i < TEST_TIMES(50); i++)
        with_workers(stop_waiters, NULL);
}

static int wait_too_long(void *arg)
{
    (void)arg;
    weft_event e = {0};
    CHECK_EQ(weft_within(WEFT_MSEC, wait_for_event, &e), -ETIMEDOUT);
    weft_event_set(&e);
    return weft_event_wait(&e);
}

TEST(event, can_be_set_after_a_deadline_ended_its_wait)
{
    with_workers(wait_too_long, NULL);
}
