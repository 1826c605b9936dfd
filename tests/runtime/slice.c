/* slice.c - tests of loops that compute and ask at every turn whether to give way, and of calls that ask for them. On
 * one worker: who does not give way is alone there, and these tests would not end. */
#include "tests/runtime/with.h"

enum { TURNS = 20 };

static WF_ATOMIC(unsigned) turns;
static WF_ATOMIC(bool) over;

static int take_turns(void *arg)
{
    (void)arg;
    while (!wf_load(&over, acquire)) {
        wf_add(&turns, 1u, relaxed);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static void work(unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        wf_pause();
}

/* Turns of the loop of 0, 1000 and 100,000 pauses: nanoseconds to milliseconds. */
static int ask_beside_another(void *arg)
{
    static const unsigned sizes[] = {0, 1000, 100000};
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, take_turns, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned until = wf_load(&turns, relaxed) + TURNS;
        while (wf_load(&turns, relaxed) < until) {
            work(sizes[i]);
            CHECK_EQ(weft_yield_if_due(), 0);
        }
    }
    raise_flag(&over);
    return weft_scope_close(&s);
}

TEST(slice, of_a_loop_that_asks_ends_in_time_however_long_its_turns_are)
{
    with_one_worker(ask_beside_another, NULL);
}

static int ask_alone(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000000; i++)
        CHECK_EQ(weft_yield_if_due(), 0);
    return 0;
}

TEST(slice, of_a_loop_that_is_alone_begins_again)
{
    with_workers(ask_alone, NULL);
}

static int ask_until_stopped(void *arg)
{
    (void)arg;
    int err = 0;
    while (!err)
        err = weft_yield_if_due();
    return err;
}

static int stop_who_asks(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, ask_until_stopped, NULL);
    CHECK_EQ(weft_yield(), 0); /* back when it gives way for the first time */
    weft_cancel(t);
    CHECK_EQ(weft_await(t), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(slice, ends_with_a_look_at_whether_to_stop)
{
    with_workers(stop_who_asks, NULL);
}

/* ---- Calls that may wait, and need not ---- */

static void pass_through_channel(void *object)
{
    int word = 0;
    CHECK_EQ(weft_chan_send(object, &word), 0);
    CHECK_EQ(weft_chan_recv(object, &word), 0);
}

static void select_from_channel(void *object)
{
    int word = 0;
    CHECK_EQ(weft_chan_try_send(object, &word, sizeof word), 0);
    weft_case receive = weft_case_recv(object, &word, sizeof word);
    CHECK_EQ(weft_select(&receive, 1), 0);
}

static void acquire_free(void *object)
{
    CHECK_EQ(weft_sem_acquire(object, 1), 0);
    weft_sem_release(object, 1);
}

static void wait_for_what_is_set(void *object)
{
    CHECK_EQ(weft_event_wait(object), 0);
}

/* Until the others have had their turns: would it not give way, it would go on for ever. */
static void go_on(void (*call)(void *object), void *object)
{
    unsigned until = wf_load(&turns, relaxed) + TURNS;
    while (wf_load(&turns, relaxed) < until)
        call(object);
}

static int call_beside_another(void *arg)
{
    (void)arg;
    weft_sem sem = {0};
    weft_event event = {0};
    weft_chan *channel = weft_chan_new(1, sizeof(int));
    CHECK(channel != NULL);
    weft_sem_release(&sem, 1);
    weft_event_set(&event);
    WEFT_SCOPE(s);
    weft_go(&s, take_turns, NULL);
    go_on(pass_through_channel, channel);
    go_on(select_from_channel, channel);
    go_on(acquire_free, &sem);
    go_on(wait_for_what_is_set, &event);
    raise_flag(&over);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_chan_free(channel);
    return 0;
}

TEST(slice, ends_in_calls_that_may_wait_though_they_need_not)
{
    with_one_worker(call_beside_another, NULL);
}
