/* fairness.c - who is served beside ten thousand tasks that are always ready.
 *
 * Measured in turns, not in time: a crowd of tasks counts every turn it takes. What comes from outside, a deadline or
 * bytes of a socket, is noticed by one of them, which notes the count; whoever waited for it notes the count when it
 * runs. In between lie at most the turns until the worker looks outside, once everybody in the queue before it, and a
 * few for the way through the kernel: so a bound that is a little more than the crowd. */
#include "runtime/timer.h"
#include "tests/runtime/with.h"

#include <sys/socket.h>
#include <unistd.h>

enum { TICK_NS = 1 << WF_WHEEL_TICK_BITS }; /* a timer is due at the end of the tick in which its deadline lies */
enum { CROWD = 10000, TICK_OUTSIDE = 64, EVENTS = 20, BOUND = CROWD + 8 * TICK_OUTSIDE };

/* One worker plays it, so words are atomic only for ThreadSanitizer, to which a switch orders nothing. */
struct crowd {
    WF_ATOMIC(uint64_t) turns;
    WF_ATOMIC(bool) over;
    WF_ATOMIC(int64_t) deadline; /* somebody waits for it; 0: nobody */
    WF_ATOMIC(uint64_t) since;   /* turns, when what is waited for had come */
    WF_ATOMIC(bool) wanted;      /* somebody waits for a byte */
    int socket[2];
    uint64_t longest;            /* turns of others until one's own: by who waits, as is: */
    unsigned served;
};

static int be_always_ready(void *arg)
{
    struct crowd *c = arg;
    while (!wf_load(&c->over, acquire)) {
        uint64_t turns = wf_add(&c->turns, 1u, relaxed) + 1;
        int64_t deadline = wf_load(&c->deadline, relaxed);
        if (deadline && weft_now().ns >= deadline + TICK_NS) {
            wf_store(&c->since, turns, relaxed);
            wf_store(&c->deadline, 0, relaxed);
        }
        if (wf_load(&c->wanted, relaxed)) {
            wf_store(&c->since, turns, relaxed);
            wf_store(&c->wanted, false, relaxed);
            CHECK_EQ(write(c->socket[1], "x", 1), 1);
        }
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static void note_served(struct crowd *c)
{
    uint64_t waited = wf_load(&c->turns, relaxed) - wf_load(&c->since, relaxed);
    if (waited > c->longest)
        c->longest = waited;
    c->served++;
}

/* It may run before anybody has noticed that its time has come: then it has not waited at all. */
static int wait_for_times(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < EVENTS; i++) {
        weft_time t = weft_after(WEFT_MSEC);
        wf_store(&c->deadline, t.ns, relaxed);
        CHECK_EQ(weft_sleep_until(t), 0);
        if (wf_swap(&c->deadline, 0, relaxed) == 0)
            note_served(c);
        else
            c->served++;
    }
    return 0;
}

static int wait_for_bytes(void *arg)
{
    struct crowd *c = arg;
    char byte;
    for (int i = 0; i < EVENTS; i++) {
        wf_store(&c->wanted, true, relaxed);
        CHECK_EQ(weft_read(c->socket[0], &byte, 1), 1);
        note_served(c);
    }
    return 0;
}

static int beside_a_crowd(struct crowd *c, weft_fn waits)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(weft_go(&s, be_always_ready, c), 0);
    CHECK_EQ(weft_await(weft_spawn(&s, waits, c)), 0);
    wf_store(&c->over, true, release);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(c->served, EVENTS);
    if (c->longest > BOUND)
        test_failed(__FILE__, __LINE__, "%" PRIu64 " turns of others before one's own; %d are fair", c->longest, BOUND);
    return 0;
}

static int time_beside_a_crowd(void *arg)
{
    (void)arg;
    return beside_a_crowd(&(struct crowd){0}, wait_for_times);
}

static int socket_beside_a_crowd(void *arg)
{
    struct crowd c = {0};
    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c.socket), 0);
    beside_a_crowd(&c, wait_for_bytes);
    close(c.socket[0]);
    close(c.socket[1]);
    return 0;
}

TEST_WITHIN(fairness, serves_a_deadline_beside_ten_thousand_that_are_always_ready, 60)
{
    with_one_worker(time_beside_a_crowd, NULL);
}

TEST_WITHIN(fairness, serves_a_socket_beside_ten_thousand_that_are_always_ready, 60)
{
    with_one_worker(socket_beside_a_crowd, NULL);
}

/* ---- What another thread brings ---- */

enum { TICK_INBOX = 4 }; /* turns until a worker looks whether there is anything */

struct brought {
    weft_future future;
    WF_ATOMIC(bool) waits, ran;
};

static int wait_for_it(void *arg)
{
    struct brought *b = arg;
    raise_flag(&b->waits);
    CHECK_EQ(weft_future_await(&b->future, NULL), 0);
    raise_flag(&b->ran);
    return 0;
}

static void *bring(void *arg)
{
    CHECK_EQ(weft_future_set(arg, NULL), 0);
    return NULL;
}

/* The thread has ended when the next turn is taken, so turns are all there is to count. */
static unsigned count_turns(unsigned before)
{
    struct brought b = {0};
    unsigned turns = 0;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, wait_for_it, &b), 0);
    yield_until(&b.waits);
    while (before-- > 0)
        CHECK_EQ(weft_yield(), 0);
    join_thread(start_thread(bring, &b.future));
    for (; !wf_load(&b.ran, acquire); turns++)
        CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    return turns;
}

static int take_what_is_brought(void *arg)
{
    (void)arg;
    for (unsigned before = 0; before < 2 * TICK_OUTSIDE; before++)
        CHECK(count_turns(before) <= 2 * TICK_INBOX);
    return 0;
}

TEST(fairness, takes_what_another_thread_brings_within_a_few_turns)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, take_what_is_brought, NULL), 0);
}
