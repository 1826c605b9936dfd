/* What watches over a simulation finds what it is for: each of these breaks one rule, and is told so. And the same seed
 * is the same run, in one process too. */
#include "runtime/platform/atomic.h"
#include "runtime/platform/thread.h"
#include "tests/test.h"

#include <signal.h>
#include <weft.h>
#include <weft/sim.h>

enum { SEEDS_MAX = 50 };

/* One of the first seeds must end like this. */
static void expect(int (*main)(void *), int err, const char *text)
{
    weft_sim_report r = {0};
    int got = 0;
    for (uint64_t seed = 0; seed < SEEDS_MAX && got == 0; seed++) {
        weft_sim_config config = {.seed = seed, .in_child = true, .quiet = true, .workers = 2, .steps_max = 200000};
        got = weft_sim(&config, main, NULL, &r);
    }
    CHECK_EQ(got, err);
    if (!strstr(r.failure, text))
        test_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", text, r.failure);
}

static int start(weft_fn fn)
{
    weft_config config = {.workers = 2};
    return weft_run(&config, fn, NULL);
}

/* ---- what it finds ---- */

static int wait_for_nothing(void *arg)
{
    (void)arg;
    weft_event never = {0};
    return weft_event_wait(&never);
}

static int deadlock(void *arg)
{
    (void)arg;
    return start(wait_for_nothing);
}

TEST(sim, a_deadlock_is_told)
{
    expect(deadlock, -EDEADLK, "deadlock");
}

static int yield_for_ever(void *arg)
{
    for (volatile bool on = true; on;)
        wf_thread_yield();
    return arg != NULL;
}

TEST(sim, what_does_not_end_is_ended)
{
    expect(yield_for_ever, -ETIMEDOUT, "no end");
}

static int fail(void *arg)
{
    (void)arg;
    weft_sim_fail("two and two is %d", 5);
}

TEST(sim, a_failure_is_reported_in_its_words)
{
    expect(fail, -EPROTO, "two and two is 5");
}

static int crash(void *arg)
{
    (void)arg;
    raise(SIGKILL);
    return 0;
}

TEST(sim, a_crash_is_a_report)
{
    expect(crash, -EPROTO, "ended by signal 9");
}

static int leak_a_socket(void *arg)
{
    (void)arg;
    return weft_tcp_listen("127.0.0.1:0", 0) < 0;
}

static int leak(void *arg)
{
    (void)arg;
    return start(leak_a_socket);
}

TEST(sim, a_socket_left_open_is_found)
{
    expect(leak, -EPROTO, "1 sockets were never closed");
}

static void *linger(void *arg)
{
    wf_thread_nap(1000000);
    return arg;
}

static int outlive(void *arg)
{
    (void)arg;
    struct wf_thread t;
    CHECK_EQ(wf_thread_start(&t, linger, NULL, "lingers"), 0);
    wf_thread_detach(&t);
    return 0;
}

TEST(sim, a_thread_that_outlives_main_is_found)
{
    expect(outlive, -EPROTO, "lingers, outlives main");
}

/* Memory that belongs to a call, and is written by somebody else meanwhile. */
struct shared {
    char bytes[100000];
    char at[32];
    int listener;
};

static int change_it(void *arg)
{
    struct shared *s = arg;
    weft_sleep(WEFT_MSEC);
    memset(s->bytes, 1, sizeof s->bytes);
    return 0;
}

static int accept_and_wait(void *arg)
{
    struct shared *s = arg;
    char byte;
    int fd = weft_accept(s->listener, NULL);
    weft_sleep(3 * WEFT_MSEC);
    while (weft_read(fd, &byte, 1) > 0)
        continue;
    weft_close(fd);
    return 0;
}

static int change_while_sent(void *arg)
{
    (void)arg;
    static struct shared it;
    weft_addr where;
    it.listener = weft_tcp_listen("127.0.0.1:0", 0);
    weft_addr_local(it.listener, &where);
    weft_addr_format(&where, it.at, sizeof it.at);
    WEFT_SCOPE(s);
    weft_go(&s, accept_and_wait, &it);
    weft_go(&s, change_it, &it);
    int fd = weft_tcp_connect(it.at);
    weft_write_all(fd, it.bytes, sizeof it.bytes); /* more than there is room for: the rest waits */
    weft_close(fd);
    weft_close(it.listener);
    return weft_scope_close(&s);
}

static int changing(void *arg)
{
    (void)arg;
    return start(change_while_sent);
}

TEST(sim, a_buffer_changed_under_way_is_found)
{
    expect(changing, -EPROTO, "a buffer changed while its request");
}

/* ---- what it promises ---- */

static int sleep_and_meet(void *arg)
{
    WF_ATOMIC(unsigned) *met = arg;
    weft_sleep(3600 * WEFT_SEC);
    wf_add(met, 1, relaxed);
    return 0;
}

static int meet_all(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 20; i++)
        weft_go(&s, sleep_and_meet, arg);
    return weft_scope_close(&s);
}

static int meeting(void *arg)
{
    (void)arg;
    WF_ATOMIC(unsigned) met = 0;
    int err = weft_run(NULL, meet_all, &met);
    return err ? err : (int)wf_load(&met, relaxed);
}

TEST(sim, the_same_seed_is_the_same_run)
{
    uint64_t different = 0;
    for (uint64_t seed = 0; seed < SEEDS_MAX; seed++) {
        weft_sim_config config = {.seed = seed, .faults = WEFT_SIM_GENTLE};
        weft_sim_report a, b;
        CHECK_EQ(weft_sim(&config, meeting, NULL, &a), 0);
        CHECK_EQ(weft_sim(&config, meeting, NULL, &b), 0);
        CHECK_EQ(a.result, 20);
        CHECK_EQ(a.hash, b.hash);
        CHECK_EQ(a.steps, b.steps);
        CHECK_EQ(a.time_ns, b.time_ns);
        CHECK(a.time_ns >= 3600 * WEFT_SEC);
        config.seed += 1000;
        CHECK_EQ(weft_sim(&config, meeting, NULL, &b), 0);
        different += a.hash != b.hash;
    }
    CHECK(different > SEEDS_MAX / 2); /* where few look closely, two seeds can agree */
}

static int nest(void *arg)
{
    CHECK(weft_sim_running());
    return weft_sim(NULL, meeting, arg, NULL);
}

TEST(sim, no_simulation_within_a_simulation)
{
    weft_sim_report r;
    CHECK(!weft_sim_running());
    CHECK_EQ(weft_sim(NULL, nest, NULL, &r), 0);
    CHECK_EQ(r.result, -EBUSY);
}
