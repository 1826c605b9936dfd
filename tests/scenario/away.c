/* away.c - what happens away from the workers: offloaded jobs, tasks that block, submissions, other runtimes. */
#include "tests/scenario/scenario.h"

/* ---- offload_storm: few threads, many jobs, some stopped while they wait: a job ran, or it did not ---- */

struct job {
    WF_ATOMIC(unsigned) ran;
    unsigned work;
};

struct office {
    struct job *jobs;
    unsigned each;
    WF_ATOMIC(unsigned) numbers, ran, stopped;
};

/* On a thread of the pool. */
static int work(void *arg)
{
    struct job *j = arg;
    HOLDS_EQ(wf_add(&j->ran, 1u, relaxed), 0);
    volatile unsigned sum = 0;
    for (unsigned i = 0; i < j->work; i++)
        sum = sum + i;
    return (int)j->work + 1;
}

static int send_away(void *arg)
{
    return weft_offload(work, arg);
}

static int clerk(void *arg)
{
    struct office *o = arg;
    unsigned me = wf_add(&o->numbers, 1u, relaxed);
    struct wf_random random = scenario_random(me);
    for (unsigned i = 0; i < o->each; i++) {
        struct job *j = &o->jobs[me * o->each + i];
        j->work = wf_random_below(&random, 3000);
        int result = one_in(&random, 2) ? weft_within(some_usec(&random, 60), send_away, j) : send_away(j);
        unsigned ran = wf_load(&j->ran, relaxed);
        if (result > 0) {
            HOLDS(result == (int)j->work + 1 && ran == 1);
            wf_add(&o->ran, 1u, relaxed);
        } else {
            HOLDS(result < 0 && ran == 0);
            HOLDS(result == -ETIMEDOUT || !WENT(result));
            wf_add(&o->stopped, 1u, relaxed);
        }
        scenario_count();
        if (weft_checkpoint() < 0)
            return 0;
    }
    return 0;
}

static int offload_storm(void *arg)
{
    struct scenario_env *env = arg;
    enum { CLERKS = 12 };
    struct wf_random random = scenario_random(1);
    struct office o = {.each = env->size};
    weft_task *t[CLERKS];
    o.jobs = scenario_alloc(CLERKS * o.each, sizeof *o.jobs);
    WEFT_SCOPE(s);
    for (int i = 0; i < CLERKS; i++)
        t[i] = weft_spawn(&s, clerk, &o);
    for (int i = 0; i < CLERKS / 3; i++) {
        (void)WENT(weft_sleep(some_usec(&random, 300)));
        weft_cancel(t[i]);
    }
    (void)WENT(weft_scope_close(&s));
    unsigned ran = 0;
    for (unsigned i = 0; i < CLERKS * o.each; i++)
        ran += wf_load(&o.jobs[i].ran, relaxed);
    HOLDS_EQ(ran, wf_load(&o.ran, relaxed));
    HOLDS(ran + wf_load(&o.stopped, relaxed) <= CLERKS * o.each);
    free(o.jobs);
    return 0;
}

const struct scenario scenario_offload_storm = {"offload_storm", offload_storm, 25, 2};

/* ---- blocking_storm: tasks that go to a thread of the pool and come back ---- */

static int block(void *arg)
{
    struct wf_random random = scenario_random((uintptr_t)arg);
    for (unsigned i = 0; i < scenario_env.size; i++) {
        uint64_t before = wf_random_next(&random), after = before;
        unsigned steps = (unsigned)before % 1000;
        bool nested = one_in(&random, 3);
        errno = (int)(i % 100) + 1;
        weft_blocking_begin();
        if (nested)
            weft_blocking_begin();
        for (unsigned n = 0; n < steps; n++)
            after = after * UINT64_C(6364136223846793005) + 1;
        if (nested)
            weft_blocking_end();
        weft_blocking_end();
        HOLDS_EQ(errno, (int)(i % 100) + 1);
        for (unsigned n = 0; n < steps; n++)
            before = before * UINT64_C(6364136223846793005) + 1;
        HOLDS(before == after);
        (void)weft_worker(); /* misuse anywhere but on a worker */
        if (!WENT(one_in(&random, 2) ? weft_yield() : weft_sleep(some_usec(&random, 20))))
            return 0;
        scenario_count();
    }
    return 0;
}

static int blocking_storm(void *env)
{
    (void)env;
    weft_task *t[10];
    WEFT_SCOPE(s);
    for (uintptr_t i = 0; i < 10; i++)
        t[i] = weft_spawn(&s, block, (void *)i);
    (void)WENT(weft_sleep(200 * WEFT_USEC));
    weft_cancel(t[3]);
    (void)WENT(weft_scope_close(&s));
    return 0;
}

const struct scenario scenario_blocking_storm = {"blocking_storm", blocking_storm, 20, 3};

/* ---- submit: from tasks, and from threads of the pool, into the running runtime ---- */

struct mail {
    weft_runtime *to;
    WF_ATOMIC(unsigned) posted, read; /* posted counts one for the body itself, until it waits */
    weft_future all;
};

static int read_mail(void *arg)
{
    struct mail *m = arg;
    (void)WENT(weft_yield());
    wf_add(&m->read, 1u, relaxed);
    if (wf_sub(&m->posted, 1u, acq_rel) == 1)
        weft_future_set(&m->all, NULL);
    return 0;
}

/* On a worker or on a thread of the pool. */
static int post(void *arg)
{
    struct mail *m = arg;
    wf_add(&m->posted, 1u, relaxed);
    int err = weft_submit(m->to, read_mail, m);
    HOLDS(err == 0 || scenario_allowed(err));
    if (err == 0)
        return 1;
    wf_sub(&m->posted, 1u, acq_rel); /* the caller's own count is still there: this is never the last */
    return 0;
}

static int submit(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    struct mail *m = scenario_alloc(1, sizeof *m);
    m->to = weft_runtime_self();
    wf_store(&m->posted, 1u, relaxed);
    unsigned sent = 0;
    for (unsigned i = 0; i < env->size; i++) {
        int result = one_in(&random, 3) ? weft_offload(post, m) : post(m);
        if (WENT(result))
            sent += (unsigned)result;
        if (one_in(&random, 4))
            (void)WENT(weft_yield());
        scenario_count();
    }
    if (wf_sub(&m->posted, 1u, acq_rel) == 1)
        weft_future_set(&m->all, NULL);
    weft_case on[] = {weft_on_future(&m->all), weft_on_time(weft_after(3600 * WEFT_SEC))};
    bool all = weft_select(on, 2) == 0;
    HOLDS(all || env->faults); /* one without a stack ends unrun, and tells only weft_run() */
    HOLDS(all ? wf_load(&m->read, relaxed) == sent : wf_load(&m->read, relaxed) < sent);
    free(m);
    return 0;
}

const struct scenario scenario_submit = {"submit", submit, 60, 2};

/* ---- runtimes: others beside this one, one after another, on threads of its pool ---- */

struct guest_runtime {
    unsigned workers;
    weft_chan *out;
};

static int tell(void *arg)
{
    struct guest_runtime *g = arg;
    unsigned one = 1;
    int err = weft_yield();
    return err < 0 ? err : weft_chan_send(g->out, &one);
}

static int guest_body(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++)
        weft_go(&s, tell, arg);
    return weft_scope_close(&s);
}

static int run_guest(void *arg)
{
    struct guest_runtime *g = arg;
    weft_config config = {.workers = g->workers, .offload_max = 1};
    return weft_run(&config, guest_body, g);
}

static int host_guests(void *arg)
{
    struct guest_runtime *g = arg;
    for (unsigned i = 0; i < scenario_env.size; i++) {
        g->workers = 1 + i % 2;
        int result = weft_offload(run_guest, g);
        HOLDS(result == 0 || !WENT(result));
        scenario_count();
    }
    return 0;
}

struct hotel {
    weft_chan *out;
    struct guest_runtime guest[2];
};

/* Whatever becomes of the guests: once both have gone nobody sends any more. */
static int keep_hotel(void *arg)
{
    struct hotel *h = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 2; i++)
        weft_go(&s, host_guests, &h->guest[i]);
    (void)WENT(weft_scope_close(&s));
    weft_chan_close(h->out);
    return 0;
}

/* Senders are tasks of other runtimes; the receiver is one of this. */
static int runtimes(void *arg)
{
    struct scenario_env *env = arg;
    struct hotel h = {.out = scenario_chan(1, sizeof(unsigned))};
    if (!h.out)
        return 0;
    h.guest[0].out = h.guest[1].out = h.out;
    unsigned got = 0, one = 0;
    int err;
    WEFT_SCOPE(s);
    bool open = WENT(weft_go(&s, keep_hotel, &h));
    while ((err = weft_chan_recv(h.out, &one)) == 0) {
        HOLDS_EQ(one, 1);
        got++;
    }
    HOLDS(err == -EPIPE ? open : !WENT(err));
    (void)WENT(weft_scope_close(&s));
    HOLDS(env->faults ? got <= 8 * env->size : got == 8 * env->size);
    weft_chan_free(h.out);
    return 0;
}

const struct scenario scenario_runtimes = {"runtimes", runtimes, 3, 3};
