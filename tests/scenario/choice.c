/* choice.c - select: of several that are ready, one takes effect, and the others keep what they have. */
#include "tests/scenario/scenario.h"

/* ---- select_storm: items over several channels, sent and received by choice, each arrives once ---- */

enum { CHANNELS = 3, PRODUCERS = 4, CONSUMERS = 5 };

struct market {
    weft_chan *chan[CHANNELS];
    weft_future over;
    weft_event quiet; /* all producers are done */
    unsigned each;
    WF_ATOMIC(unsigned) *seen; /* per item */
    WF_ATOMIC(unsigned) sent, received, producers, consumers, producing;
};

static void saw(struct market *m, unsigned item)
{
    HOLDS(item < PRODUCERS * m->each);
    HOLDS_EQ(wf_add(&m->seen[item], 1u, relaxed), 0);
    wf_add(&m->received, 1u, relaxed);
    scenario_count();
}

/* Offer an item to two channels at once: one takes it. */
static int offer(struct market *m, struct wf_random *random, unsigned item)
{
    unsigned first = wf_random_below(random, CHANNELS);
    if (one_in(random, 3))
        return weft_chan_send(m->chan[first], &item);
    weft_case on[] = {weft_on_send(m->chan[first], &item), weft_on_time(weft_after(some_usec(random, 40))),
                      weft_on_send(m->chan[(first + 1) % CHANNELS], &item)};
    int i = weft_select(on, 3);
    if (i < 0)
        return i;
    return i == 1 ? -EAGAIN : on[i].result;
}

static int produce(void *arg)
{
    struct market *m = arg;
    unsigned me = wf_add(&m->producers, 1u, relaxed);
    struct wf_random random = scenario_random(me);
    for (unsigned i = 0; i < m->each;) {
        int err = offer(m, &random, me * m->each + i);
        if (err == 0) {
            wf_add(&m->sent, 1u, relaxed);
            i++;
        } else if (err != -EAGAIN && !WENT(err)) {
            break;
        }
    }
    if (wf_sub(&m->producing, 1u, acq_rel) == 1)
        weft_event_set(&m->quiet);
    return 0;
}

static int consume(void *arg)
{
    struct market *m = arg;
    struct wf_random random = scenario_random(100 + wf_add(&m->consumers, 1u, relaxed));
    for (;;) {
        unsigned item[CHANNELS] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
        weft_case on[CHANNELS + 2];
        size_t n = 0;
        for (; n < CHANNELS; n++)
            on[n] = weft_on_recv(m->chan[n], &item[n]);
        on[n++] = weft_on_future(&m->over);
        if (one_in(&random, 3))
            on[n++] = weft_on_time(weft_after(some_usec(&random, 30)));
        int i = one_in(&random, 4) ? weft_try_select(on, CHANNELS + 1) : weft_select(on, n);
        for (int c = 0; c < CHANNELS; c++)
            HOLDS((item[c] != UINT32_MAX) == (c == i)); /* the losers are untouched */
        if (i == -EAGAIN)
            i = weft_yield() < 0 ? weft_checkpoint() : CHANNELS + 1;
        if (i >= 0 && i < CHANNELS)
            saw(m, item[i]);
        else if (i == CHANNELS || !WENT(i))
            return 0;
    }
}

static void trade(struct market *m)
{
    struct wf_random random = scenario_random(4711);
    weft_task *consumers[CONSUMERS];
    WEFT_SCOPE(s);
    for (int i = 0; i < PRODUCERS; i++)
        weft_go(&s, produce, m);
    weft_go(&s, consume, m); /* stays; if it cannot even begin, that stops all */
    for (int i = 0; i < CONSUMERS; i++)
        consumers[i] = weft_spawn(&s, consume, m);
    for (int i = 0; i < CONSUMERS / 2; i++) {
        (void)WENT(weft_sleep(some_usec(&random, 300)));
        weft_cancel(consumers[i]);
    }
    (void)WENT(weft_event_wait(&m->quiet));
    weft_future_set(&m->over, NULL);
    (void)WENT(weft_scope_close(&s));
}

static int select_storm(void *arg)
{
    struct scenario_env *env = arg;
    struct market m = {.each = env->size, .producing = PRODUCERS};
    bool have = true;
    for (size_t c = 0; c < CHANNELS; c++)
        have &= (m.chan[c] = scenario_chan(c, sizeof(unsigned))) != NULL;
    m.seen = scenario_alloc(PRODUCERS * m.each, sizeof *m.seen);
    if (have) {
        trade(&m);
        unsigned item;
        for (int c = 0; c < CHANNELS; c++)
            while (weft_chan_try_recv(m.chan[c], &item, sizeof item) == 0)
                saw(&m, item);
        HOLDS_EQ(wf_load(&m.received, relaxed), wf_load(&m.sent, relaxed));
        HOLDS(env->faults || wf_load(&m.sent, relaxed) == PRODUCERS * m.each);
    }
    for (int c = 0; c < CHANNELS; c++)
        weft_chan_free(m.chan[c]);
    free(m.seen);
    return 0;
}

const struct scenario scenario_select_storm = {"select_storm", select_storm, 60, 0};

/* ---- select_meets: selects that meet selects over rendezvous channels, with tasks and many cases ---- */

struct meeting {
    weft_chan *left, *right;
    WF_ATOMIC(unsigned) given, got;
};

/* Gives on one or takes on the other, whichever comes. Alone nobody can do either; two always can. */
static int meet(void *arg)
{
    struct meeting *m = arg;
    for (;;) {
        unsigned give = 1, got = 0;
        weft_case on[] = {weft_on_send(m->left, &give), weft_on_recv(m->left, &got), weft_on_recv(m->right, &got),
                          weft_on_send(m->right, &give)};
        int i = weft_select(on, 4);
        if (!WENT(i) || on[i].result == -EPIPE)
            return 0;
        HOLDS_EQ(on[i].result, 0);
        bool gave = i == 0 || i == 3;
        HOLDS_EQ(got, !gave);
        wf_add(gave ? &m->given : &m->got, 1u, relaxed);
        scenario_count();
    }
}

static int yield_some(void *arg)
{
    unsigned n = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < n; i++)
        if (!WENT(weft_yield()))
            break;
    return (int)n;
}

/* The first of many tasks to end: that one has ended, and the others still say what they return. */
static void first_of_many(struct wf_random *random)
{
    weft_task *t[20];
    weft_case on[20];
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < 20; i++) {
        uintptr_t n = wf_random_below(random, 30);
        t[i] = one_in(random, 3) ? weft_prepare(&s, yield_some, (void *)n) : weft_spawn(&s, yield_some, (void *)n);
        on[i] = weft_on_task(t[i]);
    }
    int i = weft_select(on, 20);
    if (WENT(i)) {
        HOLDS(weft_done(t[i]));
        HOLDS_EQ(on[i].result, weft_await(t[i]));
    }
    for (i = 0; i < 20; i++)
        (void)WENT(weft_await(t[i])); /* the prepared ones are started now at the latest */
    (void)WENT(weft_scope_close(&s));
}

struct handover {
    weft_chan *chan;
    unsigned items;
};

static int give_all(void *arg)
{
    struct handover *h = arg;
    for (unsigned i = 0; i < h->items; i++) {
        weft_case on[] = {weft_on_send(h->chan, &i), weft_on_time(weft_never())};
        int which = weft_select(on, 2);
        if (!WENT(which))
            break;
        HOLDS(which == 0 && on[0].result == 0);
    }
    weft_chan_close(h->chan);
    return 0;
}

/* Two selects that have only one another: if both come to wait, nobody helps them. */
static void hand_over(unsigned items)
{
    struct handover h = {scenario_chan(0, sizeof(unsigned)), items};
    unsigned item, expected = 0;
    if (!h.chan)
        return;
    WEFT_SCOPE(s);
    weft_go(&s, give_all, &h);
    for (;;) {
        weft_case on[] = {weft_on_time(weft_never()), weft_on_recv(h.chan, &item)};
        int which = weft_select(on, 2);
        if (!WENT(which) || on[1].result == -EPIPE)
            break;
        HOLDS(which == 1 && on[1].result == 0 && item == expected++);
    }
    HOLDS(expected == items || scenario_env.faults);
    (void)WENT(weft_scope_close(&s));
    weft_chan_free(h.chan);
}

static int select_meets(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(3);
    hand_over(10 * env->size);
    struct meeting m = {.left = scenario_chan(0, sizeof(unsigned)), .right = scenario_chan(0, sizeof(unsigned))};
    if (m.left && m.right) {
        WEFT_SCOPE(s);
        for (int i = 0; i < 6; i++)
            weft_go(&s, meet, &m);
        for (unsigned i = 0; i < env->size; i++)
            first_of_many(&random);
        weft_chan_close(m.left);
        weft_chan_close(m.right);
        (void)WENT(weft_scope_close(&s));
        HOLDS_EQ(wf_load(&m.given, relaxed), wf_load(&m.got, relaxed));
    }
    weft_chan_free(m.left);
    weft_chan_free(m.right);
    return 0;
}

const struct scenario scenario_select_meets = {"select_meets", select_meets, 12, 0};

/* ---- chan_close: wakes everybody, loses nothing that was sent ---- */

struct line {
    weft_chan *chan;
    bool choose;
    WF_ATOMIC(unsigned) sent, received;
};

static int send_till_closed(void *arg)
{
    struct line *l = arg;
    unsigned item = 9;
    for (;;) {
        weft_case on[] = {weft_on_send(l->chan, &item)};
        int i = l->choose ? weft_select(on, 1) : 0;
        int err = i < 0 ? i : l->choose ? on[0].result : weft_chan_send(l->chan, &item);
        if (err == -EPIPE || !WENT(err))
            return 0;
        wf_add(&l->sent, 1u, relaxed);
    }
}

static int receive_till_closed(void *arg)
{
    struct line *l = arg;
    for (;;) {
        unsigned item = 0;
        int err = weft_chan_recv(l->chan, &item);
        if (err == -EPIPE || !WENT(err)) {
            HOLDS_EQ(item, 0);
            return 0;
        }
        HOLDS_EQ(item, 9);
        wf_add(&l->received, 1u, relaxed);
    }
}

static int close_soon(void *arg)
{
    struct line *l = arg;
    struct wf_random random = scenario_random(wf_load(&l->sent, relaxed));
    (void)WENT(weft_sleep(some_usec(&random, 100)));
    weft_chan_close(l->chan);
    weft_chan_close(l->chan);
    return 0;
}

struct room {
    weft_chan *chan;
    weft_sem sent;
};

static int send_one(void *arg)
{
    struct room *r = arg;
    unsigned item = 9;
    int err = weft_chan_send(r->chan, &item);
    if (err != -EPIPE && WENT(err))
        weft_sem_release(&r->sent, 1);
    return 0;
}

/* Each item that is taken from a full channel lets one sender in, however many are left in it. */
static void let_in(void)
{
    enum { PLACES = 3, SENDERS = 7 };
    struct room r = {.chan = scenario_chan(PLACES, sizeof(unsigned))};
    unsigned item;
    if (!r.chan)
        return;
    WEFT_SCOPE(s);
    for (int i = 0; i < SENDERS; i++)
        weft_go(&s, send_one, &r);
    bool all = WENT(weft_sem_acquire(&r.sent, PLACES));
    for (int i = 0; i < 2 * SENDERS; i++)
        (void)WENT(weft_yield()); /* so that most of the others have come to wait */
    for (int i = PLACES; all && i < SENDERS; i++)
        all = WENT(weft_chan_recv(r.chan, &item)) && WENT(weft_sem_acquire(&r.sent, 1));
    HOLDS(!all || !weft_sem_try_acquire(&r.sent, 1));
    weft_chan_close(r.chan);
    (void)WENT(weft_scope_close(&s));
    weft_chan_free(r.chan);
}

static int chan_close(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    let_in();
    for (unsigned round = 0; round < env->size; round++) {
        struct line l = {.chan = scenario_chan(wf_random_below(&random, 3), sizeof(unsigned)),
                         .choose = one_in(&random, 2)};
        if (!l.chan)
            return 0;
        unsigned senders = wf_random_below(&random, 4), receivers = wf_random_below(&random, 4), item;
        WEFT_SCOPE(s);
        for (unsigned i = 0; i < senders; i++)
            weft_go(&s, send_till_closed, &l);
        for (unsigned i = 0; i < receivers; i++)
            weft_go(&s, receive_till_closed, &l);
        weft_go(&s, close_soon, &l);
        (void)WENT(weft_scope_close(&s));
        while (weft_chan_try_recv(l.chan, &item, sizeof item) == 0)
            wf_add(&l.received, 1u, relaxed);
        HOLDS_EQ(wf_load(&l.sent, relaxed), wf_load(&l.received, relaxed));
        weft_chan_free(l.chan);
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_chan_close = {"chan_close", chan_close, 25, 0};
