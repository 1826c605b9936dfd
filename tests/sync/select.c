/* select.c - tests of sync/select.c. */
#include "runtime/wait.h"
#include "tests/sync/with.h"

#include <sched.h>
#include <weft/waitable.h>

/* ---- Ready at once ------------------------------------------------------------------------------- */

TEST(select, takes_the_case_that_is_ready)
{
    weft_chan *a = weft_chan_new(1, sizeof(int)), *b = weft_chan_new(1, sizeof(int));
    int in = 4, x = 0;
    CHECK_EQ(weft_chan_send(b, &in), 0);
    weft_case on[] = {weft_on_recv(a, &x), weft_on_recv(b, &x)};
    CHECK_EQ(weft_select(on, 2), 1);
    CHECK_EQ(on[1].result, 0);
    CHECK_EQ(x, 4);
    CHECK_EQ(weft_try_select(on, 2), -EAGAIN);
    weft_chan_close(a);
    CHECK_EQ(weft_select(on, 2), 0);
    CHECK_EQ(on[0].result, -EPIPE);
    weft_chan_free(a);
    weft_chan_free(b);
}

TEST(select, sends_when_there_is_room)
{
    weft_chan *c = weft_chan_new(1, sizeof(int));
    int in = 4, x = 0;
    weft_case on[] = {weft_on_send(c, &in), weft_on_recv(c, &x)};
    CHECK_EQ(weft_select(on, 2), 0);
    CHECK_EQ(weft_select(on, 2), 1);
    CHECK_EQ(x, 4);
    weft_chan_free(c);
}

TEST(select, breaks_ties_at_random)
{
    weft_future f[3] = {0};
    unsigned won[3] = {0};
    weft_case on[3];
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(i == 1 ? weft_future_fail(&f[i], -EIO) : weft_future_set(&f[i], NULL), 0);
        on[i] = weft_on_future(&f[i]);
    }
    for (int round = 0; round < 3000; round++) {
        int k = weft_select(on, 3);
        CHECK(k >= 0 && k < 3);
        CHECK_EQ(on[k].result, k == 1 ? -EIO : 0);
        won[k]++;
    }
    for (int i = 0; i < 3; i++)
        CHECK(won[i] > 700 && won[i] < 1300); /* A thousand, and more than ten deviations either way. */
}

TEST(select, of_a_past_time_is_ready)
{
    weft_case on[] = {weft_on_time(weft_now())};
    CHECK_EQ(weft_try_select(on, 1), 0);
    on[0] = weft_on_time(weft_never());
    CHECK_EQ(weft_try_select(on, 1), -EAGAIN);
}

TEST_DIES(select, of_nothing, "weft_select", "0 cases")
{
    weft_select(NULL, 0);
}

TEST_DIES(select, of_too_many, "weft_select", "1025 cases")
{
    static weft_case on[WEFT_SELECT_MAX + 1];
    weft_select(on, WEFT_SELECT_MAX + 1);
}

TEST_DIES(select, of_a_time_outside_a_task, "weft_on_time")
{
    weft_case on[] = {weft_on_time(weft_after(WEFT_SEC))};
    weft_select(on, 1);
}

/* ---- Waiting, on plain threads ------------------------------------------------------------------- */

/* Two senders, each with a channel of its own, and receivers that select over both: nothing lost, nothing
 * twice. Both fire at once all the time. */
struct pair {
    weft_chan *a, *b;
    unsigned each;
    WF_ATOMIC(unsigned) sides, got;
    WF_ATOMIC(uint64_t) sum;
};

static void *send_to_one(void *arg)
{
    struct pair *p = arg;
    weft_chan *c = wf_add(&p->sides, 1u, relaxed) % 2 ? p->a : p->b;
    for (unsigned i = 1; i <= p->each; i++)
        CHECK_EQ(weft_chan_send(c, &i), 0);
    return NULL;
}

static void *recv_from_both(void *arg)
{
    struct pair *p = arg;
    for (;;) {
        unsigned x = 0, y = 0;
        weft_case on[] = {weft_on_recv(p->a, &x), weft_on_recv(p->b, &y)};
        int k = weft_select(on, 2);
        CHECK(k == 0 || k == 1);
        if (on[k].result == -EPIPE)
            break;
        CHECK_EQ(on[k].result, 0);
        CHECK(k == 0 ? x != 0 && y == 0 : x == 0 && y != 0); /* One effect, and it is the one reported. */
        wf_add(&p->got, 1u, relaxed);
        wf_add(&p->sum, (uint64_t)(x + y), relaxed);
    }
    /* One of them is closed: drain the other. */
    for (unsigned i = 0, x; i < 2; i++)
        while (weft_chan_recv(i ? p->a : p->b, &x) == 0) {
            wf_add(&p->got, 1u, relaxed);
            wf_add(&p->sum, (uint64_t)x, relaxed);
        }
    return NULL;
}

static void open_pair(struct pair *p, size_t capacity)
{
    p->a = weft_chan_new(capacity, sizeof(unsigned));
    p->b = weft_chan_new(capacity, sizeof(unsigned));
}

static void close_pair(struct pair *p)
{
    weft_chan_close(p->a);
    weft_chan_close(p->b);
}

static void check_pair(struct pair *p, unsigned senders)
{
    uint64_t n = p->each;
    CHECK_EQ(wf_load(&p->got, relaxed), senders * n);
    CHECK_EQ(wf_load(&p->sum, relaxed), senders * (n * (n + 1) / 2));
    weft_chan_free(p->a);
    weft_chan_free(p->b);
}

static void pair_of_threads(size_t capacity)
{
    struct pair p = {.each = TEST_TIMES(5000)};
    pthread_t id[3];
    open_pair(&p, capacity);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, recv_from_both, &p), 0);
    with_threads(4, send_to_one, &p);
    close_pair(&p);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(id[i], NULL), 0);
    check_pair(&p, 4);
}

TEST(select, loses_and_repeats_nothing_when_both_channels_fire)
{
    pair_of_threads(0);
    pair_of_threads(2);
}

/* Everybody offers to send and to receive on the same two rendezvous channels, so partners are themselves
 * selects, in every order. Each exchange is counted on both sides. Who is done leaves; the last one, alone, is
 * told by the closed channels. */
struct fair {
    weft_chan *c[2];
    unsigned times;
    WF_ATOMIC(unsigned) present;
    WF_ATOMIC(uint64_t) sent, sent_sum, got, got_sum;
};

static void *trade(void *arg)
{
    struct fair *f = arg;
    for (unsigned i = 1; i <= f->times; i++) {
        unsigned out = i, in = 0;
        weft_case on[] = {weft_on_send(f->c[0], &out), weft_on_recv(f->c[1], &in), weft_on_send(f->c[1], &out),
                          weft_on_recv(f->c[0], &in)};
        int k = weft_select(on, 4);
        CHECK(k >= 0 && k < 4);
        if (on[k].result == -EPIPE)
            break;
        CHECK_EQ(on[k].result, 0);
        CHECK((in == 0) == (k == 0 || k == 2));
        wf_add(in ? &f->got : &f->sent, UINT64_C(1), relaxed);
        wf_add(in ? &f->got_sum : &f->sent_sum, (uint64_t)(in ? in : out), relaxed);
    }
    if (wf_sub(&f->present, 1u, acq_rel) == 2)
        for (int i = 0; i < 2; i++)
            weft_chan_close(f->c[i]);
    return NULL;
}

static void open_fair(struct fair *f)
{
    for (int i = 0; i < 2; i++)
        f->c[i] = weft_chan_new(0, sizeof(unsigned));
}

static void check_fair(struct fair *f)
{
    CHECK(wf_load(&f->got, relaxed) > 0);
    CHECK_EQ(wf_load(&f->got, relaxed), wf_load(&f->sent, relaxed));
    CHECK_EQ(wf_load(&f->got_sum, relaxed), wf_load(&f->sent_sum, relaxed));
    for (int i = 0; i < 2; i++)
        weft_chan_free(f->c[i]);
}

TEST(select, meets_other_selects_on_threads)
{
    struct fair f = {.times = TEST_TIMES(3000), .present = 4};
    open_fair(&f);
    with_threads(4, trade, &f);
    check_fair(&f);
}

/* A select does not exchange with itself. */
static void *partner(void *arg)
{
    int x = 9;
    CHECK_EQ(weft_chan_send((weft_chan *)arg, &x), 0);
    return NULL;
}

TEST(select, does_not_meet_itself)
{
    weft_chan *c = weft_chan_new(0, sizeof(int));
    pthread_t id;
    int out = 1, in = 0, in_too = 0;
    weft_case on[] = {weft_on_send(c, &out), weft_on_recv(c, &in), weft_on_recv(c, &in_too)};
    CHECK_EQ(weft_try_select(on, 3), -EAGAIN);
    CHECK_EQ(pthread_create(&id, NULL, partner, c), 0);
    int k = weft_select(on, 3);
    CHECK(k == 1 || k == 2);
    CHECK_EQ(in + in_too, 9);
    CHECK_EQ(pthread_join(id, NULL), 0);
    weft_chan_free(c);
}

static void *set_it(void *arg)
{
    CHECK_EQ(weft_future_set(arg, NULL), 0);
    return NULL;
}

TEST(select, waits_for_the_largest_number_of_cases)
{
    static weft_future f[WEFT_SELECT_MAX];
    static weft_case on[WEFT_SELECT_MAX];
    static const int firing[] = {0, 17, WEFT_SELECT_MAX - 1};
    for (int i = 0; i < WEFT_SELECT_MAX; i++)
        on[i] = weft_on_future(&f[i]);
    for (int i = 0; i < 3; i++) {
        pthread_t id;
        memset(f, 0, sizeof f);
        CHECK_EQ(pthread_create(&id, NULL, set_it, &f[firing[i]]), 0);
        CHECK_EQ(weft_select(on, WEFT_SELECT_MAX), firing[i]);
        CHECK_EQ(pthread_join(id, NULL), 0);
    }
}

/* ---- In between ---------------------------------------------------------------------------------- */

/* A case that never happens, and makes others happen: once, while it is asked or while it is enqueued. As cases
 * are taken in a random order, that comes before and after each of the others is asked or enqueued. */
struct meddler {
    void (*act)(struct meddler *m);
    bool while_asking, done;
    weft_chan *a, *b;
    weft_future *f;
    int out;
    bool offers; /* what the partner does: it sends, or it receives */
    pthread_t partner;
    WF_ATOMIC(struct wf_wait *) partner_wait;
    WF_ATOMIC(bool) met, seen; /* the partner has returned; nobody looks at its wait any more */
};

static void meddle(struct meddler *m)
{
    if (!m->done)
        m->act(m);
    m->done = true;
}

static bool meddle_ready(weft_case *c)
{
    struct meddler *m = c->on;
    if (m->while_asking)
        meddle(m);
    return false;
}

static bool meddle_enqueue(weft_case *c, weft_waiter *w)
{
    (void)w;
    meddle(c->on);
    return true;
}

static bool meddle_dequeue(weft_case *c, weft_waiter *w)
{
    (void)c;
    (void)w;
    return true;
}

static weft_case meddling(struct meddler *m)
{
    static const struct weft_waitable how = {meddle_ready, meddle_enqueue, meddle_dequeue};
    return (weft_case){.how = &how, .on = m};
}

/* The other case must happen, whenever the meddler makes it possible. */
static void must_be_noticed(struct meddler *m, weft_case other)
{
    weft_case on[] = {other, meddling(m)};
    CHECK_EQ(weft_select(on, 2), 0);
    CHECK_EQ(on[0].result, 0);
}

static void send_one(struct meddler *m)
{
    CHECK_EQ(weft_chan_try_send(m->a, &m->out, sizeof m->out), 0);
}

static void recv_one(struct meddler *m)
{
    int x;
    CHECK_EQ(weft_chan_try_recv(m->a, &x, sizeof x), 0);
}

static void answer(struct meddler *m)
{
    CHECK_EQ(weft_future_set(m->f, NULL), 0);
}

TEST(select, notices_what_became_ready_before_it_was_enqueued)
{
    weft_chan *c = weft_chan_new(1, sizeof(int));
    for (int round = 0; round < 400; round++) {
        weft_future f = {0};
        int x = 0, y = 4;
        must_be_noticed(&(struct meddler){.act = send_one, .while_asking = round % 2, .a = c, .out = 3},
                        weft_on_recv(c, &x));
        CHECK_EQ(x, 3);
        must_be_noticed(&(struct meddler){.act = answer, .while_asking = round % 2, .f = &f}, weft_on_future(&f));
        CHECK_EQ(weft_chan_send(c, &x), 0);
        must_be_noticed(&(struct meddler){.act = recv_one, .while_asking = round % 2, .a = c}, weft_on_send(c, &y));
        CHECK_EQ(weft_chan_try_recv(c, &x, sizeof x), 0);
        CHECK_EQ(x, 4);
        CHECK_EQ(weft_chan_try_recv(c, &x, sizeof x), -EAGAIN);
    }
    weft_chan_free(c);
}

/* Both become ready in the middle: one may have been enqueued, and fires; the other then refuses. One item is
 * taken, the other stays. */
static void send_two(struct meddler *m)
{
    CHECK_EQ(weft_chan_try_send(m->a, &m->out, sizeof m->out), 0);
    CHECK_EQ(weft_chan_try_send(m->b, &m->out, sizeof m->out), 0);
}

TEST(select, takes_one_of_two_that_became_ready_in_the_middle)
{
    weft_chan *c[2] = {weft_chan_new(1, sizeof(int)), weft_chan_new(1, sizeof(int))};
    for (int round = 0; round < 600; round++) {
        struct meddler m = {.act = send_two, .while_asking = round % 2, .a = c[0], .b = c[1], .out = 3};
        int x[2] = {0, 0}, left = 0;
        weft_case on[] = {weft_on_recv(c[0], &x[0]), weft_on_recv(c[1], &x[1]), meddling(&m)};
        int k = weft_select(on, 3);
        CHECK(k == 0 || k == 1);
        CHECK_EQ(on[k].result, 0);
        CHECK_EQ(x[k], 3);
        CHECK_EQ(x[1 - k], 0);
        CHECK_EQ(weft_chan_try_recv(c[k], &left, sizeof left), -EAGAIN);
        CHECK_EQ(weft_chan_try_recv(c[1 - k], &left, sizeof left), 0);
        CHECK_EQ(left, 3);
    }
    weft_chan_free(c[0]);
    weft_chan_free(c[1]);
}

static void *meet(void *arg)
{
    struct meddler *m = arg;
    wf_store(&m->partner_wait, wf_wait_self(), release);
    CHECK_EQ(m->offers ? weft_chan_send(m->a, &m->out) : weft_chan_recv(m->a, &m->out), 0);
    wf_store(&m->met, true, release);
    while (!wf_load(&m->seen, acquire))
        sched_yield();
    return NULL;
}

/* Start a thread that sends or receives, and return when it certainly waits in the channel's list, or has met our
 * own waiter there. */
static void fetch_partner(struct meddler *m)
{
    CHECK_EQ(pthread_create(&m->partner, NULL, meet, m), 0);
    struct wf_wait *w;
    while (!(w = wf_load(&m->partner_wait, acquire)))
        sched_yield();
    while (!(wf_load(&w->word, acquire) & WF_WAIT_PARKED) && !wf_load(&m->met, acquire))
        sched_yield();
    wf_store(&m->seen, true, release);
}

TEST(select, notices_a_partner_that_came_before_it_was_enqueued)
{
    weft_chan *c = weft_chan_new(0, sizeof(int));
    for (int round = 0; round < 80; round++) {
        struct meddler m = {.act = fetch_partner, .while_asking = round % 2, .a = c, .out = 3, .offers = round % 4 < 2};
        int x = 5;
        must_be_noticed(&m, m.offers ? weft_on_recv(c, &x) : weft_on_send(c, &x));
        CHECK_EQ(pthread_join(m.partner, NULL), 0);
        CHECK_EQ(x, m.offers ? 3 : 5);
        CHECK_EQ(m.out, m.offers ? 3 : 5);
    }
    weft_chan_free(c);
}

/* ---- Tasks --------------------------------------------------------------------------------------- */

static int send_task(void *arg)
{
    send_to_one(arg);
    return 0;
}

static int recv_task(void *arg)
{
    recv_from_both(arg);
    return 0;
}

static int close_after_senders(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_go(&s, send_task, arg), 0);
    int err = weft_scope_close(&s);
    close_pair(arg);
    return err;
}

static int pair_of_tasks(void *arg)
{
    struct pair p = {.each = TEST_TIMES(1000)};
    open_pair(&p, *(size_t *)arg);
    WEFT_SCOPE(s);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_go(&s, recv_task, &p), 0);
    CHECK_EQ(weft_go(&s, close_after_senders, &p), 0);
    int err = weft_scope_close(&s);
    check_pair(&p, 8);
    return err;
}

TEST(select, loses_and_repeats_nothing_between_tasks)
{
    with_workers(pair_of_tasks, &(size_t){0});
    with_workers(pair_of_tasks, &(size_t){3});
}

static int trade_task(void *arg)
{
    trade(arg);
    return 0;
}

static int trade_tasks(void *arg)
{
    (void)arg;
    struct fair f = {.times = TEST_TIMES(1000), .present = 8};
    open_fair(&f);
    WEFT_SCOPE(s);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_go(&s, trade_task, &f), 0);
    int err = weft_scope_close(&s);
    check_fair(&f);
    return err;
}

TEST(select, meets_other_selects_in_tasks)
{
    with_workers(trade_tasks, NULL);
}

static int wait_for_times(void *arg)
{
    (void)arg;
    weft_time start = weft_now();
    weft_case on[] = {weft_on_time(weft_never()), weft_on_time((weft_time){start.ns + WEFT_MSEC}),
                      weft_on_time((weft_time){start.ns + 1000 * WEFT_SEC})};
    CHECK_EQ(weft_select(on, 3), 1);
    CHECK_EQ(on[1].result, 0);
    CHECK(weft_since(start) >= WEFT_MSEC);
    on[2] = weft_on_time((weft_time){start.ns + 3 * WEFT_MSEC});
    on[1] = weft_on_time(weft_never());
    CHECK_EQ(weft_select(on, 3), 2);
    CHECK(weft_since(start) >= 3 * WEFT_MSEC);
    return 0;
}

TEST(select, waits_for_the_first_of_several_times)
{
    with_workers(wait_for_times, NULL);
}

/* Timers and senders race; whatever the timers win, no item is lost. */
static int recv_in_a_hurry(void *arg)
{
    struct pair *p = arg;
    bool open[2] = {true, true};
    while (open[0] || open[1]) {
        unsigned x = 0;
        weft_case on[] = {weft_on_time(weft_after(20 * WEFT_USEC)), weft_on_recv(p->a, &x), weft_on_recv(p->b, &x)};
        int k = weft_select(on, 3);
        CHECK(k >= 0 && k < 3);
        if (k == 0) {
            CHECK_EQ(x, 0);
        } else if (on[k].result == -EPIPE) {
            open[k - 1] = false;
        } else {
            wf_add(&p->got, 1u, relaxed);
            wf_add(&p->sum, (uint64_t)x, relaxed);
        }
    }
    return 0;
}

static int hurry(void *arg)
{
    struct pair p = {.each = TEST_TIMES(500)};
    (void)arg;
    open_pair(&p, 0);
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_go(&s, recv_in_a_hurry, &p), 0);
    CHECK_EQ(weft_go(&s, close_after_senders, &p), 0);
    int err = weft_scope_close(&s);
    check_pair(&p, 8);
    return err;
}

TEST(select, loses_nothing_to_timers)
{
    with_workers(hurry, NULL);
}

static int return_number(void *arg)
{
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_yield(), 0);
    return *(int *)arg;
}

static int wait_for_tasks(void *arg)
{
    (void)arg;
    static int numbers[] = {7, -EIO};
    WEFT_SCOPE(s);
    weft_task *t[] = {weft_prepare(&s, return_number, &numbers[0]), weft_spawn(&s, return_number, &numbers[1])};
    weft_case on[] = {weft_on_task(t[0]), weft_on_task(t[1]), weft_on_time(weft_never())};
    bool seen[2] = {false, false};
    for (int n = 0; n < 2; n++) {
        int k = weft_select(on, 3);
        CHECK(k == 0 || k == 1);
        CHECK_EQ(on[k].result, numbers[k]);
        CHECK(!seen[k]);
        seen[k] = true;
        on[k] = weft_on_time(weft_never());
    }
    CHECK_EQ(weft_await(t[0]), 7);
    CHECK_EQ(weft_await(t[1]), -EIO);
    return weft_scope_close(&s);
}

TEST(select, waits_for_tasks_and_starts_them)
{
    with_workers(wait_for_tasks, NULL);
}

/* ---- Stops --------------------------------------------------------------------------------------- */

static int select_from(void *arg)
{
    weft_chan *c = arg;
    weft_future f = {0};
    int x = 5;
    weft_case on[] = {weft_on_recv(c, &x), weft_on_future(&f), weft_on_time(weft_never())};
    int k = weft_select(on, 3);
    CHECK(k == 0 ? x == 1 : x == 5);
    return k;
}

static int stop_selects(void *arg)
{
    (void)arg;
    weft_chan *c = weft_chan_new(0, sizeof(int));
    weft_task *t[16];
    int x = 1, sent = 0, received = 0;
    WEFT_SCOPE(s);
    for (int i = 0; i < 16; i++)
        t[i] = weft_spawn(&s, select_from, c);
    let_all_run();
    for (int i = 0; i < 16; i++) {
        sent += weft_chan_try_send(c, &x, sizeof x) == 0;
        weft_cancel(t[i]);
    }
    for (int i = 0; i < 16; i++) {
        int k = weft_await(t[i]);
        CHECK(k == 0 || k == -ECANCELED);
        received += k == 0;
    }
    CHECK_EQ(sent, received);
    weft_chan_free(c);
    return weft_scope_close(&s);
}

TEST(select, that_is_stopped_takes_nothing)
{
    for (int i = 0; i < TEST_TIMES(50); i++)
        with_workers(stop_selects, NULL);
}

static int stopped_select(void *arg)
{
    (void)arg;
    weft_future done = {0}, empty = {0};
    CHECK_EQ(weft_future_set(&done, NULL), 0);
    weft_case on[] = {weft_on_future(&empty), weft_on_future(&done)};
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_select(on, 2), 1);
    CHECK_EQ(weft_select(on, 1), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(select, prefers_what_is_ready_to_being_stopped)
{
    with_workers(stopped_select, NULL);
}
