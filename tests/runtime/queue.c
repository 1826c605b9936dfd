/* queue.c - tests of runtime/queue.c: order, growth, overflow, theft, the wrap of its counters. */
#include "runtime/queue.h"

#include "runtime/platform/random.h"
#include "tests/runtime/with.h"

enum { TASKS = 4096, THIEVES = 3 };

static weft_task task[TASKS];

static unsigned index_of(const weft_task *t)
{
    return (unsigned)(t - task);
}

static struct wf_queue *new_queue(uint32_t start)
{
    struct wf_queue *q = aligned_alloc(64, sizeof *q);
    CHECK(q != NULL);
    memset(q, 0, sizeof *q);
    CHECK_EQ(wf_queue_open(q, false), 0);
    wf_store(&q->head, start, relaxed);
    wf_store(&q->tail, start, relaxed);
    wf_store(&q->begun, start, relaxed);
    return q;
}

/* One whose ring cannot grow, as without memory. */
static struct wf_queue *new_small_queue(uint32_t start)
{
    struct wf_queue *q = new_queue(start);
    q->ring_max = WF_QUEUE_RING;
    return q;
}

static void free_queue(struct wf_queue *q)
{
    wf_queue_close(q);
    free(q);
}

static struct wf_queue *new_queue_alone(uint32_t start)
{
    struct wf_queue *q = new_small_queue(start);
    q->alone = true;
    return q;
}

static void push_range(struct wf_queue *q, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        wf_queue_push(q, &task[i]);
}

static void pop_range(struct wf_queue *q, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        CHECK_EQ(index_of(wf_queue_pop(q)), i);
}

TEST(queue, gives_tasks_back_in_the_order_they_came)
{
    struct wf_queue *q = new_queue(0);
    CHECK(wf_queue_pop(q) == NULL);
    push_range(q, 0, 200);
    pop_range(q, 0, 200);
    CHECK(wf_queue_pop(q) == NULL);
    free_queue(q);
}

TEST(queue, rotates_without_thieves_also_when_full)
{
    struct wf_queue *q = new_queue_alone(UINT32_MAX - 20);
    CHECK(wf_queue_rotate(q, &task[0]) == NULL);
    CHECK(wf_queue_pop(q) == NULL); /* so it was not put there either */
    push_range(q, 0, WF_QUEUE_RING);
    for (unsigned i = 0; i < WF_QUEUE_RING; i++)
        CHECK_EQ(index_of(wf_queue_rotate(q, &task[WF_QUEUE_RING + i])), i);
    pop_range(q, WF_QUEUE_RING, 2 * WF_QUEUE_RING);
    free_queue(q);
}

TEST(queue, does_not_rotate_past_what_has_its_own_turn)
{
    struct wf_queue *q = new_queue_alone(0);
    push_range(q, 0, 1);
    CHECK(wf_queue_slot(q, &task[1]) == NULL);
    CHECK(wf_queue_rotate(q, &task[2]) == NULL); /* the slot */
    CHECK_EQ(index_of(wf_queue_slot(q, NULL)), 1);
    CHECK(wf_queue_nest(q, &task[3], 7));
    CHECK(wf_queue_rotate(q, &task[2]) == NULL); /* the nest */
    CHECK_EQ(index_of(wf_queue_pop_nest(q)), 3);
    push_range(q, 1, WF_QUEUE_RING + 1);
    CHECK(wf_queue_rotate(q, &task[WF_QUEUE_RING + 1]) == NULL); /* the overflow */
    pop_range(q, 0, WF_QUEUE_RING + 1);
    free_queue(q);
}

TEST(queue, keeps_the_order_when_the_ring_grows)
{
    struct wf_queue *q = new_queue(UINT32_MAX - 300);
    push_range(q, 0, 100);
    pop_range(q, 0, 50); /* so that it is full in the middle of its places */
    push_range(q, 100, TASKS);
    CHECK_EQ(wf_queue_count(q), TASKS - 50);
    CHECK_EQ(wf_load(&q->overflow, relaxed), 0);
    pop_range(q, 50, TASKS);
    CHECK(wf_queue_pop(q) == NULL);
    free_queue(q);
}

TEST(queue, keeps_the_order_when_the_ring_overflows)
{
    struct wf_queue *q = new_small_queue(0);
    push_range(q, 0, TASKS);
    CHECK_EQ(wf_load(&q->overflow, relaxed), TASKS - WF_QUEUE_RING);
    pop_range(q, 0, TASKS);
    CHECK(wf_queue_pop(q) == NULL);
    CHECK(!wf_queue_any(q));
    free_queue(q);
}

TEST(queue, lets_nobody_overtake_what_overflowed)
{
    struct wf_queue *q = new_small_queue(0);
    push_range(q, 0, 300);
    pop_range(q, 0, 10);
    push_range(q, 300, 310); /* there is room in the ring, but not for these */
    pop_range(q, 10, 310);
    CHECK(wf_queue_pop(q) == NULL);
    free_queue(q);
}

TEST(queue, says_whether_there_was_nothing_before)
{
    struct wf_queue *q = new_queue(0);
    CHECK(wf_queue_push(q, &task[0]));
    CHECK(!wf_queue_push(q, &task[1]));
    pop_range(q, 0, 2);
    CHECK(wf_queue_push(q, &task[2]));
    pop_range(q, 2, 3);
    push_range(q, 0, WF_QUEUE_RING);
    CHECK(!wf_queue_push(q, &task[WF_QUEUE_RING]));
    free_queue(q);
}

/* Random pushes, pops and thefts against counters: first in, first out, whatever lies where. */
static void play_against_a_model(uint32_t start, bool alone, uint32_t ring_max, uint64_t seed)
{
    struct wf_queue *q = new_queue(start), *thief = new_queue(start + 7);
    struct wf_random r = {seed};
    unsigned pushed = 0, popped = 0;
    q->alone = alone;
    q->ring_max = ring_max;
    for (int i = 0; i < TEST_TIMES(200000); i++) {
        unsigned burst = wf_random_below(&r, 8) ? 1 : wf_random_below(&r, 400);
        bool push = wf_random_below(&r, 2);
        for (unsigned n = 0; n < burst; n++) {
            if (push && pushed - popped < TASKS) {
                bool was_empty = pushed == popped;
                CHECK_EQ(wf_queue_push(q, &task[pushed++ % TASKS]), was_empty);
            } else if (!push) {
                weft_task *t = wf_queue_pop(q);
                CHECK_EQ(t == NULL, pushed == popped);
                if (t)
                    CHECK_EQ(index_of(t), popped++ % TASKS);
            }
        }
        CHECK_EQ(wf_queue_any(q), pushed != popped);
        if (!alone && wf_random_below(&r, 4) == 0)
            for (weft_task *t = wf_queue_steal(q, thief, WF_QUEUE_MOVED); t; t = wf_queue_pop(thief))
                CHECK_EQ(index_of(t), popped++ % TASKS);
    }
    free_queue(q);
    free_queue(thief);
}

TEST(queue, agrees_with_a_model)
{
    play_against_a_model(0, false, WF_QUEUE_RING_MAX, 1);
    play_against_a_model(0, false, WF_QUEUE_RING, 4);
}

TEST(queue, agrees_with_a_model_where_its_counters_wrap)
{
    play_against_a_model(UINT32_MAX - 1000, false, WF_QUEUE_RING_MAX, 2);
    play_against_a_model(UINT32_MAX - 1000, true, WF_QUEUE_RING_MAX, 3);
    play_against_a_model(UINT32_MAX - 1000, true, WF_QUEUE_RING, 5);
}

TEST(queue, loses_half_of_its_tasks_rounded_up_but_no_more_than_a_limit_to_a_thief)
{
    static const unsigned have[] = {1, 2, 3, 7, 100, 255, 256, 257, 1000};
    for (size_t i = 0; i < sizeof have / sizeof *have; i++) {
        struct wf_queue *q = new_queue(0), *to = new_queue(0);
        push_range(q, 0, have[i]);
        weft_task *first = wf_queue_steal(q, to, WF_QUEUE_MOVED);
        unsigned half = have[i] > 256 ? WF_QUEUE_MOVED : (have[i] + 1) / 2;
        CHECK_EQ(index_of(first), 0);
        pop_range(to, 1, half);
        CHECK(wf_queue_pop(to) == NULL);
        pop_range(q, half, have[i]);
        CHECK(wf_queue_pop(q) == NULL);
        free_queue(q);
        free_queue(to);
    }
}

TEST(queue, lets_a_thief_have_the_overflow_when_the_ring_is_empty)
{
    struct wf_queue *q = new_small_queue(0), *to = new_queue(0);
    push_range(q, 0, WF_QUEUE_RING + 40);
    for (unsigned left = WF_QUEUE_RING, from = 0; left > 0;) { /* thieves empty the ring */
        unsigned half = (left + 1) / 2;
        CHECK_EQ(index_of(wf_queue_steal(q, to, WF_QUEUE_MOVED)), from);
        pop_range(to, from + 1, from + half);
        from += half;
        left -= half;
    }
    CHECK_EQ(index_of(wf_queue_steal(q, to, WF_QUEUE_MOVED)), WF_QUEUE_RING);
    unsigned got = 1;
    while (wf_queue_pop(to))
        got++;
    CHECK_EQ(got, 20);
    pop_range(q, WF_QUEUE_RING + 20, WF_QUEUE_RING + 40);
    CHECK(wf_queue_pop(q) == NULL);
    free_queue(q);
    free_queue(to);
}

TEST(queue, has_a_nest_where_the_latest_family_comes_first_and_its_eldest_before_the_others)
{
    struct wf_queue *q = new_queue(0), *to = new_queue(0);
    for (unsigned i = 0; i < 9; i++)
        CHECK(wf_queue_nest(q, &task[i], i / 3));
    CHECK(wf_queue_any(q));
    static const unsigned order[] = {6, 7, 8, 3, 4};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        CHECK_EQ(index_of(wf_queue_pop_nest(q)), order[i]);
    CHECK(wf_queue_nest(q, &task[9], 2)); /* its elder ones are gone: it comes first all the same */
    CHECK_EQ(index_of(wf_queue_pop_nest(q)), 9);
    CHECK(wf_queue_pop(q) == NULL);
    CHECK_EQ(index_of(wf_queue_steal(q, to, WF_QUEUE_MOVED)), 0); /* thieves have the earliest, and half of all */
    pop_range(to, 1, 2);
    CHECK(wf_queue_pop(to) == NULL);
    CHECK_EQ(index_of(wf_queue_pop_nest(q)), 5);
    CHECK_EQ(index_of(wf_queue_pop_nest(q)), 2);
    CHECK(wf_queue_pop_nest(q) == NULL);
    CHECK(!wf_queue_any(q));
    free_queue(q);
    free_queue(to);
}

TEST(queue, keeps_the_low_ones_in_order_for_who_finds_nothing_else)
{
    struct wf_queue *q = new_queue(0), *to = new_queue(0);
    for (unsigned i = 0; i < 3; i++)
        wf_queue_push_low(q, &task[i]);
    CHECK_EQ(wf_queue_count_all(q), 3);
    CHECK(wf_queue_any(q));
    CHECK(wf_queue_nest(q, &task[8], 1));
    push_range(q, 9, 10);
    CHECK(wf_queue_pop_nest(q) == &task[8] && wf_queue_pop_nest(q) == NULL);
    CHECK(wf_queue_nest(q, &task[8], 2));
    CHECK(wf_queue_steal(q, to, WF_QUEUE_MOVED) == &task[8]);
    CHECK(wf_queue_steal(q, to, WF_QUEUE_MOVED) == &task[9]);
    CHECK(wf_queue_steal(q, to, WF_QUEUE_MOVED) == &task[0]);
    CHECK(wf_queue_pop_aside(q) == &task[1]);
    CHECK(wf_queue_pop_low(q) == &task[2]);
    CHECK(wf_queue_pop_low(q) == NULL && wf_queue_pop_aside(q) == NULL && !wf_queue_any(q));
    wf_queue_push_low(q, &task[3]); /* after it has been empty */
    CHECK(wf_queue_pop_low(q) == &task[3]);
    free_queue(q);
    free_queue(to);
}

TEST(queue, has_no_room_in_its_nest_for_more_than_a_few_of_a_family)
{
    struct wf_queue *q = new_queue(0);
    for (unsigned i = 0; i < WF_QUEUE_NESTLINGS; i++)
        CHECK(wf_queue_nest(q, &task[i], 7));
    CHECK(!wf_queue_nest(q, &task[WF_QUEUE_NESTLINGS], 7));
    CHECK(wf_queue_nest(q, &task[WF_QUEUE_NESTLINGS], 8));
    free_queue(q);
}

static void begin(unsigned i, bool begun)
{
    static char stack; /* its address is all that counts */
    wf_store(&task[i].stack, begun ? (struct wf_stack *)(void *)&stack : NULL, relaxed);
}

static void push_mixed(struct wf_queue *q, unsigned from, unsigned to, unsigned begun)
{
    for (unsigned i = from; i < to; i++) {
        begin(i, i == begun);
        CHECK_EQ((i == begun ? wf_queue_push : wf_queue_push_fresh)(q, &task[i]), i == from);
    }
}

TEST(queue, gives_who_wants_what_has_begun_the_first_that_has)
{
    struct wf_queue *q = new_queue(UINT32_MAX - 1);
    bool nested = true;
    CHECK(!wf_queue_any_begun(q) && !wf_queue_steal_begun(q, &nested) && !nested);
    push_mixed(q, 0, 5, 2);
    CHECK(wf_queue_any_begun(q));
    CHECK_EQ(index_of(wf_queue_steal_begun(q, &nested)), 2);
    CHECK(nested);
    CHECK(!wf_queue_any_begun(q) && !wf_queue_steal_begun(q, &nested) && !nested);
    pop_range(q, 3, 5);
    for (unsigned i = 0; i < 2; i++) /* what lay before it, in order */
        CHECK_EQ(index_of(wf_queue_pop_nest(q)), i);
    CHECK(!wf_queue_any(q));
    begin(2, false);
    free_queue(q);
}

TEST(queue, takes_what_is_spilled_for_what_has_begun)
{
    struct wf_queue *q = new_queue(0);
    bool nested;
    push_mixed(q, 0, 3, 3);
    task[3].fn = wf_spills_marker;
    CHECK(!wf_queue_any_begun(q));
    CHECK(!wf_queue_push_any(q, &task[3])); /* as one that was woken is pushed */
    CHECK(wf_queue_any_begun(q));
    CHECK_EQ(index_of(wf_queue_steal_begun(q, &nested)), 3);
    task[3].fn = NULL;
    CHECK(nested && !wf_queue_any_begun(q));
    free_queue(q);
}

TEST(queue, knows_of_stolen_tasks_whether_one_may_have_begun)
{
    for (unsigned begun = 0; begun < 9; begun++) {
        struct wf_queue *q = new_queue(7), *thief = new_queue(UINT32_MAX);
        bool nested;
        push_mixed(q, 0, 8, begun); /* none, for the last of them */
        CHECK_EQ(index_of(wf_queue_steal(q, thief, WF_QUEUE_MOVED)), 0);
        CHECK_EQ(wf_queue_any_begun(thief), begun > 0 && begun < 8);
        CHECK_EQ(wf_queue_any_begun(q), begun >= 4 && begun < 8);
        weft_task *t = wf_queue_steal_begun(begun < 4 ? thief : q, &nested);
        CHECK(t == (begun > 0 && begun < 8 ? &task[begun] : NULL));
        CHECK_EQ(nested, t && begun != 1 && begun != 4); /* these come first there */
        begin(begun, false);
        free_queue(q);
        free_queue(thief);
    }
}

TEST(queue, of_nothing_gives_a_thief_nothing)
{
    struct wf_queue *q = new_queue(5), *to = new_queue(9);
    CHECK(wf_queue_steal(q, to, WF_QUEUE_MOVED) == NULL);
    free_queue(q);
    free_queue(to);
}

TEST(queue, has_one_slot_that_is_exchanged)
{
    struct wf_queue *q = new_queue(0);
    CHECK(wf_queue_slot(q, &task[1]) == NULL);
    CHECK(!wf_queue_any(q));
    CHECK(wf_queue_slot(q, &task[2]) == &task[1]);
    CHECK(wf_queue_slot(q, NULL) == &task[2]);
    CHECK(wf_queue_slot(q, NULL) == NULL);
    free_queue(q);
}

/* An owner that pushes and pops, thieves that steal: everybody marks what they got. */
struct arena {
    struct wf_queue *victim;
    WF_ATOMIC(bool) over;
    WF_ATOMIC(uint64_t) taken;
    WF_ATOMIC(unsigned) times[TASKS]; /* how often each was taken, of how often it was pushed */
    uint32_t start;
};

static void mark(struct arena *a, weft_task *t)
{
    wf_add(&a->times[index_of(t)], 1, relaxed);
    wf_add(&a->taken, 1, release);
}

static void *steal_all(void *arg)
{
    struct arena *a = arg;
    struct wf_queue *own = new_queue(a->start);
    for (;;) {
        bool last = wf_load(&a->over, acquire);
        weft_task *t = wf_queue_steal(a->victim, own, WF_QUEUE_MOVED);
        if (!t && last)
            break;
        for (; t; t = wf_queue_pop(own))
            mark(a, t);
    }
    free_queue(own);
    return NULL;
}

/* A task is pushed again only when it has been taken: laps of all tasks. */
static void run_owner(struct arena *a, unsigned laps)
{
    struct wf_random r = {a->start};
    for (unsigned lap = 0; lap < laps; lap++) {
        for (unsigned i = 0; i < TASKS; i++) {
            wf_queue_push(a->victim, &task[i]);
            weft_task *t = wf_random_below(&r, 3) == 0 ? wf_queue_pop(a->victim) : NULL;
            if (t)
                mark(a, t);
        }
        while (wf_load(&a->taken, acquire) < (uint64_t)(lap + 1) * TASKS) {
            weft_task *t = wf_queue_pop(a->victim);
            if (t)
                mark(a, t);
            else
                sched_yield();
        }
    }
}

static void torture(uint32_t start, uint32_t ring_max)
{
    unsigned laps = TEST_TIMES(200);
    struct arena a = {.victim = new_queue(start), .start = start};
    pthread_t id[THIEVES];
    a.victim->ring_max = ring_max;
    for (int i = 0; i < THIEVES; i++)
        id[i] = start_thread(steal_all, &a);
    run_owner(&a, laps);
    wf_store(&a.over, true, release);
    for (int i = 0; i < THIEVES; i++)
        join_thread(id[i]);
    CHECK(wf_queue_pop(a.victim) == NULL);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(wf_load(&a.times[i], relaxed), laps);
    free_queue(a.victim);
}

TEST(queue, gives_every_task_to_exactly_one_of_owner_and_thieves)
{
    torture(0, WF_QUEUE_RING_MAX);
    torture(0, WF_QUEUE_RING);
}

TEST(queue, gives_every_task_to_exactly_one_while_its_counters_wrap)
{
    torture(UINT32_MAX - 100 * TASKS, WF_QUEUE_RING_MAX);
    torture(UINT32_MAX - 100 * TASKS, WF_QUEUE_RING);
}
