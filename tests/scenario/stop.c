/* stop.c - scopes that are stopped from every side while their tasks are in every kind of wait. */
#include "tests/scenario/scenario.h"

/* ---- cancel_storm: tasks that cancel each other ---- */

enum { STORM_TASKS = 14 };

struct caught {
    struct storm *storm;
    int me;
};

struct storm {
    weft_task *task[STORM_TASKS];
    struct caught caught[STORM_TASKS];
    weft_event begin; /* all of the above is there */
    weft_event event;
    weft_sem sem;
    weft_mutex mutex;
    weft_future future;
    weft_chan *chan;
    int held; /* under the mutex */
    WF_ATOMIC(unsigned) begun, ended;
};

static int return_it(void *arg)
{
    return (int)(intptr_t)arg;
}

static int inner_scope(struct storm *storm, struct wf_random *random)
{
    WEFT_SCOPE(s);
    bool shielded = one_in(random, 2), bounded = one_in(random, 2);
    if (shielded)
        weft_scope_shield(&s);
    weft_time end = weft_after(some_usec(random, 60));
    if (bounded)
        weft_scope_set_deadline(&s, end);
    weft_task *t = weft_spawn(&s, return_it, (void *)(intptr_t)3);
    int err = bounded ? weft_event_wait(&storm->event) : weft_sleep(some_usec(random, 60));
    if (err == 0 && (err = weft_await(t)) >= 0)
        HOLDS_EQ(err, 3);
    if (shielded && !scenario_env.faults)
        HOLDS(err >= 0 || (bounded && err == -ETIMEDOUT && weft_since(end) >= 0));
    err = weft_scope_close(&s);
    if (shielded && !bounded && !scenario_env.faults)
        HOLDS_EQ(err, 0);
    return err == -ETIMEDOUT && weft_scope_expired(&s) ? 0 : err;
}

static int under_mutex(struct storm *storm, int64_t ns)
{
    weft_mutex_lock(&storm->mutex);
    HOLDS_EQ(storm->held++, 0);
    int err = weft_sleep(ns);
    HOLDS_EQ(--storm->held, 0);
    weft_mutex_unlock(&storm->mutex);
    return err;
}

static int choose_one(struct storm *storm, struct wf_random *random)
{
    char item;
    weft_case on[] = {weft_on_recv(storm->chan, &item), weft_on_future(&storm->future),
                      weft_on_time(weft_after(some_usec(random, 100)))};
    int i = weft_select(on, 3);
    return i < 0 ? i : 0;
}

/* In a circle, perhaps: then a stop ends it. */
static int await_another(struct storm *storm, struct wf_random *random, int me)
{
    int other = (int)wf_random_below(random, STORM_TASKS);
    if (other == me)
        return weft_yield();
    int result = weft_await(storm->task[other]);
    return scenario_is_stop(result) && weft_checkpoint() == 0 ? 0 : result; /* it was the other's */
}

static int wait_somehow(struct storm *storm, struct wf_random *random, int me)
{
    char item = 'x';
    int64_t ns = some_usec(random, 80);
    switch (wf_random_below(random, 12)) {
    case 0: return weft_sleep(ns);
    case 1: return weft_sleep_until(weft_never());
    case 2: return weft_event_wait(&storm->event);
    case 3: return weft_sem_acquire(&storm->sem, 1 + wf_random_below(random, 2));
    case 4: return under_mutex(storm, ns / 4);
    case 5: return weft_future_await(&storm->future, NULL);
    case 6: return weft_chan_send(storm->chan, &item);
    case 7: return weft_chan_recv(storm->chan, &item);
    case 8: return choose_one(storm, random);
    case 9: return inner_scope(storm, random);
    case 10: return await_another(storm, random, me);
    default: return weft_offload(return_it, NULL);
    }
}

static void happen(struct storm *storm, struct wf_random *random)
{
    char item = 'y';
    switch (wf_random_below(random, 8)) {
    case 0: weft_event_set(&storm->event); break;
    case 1: weft_event_clear(&storm->event); break;
    case 2: weft_sem_release(&storm->sem, 1); break;
    case 3: (void)weft_chan_try_send(storm->chan, &item, 1); break;
    case 4: (void)weft_chan_try_recv(storm->chan, &item, 1); break;
    case 5: weft_cancel(storm->task[wf_random_below(random, STORM_TASKS)]); break;
    default: break;
    }
}

static int be_in_the_storm(void *arg)
{
    struct caught *caught = arg;
    struct storm *storm = caught->storm;
    struct wf_random random = scenario_random((uint64_t)caught->me);
    int result = weft_event_wait(&storm->begin);
    wf_add(&storm->begun, 1u, relaxed);
    for (unsigned i = 0; i < 30 && result >= 0; i++) {
        happen(storm, &random);
        result = wait_somehow(storm, &random, caught->me);
        scenario_count();
        if (!WENT(result) && !scenario_is_stop(result))
            result = 0; /* a fault; on with it */
    }
    if (result < 0) { /* a state, not an event */
        HOLDS(scenario_is_stop(weft_sleep(1)));
        HOLDS(scenario_is_stop(weft_checkpoint()));
        WEFT_SCOPE(late); /* opened in a scope that is stopped: it is stopped too */
        HOLDS(scenario_is_stop(weft_checkpoint()));
        HOLDS(scenario_is_stop(weft_sleep(1)));
    }
    wf_add(&storm->ended, 1u, relaxed);
    return 0;
}

static int cancel_storm(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(1000);
    for (unsigned round = 0; round < env->size; round++) {
        struct storm storm = {.chan = scenario_chan(wf_random_below(&random, 3), 1)};
        if (!storm.chan)
            return 0;
        WEFT_SCOPE(s);
        for (int i = 0; i < STORM_TASKS; i++) {
            storm.caught[i] = (struct caught){&storm, i};
            storm.task[i] = weft_spawn(&s, be_in_the_storm, &storm.caught[i]);
        }
        weft_event_set(&storm.begin);
        int err = weft_sleep(some_usec(&random, 600));
        HOLDS(err == 0 || env->faults);
        weft_future_set(&storm.future, NULL);
        weft_scope_cancel(&s);
        HOLDS(scenario_is_stop(weft_checkpoint()));
        (void)WENT(weft_scope_close(&s));
        HOLDS_EQ(wf_load(&storm.begun, relaxed), wf_load(&storm.ended, relaxed));
        HOLDS(env->faults || wf_load(&storm.ended, relaxed) == STORM_TASKS);
        HOLDS(weft_mutex_trylock(&storm.mutex));
        weft_chan_free(storm.chan);
    }
    return 0;
}

const struct scenario scenario_cancel_storm = {"cancel_storm", cancel_storm, 12, 2};

/* ---- deadline_storm ---- */

/* Sleep to `wake` under a deadline: whichever comes first, and never before its time. */
static void race_deadline(weft_time end, weft_time wake, bool outer)
{
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, end);
    int err = weft_sleep_until(wake);
    HOLDS(err == 0 || scenario_is_stop(err));
    if (err == 0)
        HOLDS(weft_since(wake) >= 0);
    else if (!outer)
        HOLDS(err == -ETIMEDOUT && weft_since(end) >= 0 && weft_checkpoint() == -ETIMEDOUT);
    int closed = weft_scope_close(&s);
    if (weft_scope_expired(&s))
        HOLDS(closed == -ETIMEDOUT && weft_since(end) >= 0);
    else
        HOLDS(closed == 0 || outer);
}

/* Move it, take it back: only the last word counts, unless it was too late. */
static void move_deadline(struct wf_random *random)
{
    WEFT_SCOPE(s);
    weft_time first = weft_after(some_usec(random, 100));
    weft_scope_set_deadline(&s, first);
    int err = weft_sleep(some_usec(random, 60));
    weft_time second = first;
    if (err == 0 && one_in(random, 2))
        weft_scope_set_deadline(&s, second = weft_after(some_usec(random, 100)));
    weft_scope_set_deadline(&s, weft_never());
    int late = weft_sleep(some_usec(random, 200));
    HOLDS(late == 0 || (scenario_is_stop(late) && (weft_since(first) >= 0 || weft_since(second) >= 0)));
    int closed = weft_scope_close(&s);
    HOLDS(closed == 0 || scenario_is_stop(closed));
    HOLDS(weft_scope_expired(&s) == (closed == -ETIMEDOUT));
}

static int stormy_deadlines(void *arg)
{
    struct wf_random random = scenario_random((uintptr_t)arg);
    WEFT_SCOPE(calm);
    if (scenario_env.faults)
        weft_scope_shield(&calm); /* from the stop that a task without a stack is to its siblings */
    for (unsigned i = 0; i < scenario_env.size; i++) {
        switch (wf_random_below(&random, 3)) {
        case 0: race_deadline(weft_after(some_usec(&random, 80)), weft_after(some_usec(&random, 80)), false); break;
        case 1: {
            WEFT_SCOPE(s);
            weft_scope_set_deadline(&s, weft_after(some_usec(&random, 80)));
            race_deadline(weft_after(some_usec(&random, 80)), weft_after(some_usec(&random, 80)), true);
            int err = weft_scope_close(&s);
            HOLDS(err == 0 || err == -ETIMEDOUT);
            break;
        }
        default: move_deadline(&random); break;
        }
        HOLDS_EQ(weft_checkpoint(), 0);
        scenario_count();
    }
    return weft_scope_close(&calm);
}

static int deadline_storm(void *env)
{
    (void)env;
    WEFT_SCOPE(storm);
    weft_task *t[16];
    for (uintptr_t i = 0; i < 16; i++)
        t[i] = weft_prepare(&storm, stormy_deadlines, (void *)i);
    if (weft_checkpoint() == 0) /* else one could not be made, which stopped them all before they began */
        for (uintptr_t i = 0; i < 16; i++)
            weft_start(t[i]);
    (void)WENT(weft_scope_close(&storm));
    return 0;
}

const struct scenario scenario_deadline_storm = {"deadline_storm", deadline_storm, 15, 0};

/* ---- scope_tree: one leaf fails, everything else is stopped, and the failure arrives at the top ---- */

struct tree {
    unsigned leaves, failing[2]; /* numbers of leaves; out of range: none */
    WF_ATOMIC(unsigned) next, sleeping, ended;
    weft_event ready;
};

struct node {
    struct tree *tree;
    unsigned depth;
};

static int leaf(struct tree *tree)
{
    unsigned me = wf_add(&tree->next, 1u, relaxed);
    struct wf_random random = scenario_random(me);
    if (me == tree->leaves - 1)
        weft_event_set(&tree->ready); /* the last one: whoever fails may begin */
    for (int i = 0; i < 2; i++)
        if (me == tree->failing[i]) {
            int err = weft_event_wait(&tree->ready);
            if (err == 0)
                err = weft_sleep(some_usec(&random, 50));
            return err < 0 ? err : -2000 - (int)me;
        }
    int err = weft_sleep(3600 * WEFT_SEC);
    HOLDS(scenario_is_stop(err));
    wf_add(&tree->ended, 1u, relaxed);
    return one_in(&random, 2) ? err : -4000 - (int)me; /* a failure too, but not the first */
}

static int grow(void *arg)
{
    struct node *node = arg;
    if (node->depth == 0)
        return leaf(node->tree);
    struct node below = {node->tree, node->depth - 1};
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        weft_go(&s, grow, &below);
    return weft_scope_close(&s);
}

static int scope_tree(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    for (unsigned round = 0; round < env->size; round++) {
        struct tree tree = {.leaves = 27};
        tree.failing[0] = wf_random_below(&random, 27);
        tree.failing[1] = one_in(&random, 2) ? wf_random_below(&random, 27) : 27;
        struct node top = {&tree, 3};
        WEFT_SCOPE(s);
        weft_go(&s, grow, &top);
        int err = weft_scope_close(&s);
        bool named = err == -2000 - (int)tree.failing[0] || err == -2000 - (int)tree.failing[1];
        HOLDS(named || (env->faults && err == -ENOMEM));
        HOLDS(!named || wf_load(&tree.ended, relaxed) <= 27 - 1);
        HOLDS(env->faults || wf_load(&tree.ended, relaxed) >= 27 - 2);
        HOLDS_EQ(weft_checkpoint(), 0);
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_scope_tree = {"scope_tree", scope_tree, 6, 0};

/* ---- held_failures: of those that nobody awaited, the first in the order of spawning ---- */

enum { HELD = 10 };

static int yield_and_return(void *arg)
{
    int err = weft_yield();
    return err < 0 ? err : (int)(intptr_t)arg;
}

static int held_failures(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    for (unsigned round = 0; round < env->size; round++) {
        weft_task *t[HELD];
        int expected = 0;
        WEFT_SCOPE(s);
        for (int i = 0; i < HELD; i++) {
            intptr_t result = one_in(&random, 3) ? -3000 - i : i;
            t[i] = weft_spawn(&s, yield_and_return, (void *)result);
            if (one_in(&random, 2))
                HOLDS(weft_await(t[i]) == result || env->faults);
            else if (result < 0 && expected == 0)
                expected = (int)result;
        }
        int err = weft_scope_close(&s);
        HOLDS(err == expected || (env->faults && (err == -ENOMEM || err == -ECANCELED)));
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_held_failures = {"held_failures", held_failures, 20, 0};
