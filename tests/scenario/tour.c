/* tour.c - the twelve programs of docs/examples, as bodies that check themselves. */
#include "tests/scenario/scenario.h"

/* ---- 01 lazy: a prepared task does not run until it is awaited ---- */

static int answer(void *arg)
{
    WF_ATOMIC(int) *runs = arg;
    wf_add(runs, 1, relaxed);
    return 42;
}

static int lazy(void *env)
{
    (void)env;
    WF_ATOMIC(int) runs = 0;
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, answer, &runs);
    for (int i = 0; i < 3; i++)
        (void)WENT(weft_yield());
    HOLDS_EQ(wf_load(&runs, relaxed), 0);
    if (WENT(weft_await(t))) {
        HOLDS_EQ(weft_await(t), 42);
        HOLDS(weft_done(t));
        HOLDS_EQ(wf_load(&runs, relaxed), 1);
    }
    (void)WENT(weft_scope_close(&s));
    HOLDS(wf_load(&runs, relaxed) <= 1);
    return 0;
}

const struct scenario scenario_lazy = {"lazy", lazy, 1, 0};

/* ---- 02 eager: a spawned task runs without being awaited ---- */

static int answer_and_tell(void *arg)
{
    HOLDS_EQ(weft_future_set(arg, NULL), 0);
    return 42;
}

static int eager(void *env)
{
    (void)env;
    weft_future ran = {0};
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, answer_and_tell, &ran);
    bool began = WENT(weft_future_await(&ran, NULL)); /* without memory for its stack it does not: we are stopped */
    HOLDS_EQ(weft_await(t), began ? 42 : -ENOMEM);
    (void)WENT(weft_scope_close(&s));
    return 0;
}

const struct scenario scenario_eager = {"eager", eager, 1, 0};

/* ---- 03 gather: sleeps side by side ---- */

static int nap(void *arg)
{
    weft_time start = weft_now();
    int64_t ns = *(int64_t *)arg;
    if (WENT(weft_sleep(ns)))
        HOLDS(weft_since(start) >= ns);
    return 0;
}

static int gather(void *arg)
{
    struct scenario_env *env = arg;
    for (unsigned round = 0; round < env->size; round++) {
        int64_t ns = 3 * WEFT_MSEC;
        weft_time start = weft_now();
        WEFT_SCOPE(s);
        for (int i = 0; i < 3; i++)
            weft_go(&s, nap, &ns);
        if (WENT(weft_scope_close(&s)))
            HOLDS(weft_since(start) >= ns);
    }
    return 0;
}

const struct scenario scenario_gather = {"gather", gather, 2, 0};

/* ---- 04 future: a value that arrives once ---- */

struct parcel {
    weft_future future;
    int value;
};

static int deliver(void *arg)
{
    struct parcel *p = arg;
    int err = weft_sleep(200 * WEFT_USEC);
    err = err < 0 ? weft_future_fail(&p->future, err) : weft_future_set(&p->future, &p->value);
    HOLDS_EQ(err, 0);
    HOLDS_EQ(weft_future_set(&p->future, NULL), -EALREADY);
    return 0;
}

static int future(void *env)
{
    (void)env;
    struct parcel p = {.value = 7};
    WEFT_SCOPE(s);
    weft_go(&s, deliver, &p);
    void *value = NULL;
    if (WENT(weft_future_await(&p.future, &value)))
        HOLDS(value == &p.value);
    else
        HOLDS(!value);
    (void)WENT(weft_scope_close(&s));
    return 0;
}

const struct scenario scenario_future = {"future", future, 1, 0};

/* ---- 05 stall, 06 cpu: computing ---- */

enum { PARTS = 4, PART_SIZE = 1500 };

struct part {
    unsigned from, found;
    weft_event *others_ran;
};

static bool is_prime(unsigned n)
{
    for (unsigned d = 2; d <= n / d; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static int count_primes(void *arg)
{
    struct part *p = arg;
    p->found = 0;
    for (unsigned n = p->from; n < p->from + PART_SIZE; n++)
        p->found += is_prime(n);
    return (int)p->found;
}

static unsigned primes_in_turn(void)
{
    unsigned found = 0;
    for (unsigned i = 0; i < PARTS; i++)
        found += (unsigned)count_primes(&(struct part){.from = i * PART_SIZE});
    return found;
}

/* One keeps its worker for a while; timers and events of the others come all the same, late at worst. */
static int hold_worker(void *arg)
{
    struct part *p = arg;
    for (int i = 0; i < 20; i++)
        count_primes(p);
    return (int)p->found;
}

static int run_beside(void *arg)
{
    if (WENT(weft_sleep(100 * WEFT_USEC)))
        weft_event_set(arg);
    return 0;
}

static int stall(void *env)
{
    (void)env;
    weft_event ran = {0};
    struct part p = {.from = 0};
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, hold_worker, &p);
    weft_go(&s, run_beside, &ran);
    if (WENT(weft_event_wait(&ran)) && WENT(weft_await(t)))
        HOLDS_EQ(weft_await(t), count_primes(&(struct part){.from = 0}));
    (void)WENT(weft_scope_close(&s));
    return 0;
}

const struct scenario scenario_stall = {"stall", stall, 1, 0};

static int cpu(void *env)
{
    (void)env;
    struct part parts[PARTS];
    weft_task *task[PARTS];
    unsigned found = 0;
    bool all = true;
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < PARTS; i++) {
        parts[i] = (struct part){.from = i * PART_SIZE};
        task[i] = weft_spawn(&s, count_primes, &parts[i]);
    }
    for (unsigned i = 0; i < PARTS; i++) {
        int result = weft_await(task[i]);
        all &= WENT(result);
        found += result > 0 ? (unsigned)result : 0;
    }
    (void)WENT(weft_scope_close(&s));
    HOLDS(found <= primes_in_turn());
    HOLDS(!all || found == primes_in_turn());
    return 0;
}

const struct scenario scenario_cpu = {"cpu", cpu, 1, 0};

/* ---- 07 offload: the same on the pool ---- */

static int count_away(void *arg)
{
    int found = weft_offload(count_primes, arg);
    if (WENT(found))
        HOLDS_EQ(found, count_primes(&(struct part){.from = ((struct part *)arg)->from}));
    return 0;
}

static int offload(void *env)
{
    (void)env;
    struct part parts[PARTS];
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < PARTS; i++) {
        parts[i] = (struct part){.from = i * PART_SIZE};
        weft_go(&s, count_away, &parts[i]);
    }
    (void)WENT(weft_scope_close(&s));
    return 0;
}

const struct scenario scenario_offload = {"offload", offload, 1, 2};

/* ---- 08 timeout ---- */

static int sleep_long(void *arg)
{
    (void)arg;
    return weft_sleep(3600 * WEFT_SEC);
}

static int be_quick(void *arg)
{
    (void)arg;
    return weft_yield() < 0 ? -EPROTO : 5;
}

static int timeout(void *env)
{
    (void)env;
    weft_time start = weft_now();
    HOLDS_EQ(weft_within(500 * WEFT_USEC, sleep_long, NULL), -ETIMEDOUT);
    HOLDS(weft_since(start) >= 500 * WEFT_USEC);
    HOLDS_EQ(weft_checkpoint(), 0);
    HOLDS_EQ(weft_within(3600 * WEFT_SEC, be_quick, NULL), 5);

    WEFT_SCOPE(s);
    weft_go(&s, sleep_long, NULL);
    weft_scope_set_deadline(&s, weft_after(500 * WEFT_USEC));
    int err = weft_scope_close(&s);
    HOLDS(err == -ETIMEDOUT || err == -ENOMEM);
    HOLDS(err == -ETIMEDOUT ? weft_scope_expired(&s) : scenario_env.faults);
    return 0;
}

const struct scenario scenario_timeout = {"timeout", timeout, 1, 0};

/* ---- 09 cancel: the cleanup runs, and may wait ---- */

struct patient {
    WF_ATOMIC(int) begun, cleaned;
    weft_future asleep;
};

static int sleep_and_clean(void *arg)
{
    struct patient *p = arg;
    wf_store(&p->begun, 1, release);
    weft_future_set(&p->asleep, NULL);
    int err = weft_sleep(3600 * WEFT_SEC);
    HOLDS(scenario_is_stop(err) && scenario_is_stop(weft_checkpoint()));
    WEFT_SCOPE(s);
    weft_scope_shield(&s);
    HOLDS_EQ(weft_checkpoint(), 0);
    HOLDS_EQ(weft_sleep(50 * WEFT_USEC), 0);
    HOLDS_EQ(weft_scope_close(&s), 0);
    HOLDS(scenario_is_stop(weft_checkpoint()));
    wf_store(&p->cleaned, 1, release);
    return err;
}

static int cancel(void *env)
{
    (void)env;
    struct patient p = {0};
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, sleep_and_clean, &p);
    weft_case on[] = {weft_on_future(&p.asleep), weft_on_task(t)};
    bool asleep = WENT(weft_select(on, 2)) && weft_future_done(&p.asleep);
    weft_cancel(t);
    weft_cancel(t);
    int err = weft_await(t);
    HOLDS_EQ(err, asleep ? -ECANCELED : -ENOMEM);
    if (asleep)
        HOLDS_EQ(weft_checkpoint(), 0); /* its siblings, and who awaits it, are not stopped */
    (void)WENT(weft_scope_close(&s));
    HOLDS_EQ(wf_load(&p.cleaned, acquire), asleep);
    return 0;
}

const struct scenario scenario_cancel = {"cancel", cancel, 1, 0};

/* ---- 10 channel: a producer that is faster than its consumer ---- */

struct line {
    weft_chan *chan;
    unsigned items;
};

static int produce(void *arg)
{
    struct line *l = arg;
    unsigned i = 0;
    while (i < l->items && WENT(weft_chan_send(l->chan, &i)))
        i++;
    weft_chan_close(l->chan);
    HOLDS_EQ(weft_chan_send(l->chan, &i), -EPIPE);
    return 0;
}

static int channel(void *arg)
{
    struct scenario_env *env = arg;
    struct line l = {scenario_chan(2, sizeof(unsigned)), env->size};
    if (!l.chan)
        return 0;
    WEFT_SCOPE(s);
    bool started = WENT(weft_go(&s, produce, &l));
    unsigned item, expected = 0;
    int err;
    while ((err = weft_chan_recv(l.chan, &item)) == 0)
        HOLDS_EQ(item, expected++);
    HOLDS(err == -EPIPE ? started : !WENT(err));
    HOLDS(expected == l.items || env->faults);
    (void)WENT(weft_scope_close(&s));
    weft_chan_free(l.chan);
    return 0;
}

const struct scenario scenario_channel = {"channel", channel, 100, 0};

/* ---- 11 echo: one client, one word ---- */

struct hello {
    char at[WEFT_ADDR_TEXT_MAX];
    int listener;
};

static int echo_once(void *arg)
{
    struct hello *h = arg;
    char buf[64];
    int fd = weft_accept(h->listener, NULL);
    if (!WENT(fd))
        return 0;
    ssize_t n;
    while (WENT_OR_CUT(n = weft_read(fd, buf, sizeof buf)) && n > 0)
        if (!WENT_OR_CUT(weft_write_all(fd, buf, (size_t)n)))
            break;
    scenario_close(fd);
    return 0;
}

static void say_hello(struct hello *h)
{
    char back[5] = {0};
    int fd = weft_tcp_connect(h->at);
    if (!WENT(fd))
        return;
    if (WENT(weft_write_all(fd, "hello", 5)) && WENT(weft_read_full(fd, back, 5)))
        HOLDS(memcmp(back, "hello", 5) == 0);
    scenario_close(fd);
}

static int echo(void *env)
{
    (void)env;
    struct hello h;
    h.listener = scenario_listen(h.at);
    if (h.listener < 0)
        return 0;
    WEFT_SCOPE(s);
    weft_go(&s, echo_once, &h);
    say_hello(&h);
    if (scenario_env.faults)
        weft_scope_cancel(&s); /* a client that never came must not keep the server */
    (void)WENT(weft_scope_close(&s));
    scenario_close(h.listener);
    return 0;
}

const struct scenario scenario_echo = {"echo", echo, 1, 0};

/* ---- 12 select: two senders that take turns, and a clock ---- */

struct sender {
    weft_chan *out;
    weft_event *mine, *next;
    int first;
};

static int send_three(void *arg)
{
    struct sender *me = arg;
    for (int i = 0; i < 3; i++) {
        if (!WENT(weft_event_wait(me->mine)))
            break;
        weft_event_clear(me->mine);
        int item = me->first + i;
        if (!WENT(weft_chan_send(me->out, &item)))
            break;
        weft_event_set(me->next);
    }
    weft_event_set(me->next);
    return 0;
}

static int merge(weft_chan *const c[2])
{
    int count[2] = {0, 0};
    for (;;) {
        int item = -1;
        weft_time quiet = weft_after(20 * WEFT_MSEC);
        weft_case on[] = {weft_on_recv(c[0], &item), weft_on_recv(c[1], &item), weft_on_time(quiet)};
        int i = weft_select(on, 3);
        if (!WENT(i))
            return -1;
        if (i == 2) {
            HOLDS(weft_since(quiet) >= 0);
            if (count[0] + count[1] == 6 || scenario_env.faults)
                return count[0] + count[1];
            continue; /* a slow machine: they will come */
        }
        HOLDS_EQ(on[i].result, 0);
        HOLDS_EQ(item, (i + 1) * 10 + count[i]);
        count[i]++;
        HOLDS(count[1] <= count[0] && count[0] <= count[1] + 1);
    }
}

static int select_turns(void *env)
{
    (void)env;
    weft_chan *c[2] = {scenario_chan(0, sizeof(int)), scenario_chan(0, sizeof(int))};
    weft_event turn[2] = {0};
    if (c[0] && c[1]) {
        WEFT_SCOPE(s);
        for (int i = 0; i < 2; i++)
            weft_go_with(&s, send_three, struct sender, .out = c[i], .mine = &turn[i], .next = &turn[!i],
                         .first = (i + 1) * 10);
        weft_event_set(&turn[0]);
        int got = merge(c);
        HOLDS(got == 6 || scenario_env.faults);
        if (got != 6)
            weft_scope_cancel(&s);
        (void)WENT(weft_scope_close(&s));
    }
    weft_chan_free(c[0]);
    weft_chan_free(c[1]);
    return 0;
}

const struct scenario scenario_select = {"select", select_turns, 1, 0};
