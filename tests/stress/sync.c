/* sync.c - books that must balance: channels, semaphores, mutexes and select under stops from all sides.
 *
 * Each round opens a scope with tasks, and two plain threads beside it, that send, receive, select, acquire and lock
 * at random, each over and over until it is stopped. Everybody writes down what it was told: each item is a number
 * of its own, so what was sent and what was received, with what is left in the channels, must be the same count and
 * the same sum. Permits must all be back, the mutex must never have had two owners, and each receiver must have
 * seen the numbers of each sender rise. Plain threads cannot be stopped: a closed channel ends them. */
#include "tests/stress/stress.h"

#include <pthread.h>

enum { TASKS = 20, THREADS = 2, CHANNELS = 3, PERMITS = 4, USERS = TASKS + THREADS };

struct book {
    weft_chan *c[CHANNELS]; /* of capacity 0, 1 and 7: for tasks only */
    weft_chan *outside[2];  /* for threads and tasks; closed at the end */
    weft_sem sem;
    weft_mutex mutex;
    WF_ATOMIC(unsigned) taken, owners, users;
    WF_ATOMIC(uint64_t) sent, sent_sum, got, got_sum;
};

/* An item says who sent it and which one it is: by that the order per sender and channel is checked. */
struct user {
    struct book *b;
    struct wf_random random;
    unsigned number;
    uint64_t next;
    uint64_t last[CHANNELS + 2][USERS];
};

static uint64_t make_item(struct user *u)
{
    return ++u->next * USERS + u->number;
}

static void note_sent(struct user *u, uint64_t item)
{
    wf_add(&u->b->sent, UINT64_C(1), relaxed);
    wf_add(&u->b->sent_sum, item, relaxed);
    stress_count();
}

static void note_got(struct user *u, unsigned channel, uint64_t item)
{
    uint64_t *last = &u->last[channel][item % USERS];
    CHECK(item / USERS > *last);
    *last = item / USERS;
    wf_add(&u->b->got, UINT64_C(1), relaxed);
    wf_add(&u->b->got_sum, item, relaxed);
    stress_count();
}

static weft_chan *channel(struct book *b, unsigned i)
{
    return i < CHANNELS ? b->c[i] : b->outside[i - CHANNELS];
}

static int send_one(struct user *u, unsigned i)
{
    uint64_t item = make_item(u);
    int result = weft_chan_send(channel(u->b, i), &item);
    if (result == 0)
        note_sent(u, item);
    return result;
}

static int recv_one(struct user *u, unsigned i)
{
    uint64_t item = 0;
    int result = weft_chan_recv(channel(u->b, i), &item);
    CHECK((result == 0) == (item != 0));
    if (result == 0)
        note_got(u, i, item);
    return result;
}

/* Send to one and receive from another, possibly the same, of n channels from the first on, and perhaps not for long.
 * The item of the case that did not happen is as it was. */
static int select_one(struct user *u, unsigned first, unsigned n, bool in_task)
{
    unsigned to = first + wf_random_below(&u->random, n), from[2];
    uint64_t out = make_item(u), in[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        from[i] = first + wf_random_below(&u->random, n);
    weft_case on[] = {weft_on_recv(channel(u->b, from[0]), &in[0]), weft_on_send(channel(u->b, to), &out),
                      weft_on_recv(channel(u->b, from[1]), &in[1]),
                      weft_on_time(weft_after(wf_random_below(&u->random, 60) * WEFT_USEC))};
    int k = weft_select(on, in_task && one_in(&u->random, 2) ? 4 : 3);
    if (k < 0 || on[k].result < 0) {
        CHECK(!in[0] && !in[1]);
        return k < 0 ? k : on[k].result;
    }
    CHECK((in[0] != 0) == (k == 0) && (in[1] != 0) == (k == 2));
    if (k == 1)
        note_sent(u, out);
    else if (k < 3)
        note_got(u, from[k / 2], in[k / 2]);
    return 0;
}

static int use_permits(struct user *u)
{
    unsigned n = 1 + wf_random_below(&u->random, PERMITS);
    int result = weft_sem_acquire(&u->b->sem, n);
    if (result)
        return result;
    CHECK(wf_add(&u->b->taken, n, relaxed) + n <= PERMITS);
    if (one_in(&u->random, 4))
        (void)weft_yield();
    wf_sub(&u->b->taken, n, relaxed);
    weft_sem_release(&u->b->sem, n);
    stress_count();
    return 0;
}

static int use_mutex(struct user *u)
{
    weft_mutex_lock(&u->b->mutex);
    CHECK_EQ(wf_add(&u->b->owners, 1u, relaxed), 0);
    if (one_in(&u->random, 4))
        (void)weft_yield();
    CHECK_EQ(wf_sub(&u->b->owners, 1u, relaxed), 1);
    weft_mutex_unlock(&u->b->mutex);
    stress_count();
    return weft_checkpoint();
}

static int act(struct user *u)
{
    unsigned i = wf_random_below(&u->random, CHANNELS + 2);
    switch (wf_random_below(&u->random, 6)) {
    case 0:
    case 1: return send_one(u, i);
    case 2: return recv_one(u, i);
    case 3: return select_one(u, 0, CHANNELS + 2, true);
    case 4: return use_permits(u);
    default: return use_mutex(u);
    }
}

static void begin(struct user *u, struct book *b)
{
    *u = (struct user){.b = b, .random = stress_random(), .number = wf_add(&b->users, 1u, relaxed)};
}

static int act_until_stopped(void *arg)
{
    struct user *u = malloc(sizeof *u); /* too large for a task's stack to be nice */
    int result;
    CHECK(u);
    begin(u, arg);
    while ((result = act(u)) == 0)
        ;
    free(u);
    CHECK(is_stop(result));
    return result;
}

static void *act_until_closed(void *arg)
{
    struct user *u = malloc(sizeof *u);
    int result = 0;
    CHECK(u);
    begin(u, arg);
    while (result == 0) {
        unsigned i = CHANNELS + wf_random_below(&u->random, 2);
        switch (wf_random_below(&u->random, 3)) {
        case 0: result = send_one(u, i); break;
        case 1: result = recv_one(u, i); break;
        default: result = select_one(u, CHANNELS, 2, false); break;
        }
    }
    free(u);
    CHECK_EQ(result, -EPIPE);
    return NULL;
}

static void open_book(struct book *b)
{
    static const size_t capacity[CHANNELS + 2] = {0, 1, 7, 0, 2};
    *b = (struct book){.taken = 0};
    for (int i = 0; i < CHANNELS + 2; i++) {
        weft_chan *c = weft_chan_new(capacity[i], sizeof(uint64_t));
        CHECK(c);
        *(i < CHANNELS ? &b->c[i] : &b->outside[i - CHANNELS]) = c;
    }
    weft_sem_release(&b->sem, PERMITS);
}

static void balance(struct book *b)
{
    for (unsigned i = 0; i < CHANNELS + 2; i++) {
        for (uint64_t x; weft_chan_try_recv(channel(b, i), &x, sizeof x) == 0;) {
            wf_add(&b->got, UINT64_C(1), relaxed);
            wf_add(&b->got_sum, x, relaxed);
        }
        weft_chan_free(channel(b, i));
    }
    CHECK_EQ(wf_load(&b->sent, relaxed), wf_load(&b->got, relaxed));
    CHECK_EQ(wf_load(&b->sent_sum, relaxed), wf_load(&b->got_sum, relaxed));
    CHECK(weft_sem_try_acquire(&b->sem, PERMITS));
    CHECK(!weft_sem_try_acquire(&b->sem, 1));
    CHECK(weft_mutex_trylock(&b->mutex));
    weft_mutex_unlock(&b->mutex);
}

/* Stop the tasks one by one, in no order, with pauses in which the others go on; the last all together. */
static void stop_tasks(weft_scope *s, weft_task **t, struct wf_random *random)
{
    for (int k = 0; k < TASKS; k++) {
        if (one_in(random, 3))
            CHECK_EQ(weft_sleep(wf_random_below(random, 300) * WEFT_USEC), 0);
        weft_cancel(t[wf_random_below(random, TASKS)]);
    }
    weft_scope_cancel(s);
}

static int one_round(void *arg)
{
    struct book *b = arg;
    struct wf_random random = stress_random();
    pthread_t id[THREADS];
    weft_task *t[TASKS];
    open_book(b);
    WEFT_SCOPE(s);
    for (int i = 0; i < TASKS; i++)
        t[i] = weft_spawn(&s, act_until_stopped, b);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, act_until_closed, b), 0);
    CHECK_EQ(weft_sleep(wf_random_below(&random, 3000) * WEFT_USEC), 0);
    stop_tasks(&s, t, &random);
    CHECK_EQ(weft_scope_close(&s), 0);
    for (int i = 0; i < 2; i++)
        weft_chan_close(b->outside[i]);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(id[i], NULL), 0);
    balance(b);
    return 0;
}

static int rounds(void *arg)
{
    (void)arg;
    struct book b;
    while (!stress_over())
        CHECK_EQ(one_round(&b), 0);
    return 0;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, "sync", rounds);
}
