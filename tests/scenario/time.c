/* time.c - sleeps and timers in numbers: none is early, none is lost, most are taken back. */
#include "tests/scenario/scenario.h"

/* ---- timers: thousands of sleeps ---- */

struct alarms {
    WF_ATOMIC(unsigned) slept;
    unsigned each;
};

/* Short ones and long ones: of every level of a wheel that the time allows. */
static int64_t some_time(struct wf_random *random)
{
    return one_in(random, 10) ? some_usec(random, 5000) : some_usec(random, 300);
}

static int sleep_often(void *arg)
{
    struct alarms *a = arg;
    struct wf_random random = scenario_random(wf_add(&a->slept, 1u, relaxed));
    weft_time last = weft_now();
    for (unsigned i = 0; i < a->each; i++) {
        weft_time until = weft_after(some_time(&random));
        bool by_length = one_in(&random, 2);
        int64_t ns = some_usec(&random, 200);
        if (!WENT(by_length ? weft_sleep(ns) : weft_sleep_until(until)))
            return 0;
        HOLDS(by_length ? weft_since(last) >= ns : weft_since(until) >= 0);
        last = weft_now();
        scenario_count();
    }
    HOLDS_EQ(weft_sleep(0), weft_checkpoint());
    HOLDS_EQ(weft_sleep(-5), weft_checkpoint());
    HOLDS_EQ(weft_sleep_until((weft_time){0}), weft_checkpoint());
    return 0;
}

static int timers(void *arg)
{
    struct scenario_env *env = arg;
    struct alarms a = {.each = 5};
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < env->size; i++)
        weft_go(&s, sleep_often, &a);
    (void)WENT(weft_scope_close(&s));
    HOLDS(wf_load(&a.slept, relaxed) == env->size || env->faults);
    return 0;
}

const struct scenario scenario_timers = {"timers", timers, 400, 0};

/* ---- timer_churn: armed and taken back ---- */

static int sleep_for(void *arg)
{
    return weft_sleep(*(int64_t *)arg);
}

/* Of two times, the one that is said to have come has come. */
static void choose_time(struct wf_random *random)
{
    weft_time t[3] = {weft_after(some_usec(random, 100)), weft_after(some_usec(random, 100)), weft_never()};
    weft_case on[] = {weft_on_time(t[0]), weft_on_time(t[2]), weft_on_time(t[1])};
    int i = weft_select(on, 3);
    if (WENT(i)) {
        HOLDS(i == 0 || i == 2);
        HOLDS(weft_since(t[i / 2]) >= 0);
    }
}

static int churn(void *arg)
{
    struct wf_random random = scenario_random((uintptr_t)arg);
    for (unsigned i = 0; i < scenario_env.size; i++) {
        int64_t shorter = some_usec(&random, 60), longer = shorter + some_usec(&random, 60) + WEFT_MSEC;
        weft_time start = weft_now();
        int err;
        switch (wf_random_below(&random, 3)) {
        case 0:
            err = weft_within(3600 * WEFT_SEC, sleep_for, &shorter);
            if (WENT(err))
                HOLDS(weft_since(start) >= shorter);
            break;
        case 1:
            err = weft_within(shorter, sleep_for, &longer);
            HOLDS(err == -ETIMEDOUT || (err == 0 && weft_since(start) >= longer) || !WENT(err));
            HOLDS(err != -ETIMEDOUT || weft_checkpoint() < 0 || weft_since(start) >= shorter);
            break;
        default: choose_time(&random); break;
        }
        scenario_count();
    }
    return 0;
}

static int timer_churn(void *env)
{
    (void)env;
    WEFT_SCOPE(s);
    for (uintptr_t i = 0; i < 30; i++)
        weft_go(&s, churn, (void *)i);
    (void)WENT(weft_scope_close(&s));
    return 0;
}

const struct scenario scenario_timer_churn = {"timer_churn", timer_churn, 20, 0};
