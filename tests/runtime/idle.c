/* idle.c - tests of runtime/idle.c: who searches, who sleeps, who is woken. */
#include "runtime/idle.h"

#include "runtime/platform/random.h"
#include "tests/runtime/with.h"

enum { WORKERS = 130, THREADS = 4 }; /* more than two words of bits */

TEST(idle, lets_half_of_the_workers_search)
{
    struct wf_idle i = {.workers = 4};
    CHECK(wf_idle_search(&i));
    CHECK(wf_idle_search(&i));
    CHECK(!wf_idle_search(&i));
    CHECK(!wf_idle_found(&i));
    CHECK(wf_idle_search(&i));
    CHECK(!wf_idle_found(&i));
    CHECK(wf_idle_found(&i)); /* the last one says so */
}

TEST(idle, lets_one_of_two_or_three_search)
{
    struct wf_idle i = {.workers = 2};
    CHECK(wf_idle_search(&i));
    CHECK(!wf_idle_search(&i));
}

TEST(idle, claims_the_next_sleeper_and_goes_round)
{
    struct wf_idle i = {.workers = WORKERS};
    static const unsigned sleepers[] = {3, 64, 129};
    for (int n = 0; n < 3; n++)
        wf_idle_sleep(&i, sleepers[n], false);
    CHECK_EQ(wf_idle_claim(&i, 4), 64);
    CHECK_EQ(wf_idle_claim(&i, 4), -1); /* whom we woke searches */
    CHECK(wf_idle_found(&i));
    CHECK_EQ(wf_idle_claim(&i, 65), 129);
    CHECK(wf_idle_found(&i));
    CHECK_EQ(wf_idle_claim(&i, 65), 3);
    CHECK(wf_idle_found(&i));
    CHECK_EQ(wf_idle_claim(&i, 0), -1);
    CHECK_EQ(wf_load(&i.searching, relaxed), 0);
    CHECK_EQ(wf_load(&i.asleep, relaxed), 0);
}

TEST(idle, wakes_nobody_while_somebody_searches)
{
    struct wf_idle i = {.workers = 4};
    wf_idle_sleep(&i, 1, false);
    CHECK(wf_idle_search(&i));
    CHECK_EQ(wf_idle_claim(&i, 0), -1);
    wf_idle_sleep(&i, 2, true); /* the searcher falls asleep, too */
    CHECK_EQ(wf_idle_claim(&i, 2), 2);
}

TEST(idle, tells_a_worker_that_wakes_up_whether_it_was_claimed)
{
    struct wf_idle i = {.workers = 4};
    wf_idle_sleep(&i, 1, false);
    CHECK(wf_idle_wake_self(&i, 1));
    CHECK(!wf_idle_wake_self(&i, 1));
    wf_idle_sleep(&i, 1, false);
    CHECK_EQ(wf_idle_claim(&i, 0), 1);
    CHECK(!wf_idle_wake_self(&i, 1));
}

/* Sleepers that are claimed and come back, wakers that claim: each sleep ends once, by its sleeper or by a waker.
 * state: 0 awake, 1 asleep, 2 claimed. */
struct dormitory {
    struct wf_idle idle;
    WF_ATOMIC(unsigned) next;
    WF_ATOMIC(bool) over;
    WF_ATOMIC(unsigned) claimed[WORKERS];
    WF_ATOMIC(unsigned) claims, wakes;
};

static void *sleep_and_wake(void *arg)
{
    struct dormitory *d = arg;
    unsigned me = wf_add(&d->next, 1, relaxed) * 40;
    struct wf_random r = {me};
    for (int n = 0; n < TEST_TIMES(100000); n++) {
        wf_idle_sleep(&d->idle, me, false);
        for (unsigned pauses = wf_random_below(&r, 20); pauses > 0; pauses--)
            wf_pause();
        if (wf_idle_wake_self(&d->idle, me)) {
            CHECK_EQ(wf_load(&d->claimed[me], relaxed), 0);
            continue;
        }
        wf_add(&d->wakes, 1, relaxed);
        while (!wf_swap(&d->claimed[me], 0, acquire)) /* the waker says so a moment after claiming */
            sched_yield();
        wf_idle_found(&d->idle);
    }
    return NULL;
}

static void *claim_on_and_on(void *arg)
{
    struct dormitory *d = arg;
    unsigned near = 0;
    while (!wf_load(&d->over, acquire)) {
        int worker = wf_idle_claim(&d->idle, near++ % WORKERS);
        if (worker < 0)
            continue;
        CHECK_EQ(wf_swap(&d->claimed[worker], 1, release), 0);
        wf_add(&d->claims, 1, relaxed);
    }
    return NULL;
}

TEST(idle, ends_each_sleep_once)
{
    struct dormitory d = {.idle = {.workers = WORKERS}};
    pthread_t sleeper[THREADS], waker[2];
    for (int i = 0; i < 2; i++)
        waker[i] = start_thread(claim_on_and_on, &d);
    for (int i = 0; i < THREADS; i++)
        sleeper[i] = start_thread(sleep_and_wake, &d);
    for (int i = 0; i < THREADS; i++)
        join_thread(sleeper[i]);
    wf_store(&d.over, true, release);
    for (int i = 0; i < 2; i++)
        join_thread(waker[i]);
    CHECK_EQ(wf_load(&d.claims, relaxed), wf_load(&d.wakes, relaxed));
    CHECK_EQ(wf_load(&d.idle.searching, relaxed), 0);
    CHECK_EQ(wf_load(&d.idle.asleep, relaxed), 0);
}

/* The recipe itself, without queues: work appears, and if its maker wakes nobody, a worker that falls asleep sees
 * it. Work left over at the end with everybody asleep would be a lost wakeup. */
struct field {
    struct wf_idle idle;
    WF_ATOMIC(unsigned) work, done, bell[2];
    WF_ATOMIC(unsigned) next;
};

enum { FIELD_WORK = 20000 };

static void take_work(struct field *f)
{
    unsigned left = wf_load(&f->work, relaxed);
    while (left > 0 && !wf_cas_weak(&f->work, &left, left - 1, acq_rel))
        ;
    if (left > 0)
        wf_add(&f->done, 1, release);
}

static void *work_and_sleep(void *arg)
{
    struct field *f = arg;
    unsigned me = wf_add(&f->next, 1, relaxed);
    while (wf_load(&f->done, acquire) < TEST_TIMES(FIELD_WORK)) {
        take_work(f);
        wf_idle_sleep(&f->idle, me, false);
        if (wf_load(&f->work, relaxed) == 0)
            while (!wf_swap(&f->bell[me], 0, acquire) && wf_load(&f->done, acquire) < TEST_TIMES(FIELD_WORK))
                sched_yield(); /* nobody will look but for the bell */
        if (!wf_idle_wake_self(&f->idle, me))
            wf_idle_found(&f->idle);
    }
    return NULL;
}

TEST(idle, leaves_no_work_lying_while_all_sleep)
{
    struct field f = {.idle = {.workers = 4}};
    pthread_t id[2];
    for (int i = 0; i < 2; i++)
        id[i] = start_thread(work_and_sleep, &f);
    for (unsigned n = 0; n < TEST_TIMES(FIELD_WORK); n++) {
        wf_add(&f.work, 1, relaxed);
        int worker = wf_idle_claim(&f.idle, n % 2);
        if (worker >= 0)
            wf_store(&f.bell[worker], 1, release);
        while (wf_load(&f.done, acquire) <= n) /* one piece at a time: a hang here is the lost wakeup */
            sched_yield();
    }
    for (int i = 0; i < 2; i++)
        join_thread(id[i]);
}
