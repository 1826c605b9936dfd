/* timer.c - tests of runtime/timer.c: the wheel against a plain list of deadlines. */
#include "runtime/timer.h"

#include "runtime/platform/random.h"
#include "tests/runtime/with.h"

enum { TIMERS = 100 };

static const int64_t TICK = INT64_C(1) << WF_WHEEL_TICK_BITS;

struct entry {
    struct wf_timer timer;
    int64_t deadline;
    bool armed; /* as the model has it */
    unsigned fired;
};

struct model {
    struct wf_wheel *wheel;
    struct wf_random random;
    int64_t now;
    unsigned fired; /* since the last look */
    struct entry entry[TIMERS];
};

static int64_t model_now; /* for what fires */

static void fire_entry(struct wf_timer *t)
{
    struct model *m = t->ctx;
    struct entry *e = (struct entry *)(void *)t;
    CHECK(e->armed);
    CHECK(e->deadline <= model_now); /* never early */
    e->armed = false;
    e->fired++;
    m->fired++;
}

static struct model *new_model(int64_t start, uint64_t seed)
{
    struct model *m = calloc(1, sizeof *m);
    m->wheel = calloc(1, sizeof *m->wheel);
    m->random.s = seed;
    m->now = start;
    wf_wheel_open(m->wheel, start);
    for (int i = 0; i < TIMERS; i++)
        m->entry[i].timer = (struct wf_timer){.fire = fire_entry, .ctx = m};
    return m;
}

static void free_model(struct model *m)
{
    free(m->wheel);
    free(m);
}

static int64_t add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* From nothing to centuries, each scale as likely as any other. */
static int64_t any_distance(struct wf_random *r)
{
    unsigned bits = wf_random_below(r, 63);
    return (int64_t)(wf_random_next(r) & ((UINT64_C(1) << bits) - 1));
}

static int64_t any_deadline(struct model *m)
{
    switch (wf_random_below(&m->random, 16)) {
    case 0: return INT64_MAX;
    case 1: return INT64_MIN;
    case 2: return m->now - any_distance(&m->random) / 1024;
    case 3: return m->now;
    default: return add(m->now, any_distance(&m->random));
    }
}

/* The first moment at which an entry must have fired once somebody looks: a deadline rounded up to a tick. */
static int64_t due(const struct model *m, const struct entry *e)
{
    if (e->deadline <= m->wheel->origin_ns)
        return m->wheel->origin_ns;
    int64_t past = e->deadline - m->wheel->origin_ns, over = past % TICK;
    return add(m->wheel->origin_ns, over ? add(past, TICK - over) : past);
}

static void check_next(const struct model *m)
{
    int64_t next = wf_wheel_next(m->wheel);
    for (int i = 0; i < TIMERS; i++)
        if (m->entry[i].armed)
            CHECK(next <= (due(m, &m->entry[i]) > m->now ? due(m, &m->entry[i]) : m->now));
}

static void expire(struct model *m)
{
    model_now = m->now;
    m->fired = 0;
    CHECK_EQ(wf_wheel_expire(m->wheel, m->now), m->fired);
    for (int i = 0; i < TIMERS; i++)
        if (m->entry[i].armed)
            CHECK(due(m, &m->entry[i]) > m->now);
    CHECK(wf_wheel_next(m->wheel) > m->now); /* or the worker would look again and again */
}

static void arm_or_cancel(struct model *m)
{
    struct entry *e = &m->entry[wf_random_below(&m->random, TIMERS)];
    if (e->armed || wf_random_below(&m->random, 8) == 0) {
        CHECK_EQ(wf_timer_cancel(&e->timer), e->armed);
        e->armed = false;
    } else {
        e->deadline = any_deadline(m);
        e->armed = true;
        wf_timer_arm(m->wheel, &e->timer, e->deadline);
    }
}

static void play(struct model *m, int steps, int64_t last)
{
    for (int i = 0; i < steps; i++) {
        unsigned choice = wf_random_below(&m->random, 8);
        if (choice > 1) {
            arm_or_cancel(m);
        } else {
            int64_t next = wf_wheel_next(m->wheel);
            int64_t jump = add(m->now, any_distance(&m->random) >> wf_random_below(&m->random, 40));
            if (next < m->now) /* a loose one may be late already */
                next = m->now;
            m->now = choice == 0 && next < last ? next : jump < last ? jump : m->now + (m->now < last);
            expire(m);
        }
        check_next(m);
    }
}

TEST_WITHIN(timer, agrees_with_a_list_of_deadlines, 60)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct model *m = new_model((int64_t)seed * 123456789, seed);
        play(m, TEST_TIMES(100000), INT64_MAX / 2);
        free_model(m);
    }
}

TEST(timer, agrees_with_a_list_where_time_ends)
{
    struct model *m = new_model(INT64_MAX - (INT64_C(1) << 50), 99);
    play(m, TEST_TIMES(100000), INT64_MAX - TICK);
    free_model(m);
}

TEST(timer, that_never_comes_is_not_due_before_the_end_of_time)
{
    struct model *m = new_model(WEFT_SEC, 1);
    struct entry *e = &m->entry[0];
    e->deadline = INT64_MAX;
    e->armed = true;
    wf_timer_arm(m->wheel, &e->timer, INT64_MAX);
    m->now = INT64_MAX - 2 * TICK;
    expire(m);
    CHECK(e->armed);
    CHECK(wf_timer_cancel(&e->timer));
    free_model(m);
}

TEST(timer, sleeps_until_a_deadline_and_not_until_the_edge_of_a_slot)
{
    struct model *m = new_model(0, 1);
    struct entry *e = &m->entry[0];
    e->deadline = 1000 * TICK + 5;
    e->armed = true;
    wf_timer_arm(m->wheel, &e->timer, e->deadline);
    CHECK_EQ(wf_wheel_next(m->wheel), 1001 * TICK);
    m->now = 1001 * TICK - 1;
    expire(m);
    CHECK_EQ(e->fired, 0);
    CHECK_EQ(wf_wheel_next(m->wheel), 1001 * TICK);
    m->now = 1001 * TICK;
    expire(m);
    CHECK_EQ(e->fired, 1);
    CHECK_EQ(wf_wheel_next(m->wheel), INT64_MAX);
    free_model(m);
}

static struct entry *arm(struct model *m, int i, int64_t deadline)
{
    struct entry *e = &m->entry[i];
    e->deadline = deadline;
    e->armed = true;
    wf_timer_arm(m->wheel, &e->timer, deadline);
    return e;
}

static struct wf_timer *loose_of(const struct model *m)
{
    return wf_load(&m->wheel->loose, relaxed);
}

TEST(timer, lies_loose_if_it_is_the_only_one_and_is_taken_back_from_there)
{
    struct model *m = new_model(0, 1);
    for (int i = 0; i < 3; i++) {
        struct entry *e = arm(m, 0, (i + 1) * 1000 * TICK);
        CHECK(loose_of(m) == &e->timer);
        CHECK_EQ(wf_wheel_next(m->wheel), (i + 1) * 1000 * TICK);
        CHECK(wf_timer_cancel(&e->timer));
        CHECK(!loose_of(m));
        CHECK_EQ(wf_wheel_next(m->wheel), INT64_MAX);
        CHECK(!wf_timer_cancel(&e->timer)); /* it was, already */
    }
    free_model(m);
}

TEST(timer, lies_in_a_slot_beside_a_loose_one_and_the_loose_one_follows)
{
    struct model *m = new_model(0, 1);
    struct entry *loose = arm(m, 0, 1000 * TICK), *other = arm(m, 1, 10 * TICK);
    CHECK(loose_of(m) == &loose->timer);
    CHECK_EQ(wf_wheel_next(m->wheel), 10 * TICK);
    m->now = 10 * TICK;
    expire(m);
    CHECK_EQ(other->fired, 1);
    CHECK(!loose_of(m));
    CHECK_EQ(wf_wheel_next(m->wheel), 1000 * TICK);
    CHECK(wf_timer_cancel(&loose->timer));
    loose->armed = false;
    m->now = 1000 * TICK;
    expire(m);
    CHECK_EQ(loose->fired, 0);
    free_model(m);
}

TEST(timer, that_lies_loose_fires_when_it_is_due)
{
    struct model *m = new_model(0, 1);
    struct entry *e = arm(m, 0, 10 * TICK);
    m->now = 10 * TICK;
    expire(m);
    CHECK_EQ(e->fired, 1);
    CHECK(!loose_of(m));
    free_model(m);
}

TEST_DIES(timer, cannot_be_armed_twice, "broken")
{
    struct wf_wheel *w = calloc(1, sizeof *w);
    struct wf_timer t = {.fire = fire_entry};
    wf_wheel_open(w, 0);
    wf_timer_arm(w, &t, 1);
    wf_timer_arm(w, &t, 1);
}

/* One thread arms and cancels, others expire: every timer fires or is cancelled, and what is cancelled is not
 * touched again. */
struct shared_wheel {
    struct wf_wheel wheel;
    WF_ATOMIC(int64_t) now;
    WF_ATOMIC(bool) over;
};

struct counted_timer {
    struct wf_timer timer;
    unsigned fired; /* under the wheel's lock, then by whoever cancelled */
};

static void count_timer(struct wf_timer *t)
{
    ((struct counted_timer *)(void *)t)->fired++;
}

static void *expire_all(void *arg)
{
    struct shared_wheel *s = arg;
    while (!wf_load(&s->over, acquire))
        wf_wheel_expire(&s->wheel, wf_add(&s->now, TICK / 4, relaxed));
    return NULL;
}

static void arm_and_cancel(struct shared_wheel *s, struct wf_random *r)
{
    struct counted_timer *t = calloc(1, sizeof *t);
    t->timer.fire = count_timer;
    wf_timer_arm(&s->wheel, &t->timer, wf_load(&s->now, relaxed) + wf_random_below(r, 200) * TICK / 8);
    for (unsigned i = wf_random_below(r, 100); i > 0; i--)
        wf_pause();
    bool cancelled = wf_timer_cancel(&t->timer);
    CHECK_EQ(t->fired, !cancelled);
    CHECK(!wf_timer_cancel(&t->timer));
    free(t);
}

TEST(timer, fires_or_is_cancelled_while_others_expire)
{
    struct shared_wheel *s = calloc(1, sizeof *s);
    struct wf_random r = {7};
    pthread_t id[2];
    wf_wheel_open(&s->wheel, 0);
    for (int i = 0; i < 2; i++)
        id[i] = start_thread(expire_all, s);
    for (int i = 0; i < TEST_TIMES(200000); i++)
        arm_and_cancel(s, &r);
    wf_store(&s->over, true, release);
    for (int i = 0; i < 2; i++)
        join_thread(id[i]);
    free(s);
}
