/* The simulator's own cases: what a scenario cannot be, as it uses plain threads or is wrong on purpose. */
#include "tests/sim/cases.h"

#include "runtime/platform/atomic.h"
#include "runtime/platform/thread.h"

#include <weft.h>
#include <weft/sim.h>

#define MUST(cond) ((cond) ? (void)0 : weft_sim_fail("%s:%d: %s does not hold", __FILE__, __LINE__, #cond))

/* ---- tasks and a channel: every item arrives, in order per sender ---- */

enum { SENDERS = 4, ITEMS = 25 };

struct flow {
    weft_chan *chan;
    int next[SENDERS], senders;
    WF_ATOMIC(int) left;
};

struct item {
    int sender, number;
};

static int send_items(void *arg)
{
    struct flow *f = arg;
    int me = wf_sub(&f->left, 1, relaxed) - 1;
    for (int i = 0; i < ITEMS; i++) {
        struct item it = {me, i};
        if (weft_sim_below(4) == 0)
            weft_sleep((int64_t)weft_sim_below(50) * WEFT_USEC);
        int err = weft_chan_send(f->chan, &it);
        MUST(err == 0);
    }
    return 0;
}

static int receive_items(void *arg)
{
    struct flow *f = arg;
    struct item it;
    while (weft_chan_recv(f->chan, &it) == 0)
        MUST(f->next[it.sender]++ == it.number);
    return 0;
}

static int flow_app(void *arg)
{
    struct flow *f = arg;
    f->chan = weft_chan_new(1 + weft_sim_below(4), sizeof(struct item));
    wf_store(&f->left, SENDERS, relaxed);
    weft_scope senders, receivers;
    weft_scope_open(&receivers);
    weft_go(&receivers, receive_items, f);
    weft_scope_open(&senders);
    for (int i = 0; i < SENDERS; i++)
        weft_go(&senders, send_items, f);
    MUST(weft_scope_close(&senders) == 0);
    weft_chan_close(f->chan);
    MUST(weft_scope_close(&receivers) == 0);
    weft_chan_free(f->chan);
    for (int i = 0; i < SENDERS; i++)
        MUST(f->next[i] == ITEMS);
    return 0;
}

static int flow(void *arg)
{
    (void)arg;
    struct flow f = {0};
    return weft_run(NULL, flow_app, &f);
}

/* ---- threads from outside: what they submit is run once, what they cancel ends ---- */

enum { OUTSIDERS = 3, SUBMITS = 8 };

struct outside {
    weft_runtime *rt;
    weft_event up, said;
    WF_ATOMIC(int) ran, taken, through;
};

static int ran_once(void *arg)
{
    struct outside *o = arg;
    wf_add(&o->ran, 1, relaxed);
    return weft_sleep((int64_t)weft_sim_below(300) * WEFT_USEC);
}

static void *outsider(void *arg)
{
    struct outside *o = arg;
    weft_event_wait(&o->up);
    for (int i = 0; i < SUBMITS; i++) {
        if (weft_submit(o->rt, ran_once, o) == 0)
            wf_add(&o->taken, 1, relaxed);
        wf_thread_nap((int64_t)weft_sim_below(100) * WEFT_USEC);
    }
    wf_add(&o->through, 1, release);
    return NULL;
}

static int outside_app(void *arg)
{
    struct outside *o = arg;
    o->rt = weft_runtime_self();
    weft_event_set(&o->up);
    return weft_sleep(300 * WEFT_USEC);
}

/* The first task stays until all of them are through, as the runtime must live while they submit. */
static int outside_stay(void *arg)
{
    struct outside *o = arg;
    int err = outside_app(o);
    while (wf_load(&o->through, acquire) < OUTSIDERS)
        weft_sleep(50 * WEFT_USEC);
    return err;
}

static int outside(void *arg)
{
    (void)arg;
    struct outside o = {0};
    struct wf_thread threads[OUTSIDERS];
    for (int i = 0; i < OUTSIDERS; i++)
        MUST(wf_thread_start(&threads[i], outsider, &o, "outsider") == 0);
    int err = weft_run(NULL, outside_stay, &o);
    for (int i = 0; i < OUTSIDERS; i++)
        wf_thread_join(&threads[i]);
    MUST(wf_load(&o.ran, relaxed) == wf_load(&o.taken, relaxed));
    return err;
}

/* ---- stops: from plain threads and from tasks, of whatever waits, at any moment ---- */

enum { ROUNDS = 4 };

struct stopping {
    weft_scope *scope; /* open while the others are at it */
    WF_ATOMIC(int) round, begun, stopped;
    int fd;
    char at[WEFT_ADDR_TEXT_MAX];
};

static int wait_for_ever(void *arg)
{
    struct stopping *s = arg;
    char byte;
    weft_event never = {0};
    wf_add(&s->begun, 1, release);
    switch (weft_sim_below(4)) {
    case 0: return weft_sleep(3600 * WEFT_SEC);
    case 1: return weft_event_wait(&never);
    case 2: {
        int fd = weft_accept(s->fd, NULL);
        weft_closep(&fd);
        return fd < 0 ? fd : 0;
    }
    default: {
        int fd = weft_tcp_connect(s->at);
        int got = fd < 0 ? fd : (int)weft_read(fd, &byte, 1);
        weft_closep(&fd);
        return got;
    }
    }
}

/* A plain thread: stops each round's scope once its opener says that it is there. */
static void *stopper(void *arg)
{
    struct stopping *s = arg;
    for (int round = 1; round <= ROUNDS; round++) {
        while (wf_load(&s->round, acquire) != round)
            wf_thread_nap(1000);
        if (weft_sim_below(2))
            wf_thread_nap((int64_t)weft_sim_below(20000));
        weft_scope_cancel(s->scope);
        wf_store(&s->stopped, round, release);
    }
    return NULL;
}

static int stopped_app(void *arg)
{
    struct stopping *s = arg;
    weft_addr where;
    s->fd = weft_tcp_listen("127.0.0.1:0", 100);
    MUST(s->fd >= 0);
    weft_addr_local(s->fd, &where);
    weft_addr_format(&where, s->at, sizeof s->at);
    for (int round = 1; round <= ROUNDS; round++) {
        weft_scope outer, inner;
        weft_scope_open(&outer);
        weft_scope_open(&inner);
        s->scope = &inner;
        for (uint64_t i = weft_sim_below(4); i < 5; i++)
            weft_go(&outer, wait_for_ever, s);
        for (uint64_t i = weft_sim_below(4); i < 5; i++)
            weft_go(&inner, wait_for_ever, s);
        wf_store(&s->round, round, release);
        while (wf_load(&s->stopped, acquire) != round)
            weft_sleep(5 * WEFT_USEC); /* stopped as well: it does not wait */
        weft_scope_close(&inner);
        weft_scope_cancel(&outer);
        weft_scope_close(&outer);
    }
    weft_close(s->fd);
    return 0;
}

static int stops(void *arg)
{
    (void)arg;
    struct stopping s = {0};
    struct wf_thread thread;
    MUST(wf_thread_start(&thread, stopper, &s, "stopper") == 0);
    int err = weft_run(NULL, stopped_app, &s);
    wf_thread_join(&thread);
    return err;
}

/* ---- a hog: it computes for a second, and those that wait meanwhile are looked after by others ---- */

enum { NAPPERS = 6, NAPS = 10 };

static const int64_t HOG_NS = WEFT_SEC, LATE_MAX_NS = 60 * WEFT_MSEC;

static int hog(void *arg)
{
    (void)arg;
    weft_sim_busy(HOG_NS);
    return 0;
}

static int nap_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < NAPS; i++) {
        weft_time until = weft_after((1 + (int64_t)weft_sim_below(5)) * WEFT_MSEC);
        int err = weft_sleep_until(until);
        MUST(err == 0);
        MUST(weft_since(until) >= 0 && weft_since(until) < LATE_MAX_NS);
    }
    return 0;
}

static int hog_app(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < NAPPERS; i++)
        weft_go(&s, nap_often, NULL);
    weft_go(&s, hog, NULL);
    return weft_scope_close(&s);
}

static int hogged(void *arg)
{
    (void)arg;
    weft_config config = {.workers = 2 + (unsigned)weft_sim_below(3)};
    return weft_run(&config, hog_app, NULL);
}

/* ---- many hogs: busy for about as long as it takes until others serve them, and called from all sides ---- */

enum { HOGS = 4, MEALS = 12 };

struct meals {
    weft_chan *from[HOGS];
    weft_runtime *rt;
    WF_ATOMIC(int) eaten, number;
};

static int eat(void *arg)
{
    struct meals *m = arg;
    int me = wf_add(&m->number, 1, relaxed), dish = 0;
    weft_pin(); /* what wakes it must reach this worker, and no other will do */
    for (int i = 0; i < MEALS; i++) {
        weft_sim_busy((int64_t)weft_sim_below(500) * WEFT_USEC);
        if (weft_sim_below(2))
            weft_sleep((int64_t)weft_sim_below(300) * WEFT_USEC);
        MUST(weft_chan_send(m->from[me], &dish) == 0);
        MUST(weft_chan_recv(m->from[(me + 1) % HOGS], &dish) == 0);
        wf_add(&m->eaten, 1, relaxed);
    }
    weft_unpin();
    return 0;
}

static int eat_together(void *arg)
{
    struct meals *m = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < HOGS; i++)
        m->from[i] = weft_chan_new(MEALS, sizeof(int));
    for (int i = 0; i < HOGS; i++)
        weft_go(&s, eat, m);
    int err = weft_scope_close(&s);
    for (int i = 0; i < HOGS; i++)
        weft_chan_free(m->from[i]);
    return err;
}

static int hogs(void *arg)
{
    (void)arg;
    struct meals m = {0};
    int err = weft_run(NULL, eat_together, &m);
    MUST(wf_load(&m.eaten, relaxed) == HOGS * MEALS);
    return err;
}

/* ---- the last word: what a plain thread submits ends the runtime, while it is still about to wake somebody ---- */

static int say_it(void *arg)
{
    weft_event_set(&((struct outside *)arg)->said);
    return 0;
}

static int listen_for_it(void *arg)
{
    struct outside *o = arg;
    o->rt = weft_runtime_self();
    weft_event_set(&o->up);
    return weft_event_wait(&o->said);
}

static void *speak(void *arg)
{
    struct outside *o = arg;
    weft_event_wait(&o->up);
    MUST(weft_submit(o->rt, say_it, o) == 0);
    return NULL;
}

static int last_word(void *arg)
{
    (void)arg;
    struct outside o = {0};
    struct wf_thread thread;
    MUST(wf_thread_start(&thread, speak, &o, "speaker") == 0);
    int err = weft_run(NULL, listen_for_it, &o);
    wf_thread_join(&thread);
    return err;
}

/* ---- threads of the pool retire after ten seconds; a job that comes just then is done all the same ---- */

static int job(void *arg)
{
    wf_add((WF_ATOMIC(int) *)arg, 1, relaxed);
    return 0;
}

static int offload_slowly(void *arg)
{
    for (int i = 0; i < 8; i++) {
        MUST(weft_offload(job, arg) == 0);
        weft_sleep(10 * WEFT_SEC - 30 * WEFT_USEC + (int64_t)weft_sim_below(60) * WEFT_USEC);
    }
    return 0;
}

static int retire(void *arg)
{
    (void)arg;
    WF_ATOMIC(int) done = 0;
    int err = weft_run(NULL, offload_slowly, &done);
    MUST(wf_load(&done, relaxed) == 8);
    return err;
}

/* ---- a canary: it looks before it takes, and two threads between its look and its taking must be found ---- */

struct canary {
    WF_ATOMIC(int) held, inside, done;
};

static void wrong_lock(struct canary *c)
{
    while (wf_load(&c->held, acquire))
        wf_pause();
    wf_store(&c->held, 1, relaxed); /* wrong: another one may have looked as well */
}

static void *peck(void *arg)
{
    struct canary *c = arg;
    for (int i = 0; i < 3; i++) {
        wrong_lock(c);
        MUST(wf_add(&c->inside, 1, relaxed) == 0);
        wf_sub(&c->inside, 1, relaxed);
        wf_store(&c->held, 0, release);
    }
    return NULL;
}

static int canary(void *arg)
{
    (void)arg;
    struct canary c = {0};
    struct wf_thread threads[2];
    for (int i = 0; i < 2; i++)
        MUST(wf_thread_start(&threads[i], peck, &c, "pecker") == 0);
    for (int i = 0; i < 2; i++)
        wf_thread_join(&threads[i]);
    return 0;
}

const struct sim_case sim_cases[] = {
    {"sim_flow", flow, WEFT_SIM_GENTLE, NULL},
    {"sim_outside", outside, WEFT_SIM_GENTLE, NULL},
    {"sim_stops", stops, WEFT_SIM_GENTLE, NULL},
    {"sim_hogs", hogs, WEFT_SIM_GENTLE, NULL},
    {"sim_last_word", last_word, WEFT_SIM_GENTLE, NULL},
    {"sim_retire", retire, WEFT_SIM_GENTLE, NULL},
    {"sim_hog", hogged, WEFT_SIM_GENTLE, NULL},
    {"sim_stalls", sim_stalls, WEFT_SIM_GENTLE, NULL},
    {"canary", canary, 0, NULL},
    {NULL, NULL, 0, NULL},
};
