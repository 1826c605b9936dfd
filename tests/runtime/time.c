/* time.c - tests of time and sleep: never early, and at the ends of time. What idleness costs: tests/stress/idle.c. */
#include "tests/runtime/with.h"

TEST(time, goes_on)
{
    weft_time a = weft_now(), b = weft_now();
    CHECK(b.ns >= a.ns);
    CHECK(weft_since(a) >= 0);
    CHECK(weft_since(weft_after(WEFT_SEC)) < 0);
    CHECK(weft_since(weft_after(-WEFT_SEC)) >= WEFT_SEC);
}

TEST(time, saturates_at_its_ends)
{
    CHECK_EQ(weft_after(INT64_MAX).ns, weft_never().ns);
    CHECK_EQ(weft_never().ns, INT64_MAX);
    CHECK(weft_after(INT64_MIN).ns < 0);
    CHECK(weft_since((weft_time){INT64_MIN}) > 0);
    CHECK_EQ(weft_since((weft_time){INT64_MIN}), INT64_MAX);
    CHECK(weft_since(weft_never()) < 0);
}

static int sleep_some(void *arg)
{
    static const int64_t lengths[] = {1, 999, 1000, 16383, 16384, 16385, 100000, 1000000, 5000000};
    (void)arg;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        weft_time start = weft_now();
        CHECK_EQ(weft_sleep(lengths[i]), 0);
        CHECK(weft_since(start) >= lengths[i]);
        weft_time until = weft_after(lengths[i]);
        CHECK_EQ(weft_sleep_until(until), 0);
        CHECK(weft_since(until) >= 0);
    }
    return 0;
}

static int sleep_at_once(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_go(&s, sleep_some, arg), 0);
    return weft_scope_close(&s);
}

TEST(time, of_a_sleep_is_never_too_short)
{
    with_workers(sleep_at_once, NULL);
}

static int note(void *arg)
{
    wf_store((WF_ATOMIC(bool) *)arg, true, relaxed);
    return 0;
}

static int sleep_for_nothing(void *arg)
{
    WF_ATOMIC(bool) ran = false;
    (void)arg;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, note, &ran), 0);
    CHECK_EQ(weft_sleep(0), 0);
    CHECK_EQ(weft_sleep(-1), 0);
    CHECK_EQ(weft_sleep(INT64_MIN), 0);
    CHECK_EQ(weft_sleep_until((weft_time){INT64_MIN}), 0);
    CHECK_EQ(weft_sleep_until((weft_time){0}), 0);
    CHECK_EQ(weft_sleep_until(weft_now()), 0);
    CHECK(!wf_load(&ran, relaxed)); /* none of these suspends */
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK(wf_load(&ran, relaxed));
    return 0;
}

TEST(time, that_has_come_is_not_waited_for)
{
    with_one_worker(sleep_for_nothing, NULL);
}

static int sleep_long(void *arg)
{
    return weft_sleep_until(*(weft_time *)arg);
}

static int sleep_at_the_end_of_time(void *arg)
{
    (void)arg;
    weft_time ends[] = {weft_never(), {INT64_MAX - 1}, weft_after(INT64_MAX), weft_after(INT64_MAX / 2)};
    WEFT_SCOPE(s);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        CHECK_EQ(weft_go(&s, sleep_long, &ends[i]), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

TEST(time, that_never_comes_can_be_waited_for)
{
    with_workers(sleep_at_the_end_of_time, NULL);
}
