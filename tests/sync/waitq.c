/* waitq.c - tests of what sync/waitq.h promises to the types built on it, by holding the lock where a thread
 * would otherwise have to be caught between two instructions. */
#include "sync/waitq.h"
#include "tests/sync/with.h"

#include <sched.h>

TEST(waitq, keeps_the_order_and_forgets_who_is_removed)
{
    struct wf_waiters l = {NULL, NULL};
    weft_waiter w[4] = {{0}};
    for (int i = 0; i < 4; i++)
        CHECK(!wf_waiters_remove(&l, &w[i]));
    for (int i = 0; i < 4; i++)
        wf_waiters_push(&l, &w[i]);
    CHECK(l.first == &w[0] && l.last == &w[3]);
    CHECK(wf_waiters_remove(&l, &w[1]));
    CHECK(!wf_waiters_remove(&l, &w[1]));
    CHECK(wf_waiters_remove(&l, &w[3]));
    CHECK(l.first == &w[0] && w[0].next == &w[2] && l.last == &w[2] && w[2].prev == &w[0]);
    CHECK(wf_waiters_remove(&l, &w[0]));
    CHECK(l.first == &w[2] && l.last == &w[2]);
    CHECK(wf_waiters_remove(&l, &w[2]));
    CHECK(!l.first && !l.last);
}

TEST(waitq, claims_only_whose_wait_is_not_over)
{
    struct wf_waiters l = {NULL, NULL};
    struct wf_wait *self = wf_wait_self();
    weft_waiter early, mine, later;
    CHECK_EQ(wf_wait_arm(self, 0), 0);
    wf_waiter_init(&early, self, 0);
    wf_wait_disarm(self);
    CHECK_EQ(wf_wait_arm(self, 0), 0); /* Another wait: the first waiter's ticket is of the past. */
    wf_waiter_init(&mine, self, 1);
    wf_waiter_init(&later, self, 2);
    wf_waiters_push(&l, &early);
    wf_waiters_push(&l, &mine);
    wf_waiters_push(&l, &later);
    CHECK(!wf_waiters_others(&l, self));
    CHECK(wf_waiters_claim_all(&l) == &mine);
    CHECK(!mine.next);
    CHECK(!l.first);
    wf_waiters_release(&mine, 7);
    CHECK_EQ(wf_wait_suspend(self), 1);
    CHECK_EQ(mine.result, 7);
}

TEST(waitq, is_not_settled_while_the_setter_is_inside)
{
    struct wf_waitq q = {0};
    wf_lock(&q.lock);
    wf_store(&q.state, 5u, release);
    CHECK_EQ(wf_waitq_settled(&q), 0);
    wf_unlock(&q.lock);
    CHECK_EQ(wf_waitq_settled(&q), 5);
    CHECK_EQ(wf_waitq_state(&q), 5);
}

/* A thread uses an object that the test keeps locked. */
struct use {
    struct wf_waitq *q;
    void (*fn)(struct wf_waitq *q);
    WF_ATOMIC(bool) returned;
};

static void *use_it(void *arg)
{
    struct use *u = arg;
    u->fn(u->q);
    wf_store(&u->returned, true, release);
    return NULL;
}

/* fn must not return before the lock is free: it is seen to wait for it. */
static void must_wait_for_the_lock(struct wf_waitq *q, void (*fn)(struct wf_waitq *q))
{
    struct use u = {q, fn, false};
    pthread_t id;
    CHECK_EQ(pthread_create(&id, NULL, use_it, &u), 0);
    while (wf_load(&q->lock.word, relaxed) != 2) {
        CHECK(!wf_load(&u.returned, acquire));
        sched_yield();
    }
    CHECK(!wf_load(&u.returned, acquire));
    wf_unlock(&q->lock);
    CHECK_EQ(pthread_join(id, NULL), 0);
}

static void ask_future(struct wf_waitq *q)
{
    CHECK(weft_future_done((weft_future *)q));
}

static void await_future(struct wf_waitq *q)
{
    CHECK_EQ(weft_future_await((weft_future *)q, NULL), 0);
}

static void ask_event(struct wf_waitq *q)
{
    CHECK(weft_event_is_set((weft_event *)q));
}

static void wait_for_event(struct wf_waitq *q)
{
    CHECK_EQ(weft_event_wait((weft_event *)q), 0);
}

static void acquire_sem(struct wf_waitq *q)
{
    CHECK_EQ(weft_sem_acquire((weft_sem *)q, 1), 0);
}

static void try_sem(struct wf_waitq *q)
{
    CHECK(weft_sem_try_acquire((weft_sem *)q, 1));
}

/* Whoever returns may free the object, so nobody returns while its setter may still be about to unlock. */
TEST(waitq, nobody_learns_of_a_change_before_the_changer_has_left)
{
    weft_future f = {0};
    weft_event e = {0};
    weft_sem s = {0};
    CHECK_EQ(weft_future_set(&f, NULL), 0);
    weft_event_set(&e);
    weft_sem_release(&s, 2);
    struct {
        void *object;
        void (*fn)(struct wf_waitq *q);
    } uses[] = {{&f, ask_future}, {&f, await_future}, {&e, ask_event},
                {&e, wait_for_event}, {&s, acquire_sem}, {&s, try_sem}};
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        struct wf_waitq *q = uses[i].object;
        wf_lock(&q->lock);
        must_wait_for_the_lock(q, uses[i].fn);
    }
}
