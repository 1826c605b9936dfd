/* sync.c - scenarios: what tasks say to each other, with select over all of it. */
#include "tests/fault/scenario.h"

#include <pthread.h>

enum { MANY = 20, ITEMS = 50 };

/* ---- Locks and signals ---------------------------------------------------------------------------- */

struct locks {
    weft_mutex mutex;
    weft_sem sem;
    weft_event event;
    weft_future future;
    int inside, done;
};

static int use_locks(void *arg)
{
    struct locks *l = arg;
    void *value;
    int err = weft_event_wait(&l->event);
    if (err == 0)
        err = weft_sem_acquire(&l->sem, 2);
    if (err < 0)
        return err;
    weft_mutex_lock(&l->mutex);
    CHECK_EQ(l->inside++, 0);
    weft_yield();
    l->inside--;
    l->done++;
    weft_mutex_unlock(&l->mutex);
    weft_sem_release(&l->sem, 2);
    err = weft_future_await(&l->future, &value);
    CHECK(err < 0 || value == l);
    return err;
}

static int locks_body(void *arg)
{
    struct locks l = {0};
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < MANY; i++)
        weft_go(&s, use_locks, &l);
    weft_sem_release(&l.sem, 5);
    weft_event_set(&l.event);
    weft_yield();
    weft_future_set(&l.future, &l);
    int err = weft_scope_close(&s);
    CHECK(weft_sem_try_acquire(&l.sem, 5)); /* whatever happened, permits are conserved and the mutex is free */
    CHECK(weft_mutex_trylock(&l.mutex));
    weft_mutex_unlock(&l.mutex);
    if (err == 0)
        CHECK_EQ(l.done, MANY);
    return err;
}

static int locks(void)
{
    return run_with(3, locks_body, NULL);
}

/* ---- Channels ------------------------------------------------------------------------------------- */

struct pipeline {
    weft_chan *in, *out;
    WF_ATOMIC(int) sent, received;
};

static int produce(void *arg)
{
    struct pipeline *p = arg;
    int err = 0;
    for (int i = 0; i < ITEMS && err == 0; i++)
        if ((err = weft_chan_send(p->in, &i)) == 0)
            wf_add(&p->sent, i, relaxed);
    weft_chan_close(p->in);
    return err;
}

static int forward(void *arg)
{
    struct pipeline *p = arg;
    int item, err, put = 0;
    while (put == 0 && (err = weft_chan_recv(p->in, &item)) == 0)
        put = weft_chan_send(p->out, &item);
    weft_chan_close(p->out);
    return put < 0 ? put : err == -EPIPE ? 0 : err;
}

static int consume(struct pipeline *p)
{
    int item, err;
    while ((err = weft_chan_recv(p->out, &item)) == 0)
        wf_add(&p->received, item, relaxed);
    return err == -EPIPE ? 0 : err;
}

static int pipeline_body(void *arg)
{
    struct pipeline *p = arg;
    WEFT_SCOPE(s);
    weft_go(&s, produce, p);
    weft_go(&s, forward, p);
    int err = consume(p), closed = weft_scope_close(&s);
    if (err == 0 && closed == 0) {
        CHECK_EQ(wf_load(&p->sent, relaxed), ITEMS * (ITEMS - 1) / 2);
        CHECK_EQ(wf_load(&p->received, relaxed), ITEMS * (ITEMS - 1) / 2);
    }
    return closed ? closed : err;
}

static int channels_of(size_t capacity)
{
    struct pipeline p = {.in = weft_chan_new(capacity, sizeof(int)), .out = weft_chan_new(0, sizeof(int))};
    int err = p.in && p.out ? run_with(3, pipeline_body, &p) : -ENOMEM;
    weft_chan_free(p.in);
    weft_chan_free(p.out);
    return err;
}

static int channels(void)
{
    int err = channels_of(0);
    return err ? err : channels_of(4);
}

/* ---- Select --------------------------------------------------------------------------------------- */

struct choice {
    weft_future future[MANY];
    weft_chan *chan;
};

static int set_all(void *arg)
{
    struct choice *c = arg;
    int err = weft_sleep(WEFT_MSEC);
    for (int i = 0; i < MANY; i++)
        weft_future_set(&c->future[i], c);
    return err;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(weft_never());
}

/* More cases than fit the caller's stack: futures, a task, a channel, a time that comes only if all else fails. */
static int choose_of_many(struct choice *c, weft_task *t)
{
    weft_case on[MANY + 3];
    int item;
    for (int i = 0; i < MANY; i++)
        on[i] = weft_on_future(&c->future[i]);
    on[MANY] = weft_on_task(t);
    on[MANY + 1] = weft_on_recv(c->chan, &item);
    on[MANY + 2] = weft_on_time(weft_after(20 * WEFT_SEC));
    int k = weft_select(on, MANY + 3);
    CHECK(k < MANY + 1); /* neither the channel, which is empty, nor the time */
    return k < 0 ? k : on[k].result;
}

/* Of few; the task that was stopped ends first. */
static int choose_of_few(struct choice *c, weft_task *t)
{
    int item = 3;
    weft_cancel(t);
    weft_case on[] = {weft_on_task(t), weft_on_time(weft_after(20 * WEFT_SEC)), weft_on_send(c->chan, &item)};
    int k = weft_select(on, 3);
    if (k < 0)
        return k;
    CHECK_EQ(k, 0);
    return on[0].result == -ECANCELED ? 0 : on[0].result;
}

static int choice_body(void *arg)
{
    struct choice *c = arg;
    WEFT_SCOPE(s);
    weft_go(&s, set_all, c);
    weft_task *t = weft_spawn(&s, sleep_for_ever, c);
    int many = choose_of_many(c, t), few = choose_of_few(c, t), err = weft_scope_close(&s);
    return err ? err : many < 0 ? many : few;
}

static int choices(void)
{
    struct choice c = {.chan = weft_chan_new(0, sizeof(int))};
    int err = c.chan ? run_with(2, choice_body, &c) : -ENOMEM;
    weft_chan_free(c.chan);
    return err;
}

/* ---- Plain threads take part ---------------------------------------------------------------------- */

static void *echo_items(void *arg)
{
    struct pipeline *p = arg;
    int item;
    while (weft_chan_recv(p->in, &item) == 0)
        if (weft_chan_send(p->out, &item) != 0)
            break;
    weft_chan_close(p->out);
    return NULL;
}

static int feed(void *arg)
{
    struct pipeline *p = arg;
    WEFT_SCOPE(s);
    weft_go(&s, produce, p);
    int err = consume(p), closed = weft_scope_close(&s);
    return closed ? closed : err;
}

static int threads(void)
{
    struct pipeline p = {.in = weft_chan_new(2, sizeof(int)), .out = weft_chan_new(2, sizeof(int))};
    pthread_t thread;
    int err = p.in && p.out ? 0 : -ENOMEM;
    if (!err) {
        CHECK_EQ(pthread_create(&thread, NULL, echo_items, &p), 0);
        err = run_with(2, feed, &p);
        weft_chan_close(p.in);
        weft_chan_close(p.out);
        pthread_join(thread, NULL);
    }
    weft_chan_free(p.in);
    weft_chan_free(p.out);
    return err;
}

const struct scenario sync_scenarios[] = {
    {"locks", locks}, {"channels", channels}, {"choices", choices}, {"threads", threads}, {NULL, NULL},
};
