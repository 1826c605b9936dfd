/* lookout.c - tests of runtime/lookout.c: who is taken to stand still, how often such a one is helped, and knocked at.
 * Two workers that are not there, with drivers that only count, at times that the test chooses. What comes of it in a
 * whole runtime is in fanin.c. */
#include "runtime/lookout.h"

#include "tests/runtime/with.h"

enum { ME, OTHER, WORKERS };

static struct {
    struct wf_driver d;
    unsigned sq_head, sq_tail, flags, cq_head, cq_tail;
} queues[WORKERS];
static struct wf_worker worker[WORKERS];
static weft_runtime rt;
static weft_task task;
static int64_t now;

static void heard(const struct wf_driver *d)
{
    CHECK(d == &queues[OTHER].d);
}

static uint64_t knocks(void)
{
    return wf_load(&queues[OTHER].d.knocks, relaxed);
}

/* Time passes, and the lookout looks. */
static void look_after(int64_t ns)
{
    now += ns;
    wf_lookout_look(&worker[ME], now);
}

/* The other one has run a task for long enough. */
static void open_workers(void)
{
    rt.worker_count = WORKERS;
    wf_store(&rt.present, WORKERS, relaxed);
    rt.workers = worker;
    now = WEFT_SEC;
    for (int i = 0; i < WORKERS; i++) {
        struct wf_driver *d = &queues[i].d;
        worker[i].rt = &rt;
        worker[i].index = (unsigned)i;
        worker[i].driver = d;
        wf_wheel_open(&worker[i].wheel, now);
        d->mode = WEFT_RING_DEFER; /* who serves it only looks at its queue */
        d->sq_head = &queues[i].sq_head;
        d->sq_tail = &queues[i].sq_tail;
        d->sq_flags = &queues[i].flags;
        d->cq_head = &queues[i].cq_head;
        d->cq_tail = &queues[i].cq_tail;
        d->knock = heard;
    }
    wf_store(&worker[OTHER].current, &task, relaxed);
    wf_store(&worker[OTHER].run_seq, 1, relaxed);
    look_after(0);
}

/* So many completions have come, and have been collected. */
static void complete(unsigned n)
{
    queues[OTHER].cq_tail += n;
    queues[OTHER].cq_head += n;
}

TEST(lookout, leaves_a_word_of_who_has_run_one_task_for_long)
{
    open_workers();
    wf_lookout_mark(&rt, now + 199 * WEFT_USEC);
    CHECK_EQ(wf_load(&rt.stalled, relaxed), 0);
    wf_lookout_mark(&rt, now + 200 * WEFT_USEC);
    CHECK_EQ(wf_load(&rt.stalled, relaxed), OTHER + 1);
    wf_store(&worker[OTHER].run_seq, 2, relaxed);
    wf_lookout_mark(&rt, now + 300 * WEFT_USEC);
    CHECK_EQ(wf_load(&rt.stalled, relaxed), 0);
    wf_lookout_mark(&rt, now + 500 * WEFT_USEC);
    CHECK_EQ(wf_load(&rt.stalled, relaxed), OTHER + 1);
    wf_store(&worker[OTHER].current, NULL, relaxed);
    wf_lookout_mark(&rt, now + 700 * WEFT_USEC);
    CHECK_EQ(wf_load(&rt.stalled, relaxed), 0);
}

TEST(lookout, helps_one_at_a_time_and_not_all_the_time)
{
    open_workers();
    now += WEFT_MSEC;
    CHECK(wf_lookout_serve(&worker[ME], &worker[OTHER], now));
    CHECK(!wf_lookout_serve(&worker[ME], &worker[OTHER], now + 99 * WEFT_USEC));
    CHECK(wf_lookout_serve(&worker[ME], &worker[OTHER], now + 100 * WEFT_USEC));
}

TEST(lookout, knocks_for_what_is_held_back_once)
{
    open_workers();
    look_after(WEFT_MSEC);
    CHECK_EQ(knocks(), 0); /* for nothing */
    queues[OTHER].flags = IORING_SQ_TASKRUN;
    look_after(200 * WEFT_USEC);
    CHECK_EQ(knocks(), 1);
    look_after(200 * WEFT_USEC);
    CHECK_EQ(knocks(), 1); /* the same still */
    complete(1);
    look_after(200 * WEFT_USEC);
    CHECK_EQ(knocks(), 2); /* something else */
    look_after(WEFT_MSEC);
    CHECK_EQ(knocks(), 3); /* in vain until now */
    queues[OTHER].flags = 0;
    complete(1);
    look_after(WEFT_MSEC);
    CHECK_EQ(knocks(), 3);
}

TEST(lookout, knocks_for_what_others_have_had_submitted_by_who_stands_still)
{
    open_workers();
    look_after(WEFT_MSEC);
    queues[ME].flags = IORING_SQ_TASKRUN;
    queues[ME].cq_tail = queues[ME].cq_head = 7;
    look_after(100 * WEFT_USEC);
    CHECK_EQ(knocks(), 0); /* its owner may get to it */
    look_after(200 * WEFT_USEC);
    CHECK_EQ(knocks(), 1);
}

TEST(lookout, knocks_at_nobody_who_does_not_stand_still)
{
    open_workers();
    queues[OTHER].flags = IORING_SQ_TASKRUN;
    for (int i = 0; i < 20; i++) {
        wf_store(&worker[OTHER].run_seq, (uint64_t)(2 + i), relaxed);
        look_after(WEFT_MSEC);
    }
    CHECK_EQ(knocks(), 0);
}

TEST(lookout, is_wanted_where_nobody_looks_out_once_in_a_while_and_always_after_a_stall)
{
    struct wf_watchdog_seen seen;
    open_workers();
    rt.watchdog.seen = &seen;
    CHECK(wf_lookout_is_wanted(&worker[ME], now));
    CHECK(!wf_lookout_is_wanted(&worker[OTHER], now + 3 * WEFT_MSEC));
    CHECK(wf_lookout_is_wanted(&worker[OTHER], now + 4 * WEFT_MSEC));
    CHECK(wf_lookout_is(&worker[ME]));
    CHECK(!wf_lookout_is_wanted(&worker[OTHER], now + WEFT_SEC));
    wf_lookout_resign(&worker[ME]);
    CHECK(wf_lookout_is_wanted(&worker[OTHER], now + WEFT_SEC));
    CHECK(!wf_lookout_is_wanted(&worker[OTHER], now + WEFT_SEC));
    wf_lookout_mark(&rt, now + WEFT_SEC); /* somebody stands still */
    CHECK(wf_lookout_is_wanted(&worker[OTHER], now + WEFT_SEC));
    CHECK(wf_lookout_is_wanted(&worker[OTHER], now + 2 * WEFT_SEC - 1)); /* each time */
    CHECK(wf_lookout_is_wanted(&worker[OTHER], now + 2 * WEFT_SEC));
    CHECK(!wf_lookout_is_wanted(&worker[OTHER], now + 2 * WEFT_SEC));
    rt.watchdog.seen = NULL; /* then nobody sees what they do not */
    CHECK(wf_lookout_is_wanted(&worker[OTHER], now + 2 * WEFT_SEC));
}

TEST(lookout, looks_at_nobody_if_that_is_switched_off)
{
    rt.config.no_rescue = true;
    open_workers();
    queues[OTHER].flags = IORING_SQ_TASKRUN;
    look_after(WEFT_SEC);
    CHECK_EQ(wf_load(&rt.stalled, relaxed), 0);
    CHECK_EQ(knocks(), 0);
    CHECK(!wf_lookout_is(&worker[ME]));
}
