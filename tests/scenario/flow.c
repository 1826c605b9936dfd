/* flow.c - work that flows: out and in again, along channels, between tasks that take turns. */
#include "tests/scenario/scenario.h"

/* ---- fan: a tree of tasks, and its sum comes back ---- */

struct branch {
    unsigned depth;
    WF_ATOMIC(unsigned) *leaves;
};

static int fan_out(void *arg)
{
    struct branch *b = arg;
    if (b->depth == 0) {
        wf_add(b->leaves, 1u, relaxed);
        return 1;
    }
    struct branch below = {b->depth - 1, b->leaves};
    weft_task *t[3];
    int sum = 0;
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        t[i] = weft_spawn(&s, fan_out, &below);
    for (int i = 0; i < 3; i++) {
        int result = weft_await(t[i]);
        if (!WENT(result)) {
            int why = weft_scope_close(&s); /* when a spawn has failed: that, and not the stop that came of it */
            return why < 0 ? why : result;
        }
        sum += result;
    }
    int err = weft_scope_close(&s);
    return err < 0 ? err : sum;
}

static int fan(void *arg)
{
    struct scenario_env *env = arg;
    for (unsigned round = 0; round < env->size; round++) {
        WF_ATOMIC(unsigned) leaves = 0;
        struct branch b = {5, &leaves};
        int sum = fan_out(&b);
        if (WENT(sum))
            HOLDS_EQ(sum, 3 * 3 * 3 * 3 * 3);
        HOLDS(wf_load(&leaves, relaxed) <= 3 * 3 * 3 * 3 * 3);
        HOLDS(sum < 0 || (unsigned)sum == wf_load(&leaves, relaxed));
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_fan = {"fan", fan, 4, 0};

/* ---- pipeline: stages between channels of 0, 1 and some places ---- */

enum { STAGES = 5 };

struct stage {
    weft_chan *in, *out;
};

/* Whoever stops early closes both sides, so that neither neighbour waits for it. */
static int pass_on(void *arg)
{
    struct stage *stage = arg;
    uint64_t item, last = 0;
    int err = 0;
    while (err == 0 && (err = weft_chan_recv(stage->in, &item)) == 0) {
        HOLDS(item > last);
        last = item;
        item += UINT64_C(1) << 32;
        err = weft_chan_send(stage->out, &item);
    }
    HOLDS(err == -EPIPE || !WENT(err));
    weft_chan_close(stage->in);
    weft_chan_close(stage->out);
    return 0;
}

static int feed(void *arg)
{
    weft_chan *out = *(weft_chan **)arg;
    uint64_t item = 1;
    while (item <= scenario_env.size) {
        int err = weft_chan_send(out, &item);
        if (err == -EPIPE && scenario_env.faults)
            break;
        if (!WENT(err))
            break;
        item++;
    }
    weft_chan_close(out);
    return 0;
}

static void drain(weft_chan *out)
{
    uint64_t item, expected = 1;
    int err;
    while ((err = weft_chan_recv(out, &item)) == 0) {
        HOLDS_EQ(item >> 32, STAGES);
        HOLDS_EQ((uint32_t)item, expected);
        expected++;
    }
    HOLDS(err == -EPIPE || !WENT(err));
    HOLDS(expected == scenario_env.size + 1 || scenario_env.faults);
    weft_chan_close(out);
}

static int pipeline(void *env)
{
    (void)env;
    static const size_t capacity[] = {0, 1, 7};
    for (int form = 0; form < 3; form++) {
        weft_chan *chan[STAGES + 1];
        struct stage stage[STAGES];
        bool have = true;
        for (int i = 0; i <= STAGES; i++)
            have &= (chan[i] = scenario_chan(capacity[form], sizeof(uint64_t))) != NULL;
        if (have) {
            WEFT_SCOPE(s);
            for (int i = 0; i < STAGES; i++) {
                stage[i] = (struct stage){chan[i], chan[i + 1]};
                weft_go(&s, pass_on, &stage[i]);
            }
            weft_go(&s, feed, &chan[0]);
            drain(chan[STAGES]);
            (void)WENT(weft_scope_close(&s));
        }
        for (int i = 0; i <= STAGES; i++)
            weft_chan_free(chan[i]);
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_pipeline = {"pipeline", pipeline, 150, 0};

/* ---- pool: workers over one channel, each job once, some of them cancelled ---- */

enum { POOL_WORKERS = 6 };

struct pool {
    weft_chan *jobs;
    unsigned count;
    WF_ATOMIC(unsigned) *done; /* per job */
    WF_ATOMIC(unsigned) taken;
};

static int do_jobs(void *arg)
{
    struct pool *p = arg;
    struct wf_random random = scenario_random(wf_load(&p->taken, relaxed));
    unsigned job;
    int err;
    while ((err = weft_chan_recv(p->jobs, &job)) == 0) {
        HOLDS(job < p->count);
        HOLDS_EQ(wf_add(&p->done[job], 1u, relaxed), 0);
        wf_add(&p->taken, 1u, relaxed);
        if (one_in(&random, 4))
            (void)WENT(weft_sleep(some_usec(&random, 50)));
    }
    HOLDS(err == -EPIPE || !WENT(err));
    return 0;
}

static unsigned hand_out(struct pool *p, weft_task *const workers[])
{
    struct wf_random random = scenario_random(99);
    unsigned sent = 0;
    while (sent < p->count && WENT(weft_chan_send(p->jobs, &sent))) {
        sent++;
        if (one_in(&random, 40))
            weft_cancel(workers[wf_random_below(&random, POOL_WORKERS)]);
    }
    weft_chan_close(p->jobs);
    return sent;
}

static int pool(void *arg)
{
    struct scenario_env *env = arg;
    struct pool p = {.jobs = scenario_chan(3, sizeof(unsigned)), .count = env->size};
    if (!p.jobs)
        return 0;
    p.done = scenario_alloc(p.count, sizeof *p.done);
    weft_task *workers[POOL_WORKERS];
    WEFT_SCOPE(s);
    weft_go(&s, do_jobs, &p); /* stays; if it cannot even begin, that stops us too */
    for (int i = 0; i < POOL_WORKERS; i++)
        workers[i] = weft_spawn(&s, do_jobs, &p);
    unsigned sent = hand_out(&p, workers), job, left = 0;
    (void)WENT(weft_scope_close(&s));
    while (weft_chan_try_recv(p.jobs, &job, sizeof job) == 0) {
        HOLDS_EQ(wf_add(&p.done[job], 1u, relaxed), 0);
        left++;
    }
    HOLDS_EQ(wf_load(&p.taken, relaxed) + left, sent);
    HOLDS(env->faults || (sent == p.count && left == 0));
    for (unsigned i = 0; i < p.count; i++)
        HOLDS_EQ(wf_load(&p.done[i], relaxed), i < sent);
    weft_chan_free(p.jobs);
    free(p.done);
    return 0;
}

const struct scenario scenario_pool = {"pool", pool, 400, 0};

/* ---- pingpong: two that only yield, two that wake each other, and a third that must not starve ---- */

struct table {
    weft_event side[2];
    unsigned turns;
    WF_ATOMIC(unsigned) played, third;
    WF_ATOMIC(bool) over;
};

static int play(struct table *t, int me)
{
    for (unsigned i = 0; i < t->turns; i++) {
        if (!WENT(weft_event_wait(&t->side[me])))
            break;
        weft_event_clear(&t->side[me]);
        HOLDS_EQ(wf_add(&t->played, 1u, relaxed) % 2, me);
        weft_event_set(&t->side[!me]);
    }
    return 0;
}

static int ping(void *arg)
{
    return play(arg, 0);
}

static int pong(void *arg)
{
    return play(arg, 1);
}

static int yield_beside(void *arg)
{
    struct table *t = arg;
    while (!wf_load(&t->over, acquire) && WENT(weft_yield()))
        wf_add(&t->third, 1u, relaxed);
    return 0;
}

static int pingpong(void *arg)
{
    struct scenario_env *env = arg;
    struct table t = {.turns = env->size};
    WEFT_SCOPE(outer);
    weft_go(&outer, yield_beside, &t);
    weft_go(&outer, yield_beside, &t);
    {
        WEFT_SCOPE(s);
        weft_go(&s, ping, &t);
        weft_go(&s, pong, &t);
        weft_event_set(&t.side[0]);
        bool all = WENT(weft_scope_close(&s));
        HOLDS(!all || wf_load(&t.played, relaxed) == 2 * t.turns);
    }
    wf_store(&t.over, true, release);
    (void)WENT(weft_scope_close(&outer));
    return 0;
}

const struct scenario scenario_pingpong = {"pingpong", pingpong, 300, 0};

/* ---- pinned: stays where it is, whatever it waits for ---- */

static int stay(void *arg)
{
    weft_sem *sem = arg;
    struct wf_random random = scenario_random((uintptr_t)weft_worker() + 7);
    for (unsigned i = 0; i < scenario_env.size; i++) {
        weft_pin();
        weft_pin();
        weft_unpin();
        unsigned here = weft_worker();
        switch (wf_random_below(&random, 4)) {
        case 0: (void)WENT(weft_sleep(some_usec(&random, 30))); break;
        case 1: (void)WENT(weft_yield()); break;
        case 2:
            if (WENT(weft_sem_acquire(sem, 1)))
                weft_sem_release(sem, 1);
            break;
        default: {
            WEFT_SCOPE(s);
            weft_scope_set_deadline(&s, weft_after(some_usec(&random, 30)));
            HOLDS(scenario_is_stop(weft_sleep(WEFT_SEC)));
            int err = weft_scope_close(&s);
            HOLDS(scenario_is_stop(err));
        }
        }
        HOLDS_EQ(weft_worker(), here);
        weft_unpin();
        scenario_count();
    }
    return 0;
}

static int pinned(void *env)
{
    (void)env;
    weft_sem sem = {0};
    weft_sem_release(&sem, 2);
    WEFT_SCOPE(s);
    for (int i = 0; i < 12; i++)
        weft_go(&s, stay, &sem);
    (void)WENT(weft_scope_close(&s));
    HOLDS(weft_sem_try_acquire(&sem, 2) && !weft_sem_try_acquire(&sem, 1));
    return 0;
}

const struct scenario scenario_pinned = {"pinned", pinned, 20, 0};

/* ---- orders: prepared, started, awaited, cancelled, in every order; several awaiting one ---- */

enum { ORDERED = 8 };

struct ordered {
    weft_task *task[ORDERED];
    WF_ATOMIC(unsigned) runs[ORDERED];
};

static int run_once(void *arg)
{
    WF_ATOMIC(unsigned) *runs = arg;
    HOLDS_EQ(wf_add(runs, 1u, relaxed), 0);
    int err = weft_yield();
    return err < 0 ? err : 11;
}

static int await_all(void *arg)
{
    struct ordered *o = arg;
    for (int i = 0; i < ORDERED; i++) {
        int result = weft_await(o->task[i]);
        HOLDS(result == 11 || result == -ECANCELED || !WENT(result));
        HOLDS(weft_done(o->task[i]) || weft_checkpoint() < 0);
    }
    return 0;
}

static int orders(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    for (unsigned round = 0; round < env->size; round++) {
        struct ordered o = {0};
        WEFT_SCOPE(s);
        unsigned prepared = 0, cancelled = 0;
        for (unsigned i = 0; i < ORDERED; i++) {
            bool lazily = one_in(&random, 2);
            o.task[i] = lazily ? weft_prepare(&s, run_once, &o.runs[i]) : weft_spawn(&s, run_once, &o.runs[i]);
            prepared |= (unsigned)lazily << i;
        }
        weft_task *waiting = NULL;
        for (int steps = 0; steps < 12; steps++) {
            unsigned i = wf_random_below(&random, ORDERED);
            switch (wf_random_below(&random, 4)) {
            case 0:
                if ((prepared & 1u << i) && !waiting) { /* await starts it too, and twice is misuse */
                    weft_start(o.task[i]);
                    prepared &= ~(1u << i);
                }
                break;
            case 1:
                weft_cancel(o.task[i]);
                cancelled |= 1u << i;
                break;
            case 2: (void)WENT(weft_yield()); break;
            default: waiting = waiting ? waiting : weft_spawn(&s, await_all, &o); break;
            }
        }
        await_all(&o);
        for (unsigned i = 0; i < ORDERED; i++)
            HOLDS(cancelled & 1u << i || env->faults || weft_await(o.task[i]) == 11);
        (void)WENT(weft_scope_close(&s));
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_orders = {"orders", orders, 30, 0};
