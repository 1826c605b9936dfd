/* sync.c - storms over mutex, semaphore, event and future, with stops at any moment: what is granted is conserved. */
#include "tests/scenario/scenario.h"

/* ---- a crowd: tasks that do one thing over and over, each time perhaps under a short deadline ---- */

struct crowd {
    int (*once)(void *what, struct wf_random *random);
    void *what;
    WF_ATOMIC(unsigned) next;
};

struct attempt {
    struct crowd *crowd;
    struct wf_random *random;
};

static int attempt(void *arg)
{
    struct attempt *a = arg;
    return a->crowd->once(a->crowd->what, a->random);
}

static int be_in_crowd(void *arg)
{
    struct crowd *crowd = arg;
    struct wf_random random = scenario_random(wf_add(&crowd->next, 1u, relaxed));
    struct attempt a = {crowd, &random};
    for (unsigned i = 0; i < scenario_env.size && weft_checkpoint() == 0; i++) {
        int err = one_in(&random, 2) ? weft_within(some_usec(&random, 80), attempt, &a) : attempt(&a);
        HOLDS(err == 0 || err == -ETIMEDOUT || !WENT(err));
        scenario_count();
    }
    return 0;
}

/* [Ts-] Start n that are held; cancel a few at random moments; wait for all. */
static void storm(struct crowd *crowd, unsigned n)
{
    struct wf_random random = scenario_random(5000);
    weft_task *t[32];
    HOLDS(n <= 32);
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < n; i++)
        t[i] = weft_spawn(&s, be_in_crowd, crowd);
    for (unsigned i = 0; i < n / 3; i++) {
        (void)WENT(weft_sleep(some_usec(&random, 200)));
        weft_cancel(t[wf_random_below(&random, n)]);
    }
    (void)WENT(weft_scope_close(&s));
}

/* ---- mutex: one at a time, nobody is lost in the line ---- */

struct vault {
    weft_mutex mutex;
    int inside;
    unsigned entries;
    WF_ATOMIC(unsigned) counted;
};

static int enter_vault(void *what, struct wf_random *random)
{
    struct vault *v = what;
    int err = 0;
    if (one_in(random, 5)) {
        if (!weft_mutex_trylock(&v->mutex))
            return weft_yield();
    } else {
        weft_mutex_lock(&v->mutex);
    }
    HOLDS_EQ(v->inside++, 0);
    v->entries++;
    wf_add(&v->counted, 1u, relaxed);
    if (one_in(random, 3))
        err = one_in(random, 2) ? weft_yield() : weft_sleep(some_usec(random, 10));
    HOLDS_EQ(--v->inside, 0);
    weft_mutex_unlock(&v->mutex);
    return err;
}

static int mutex_storm(void *env)
{
    (void)env;
    struct vault v = {0};
    struct crowd crowd = {enter_vault, &v, 0};
    storm(&crowd, 20);
    HOLDS(weft_mutex_trylock(&v.mutex));
    HOLDS_EQ(v.entries, wf_load(&v.counted, relaxed));
    weft_mutex_unlock(&v.mutex);
    return 0;
}

const struct scenario scenario_mutex_storm = {"mutex_storm", mutex_storm, 30, 0};

/* ---- semaphore: permits are conserved ---- */

enum { PERMITS = 5 };

struct places {
    weft_sem sem;
    WF_ATOMIC(unsigned) taken;
};

static int take_places(void *what, struct wf_random *random)
{
    struct places *p = what;
    unsigned n = wf_random_below(random, PERMITS + 1);
    int err = 0;
    if (one_in(random, 4)) {
        if (!weft_sem_try_acquire(&p->sem, n))
            return weft_yield();
    } else if ((err = weft_sem_acquire(&p->sem, n)) < 0) {
        return err;
    }
    HOLDS(wf_add(&p->taken, n, relaxed) + n <= PERMITS);
    if (one_in(random, 2))
        err = one_in(random, 2) ? weft_yield() : weft_sleep(some_usec(random, 20));
    HOLDS(wf_sub(&p->taken, n, relaxed) >= n);
    if (n > 1 && one_in(random, 2)) {
        weft_sem_release(&p->sem, 1);
        n--;
    }
    weft_sem_release(&p->sem, n);
    return err;
}

static int want_two(void *sem)
{
    int err = weft_sem_acquire(sem, 2);
    HOLDS(err < 0);
    return err;
}

static int want_one(void *sem)
{
    (void)WENT(weft_sem_acquire(sem, 1));
    return 0;
}

/* There is one permit. The head of the line wants two and is stopped; those behind it must not wait for the next
 * release, which does not come. */
static void stop_the_head(void)
{
    weft_sem sem = {0};
    struct wf_random random = scenario_random(6000);
    WEFT_SCOPE(s);
    weft_task *head = weft_spawn(&s, want_two, &sem);
    if (one_in(&random, 2))
        (void)WENT(weft_yield());
    weft_sem_release(&sem, 1);
    weft_go(&s, want_one, &sem);
    if (one_in(&random, 2))
        (void)WENT(weft_yield());
    weft_cancel(head);
    int err = weft_await(head);
    HOLDS(err == -ECANCELED || !WENT(err));
    if (WENT(weft_scope_close(&s)))
        HOLDS(!weft_sem_try_acquire(&sem, 1));
}

static int sem_storm(void *env)
{
    (void)env;
    struct places p = {0};
    weft_sem_release(&p.sem, PERMITS);
    struct crowd crowd = {take_places, &p, 0};
    storm(&crowd, 20);
    HOLDS_EQ(wf_load(&p.taken, relaxed), 0);
    HOLDS_EQ(weft_sem_acquire(&p.sem, PERMITS), 0);
    HOLDS(!weft_sem_try_acquire(&p.sem, 1));
    for (int i = 0; i < 5; i++)
        stop_the_head();
    return 0;
}

const struct scenario scenario_sem_storm = {"sem_storm", sem_storm, 30, 0};

/* ---- event: set and cleared all the time; once it stays set, everybody leaves ---- */

struct gate {
    weft_event event;
    WF_ATOMIC(unsigned) waiting;
};

static int wait_at_gate(void *arg)
{
    struct gate *g = arg;
    for (unsigned i = 0; i < scenario_env.size; i++) {
        wf_add(&g->waiting, 1u, relaxed);
        bool on = WENT(weft_event_wait(&g->event));
        wf_sub(&g->waiting, 1u, relaxed);
        if (!on)
            return 0;
        if (i % 4 == 0 && !WENT(weft_yield()))
            return 0;
        scenario_count();
    }
    return 0;
}

static int event_storm(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    struct gate g = {0};
    weft_task *t[16];
    WEFT_SCOPE(s);
    for (int i = 0; i < 16; i++)
        t[i] = weft_spawn(&s, wait_at_gate, &g);
    for (unsigned i = 0; i < env->size; i++) {
        weft_event_set(&g.event);
        if (one_in(&random, 2))
            (void)WENT(weft_yield());
        weft_event_clear(&g.event);
        if (one_in(&random, 10))
            weft_cancel(t[wf_random_below(&random, 16)]);
        (void)WENT(weft_yield());
    }
    weft_event_set(&g.event);
    HOLDS(weft_event_is_set(&g.event));
    (void)WENT(weft_scope_close(&s));
    HOLDS_EQ(wf_load(&g.waiting, relaxed), 0);
    return 0;
}

const struct scenario scenario_event_storm = {"event_storm", event_storm, 40, 0};

/* ---- future: several who set it, one who wins, and everybody sees the same ---- */

enum { SETTERS = 3, SEERS = 6 };

struct vote {
    weft_future future;
    WF_ATOMIC(int) winners, winner; /* how many; 1 + who */
    int values[SETTERS];
    WF_ATOMIC(unsigned) numbers;
};

static int set_it(void *arg)
{
    struct vote *v = arg;
    int me = (int)wf_add(&v->numbers, 1u, relaxed);
    struct wf_random random = scenario_random((uint64_t)me);
    if (one_in(&random, 2))
        (void)WENT(weft_yield());
    int err = me == 0 ? weft_future_fail(&v->future, -EDOM) : weft_future_set(&v->future, &v->values[me]);
    HOLDS(weft_future_done(&v->future));
    if (err == 0) {
        HOLDS_EQ(wf_add(&v->winners, 1, relaxed), 0);
        wf_store(&v->winner, 1 + me, release);
    } else {
        HOLDS_EQ(err, -EALREADY);
    }
    return 0;
}

/* 1 + who set it, or below 0. */
static int see(struct vote *v)
{
    void *value = NULL;
    int err = weft_future_await(&v->future, &value);
    HOLDS(err == 0 || !value);
    if (err == -EDOM)
        return 1;
    return err < 0 ? err : (int)((int *)value - v->values) + 1;
}

static int see_it(void *arg)
{
    struct vote *v = arg;
    int first = see(v);
    if (!WENT(first))
        return first;
    HOLDS(first <= SETTERS);
    HOLDS_EQ(see(v), first); /* done is done, also for who is stopped */
    return first;
}

static int future_storm(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(77);
    for (unsigned round = 0; round < env->size; round++) {
        struct vote v = {0};
        weft_task *t[SEERS];
        bool cancelled[SEERS] = {false};
        WEFT_SCOPE(s);
        for (int i = 0; i < SEERS; i++)
            t[i] = weft_spawn(&s, see_it, &v);
        for (int i = 0; i < SETTERS; i++)
            weft_go(&s, set_it, &v);
        for (int i = 0; i < 2; i++) {
            unsigned who = wf_random_below(&random, SEERS);
            weft_cancel(t[who]);
            cancelled[who] = true;
        }
        for (int i = 0; i < SEERS; i++) {
            int result = weft_await(t[i]);
            HOLDS(result > 0 || (cancelled[i] && result == -ECANCELED) || !WENT(result));
            if (result > 0) /* who won says so after the fact */
                while (wf_load(&v.winner, acquire) == 0 && WENT(weft_yield()))
                    ;
            HOLDS(result <= 0 || weft_checkpoint() < 0 || result == wf_load(&v.winner, acquire));
        }
        (void)WENT(weft_scope_close(&s));
        HOLDS(env->faults || wf_load(&v.winners, relaxed) == 1);
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_future_storm = {"future_storm", future_storm, 40, 0};
