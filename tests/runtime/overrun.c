/* overrun.c - tests of tasks that hold their worker for long, time and again: they are served after the others, but
 * they are served. On one worker, in turns, not in time: who overruns its slice here only seems to. */
#include "runtime/lookout.h"
#include "runtime/platform/clock.h"
#include "tests/runtime/with.h"

enum { LONG_ONES = 16, TURNS = 70 * WF_TICK_LOW };

/* As whoever looks would see it after a while: the caller's run is a long one. */
static void seem_long(void)
{
    int64_t now = wf_clock_now();
    wf_lookout_mark(weft_runtime_self(), now);
    wf_lookout_mark(weft_runtime_self(), now + WEFT_SEC);
}

static unsigned overruns(void)
{
    return wf_task_self()->overruns;
}

struct office {
    WF_ATOMIC(unsigned) long_turns, short_turns;
    WF_ATOMIC(bool) over;
    weft_event asked, answered;
};

static int be_long(void *arg)
{
    struct office *o = arg;
    while (!wf_load(&o->over, acquire)) {
        wf_add(&o->long_turns, 1u, relaxed);
        seem_long();
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static int be_short(void *arg)
{
    struct office *o = arg;
    while (!wf_load(&o->over, acquire)) {
        wf_add(&o->short_turns, 1u, relaxed);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static void wait_until_all_are_low(struct office *o)
{
    while (wf_load(&o->long_turns, relaxed) < (WF_SLICE_OVERRUNS_LOW + 1) * LONG_ONES)
        CHECK_EQ(weft_yield(), 0);
}

static int share_with_long_ones(void *arg)
{
    struct office o = {0};
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < LONG_ONES; i++)
        weft_go(&s, be_long, &o);
    wait_until_all_are_low(&o);
    unsigned before = wf_load(&o.long_turns, relaxed);
    for (int i = 0; i < TURNS; i++)
        CHECK_EQ(weft_yield(), 0);
    unsigned turns = wf_load(&o.long_turns, relaxed) - before;
    CHECK(turns >= TURNS / WF_TICK_LOW && turns <= TURNS / (WF_TICK_LOW - 1) + 1);
    raise_flag(&o.over);
    CHECK_EQ(weft_scope_close(&s), 0);
    return 0;
}

TEST(overrun, leaves_seven_turns_of_eight_to_who_does_not)
{
    with_one_worker(share_with_long_ones, NULL);
}

static int overrun_and_better_oneself(void *arg)
{
    (void)arg;
    for (unsigned i = 1; i <= 2 * WF_SLICE_OVERRUNS_MAX; i++) {
        seem_long();
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(overruns(), i < WF_SLICE_OVERRUNS_MAX ? i : WF_SLICE_OVERRUNS_MAX);
    }
    for (unsigned i = WF_SLICE_OVERRUNS_MAX; i-- > 0;) {
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(overruns(), i);
    }
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(overruns(), 0);
    return 0;
}

static int count_overruns(void *arg)
{
    struct office o = {0};
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, be_short, &o); /* or nobody would be left for: a yield would be none */
    CHECK_EQ(weft_await(weft_spawn(&s, overrun_and_better_oneself, NULL)), 0);
    raise_flag(&o.over);
    CHECK_EQ(weft_scope_close(&s), 0);
    return 0;
}

TEST(overrun, is_forgiven_after_as_many_short_runs)
{
    with_one_worker(count_overruns, NULL);
}

static int answer_at_length(void *arg)
{
    struct office *o = arg;
    for (;;) {
        seem_long();
        CHECK_EQ(weft_event_wait(&o->asked), 0);
        weft_event_clear(&o->asked);
        if (wf_load(&o->over, acquire))
            return 0;
        weft_event_set(&o->answered);
    }
}

/* Who is woken by a task runs next, if it is not of low priority. */
static int ask_long_one(void *arg)
{
    struct office o = {0};
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, answer_at_length, &o);
    weft_go(&s, be_short, &o);
    for (int round = 0; round < 3 * WF_SLICE_OVERRUNS_LOW; round++) {
        unsigned before = wf_load(&o.short_turns, relaxed);
        weft_event_set(&o.asked);
        CHECK_EQ(weft_event_wait(&o.answered), 0);
        weft_event_clear(&o.answered);
        unsigned turns = wf_load(&o.short_turns, relaxed) - before;
        if (round <= WF_SLICE_OVERRUNS_LOW)
            continue;
        CHECK(turns >= WF_TICK_LOW / 2 && turns <= WF_TICK_LOW);
    }
    raise_flag(&o.over);
    weft_event_set(&o.asked);
    CHECK_EQ(weft_scope_close(&s), 0);
    return 0;
}

TEST(overrun, waits_for_its_turn_also_when_it_is_woken)
{
    with_one_worker(ask_long_one, NULL);
}
