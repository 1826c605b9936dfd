/* chan.c - tests of sync/chan.c. */
#include "tests/sync/with.h"

/* ---- What one caller sees ------------------------------------------------------------------------ */

TEST(chan, gives_back_items_in_order)
{
    weft_chan *c = weft_chan_new(5, sizeof(int));
    int next_in = 0, next_out = 0;
    for (int round = 0; round < 7; round++) { /* The ring's ends meet at every place. */
        for (int i = 0; i < 3; i++, next_in++)
            CHECK_EQ(weft_chan_send(c, &next_in), 0);
        for (int i = 0, got; i < 3; i++, next_out++) {
            CHECK_EQ(weft_chan_recv(c, &got), 0);
            CHECK_EQ(got, next_out);
        }
    }
    weft_chan_free(c);
}

TEST(chan, refuses_politely_when_full_or_empty)
{
    weft_chan *c = weft_chan_new(2, sizeof(int));
    int x = 1, got = 77;
    CHECK_EQ(weft_chan_try_recv(c, &got, sizeof got), -EAGAIN);
    CHECK_EQ(got, 77);
    CHECK_EQ(weft_chan_try_send(c, &x, sizeof x), 0);
    CHECK_EQ(weft_chan_try_send(c, &x, sizeof x), 0);
    CHECK_EQ(weft_chan_try_send(c, &x, sizeof x), -EAGAIN);
    CHECK_EQ(weft_chan_try_recv(c, &got, sizeof got), 0);
    CHECK_EQ(got, 1);
    CHECK_EQ(weft_chan_try_send(c, &x, sizeof x), 0);
    weft_chan_free(c);
}

TEST(chan, without_capacity_holds_nothing)
{
    weft_chan *c = weft_chan_new(0, sizeof(int));
    int x = 1;
    CHECK_EQ(weft_chan_try_send(c, &x, sizeof x), -EAGAIN);
    CHECK_EQ(weft_chan_try_recv(c, &x, sizeof x), -EAGAIN);
    weft_chan_free(c);
}

TEST(chan, closed_can_still_be_drained)
{
    weft_chan *c = weft_chan_new(4, sizeof(int));
    int got = 0;
    for (int i = 1; i <= 2; i++)
        CHECK_EQ(weft_chan_send(c, &i), 0);
    weft_chan_close(c);
    weft_chan_close(c);
    CHECK_EQ(weft_chan_send(c, &got), -EPIPE);
    CHECK_EQ(weft_chan_try_send(c, &got, sizeof got), -EPIPE);
    for (int i = 1; i <= 2; i++) {
        CHECK_EQ(weft_chan_recv(c, &got), 0);
        CHECK_EQ(got, i);
    }
    CHECK_EQ(weft_chan_recv(c, &got), -EPIPE);
    CHECK_EQ(weft_chan_try_recv(c, &got, sizeof got), -EPIPE);
    CHECK_EQ(got, 2);
    weft_chan_free(c);
}

struct big {
    unsigned char bytes[1000];
};

TEST(chan, carries_items_of_any_size)
{
    static const size_t sizes[] = {0, 1, 3, 8, 12, 16, sizeof(struct big)};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        weft_chan *c = weft_chan_new(3, sizes[k]);
        struct big in, out, expected;
        for (int i = 0; i < 10; i++) {
            memset(&in, i + 1, sizeof in);
            memset(&out, 0, sizeof out);
            memset(&expected, 0, sizeof expected);
            memset(&expected, i + 1, sizes[k]);
            CHECK_EQ(weft_chan_send_n(c, &in, sizes[k]), 0);
            CHECK_EQ(weft_chan_recv_n(c, &out, sizes[k]), 0);
            CHECK_EQ(memcmp(&out, &expected, sizeof out), 0);
        }
        weft_chan_free(c);
    }
}

TEST(chan, too_large_to_count_is_refused)
{
    CHECK(!weft_chan_new(SIZE_MAX / 2, 3));
    CHECK(!weft_chan_new(SIZE_MAX, 1));
    weft_chan_free(NULL);
}

TEST_DIES(chan, refuses_an_item_of_another_size, "8 bytes", "4 bytes")
{
    weft_chan *c = weft_chan_new(1, sizeof(int));
    uint64_t x = 0;
    weft_chan_send(c, &x);
}

/* ---- Plain threads ------------------------------------------------------------------------------- */

enum { SIDES = 4 };

struct traffic {
    weft_chan *c;
    unsigned per_sender;
    WF_ATOMIC(unsigned) senders, received, piped;
    WF_ATOMIC(uint64_t) sum;
};

struct item {
    uint32_t sender, number;
};

static void *send_numbers(void *arg)
{
    struct traffic *t = arg;
    struct item x = {.sender = wf_add(&t->senders, 1u, relaxed)};
    for (x.number = 1; x.number <= t->per_sender; x.number++)
        CHECK_EQ(weft_chan_send(t->c, &x), 0);
    return NULL;
}

/* Each receiver sees the numbers of each sender rise, whoever else takes some of them. */
static void *recv_numbers(void *arg)
{
    struct traffic *t = arg;
    uint32_t last[2 * SIDES + 8] = {0};
    struct item x;
    int err;
    while ((err = weft_chan_recv(t->c, &x)) == 0) {
        CHECK(x.sender < sizeof last / sizeof *last);
        CHECK(x.number > last[x.sender]);
        last[x.sender] = x.number;
        wf_add(&t->received, 1u, relaxed);
        wf_add(&t->sum, (uint64_t)x.number, relaxed);
    }
    CHECK_EQ(err, -EPIPE);
    wf_add(&t->piped, 1u, relaxed);
    return NULL;
}

static void check_traffic(struct traffic *t, unsigned senders, unsigned receivers)
{
    uint64_t n = t->per_sender;
    CHECK_EQ(wf_load(&t->received, relaxed), senders * n);
    CHECK_EQ(wf_load(&t->sum, relaxed), senders * (n * (n + 1) / 2));
    CHECK_EQ(wf_load(&t->piped, relaxed), receivers);
}

static void traffic_of_threads(size_t capacity)
{
    struct traffic t = {.c = weft_chan_new(capacity, sizeof(struct item)), .per_sender = TEST_TIMES(5000)};
    pthread_t receivers[SIDES];
    for (int i = 0; i < SIDES; i++)
        CHECK_EQ(pthread_create(&receivers[i], NULL, recv_numbers, &t), 0);
    with_threads(SIDES, send_numbers, &t);
    weft_chan_close(t.c);
    for (int i = 0; i < SIDES; i++)
        CHECK_EQ(pthread_join(receivers[i], NULL), 0);
    check_traffic(&t, SIDES, SIDES);
    weft_chan_free(t.c);
}

TEST(chan, connects_plain_threads)
{
    traffic_of_threads(0);
    traffic_of_threads(1);
    traffic_of_threads(64);
}

/* One item through each of many channels, which the receiver frees at once. */
struct posts {
    WF_ATOMIC(weft_chan *) next;
    int rounds;
};

static void *post_one_each(void *arg)
{
    struct posts *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        weft_chan *c;
        while (!(c = wf_swap(&p->next, NULL, acquire)))
            sched_yield();
        CHECK_EQ(weft_chan_send(c, &i), 0);
    }
    return NULL;
}

TEST(chan, may_be_freed_by_the_receiver_of_its_last_item)
{
    struct posts p = {.rounds = TEST_TIMES(10000)};
    pthread_t sender;
    CHECK_EQ(pthread_create(&sender, NULL, post_one_each, &p), 0);
    for (int i = 0, got; i < p.rounds; i++) {
        weft_chan *c = weft_chan_new((size_t)i % 2, sizeof(int));
        wf_store(&p.next, c, release);
        CHECK_EQ(weft_chan_recv(c, &got), 0);
        CHECK_EQ(got, i);
        weft_chan_free(c);
    }
    CHECK_EQ(pthread_join(sender, NULL), 0);
}

/* ---- Tasks --------------------------------------------------------------------------------------- */

static int send_task(void *arg)
{
    send_numbers(arg);
    return 0;
}

static int recv_task(void *arg)
{
    recv_numbers(arg);
    return 0;
}

static int close_after_senders(void *arg)
{
    struct traffic *t = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_go(&s, send_task, t), 0);
    int err = weft_scope_close(&s);
    weft_chan_close(t->c);
    return err;
}

static int eight_to_eight(void *arg)
{
    struct traffic t = {.c = weft_chan_new(*(size_t *)arg, sizeof(struct item)), .per_sender = TEST_TIMES(4000)};
    WEFT_SCOPE(s);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_go(&s, recv_task, &t), 0);
    CHECK_EQ(weft_go(&s, close_after_senders, &t), 0);
    int err = weft_scope_close(&s);
    check_traffic(&t, 8, 8);
    weft_chan_free(t.c);
    return err;
}

static int a_million(void *arg)
{
    struct traffic t = {.c = weft_chan_new(64, sizeof(struct item)), .per_sender = TEST_TIMES(125000)};
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_go(&s, recv_task, &t), 0);
    CHECK_EQ(weft_go(&s, close_after_senders, &t), 0);
    int err = weft_scope_close(&s);
    check_traffic(&t, 8, 8);
    weft_chan_free(t.c);
    return err;
}

TEST_WITHIN(chan, loses_and_repeats_nothing_of_a_million_between_eight_and_eight_tasks, 120)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, a_million, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 8}, a_million, NULL), 0);
}

TEST(chan, loses_and_repeats_nothing_between_eight_and_eight_tasks)
{
    with_workers(eight_to_eight, &(size_t){0});
    with_workers(eight_to_eight, &(size_t){1});
    with_workers(eight_to_eight, &(size_t){100});
}

static int threads_to_tasks(void *arg)
{
    (void)arg;
    struct traffic t = {.c = weft_chan_new(3, sizeof(struct item)), .per_sender = TEST_TIMES(2000)};
    pthread_t id[SIDES];
    WEFT_SCOPE(s);
    for (int i = 0; i < SIDES; i++)
        CHECK_EQ(weft_go(&s, recv_task, &t), 0);
    for (int i = 0; i < SIDES; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, send_numbers, &t), 0);
    while (wf_load(&t.received, relaxed) < SIDES * t.per_sender)
        CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < SIDES; i++)
        CHECK_EQ(pthread_join(id[i], NULL), 0);
    weft_chan_close(t.c);
    int err = weft_scope_close(&s);
    check_traffic(&t, SIDES, SIDES);
    weft_chan_free(t.c);
    return err;
}

TEST(chan, connects_plain_threads_with_tasks)
{
    with_workers(threads_to_tasks, NULL);
}

/* Results of tasks that wait until the channel is closed. */

static int recv_once(void *arg)
{
    int x = 5, err = weft_chan_recv((weft_chan *)arg, &x);
    CHECK(err == 0 || x == 5);
    return err;
}

static int send_once(void *arg)
{
    return weft_chan_send((weft_chan *)arg, &(int){6});
}

static int close_on(weft_chan *c, weft_fn fn)
{
    weft_task *t[20];
    WEFT_SCOPE(s);
    for (int i = 0; i < 20; i++)
        t[i] = weft_spawn(&s, fn, c);
    let_all_run();
    weft_chan_close(c);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_await(t[i]), -EPIPE);
    return weft_scope_close(&s);
}

static int close_wakes(void *arg)
{
    (void)arg;
    int x = 1, err = 0;
    weft_chan *full = weft_chan_new(1, sizeof(int)), *empty = weft_chan_new(1, sizeof(int));
    weft_chan *meeting = weft_chan_new(0, sizeof(int));
    CHECK_EQ(weft_chan_send(full, &x), 0);
    err |= close_on(full, send_once) | close_on(empty, recv_once) | close_on(meeting, send_once);
    CHECK_EQ(weft_chan_recv(full, &x), 0);
    CHECK_EQ(x, 1);
    CHECK_EQ(weft_chan_recv(full, &x), -EPIPE);
    weft_chan_free(full);
    weft_chan_free(empty);
    weft_chan_free(meeting);
    return err;
}

TEST(chan, close_wakes_every_sender_and_receiver)
{
    with_workers(close_wakes, NULL);
}

struct ordered {
    weft_chan *c;
    int number;
};

static int send_own_number(void *arg)
{
    struct ordered *o = arg;
    return weft_chan_send(o->c, &o->number);
}

/* On one worker: who asked first is served first. */
static int serve_in_order(void *arg)
{
    weft_chan *c = weft_chan_new(*(size_t *)arg, sizeof(int));
    struct ordered o[10];
    WEFT_SCOPE(s);
    for (int i = 0; i < 10; i++) {
        o[i] = (struct ordered){c, i};
        CHECK_EQ(weft_go(&s, send_own_number, &o[i]), 0);
        let_all_run();
    }
    for (int i = 0, got; i < 10; i++) {
        CHECK_EQ(weft_chan_recv(c, &got), 0);
        CHECK_EQ(got, i);
    }
    int err = weft_scope_close(&s);
    weft_chan_free(c);
    return err;
}

TEST(chan, serves_waiting_senders_in_order)
{
    with_one_worker(serve_in_order, &(size_t){0});
    with_one_worker(serve_in_order, &(size_t){3});
}

/* ---- Stops --------------------------------------------------------------------------------------- */

static int stopped_use(void *arg)
{
    (void)arg;
    weft_chan *c = weft_chan_new(2, sizeof(int));
    int x = 1;
    CHECK_EQ(weft_chan_send(c, &x), 0);
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    x = 2;
    CHECK_EQ(weft_chan_send(c, &x), -ECANCELED);
    CHECK_EQ(weft_chan_recv(c, &x), -ECANCELED);
    CHECK_EQ(x, 2);
    CHECK_EQ(weft_chan_try_recv(c, &x, sizeof x), 0); /* Not a cancellation point. */
    CHECK_EQ(x, 1);
    CHECK_EQ(weft_chan_try_recv(c, &x, sizeof x), -EAGAIN);
    int err = weft_scope_close(&s);
    weft_chan_free(c);
    return err;
}

TEST(chan, neither_sends_nor_receives_for_a_stopped_caller)
{
    with_workers(stopped_use, NULL);
}

/* Senders send distinct numbers until they are stopped and count what they were told was sent; receivers the
 * same. At the end what lies in the channel makes up the difference, to the last number. */
struct balance {
    weft_chan *c;
    WF_ATOMIC(uint64_t) next, sent, sent_sum, got, got_sum;
};

static int send_until_stopped(void *arg)
{
    struct balance *b = arg;
    int err;
    for (;;) {
        uint64_t x = wf_add(&b->next, UINT64_C(1), relaxed);
        if ((err = weft_chan_send(b->c, &x)) < 0)
            return err;
        wf_add(&b->sent, UINT64_C(1), relaxed);
        wf_add(&b->sent_sum, x, relaxed);
    }
}

static int recv_until_stopped(void *arg)
{
    struct balance *b = arg;
    uint64_t x;
    int err;
    while ((err = weft_chan_recv(b->c, &x)) == 0) {
        wf_add(&b->got, UINT64_C(1), relaxed);
        wf_add(&b->got_sum, x, relaxed);
    }
    return err;
}

static int stop_everybody(void *arg)
{
    struct balance b = {.c = weft_chan_new(*(size_t *)arg, sizeof(uint64_t))};
    weft_task *t[16];
    WEFT_SCOPE(s);
    for (int i = 0; i < 16; i++)
        t[i] = weft_spawn(&s, i % 2 ? send_until_stopped : recv_until_stopped, &b);
    for (int k = 0; k < 16; k++) {
        uint64_t goal = wf_load(&b.got, relaxed) + (k < 13 ? 20 : 0); /* While both kinds are left. */
        while (wf_load(&b.got, relaxed) < goal)
            CHECK_EQ(weft_yield(), 0);
        weft_cancel(t[(k * 7) % 16]);
    }
    for (int i = 0; i < 16; i++)
        CHECK_EQ(weft_await(t[i]), -ECANCELED);
    for (uint64_t x; weft_chan_try_recv(b.c, &x, sizeof x) == 0;) {
        wf_add(&b.got, UINT64_C(1), relaxed);
        wf_add(&b.got_sum, x, relaxed);
    }
    CHECK_EQ(wf_load(&b.sent, relaxed), wf_load(&b.got, relaxed));
    CHECK_EQ(wf_load(&b.sent_sum, relaxed), wf_load(&b.got_sum, relaxed));
    weft_chan_free(b.c);
    return weft_scope_close(&s);
}

TEST(chan, loses_nothing_when_senders_and_receivers_are_stopped)
{
    for (int i = 0; i < TEST_TIMES(20); i++) {
        with_workers(stop_everybody, &(size_t){0});
        with_workers(stop_everybody, &(size_t){2});
    }
}

/* Half of the receivers are stopped while items flow; the other half gets every item. */
static int stop_half_the_receivers(void *arg)
{
    (void)arg;
    struct traffic t = {.c = weft_chan_new(2, sizeof(struct item)), .per_sender = TEST_TIMES(1000)};
    struct balance dropped = {.c = t.c};
    weft_task *stopped[8];
    WEFT_SCOPE(s);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(weft_go(&s, recv_task, &t), 0);
        stopped[i] = weft_spawn(&s, recv_until_stopped, &dropped);
    }
    CHECK_EQ(weft_go(&s, close_after_senders, &t), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(weft_yield(), 0);
        weft_cancel(stopped[i]);
    }
    for (int i = 0; i < 8; i++) {
        int err = weft_await(stopped[i]);
        CHECK(err == -ECANCELED || err == -EPIPE);
    }
    int err = weft_scope_close(&s);
    CHECK_EQ(wf_load(&t.received, relaxed) + wf_load(&dropped.got, relaxed), 8 * t.per_sender);
    weft_chan_free(t.c);
    return err;
}

TEST(chan, delivers_every_item_when_half_the_receivers_are_stopped)
{
    for (int i = 0; i < TEST_TIMES(10); i++)
        with_workers(stop_half_the_receivers, NULL);
}

static int free_under_a_receiver(void *arg)
{
    weft_chan *c = arg;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, recv_once, c), 0);
    let_all_run();
    weft_chan_free(c);
    return 0;
}

TEST_DIES(chan, freed_under_a_receiver, "weft_chan_free", "waits")
{
    weft_run(&(weft_config){.workers = 1}, free_under_a_receiver, weft_chan_new(1, sizeof(int)));
}
