/* sem.c - tests of sync/sem.c. */
#include "tests/sync/with.h"

#include <limits.h>

TEST(sem, begins_with_no_permits)
{
    weft_sem s = {0};
    CHECK(!weft_sem_try_acquire(&s, 1));
    CHECK(weft_sem_try_acquire(&s, 0));
    weft_sem_release(&s, 3);
    CHECK(!weft_sem_try_acquire(&s, 4));
    CHECK(weft_sem_try_acquire(&s, 2));
    CHECK_EQ(weft_sem_acquire(&s, 0), 0);
    CHECK_EQ(weft_sem_acquire(&s, 1), 0);
    CHECK(!weft_sem_try_acquire(&s, 1));
}

TEST(sem, counts_up_to_the_largest_unsigned)
{
    weft_sem s = {0};
    weft_sem_release(&s, UINT_MAX - 1);
    weft_sem_release(&s, 1);
    CHECK_EQ(weft_sem_acquire(&s, UINT_MAX), 0);
    CHECK(!weft_sem_try_acquire(&s, 1));
}

TEST_DIES(sem, released_past_the_largest_unsigned, "weft_sem_release", "UINT_MAX")
{
    weft_sem s = {0};
    weft_sem_release(&s, UINT_MAX);
    weft_sem_release(&s, 1);
}

/* Never more inside than there are permits, and all of them back at the end. */
struct pool {
    weft_sem s;
    unsigned permits;
    int times;
    WF_ATOMIC(unsigned) taken;
};

static int use_pool(struct pool *p, unsigned n)
{
    int err = weft_sem_acquire(&p->s, n);
    if (err)
        return err;
    CHECK(wf_add(&p->taken, n, relaxed) + n <= p->permits);
    CHECK(wf_sub(&p->taken, n, relaxed) >= n);
    weft_sem_release(&p->s, n);
    return 0;
}

static void *use_pool_on_thread(void *arg)
{
    struct pool *p = arg;
    for (int i = 0; i < p->times; i++)
        CHECK_EQ(use_pool(p, 1 + (unsigned)i % p->permits), 0);
    return NULL;
}

static void check_full(struct pool *p)
{
    CHECK_EQ(wf_load(&p->taken, relaxed), 0);
    CHECK(weft_sem_try_acquire(&p->s, p->permits));
    CHECK(!weft_sem_try_acquire(&p->s, 1));
}

TEST(sem, keeps_threads_to_its_permits)
{
    struct pool p = {.permits = 3, .times = TEST_TIMES(10000)};
    weft_sem_release(&p.s, p.permits);
    with_threads(4, use_pool_on_thread, &p);
    check_full(&p);
}

static int use_pool_task(void *arg)
{
    use_pool_on_thread(arg);
    return 0;
}

static int use_pool_tasks(void *arg)
{
    (void)arg;
    struct pool p = {.permits = 5, .times = TEST_TIMES(300)};
    weft_sem_release(&p.s, p.permits);
    WEFT_SCOPE(s);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(&s, use_pool_task, &p), 0);
    int err = weft_scope_close(&s);
    check_full(&p);
    return err;
}

TEST(sem, keeps_tasks_to_its_permits)
{
    with_workers(use_pool_tasks, NULL);
}

/* ---- Order --------------------------------------------------------------------------------------- */

struct request {
    weft_sem *s;
    unsigned n;
    WF_ATOMIC(bool) served;
};

static int ask(void *arg)
{
    struct request *r = arg;
    int err = weft_sem_acquire(r->s, r->n);
    if (!err)
        wf_store(&r->served, true, relaxed);
    return err;
}

/* On one worker: who has been served by now? As a decimal number, one digit per request. */
static int served(struct request *r, int n)
{
    int digits = 0;
    let_all_run();
    for (int i = 0; i < n; i++)
        digits = 10 * digits + wf_load(&r[i].served, relaxed);
    return digits;
}

static int serve_in_order(void *arg)
{
    (void)arg;
    weft_sem sem = {0};
    struct request r[4] = {{&sem, 5, false}, {&sem, 1, false}, {&sem, 3, false}, {&sem, 1, false}};
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(weft_go(&s, ask, &r[i]), 0);
        let_all_run();
    }
    weft_sem_release(&sem, 4); /* Enough for all but the first, who is first all the same. */
    CHECK_EQ(served(r, 4), 0);
    CHECK(!weft_sem_try_acquire(&sem, 1));
    weft_sem_release(&sem, 2);
    CHECK_EQ(served(r, 4), 1100);
    weft_sem_release(&sem, 2);
    CHECK_EQ(served(r, 4), 1100);
    weft_sem_release(&sem, 1);
    CHECK_EQ(served(r, 4), 1110);
    CHECK(!weft_sem_try_acquire(&sem, 1));
    weft_sem_release(&sem, 2);
    CHECK_EQ(served(r, 4), 1111);
    CHECK(weft_sem_try_acquire(&sem, 1));
    CHECK(!weft_sem_try_acquire(&sem, 1));
    return weft_scope_close(&s);
}

TEST(sem, serves_whoever_came_first)
{
    with_one_worker(serve_in_order, NULL);
}

/* ---- Stops --------------------------------------------------------------------------------------- */

/* The first asks for more than there is, and goes away: who waits behind it can be served. */
static int stop_the_first(void *arg)
{
    (void)arg;
    weft_sem sem = {0};
    struct request large = {&sem, 5, false}, small = {&sem, 2, false};
    WEFT_SCOPE(s);
    weft_task *first = weft_spawn(&s, ask, &large);
    let_all_run();
    weft_task *second = weft_spawn(&s, ask, &small);
    let_all_run();
    weft_sem_release(&sem, 3);
    weft_cancel(first);
    CHECK_EQ(weft_await(first), -ECANCELED);
    CHECK_EQ(weft_await(second), 0);
    CHECK(weft_sem_try_acquire(&sem, 1));
    CHECK(!weft_sem_try_acquire(&sem, 1));
    return weft_scope_close(&s);
}

TEST(sem, serves_the_next_when_the_first_is_stopped)
{
    with_workers(stop_the_first, NULL);
}

static int stopped_acquire(void *arg)
{
    (void)arg;
    weft_sem sem = {0};
    weft_sem_release(&sem, 2);
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_sem_acquire(&sem, 1), -ECANCELED);
    CHECK_EQ(weft_sem_acquire(&sem, 3), -ECANCELED);
    CHECK(weft_sem_try_acquire(&sem, 2));
    return weft_scope_close(&s);
}

TEST(sem, gives_nothing_to_a_stopped_caller)
{
    with_workers(stopped_acquire, NULL);
}

static int use_until_stopped(void *arg)
{
    int err;
    for (unsigned i = 0;; i++)
        if ((err = use_pool(arg, 1 + i % 4)) < 0)
            return err;
        else if (i % 8 == 0)
            (void)weft_yield();
}

static int stop_users(void *arg)
{
    (void)arg;
    struct pool p = {.permits = 4};
    weft_task *t[16];
    weft_sem_release(&p.s, p.permits);
    WEFT_SCOPE(s);
    for (int i = 0; i < 16; i++)
        t[i] = weft_spawn(&s, use_until_stopped, &p);
    for (int i = 0; i < 16; i++) {
        CHECK_EQ(weft_yield(), 0);
        weft_cancel(t[i]);
    }
    for (int i = 0; i < 16; i++)
        CHECK_EQ(weft_await(t[i]), -ECANCELED);
    check_full(&p);
    return weft_scope_close(&s);
}

TEST(sem, loses_no_permit_when_its_users_are_stopped)
{
    for (int i = 0; i < TEST_TIMES(100); i++)
        with_workers(stop_users, NULL);
}

/* ---- Granted or stopped, a hundred thousand times ---- */

enum { WAITERS = 16 };

struct rush {
    weft_sem s;
    WF_ATOMIC(unsigned) granted, stopped;
};

static int ask_for_one(void *arg)
{
    struct rush *r = arg;
    int err = weft_sem_acquire(&r->s, 1);
    wf_add(err ? &r->stopped : &r->granted, 1u, relaxed);
    return err;
}

/* Half of those that wait are cancelled while permits for half of them are released, in any order. Who was granted
 * keeps it, so what is left plus what was granted is what was released. */
static int rush_once(struct rush *r, uint32_t chance)
{
    weft_task *t[WAITERS];
    unsigned released = 0;
    WEFT_SCOPE(s);
    for (int i = 0; i < WAITERS; i++)
        t[i] = weft_spawn(&s, ask_for_one, r);
    if (chance & 1)
        CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < WAITERS; i++, chance = chance * 1664525 + 1013904223) {
        if (chance >> 31) {
            weft_cancel(t[i]);
        } else {
            weft_sem_release(&r->s, 1);
            released++;
        }
    }
    weft_sem_release(&r->s, WAITERS - released); /* nobody is left waiting */
    CHECK_EQ(weft_scope_close(&s), 0);
    unsigned granted = wf_swap(&r->granted, 0u, relaxed), stopped = wf_swap(&r->stopped, 0u, relaxed);
    CHECK_EQ(granted + stopped, WAITERS);
    CHECK(weft_sem_try_acquire(&r->s, WAITERS - granted)); /* all there, and not one more */
    CHECK(!weft_sem_try_acquire(&r->s, 1));
    return (int)stopped;
}

static int rush_often(void *arg)
{
    struct rush r = {0};
    unsigned stopped = 0;
    (void)arg;
    for (uint32_t chance = 1; stopped < TEST_TIMES(100000); chance = chance * 22695477 + 1)
        stopped += (unsigned)rush_once(&r, chance);
    return 0;
}

TEST_WITHIN(sem, loses_no_permit_in_a_hundred_thousand_cancels, 120)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, rush_often, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 3}, rush_often, NULL), 0);
}

/* ---- Lifetime ------------------------------------------------------------------------------------ */

struct rounds {
    WF_ATOMIC(weft_sem *) next[2];
    WF_ATOMIC(unsigned) side;
    int n;
};

static void *release_each(void *arg)
{
    struct rounds *r = arg;
    WF_ATOMIC(weft_sem *) *next = &r->next[wf_add(&r->side, 1u, relaxed)];
    for (int i = 0; i < r->n; i++) {
        weft_sem *s;
        while (!(s = wf_swap(next, NULL, acquire)))
            sched_yield();
        weft_sem_release(s, 1);
    }
    return NULL;
}

/* Two release; who acquired both permits, one after the other, frees the semaphore at once. */
TEST(sem, may_be_freed_by_who_got_the_last_permit)
{
    struct rounds r = {.n = TEST_TIMES(10000)};
    pthread_t id[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, release_each, &r), 0);
    for (int i = 0; i < r.n; i++) {
        weft_sem *s = calloc(1, sizeof *s);
        CHECK(s);
        for (int k = 0; k < 2; k++)
            wf_store(&r.next[k], s, release);
        for (int k = 0; k < 2; k++)
            CHECK_EQ(weft_sem_acquire(s, 1), 0);
        memset(s, 0xff, sizeof *s);
        free(s);
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(id[i], NULL), 0);
}
