/* wait.c - tests of runtime/wait.c: the one primitive under everything that waits. */
#include "runtime/wait.h"

#include "runtime/platform/lock.h"
#include "runtime/platform/random.h"
#include "tests/runtime/with.h"

enum { FIRERS = 3 };

/* The simplest thing to wait for: one waiter, under a lock. */
struct door {
    struct wf_lock lock;
    weft_waiter *waiter;
    unsigned opened; /* fires that won */
};

/* Wait at the door; what the waiter's fire said, or a stop. */
static int wait_at(struct door *d, unsigned kind)
{
    struct wf_wait *w = wf_wait_self();
    weft_waiter me;
    int reason = wf_wait_arm(w, kind);
    if (reason)
        return reason;
    wf_waiter_init(&me, w, 5);
    wf_lock(&d->lock);
    d->waiter = &me;
    wf_unlock(&d->lock);
    unsigned index = wf_wait_suspend(w);
    wf_lock(&d->lock);
    d->waiter = NULL;
    wf_unlock(&d->lock);
    if (index == WF_WAIT_STOPPED)
        return wf_wait_stop_reason();
    CHECK_EQ(index, 5);
    return me.result;
}

/* Fire whoever is there; true if that ended a wait. */
static bool open_door(struct door *d, int result, bool claim)
{
    bool won = false;
    wf_lock(&d->lock);
    if (d->waiter && !claim)
        won = wf_fire(d->waiter, result);
    else if (d->waiter && (won = wf_fire_claim(d->waiter))) {
        CHECK(!wf_fire(d->waiter, -EIO));
        CHECK(!wf_fire_claim(d->waiter));
        wf_fire_claimed(d->waiter, result);
    }
    d->opened += won;
    wf_unlock(&d->lock);
    return won;
}

TEST(wait, that_was_fired_before_it_suspends_does_not_suspend)
{
    struct wf_wait *w = wf_wait_self();
    weft_waiter r;
    CHECK_EQ(wf_wait_arm(w, WF_WAIT_STOPPABLE), 0);
    wf_waiter_init(&r, w, 3);
    CHECK(wf_fire(&r, 42));
    CHECK_EQ(wf_wait_suspend(w), 3);
    CHECK_EQ(r.result, 42);
}

TEST(wait, is_ended_by_one_fire_only)
{
    struct wf_wait *w = wf_wait_self();
    weft_waiter a, b;
    CHECK_EQ(wf_wait_arm(w, 0), 0);
    wf_waiter_init(&a, w, 0);
    wf_waiter_init(&b, w, 1);
    CHECK(wf_fire(&b, 7));
    CHECK(!wf_fire(&a, 8));
    CHECK(!wf_fire(&b, 9));
    CHECK(!wf_fire_claim(&a));
    CHECK_EQ(wf_wait_suspend(w), 1);
}

TEST(wait, refuses_fires_of_the_wait_before)
{
    struct wf_wait *w = wf_wait_self();
    weft_waiter old, now;
    CHECK_EQ(wf_wait_arm(w, 0), 0);
    wf_waiter_init(&old, w, 0);
    CHECK(wf_fire(&old, 1));
    CHECK_EQ(wf_wait_suspend(w), 0);
    CHECK(!wf_fire(&old, 2)); /* between waits */
    CHECK_EQ(wf_wait_arm(w, 0), 0);
    wf_waiter_init(&now, w, 0);
    CHECK(!wf_fire(&old, 3)); /* and in the next */
    CHECK(wf_fire(&now, 4));
    CHECK_EQ(wf_wait_suspend(w), 0);
    CHECK_EQ(now.result, 4);
}

TEST(wait, that_is_disarmed_cannot_be_fired)
{
    struct wf_wait *w = wf_wait_self();
    weft_waiter r;
    CHECK_EQ(wf_wait_arm(w, 0), 0);
    wf_waiter_init(&r, w, 0);
    wf_wait_disarm(w);
    CHECK(!wf_fire(&r, 0));
}

TEST(wait, that_is_claimed_belongs_to_the_claimer)
{
    struct wf_wait *w = wf_wait_self();
    weft_waiter a, b;
    CHECK_EQ(wf_wait_arm(w, 0), 0);
    wf_waiter_init(&a, w, 0);
    wf_waiter_init(&b, w, 1);
    CHECK(wf_fire_claim(&a));
    CHECK(!wf_fire(&b, 1));
    wf_fire_claimed(&a, 6);
    CHECK_EQ(wf_wait_suspend(w), 0);
    CHECK_EQ(a.result, 6);
}

/* Many doors' worth of rounds: one waits, others fire, with a number that says which round. */
struct traffic {
    struct door door;
    WF_ATOMIC(bool) over;
    WF_ATOMIC(unsigned) claims;
    unsigned rounds;
};

static void *fire_on_and_on(void *arg)
{
    struct traffic *t = arg;
    bool claim = wf_add(&t->claims, 1, relaxed) % 2;
    while (!wf_load(&t->over, acquire))
        if (!open_door(&t->door, 11, claim))
            sched_yield();
    return NULL;
}

static int wait_on_and_on(void *arg)
{
    struct traffic *t = arg;
    for (unsigned i = 0; i < t->rounds; i++)
        CHECK_EQ(wait_at(&t->door, i % 2 ? WF_WAIT_STOPPABLE : 0), 11);
    return 0;
}

static void *wait_on_thread(void *arg)
{
    wait_on_and_on(arg);
    return NULL;
}

static int wait_in_task(void *arg)
{
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, wait_on_and_on, arg);
    CHECK_EQ(weft_await(t), 0);
    return weft_scope_close(&s);
}

static void run_traffic(bool in_task, unsigned workers)
{
    struct traffic t = {.rounds = TEST_TIMES(5000)};
    pthread_t id[FIRERS];
    for (int i = 0; i < FIRERS; i++)
        id[i] = start_thread(fire_on_and_on, &t);
    if (in_task)
        CHECK_EQ(weft_run(&(weft_config){.workers = workers}, wait_in_task, &t), 0);
    else
        on_a_thread(wait_on_thread, &t);
    wf_store(&t.over, true, release);
    for (int i = 0; i < FIRERS; i++)
        join_thread(id[i]);
    CHECK_EQ(t.door.opened, t.rounds); /* each wait was ended by one fire, each winning fire ended one */
}

TEST(wait, of_a_thread_is_ended_by_each_fire_that_wins)
{
    run_traffic(false, 0);
}

TEST(wait, of_a_task_is_ended_by_each_fire_that_wins)
{
    run_traffic(true, 1);
    run_traffic(true, 3);
}

/* A task, a thread that fires, and a stop: who wins, wins alone. */
struct contest {
    struct door door;
    WF_ATOMIC(bool) go, fired;
    struct wf_random random;
    unsigned delay, stops, fires;
};

static void linger(unsigned n)
{
    while (n-- > 0)
        wf_pause();
}

static void *fire_once(void *arg)
{
    struct contest *c = arg;
    while (!wf_load(&c->go, acquire))
        wf_pause();
    linger(c->delay);
    open_door(&c->door, 1, false);
    raise_flag(&c->fired);
    return NULL;
}

static int wait_once(void *arg)
{
    struct contest *c = arg;
    int result = wait_at(&c->door, WF_WAIT_STOPPABLE);
    CHECK(result == 1 || result == -ECANCELED);
    c->fires += result == 1;
    c->stops += result != 1;
    if (result != 1)
        CHECK_EQ(wait_at(&c->door, WF_WAIT_STOPPABLE), -ECANCELED); /* a state, not an event */
    return 0;
}

static int hold_contests(void *arg)
{
    struct contest *c = arg;
    for (int i = 0; i < TEST_TIMES(2000); i++) {
        unsigned fires = c->fires;
        wf_store(&c->go, false, relaxed);
        wf_store(&c->fired, false, relaxed);
        c->door.opened = 0;
        c->delay = wf_random_below(&c->random, 300);
        WEFT_SCOPE(s);
        pthread_t id = start_thread(fire_once, c);
        weft_task *t = weft_spawn(&s, wait_once, c);
        if (i % 2)
            weft_yield();
        raise_flag(&c->go);
        linger(wf_random_below(&c->random, 300));
        weft_cancel(t);
        CHECK_EQ(weft_await(t), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
        join_thread(id);
        CHECK_EQ(c->door.opened, c->fires - fires);
    }
    return 0;
}

TEST_WITHIN(wait, is_ended_by_a_fire_or_by_a_stop_and_never_by_both, 60)
{
    struct contest c = {.random = {3}};
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, hold_contests, &c), 0);
    CHECK_EQ(c.fires + c.stops, TEST_TIMES(2000));
}

/* A wait of kind 0 is not ended by a stop. */
static int wait_whatever_happens(void *arg)
{
    return wait_at(arg, 0);
}

static int stop_and_fire(void *arg)
{
    struct door d = {0};
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, wait_whatever_happens, &d);
    let_all_run();
    weft_cancel(t);
    let_all_run();
    CHECK(!weft_done(t));
    CHECK(open_door(&d, 77, true));
    CHECK_EQ(weft_await(t), 77);
    return weft_scope_close(&s);
}

TEST(wait, that_is_not_stoppable_is_not_stopped)
{
    with_one_worker(stop_and_fire, NULL);
}

TEST(wait, on_a_plain_thread_has_no_reason_to_stop)
{
    CHECK_EQ(wf_wait_stop_reason(), 0);
}
