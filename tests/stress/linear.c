/* linear.c - short histories of channels, mutexes, semaphores, events and futures, each of which must be explained by
 * some order of its operations (history.h).
 *
 *     stress_linear [SECONDS] [WORKERS]          all types, at least one history of each
 *     stress_linear SECONDS WORKERS broken       a mutex that is none: must be refused, or the program fails
 *
 * Three tasks and a plain thread, the actors, go through a batch of plays: each has objects of its own, and a plan of
 * up to three operations for each actor. Who is ahead waits for the others a little, so that they meet; not for long,
 * since a thread may have lost its core. One more task, the conductor, comes along and does in each play what lets go
 * of whoever still waits. In every other play it does not; there each task has a scope of its own that is stopped, by
 * a deadline or by a task in it, and the thread takes no part, as nothing could stop it.
 *
 * A select is noted as the send or the receipt it ended in: on two channels, each with a history of its own. */
#include "tests/stress/history.h"
#include "tests/stress/stress.h"

#include <pthread.h>

enum {
    TASKS = 3,
    ACTORS = TASKS + 1, /* the last is the thread */
    CONDUCTOR = ACTORS,
    OPS_EACH = 4,
    CHANNELS = 2,
    PLAYS = 500, /* in a batch */
    PATIENCE = 200, /* how often who is ahead looks whether the others have come */
    TYPES = HISTORY_FUTURE + 1,
    PLENTY = 40 /* permits that let go of everybody */
};

/* One operation of an actor: what it shall do, then what came of it. */
struct act {
    struct history_op op;
    uint8_t channel;
    bool select, yield, done; /* yield: first, so that others come between this and what was before */
    uint16_t pause;
};

struct part {
    unsigned count;
    int64_t stop_ns; /* when this actor's scope is stopped; negative: never */
    struct act act[OPS_EACH];
};

struct play {
    enum history_type type;
    unsigned capacity;
    bool stops, broken;
    struct part part[ACTORS + 1];
    weft_chan *chan[CHANNELS];
    weft_mutex mutex;
    weft_sem sem;
    weft_event event;
    weft_future future;
    WF_ATOMIC(unsigned) taken; /* the mutex that is none */
    WF_ATOMIC(uint64_t) moment;
};

struct actor {
    struct batch *batch;
    unsigned number;
    WF_ATOMIC(unsigned) at; /* the play it has come to */
};

struct batch {
    struct wf_random random;
    struct actor actor[ACTORS + 1];
    struct play play[PLAYS];
};

static bool broken_mode;
static uint64_t refused, explained, overlapping, tried_by_type[TYPES];

/* ---- operations ---- */

static void lock_none(struct play *p)
{
    for (int i = 0; wf_load(&p->taken, relaxed) && i < 20; i++)
        weft_yield();
    weft_yield(); /* looked already, not taken yet */
    wf_store(&p->taken, 1u, relaxed);
}

static int use_chan(struct play *p, struct act *a, uint64_t *item)
{
    weft_chan *c = p->chan[a->channel];
    switch (a->op.kind) {
    case OP_SEND: return weft_chan_send(c, item);
    case OP_RECV: return weft_chan_recv(c, item);
    case OP_TRY_SEND: return weft_chan_try_send(c, item, sizeof *item);
    case OP_TRY_RECV: return weft_chan_try_recv(c, item, sizeof *item);
    default: weft_chan_close(c); return 0;
    }
}

/* To one channel or from the other, whatever goes first. */
static int select_one(struct play *p, struct act *a, uint64_t *item)
{
    uint64_t got = 0;
    weft_case on[] = {weft_on_send(p->chan[a->channel], item), weft_on_recv(p->chan[!a->channel], &got)};
    int k = weft_select(on, 2);
    a->op.kind = k == 1 ? OP_RECV : OP_SEND;
    if (k == 1) {
        a->channel = !a->channel;
        *item = got;
    }
    return k < 0 ? k : on[k].result;
}

static int use_lock(struct play *p, struct act *a)
{
    unsigned n = a->op.item;
    switch (a->op.kind) {
    case OP_LOCK: p->broken ? lock_none(p) : weft_mutex_lock(&p->mutex); return 0;
    case OP_TRYLOCK: return weft_mutex_trylock(&p->mutex);
    case OP_UNLOCK: p->broken ? wf_store(&p->taken, 0u, relaxed) : weft_mutex_unlock(&p->mutex); return 0;
    case OP_ACQUIRE: return weft_sem_acquire(&p->sem, n);
    case OP_TRY_ACQUIRE: return weft_sem_try_acquire(&p->sem, n);
    default: weft_sem_release(&p->sem, n); return 0;
    }
}

static int use_signal(struct play *p, struct act *a, uint64_t *item)
{
    void *value = (void *)(uintptr_t)*item;
    int result;
    switch (a->op.kind) {
    case OP_WAIT: return weft_event_wait(&p->event);
    case OP_SET: weft_event_set(&p->event); return 0;
    case OP_CLEAR: weft_event_clear(&p->event); return 0;
    case OP_IS_SET: return weft_event_is_set(&p->event);
    case OP_FULFIL: return weft_future_set(&p->future, value);
    case OP_DONE: return weft_future_done(&p->future);
    default:
        result = weft_future_await(&p->future, &value);
        *item = (uintptr_t)value;
        return result;
    }
}

static void act(struct play *p, struct act *a)
{
    uint64_t item = a->op.item;
    if (a->yield && a->op.actor != TASKS)
        weft_yield();
    for (volatile unsigned i = 0; i < a->pause; i++)
        ;
    a->op.first = wf_add(&p->moment, UINT64_C(1), seq_cst);
    if (a->select)
        a->op.ret = select_one(p, a, &item);
    else if (p->type == HISTORY_CHAN)
        a->op.ret = use_chan(p, a, &item);
    else if (p->type == HISTORY_MUTEX || p->type == HISTORY_SEM)
        a->op.ret = use_lock(p, a);
    else
        a->op.ret = use_signal(p, a, &item);
    a->op.last = wf_add(&p->moment, UINT64_C(1), seq_cst);
    a->op.item = (uint8_t)item;
    a->done = true;
}

/* A try that has failed to lock has nothing to unlock. */
static void act_all(struct play *p, struct part *mine)
{
    for (unsigned i = 0; i < mine->count; i++)
        if (mine->act[i].op.kind != OP_UNLOCK || mine->act[i - 1].op.kind == OP_LOCK || mine->act[i - 1].op.ret)
            act(p, &mine->act[i]);
}

/* ---- plans ---- */

static struct act *plan(struct play *p, unsigned actor, struct wf_random *r, enum history_kind kind, unsigned item)
{
    struct part *mine = &p->part[actor];
    struct act *a = &mine->act[mine->count++];
    *a = (struct act){.op = {.kind = kind, .actor = (uint8_t)actor, .item = (uint8_t)item}};
    if (one_in(r, 2))
        a->pause = (uint16_t)wf_random_below(r, 300);
    a->yield = one_in(r, 3);
    return a;
}

static void plan_chan(struct play *p, unsigned actor, struct wf_random *r, unsigned item)
{
    static const enum history_kind kinds[] = {OP_SEND, OP_SEND, OP_SEND, OP_RECV, OP_RECV, OP_RECV, OP_TRY_SEND,
                                              OP_TRY_RECV};
    bool close = one_in(r, 12);
    struct act *a = plan(p, actor, r, close ? OP_CLOSE : kinds[wf_random_below(r, 8)], item);
    a->channel = one_in(r, 4);
    a->select = !close && one_in(r, 4);
}

static void plan_one(struct play *p, unsigned actor, struct wf_random *r)
{
    unsigned item = 1 + actor * OPS_EACH + p->part[actor].count;
    static const enum history_kind sem[] = {OP_ACQUIRE, OP_ACQUIRE, OP_TRY_ACQUIRE, OP_RELEASE, OP_RELEASE};
    static const enum history_kind event[] = {OP_WAIT, OP_WAIT, OP_SET, OP_IS_SET, OP_CLEAR};
    static const enum history_kind future[] = {OP_AWAIT, OP_AWAIT, OP_DONE, OP_FULFIL};
    switch (p->type) {
    case HISTORY_CHAN: plan_chan(p, actor, r, item); break;
    case HISTORY_SEM: plan(p, actor, r, sem[wf_random_below(r, 5)], 1 + wf_random_below(r, 3)); break;
    case HISTORY_EVENT: /* who waits for what was cleared can only be stopped */
        plan(p, actor, r, event[wf_random_below(r, p->stops ? 5 : 4)], 1);
        break;
    case HISTORY_FUTURE: plan(p, actor, r, future[wf_random_below(r, 4)], item); break;
    case HISTORY_MUTEX:
        plan(p, actor, r, p->broken || !one_in(r, 3) ? OP_LOCK : OP_TRYLOCK, 1);
        plan(p, actor, r, OP_UNLOCK, 1);
        break;
    }
}

/* What lets go of everybody. It is part of the history. */
static void plan_end(struct play *p, struct wf_random *r)
{
    if (p->stops)
        return;
    switch (p->type) {
    case HISTORY_CHAN:
        plan(p, CONDUCTOR, r, OP_CLOSE, 1);
        plan(p, CONDUCTOR, r, OP_CLOSE, 1)->channel = 1;
        break;
    case HISTORY_SEM: plan(p, CONDUCTOR, r, OP_RELEASE, PLENTY); break;
    case HISTORY_EVENT: plan(p, CONDUCTOR, r, OP_SET, 1); break;
    case HISTORY_FUTURE: plan(p, CONDUCTOR, r, OP_FULFIL, 200); break;
    case HISTORY_MUTEX: break;
    }
}

static void plan_play(struct play *p, struct wf_random *r)
{
    memset(p, 0, sizeof *p);
    p->broken = broken_mode;
    p->type = p->broken ? HISTORY_MUTEX : (enum history_type)wf_random_below(r, TYPES);
    p->stops = p->type != HISTORY_MUTEX && one_in(r, 2);
    p->capacity = wf_random_below(r, 3);
    for (unsigned n = 0; n < ACTORS; n++) {
        p->part[n].stop_ns = p->stops ? wf_random_below(r, 60) * WEFT_USEC : -1;
        bool away = n == TASKS && (p->stops || p->broken);
        unsigned count = away ? 0 : 1 + wf_random_below(r, p->type == HISTORY_MUTEX || n == TASKS ? 1 : 3);
        for (unsigned i = 0; i < count; i++)
            plan_one(p, n, r);
    }
    plan_end(p, r);
    for (int i = 0; i < CHANNELS; i++)
        p->chan[i] = weft_chan_new(p->capacity, sizeof(uint64_t));
    tried_by_type[p->type]++;
}

/* ---- actors ---- */

/* Come to play n, and wait for the others, a little. */
static void come_to(struct actor *me, unsigned n, bool in_task)
{
    struct batch *b = me->batch;
    wf_store(&me->at, n, relaxed);
    for (unsigned i = 0, other = 0; i < PATIENCE && other <= CONDUCTOR; i++) {
        if (wf_load(&b->actor[other].at, relaxed) >= n)
            other++;
        else
            in_task ? (void)weft_yield() : wf_pause(); /* not sched_yield: on a busy machine that is for long */
    }
}

static int stop_after_yields(void *arg)
{
    weft_yield();
    weft_scope_cancel(arg);
    return 0;
}

static void act_in_scope(struct play *p, struct part *mine)
{
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(mine->stop_ns));
    if (mine->stop_ns & 1024)
        CHECK_EQ(weft_go(&s, stop_after_yields, &s), 0);
    act_all(p, mine);
    weft_scope_leave(&s);
}

static int be_task(void *arg)
{
    struct actor *me = arg;
    for (unsigned n = 0; n < PLAYS; n++) {
        struct play *p = &me->batch->play[n];
        come_to(me, n, true);
        if (p->stops && me->number < TASKS)
            act_in_scope(p, &p->part[me->number]);
        else
            act_all(p, &p->part[me->number]);
    }
    wf_store(&me->at, PLAYS, relaxed);
    return 0;
}

static void *be_thread(void *arg)
{
    struct actor *me = arg;
    for (unsigned n = 0; n < PLAYS; n++) {
        come_to(me, n, false);
        act_all(&me->batch->play[n], &me->batch->play[n].part[me->number]);
    }
    wf_store(&me->at, PLAYS, relaxed);
    return NULL;
}

/* ---- batches ---- */

static bool overlaps(const struct history *h)
{
    for (unsigned i = 0; i < h->count; i++)
        for (unsigned j = 0; j < i; j++)
            if (h->op[i].first < h->op[j].last && h->op[j].first < h->op[i].last)
                return true;
    return false;
}

static void judge_channel(struct play *p, unsigned channel)
{
    struct history h = {.type = p->type, .capacity = p->capacity, .stops = p->stops};
    for (unsigned n = 0; n <= CONDUCTOR; n++)
        for (unsigned i = 0; i < p->part[n].count; i++)
            if (p->part[n].act[i].done && p->part[n].act[i].channel == channel) {
                CHECK(h.count < HISTORY_OPS_MAX);
                h.op[h.count++] = p->part[n].act[i].op;
            }
    overlapping += overlaps(&h);
    if (history_is_explained(&h)) {
        explained += h.count > 0;
        return;
    }
    refused++;
    if (!p->broken) {
        history_print(stderr, &h);
        CHECK(!"explained");
    }
}

static void play_batch(struct batch *b)
{
    pthread_t id;
    for (unsigned n = 0; n < PLAYS; n++)
        plan_play(&b->play[n], &b->random);
    for (unsigned i = 0; i <= CONDUCTOR; i++) {
        b->actor[i].batch = b;
        b->actor[i].number = i;
        wf_store(&b->actor[i].at, 0u, relaxed);
    }
    CHECK_EQ(pthread_create(&id, NULL, be_thread, &b->actor[TASKS]), 0);
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(weft_go(&s, be_task, &b->actor[i]), 0);
    CHECK_EQ(weft_go(&s, be_task, &b->actor[CONDUCTOR]), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
    for (unsigned n = 0; n < PLAYS; n++)
        for (unsigned i = 0; i < CHANNELS; i++) {
            judge_channel(&b->play[n], i);
            weft_chan_free(b->play[n].chan[i]);
        }
}

static int play_batches(void *arg)
{
    struct batch *b = calloc(1, sizeof *b);
    (void)arg;
    CHECK(b != NULL);
    b->random = stress_random();
    do {
        play_batch(b);
        for (unsigned n = 0; n < PLAYS; n++)
            stress_count();
    } while (!stress_over() && !(refused && broken_mode));
    free(b);
    return 0;
}

int main(int argc, char **argv)
{
    broken_mode = argc > 3;
    int result = stress_main(argc, argv, "linear", play_batches);
    if (broken_mode) {
        printf("linear: the mutex that is none was refused after %" PRIu64 " histories\n", explained);
        return refused ? result : 1;
    }
    printf("linear: %" PRIu64 " histories, of operations at once %" PRIu64 " (plays: chan %" PRIu64 ", mutex %" PRIu64
           ", sem %" PRIu64 ", event %" PRIu64 ", future %" PRIu64 ")\n", explained, overlapping, tried_by_type[0],
           tried_by_type[1], tried_by_type[2], tried_by_type[3], tried_by_type[4]);
    CHECK(overlapping > 0); /* else nothing was tried */
    return result;
}
