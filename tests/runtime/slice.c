/* slice.c - tests of loops that compute and ask at every turn whether to give way. On one worker: who does not give way
 * is alone there, and these tests would not end. */
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
