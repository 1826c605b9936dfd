/* mutex.c - tests of sync/mutex.c. */
#include "tests/sync/with.h"

struct counter {
    weft_mutex m;
    int times;
    unsigned n;                  /* under m; two words, so that a torn pair shows */
    unsigned mirror;
    WF_ATOMIC(unsigned) inside;  /* who believes to hold m */
};

static void count_once(struct counter *c)
{
    CHECK_EQ(wf_add(&c->inside, 1u, relaxed), 0);
    CHECK_EQ(c->n, c->mirror);
    c->n++;
    c->mirror++;
    CHECK_EQ(wf_sub(&c->inside, 1u, relaxed), 1);
}

static void *count_on_thread(void *arg)
{
    struct counter *c = arg;
    for (int i = 0; i < c->times; i++) {
        weft_mutex_lock(&c->m);
        count_once(c);
        weft_mutex_unlock(&c->m);
    }
    return NULL;
}

TEST(mutex, admits_one_thread_at_a_time)
{
    struct counter c = {.times = TEST_TIMES(20000)};
    with_threads(4, count_on_thread, &c);
    CHECK_EQ(c.n, 4 * c.times);
}

static int count_task(void *arg)
{
    struct counter *c = arg;
    for (int i = 0; i < c->times; i++) {
        weft_mutex_lock(&c->m);
        if (i % 16 == 0) {
            unsigned n = c->n;
            CHECK_EQ(weft_yield(), 0); /* Held over a suspension, it still keeps the others out. */
            CHECK_EQ(c->n, n);
        }
        count_once(c);
        weft_mutex_unlock(&c->m);
    }
    return 0;
}

static int count_tasks(void *arg)
{
    (void)arg;
    struct counter c = {.times = TEST_TIMES(500)};
    WEFT_SCOPE(s);
    for (int i = 0; i < 16; i++)
        CHECK_EQ(weft_go(&s, count_task, &c), 0);
    int err = weft_scope_close(&s);
    CHECK_EQ(c.n, 16 * c.times);
    return err;
}

TEST(mutex, admits_one_task_at_a_time)
{
    with_workers(count_tasks, NULL);
}

static int count_tasks_and_threads(void *arg)
{
    (void)arg;
    struct counter c = {.times = TEST_TIMES(2000)};
    pthread_t id[2];
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_go(&s, count_task, &c), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, count_on_thread, &c), 0);
    int err = weft_scope_close(&s);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(id[i], NULL), 0);
    CHECK_EQ(c.n, 6 * c.times);
    return err;
}

TEST(mutex, is_shared_by_tasks_and_threads)
{
    with_workers(count_tasks_and_threads, NULL);
}

TEST(mutex, is_tried_without_waiting)
{
    weft_mutex m = {0};
    CHECK(weft_mutex_trylock(&m));
    CHECK(!weft_mutex_trylock(&m));
    weft_mutex_unlock(&m);
    CHECK(weft_mutex_trylock(&m));
    weft_mutex_unlock(&m);
}

struct queue {
    weft_mutex m;
    int order[10], n;
};

struct turn {
    struct queue *q;
    int number;
};

static int take_turn(void *arg)
{
    struct turn *t = arg;
    weft_mutex_lock(&t->q->m);
    t->q->order[t->q->n++] = t->number;
    weft_mutex_unlock(&t->q->m);
    return 0;
}

static int hand_over_in_order(void *arg)
{
    (void)arg;
    struct queue q = {0};
    struct turn t[10];
    weft_mutex_lock(&q.m);
    WEFT_SCOPE(s);
    for (int i = 0; i < 10; i++) {
        t[i] = (struct turn){&q, i};
        CHECK_EQ(weft_go(&s, take_turn, &t[i]), 0);
        let_all_run(); /* It waits now: on one worker that is certain. */
    }
    weft_mutex_unlock(&q.m);
    CHECK(!weft_mutex_trylock(&q.m)); /* Handed over: there is no moment in which to overtake. */
    int err = weft_scope_close(&s);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(q.order[i], i);
    CHECK(weft_mutex_trylock(&q.m));
    weft_mutex_unlock(&q.m);
    return err;
}

TEST(mutex, is_handed_over_in_the_order_of_asking)
{
    with_one_worker(hand_over_in_order, NULL);
}

static int stopped_lock(void *arg)
{
    struct queue q = {0};
    struct turn t = {&q, 3};
    weft_mutex_lock(&q.m);
    WEFT_SCOPE(s);
    weft_task *waiting = weft_spawn(&s, take_turn, &t);
    let_all_run();
    weft_cancel(waiting);
    let_all_run();
    CHECK_EQ(q.n, 0);
    weft_mutex_unlock(&q.m);
    CHECK_EQ(weft_await(waiting), 0);
    CHECK_EQ(q.order[0], 3);
    (void)arg;
    return weft_scope_close(&s);
}

TEST(mutex, is_taken_even_by_a_stopped_task)
{
    with_workers(stopped_lock, NULL);
}

/* The last of two to let go frees the mutex: the first must not touch it any more. */
struct shared {
    weft_mutex m;
    int users;
};

static void *drop(void *arg)
{
    struct shared *s = arg;
    weft_mutex_lock(&s->m);
    int left = --s->users;
    weft_mutex_unlock(&s->m);
    if (left == 0) {
        memset(s, 0xff, sizeof *s);
        free(s);
    }
    return NULL;
}

static int drop_task(void *arg)
{
    drop(arg);
    return 0;
}

static int drop_many(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < TEST_TIMES(2000); i++) {
        struct shared *x = calloc(1, sizeof *x);
        CHECK(x);
        x->users = 3;
        for (int k = 0; k < 3; k++)
            CHECK_EQ(weft_go(&s, drop_task, x), 0);
    }
    return weft_scope_close(&s);
}

TEST(mutex, may_be_freed_by_its_last_user)
{
    with_workers(drop_many, NULL);
}

/* ---- Misuse -------------------------------------------------------------------------------------- */

TEST_DIES(mutex, locked_twice, "weft_mutex_lock", "the caller holds")
{
    weft_mutex m = {0};
    weft_mutex_lock(&m);
    weft_mutex_lock(&m);
}

TEST_DIES(mutex, unlocked_while_free, "weft_mutex_unlock", "not locked")
{
    weft_mutex m = {0};
    weft_mutex_unlock(&m);
}

static int unlock_it(void *arg)
{
    weft_mutex_unlock(arg);
    return 0;
}

static int unlock_by_a_stranger(void *arg)
{
    weft_mutex_lock(arg);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, unlock_it, arg), 0);
    return weft_scope_close(&s);
}

TEST_DIES(mutex, unlocked_by_a_stranger, "weft_mutex_unlock", "somebody else", "unlock_it", "spawned")
{
    weft_mutex m = {0};
    weft_run(&(weft_config){.workers = 1}, unlock_by_a_stranger, &m);
}

static int lock_twice(void *arg)
{
    weft_mutex_lock(arg);
    weft_mutex_lock(arg);
    return 0;
}

static int start_lock_twice(void *arg)
{
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, lock_twice, arg), 0);
    return weft_scope_close(&s);
}

TEST_DIES(mutex, locked_twice_by_a_task, "weft_mutex_lock", "the caller holds", "lock_twice", "mutex.c")
{
    weft_mutex m = {0};
    weft_run(&(weft_config){.workers = 1}, start_lock_twice, &m);
}
