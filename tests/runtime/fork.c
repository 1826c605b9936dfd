/* fork.c - tests of forks: who calls them, when, and what becomes of them when their parent waits or is stopped. */
#include "tests/runtime/with.h"

#include "runtime/platform/fault.h"

/* ---- results ---- */

static long fib(weft_forks *forks, int n);
WEFT_FORKABLE(long, fib, int)

static long fib(weft_forks *forks, int n)
{
    if (n < 2)
        return n;
    struct fib_fork left;
    fib_fork(forks, &left, n - 1);
    long right = fib(forks, n - 2);
    return fib_join(forks, &left) + right;
}

static int count_rabbits(void *arg)
{
    (void)arg;
    CHECK_EQ(fib(weft_forks_self(), 22), 17711);
    return 0;
}

TEST(fork, gives_the_result_that_a_call_gives)
{
    with_workers(count_rabbits, NULL);
}

static int one(weft_forks *forks, int a);
static double two(weft_forks *forks, int a, double b);
static const char *three(weft_forks *forks, const char *a, int b, char c);
static uint64_t four(weft_forks *forks, uint64_t a, uint8_t b, uint64_t c, uint8_t d);
static int five(weft_forks *forks, int a, int b, int c, int d, int e);
static void six(weft_forks *forks, int a, int b, int c, int d, int e, int *f);
WEFT_FORKABLE(int, one, int)
WEFT_FORKABLE(double, two, int, double)
WEFT_FORKABLE(const char *, three, const char *, int, char)
WEFT_FORKABLE(uint64_t, four, uint64_t, uint8_t, uint64_t, uint8_t)
WEFT_FORKABLE(int, five, int, int, int, int, int)
WEFT_FORKABLE_VOID(six, int, int, int, int, int, int *)

static int one(weft_forks *forks, int a)
{
    (void)forks;
    return a;
}

static double two(weft_forks *forks, int a, double b)
{
    (void)forks;
    return a + b;
}

static const char *three(weft_forks *forks, const char *a, int b, char c)
{
    (void)forks;
    return a[b] == c ? a + b : NULL;
}

static uint64_t four(weft_forks *forks, uint64_t a, uint8_t b, uint64_t c, uint8_t d)
{
    (void)forks;
    return a << b | c << d;
}

static int five(weft_forks *forks, int a, int b, int c, int d, int e)
{
    (void)forks;
    return (((a * 10 + b) * 10 + c) * 10 + d) * 10 + e;
}

static void six(weft_forks *forks, int a, int b, int c, int d, int e, int *f)
{
    *f = five(forks, a, b, c, d, e);
}

/* offer: let them become tasks, by waiting between fork and join. */
static void fork_all_shapes(bool offer)
{
    weft_forks *forks = weft_forks_self();
    static const char text[] = "text";
    int sixth = 0;
    struct one_fork f1;
    struct two_fork f2;
    struct three_fork f3;
    struct four_fork f4;
    struct five_fork f5;
    struct six_fork f6;
    one_fork(forks, &f1, -7);
    two_fork(forks, &f2, 1, 0.5);
    three_fork(forks, &f3, text, 2, 'x');
    four_fork(forks, &f4, 1, 32, 3, 1);
    five_fork(forks, &f5, 1, 2, 3, 4, 5);
    six_fork(forks, &f6, 5, 4, 3, 2, 1, &sixth);
    if (offer)
        CHECK_EQ(weft_sleep(WEFT_USEC), 0);
    six_join(forks, &f6);
    CHECK_EQ(sixth, 54321);
    CHECK_EQ(five_join(forks, &f5), 12345);
    CHECK_EQ(four_join(forks, &f4), UINT64_C(0x100000006));
    CHECK(three_join(forks, &f3) == text + 2);
    CHECK(two_join(forks, &f2) == 1.5);
    CHECK_EQ(one_join(forks, &f1), -7);
}

static int fork_with_one_to_six_arguments(void *arg)
{
    (void)arg;
    fork_all_shapes(false);
    fork_all_shapes(true);
    return 0;
}

TEST(fork, takes_one_to_six_arguments_of_any_type)
{
    with_workers(fork_with_one_to_six_arguments, NULL);
}

/* ---- who calls them ---- */

static int who_am_i(weft_forks *forks, int ignored);
WEFT_FORKABLE(int, who_am_i, int)

static int who_am_i(weft_forks *forks, int ignored)
{
    (void)ignored;
    CHECK(forks == weft_forks_self());
    return (int)weft_worker();
}

static int fork_till_another_takes_one(void *arg)
{
    weft_forks *forks = weft_forks_self();
    int elsewhere = -1, here;
    (void)arg;
    do {
        struct who_am_i_fork f;
        who_am_i_fork(forks, &f, 0);
        here = (int)weft_worker();
        for (int i = 0; i < 1000; i++)
            wf_pause();
        elsewhere = who_am_i_join(forks, &f);
    } while (elsewhere == here);
    return 0;
}

TEST(fork, is_taken_by_a_worker_that_has_nothing_to_do)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, fork_till_another_takes_one, NULL), 0);
}

/* After a wait too, and in a task that was stolen meanwhile. */
static int wait_and_fork(void *arg)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_sleep(WEFT_USEC), 0);
        CHECK_EQ(fork_till_another_takes_one(arg), 0);
    }
    return 0;
}

TEST(fork, is_taken_after_its_task_has_waited)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 3}, wait_and_fork, NULL), 0);
}

static unsigned long long tasks_run(void)
{
    weft_stats s;
    weft_stats_read(weft_runtime_self(), &s);
    return s.tasks;
}

static int fork_alone(void *arg)
{
    (void)arg;
    unsigned long long before = tasks_run();
    CHECK_EQ(fib(weft_forks_self(), 20), 6765);
    CHECK_EQ(tasks_run(), before);
    return 0;
}

TEST(fork, is_no_task_while_nobody_could_take_it)
{
    with_one_worker(fork_alone, NULL);
}

/* ---- waits ---- */

struct meeting {
    weft_event first, second;
};

static int answer(weft_forks *forks, struct meeting *m);
WEFT_FORKABLE(int, answer, struct meeting *)

static int answer(weft_forks *forks, struct meeting *m)
{
    (void)forks;
    int err = weft_event_wait(&m->first);
    weft_event_set(&m->second);
    return err;
}

/* With one worker this ends only if the fork begins when its parent waits. */
static int ask(void *arg)
{
    struct meeting m = {0};
    struct answer_fork f;
    weft_forks *forks = weft_forks_self();
    (void)arg;
    answer_fork(forks, &f, &m);
    weft_event_set(&m.first);
    CHECK_EQ(weft_event_wait(&m.second), 0);
    CHECK_EQ(answer_join(forks, &f), 0);
    return 0;
}

TEST(fork, begins_when_its_parent_waits)
{
    with_workers(ask, NULL);
}

static int ask_from_the_pool(void *arg)
{
    struct meeting m = {0};
    struct answer_fork f;
    weft_forks *forks = weft_forks_self();
    (void)arg;
    answer_fork(forks, &f, &m);
    weft_blocking_begin();
    weft_event_set(&m.first);
    while (!weft_event_is_set(&m.second))
        sched_yield();
    weft_blocking_end();
    CHECK_EQ(answer_join(forks, &f), 0);
    return 0;
}

TEST(fork, begins_when_its_parent_blocks)
{
    with_workers(ask_from_the_pool, NULL);
}

/* A tree of waits: every inner node forks one side and calls the other, every leaf waits for all leaves. */
enum { DEPTH = 6 };

struct gathering {
    WF_ATOMIC(unsigned) there;
    weft_event complete;
};

static int gather(weft_forks *forks, struct gathering *g, int depth);
WEFT_FORKABLE(int, gather, struct gathering *, int)

static int gather(weft_forks *forks, struct gathering *g, int depth)
{
    if (depth == 0) {
        if (wf_add(&g->there, 1u, relaxed) + 1 == 1 << DEPTH)
            weft_event_set(&g->complete);
        return weft_event_wait(&g->complete) == 0;
    }
    struct gather_fork f;
    gather_fork(forks, &f, g, depth - 1);
    int right = gather(forks, g, depth - 1);
    return gather_join(forks, &f) + right;
}

static int gather_all(void *arg)
{
    struct gathering g = {0};
    (void)arg;
    CHECK_EQ(gather(weft_forks_self(), &g, DEPTH), 1 << DEPTH);
    return 0;
}

TEST(fork, may_fork_and_wait_itself_to_any_depth)
{
    with_workers(gather_all, NULL);
}

enum { MANY = 1000 };

static int fork_many(void *arg)
{
    static struct one_fork f[MANY];
    weft_forks *forks = weft_forks_self();
    (void)arg;
    for (int i = 0; i < MANY; i++)
        one_fork(forks, &f[i], i);
    CHECK_EQ(weft_sleep(WEFT_USEC), 0); /* half of them may have gone by now, and none is lost */
    for (int i = MANY - 1; i >= 0; i--)
        CHECK_EQ(one_join(forks, &f[i]), i);
    return 0;
}

TEST(fork, may_be_one_of_a_thousand)
{
    with_workers(fork_many, NULL);
}

/* ---- what the runtime has looked at already ---- */

/* Opening a scope is such a look: at all there are, at some of them again, at none. */
static int open_scopes_between(void *arg)
{
    static struct one_fork f[MANY];
    weft_forks *forks = weft_forks_self();
    (void)arg;
    for (int i = 0; i < MANY; i++) {
        one_fork(forks, &f[i], i);
        if (i % 3 == 1) {
            WEFT_SCOPE(s);
            CHECK_EQ(one_join(forks, &f[i]), i);
            one_fork(forks, &f[i], -i);
            CHECK_EQ(one_join(forks, &f[i]), -i);
            CHECK_EQ(weft_scope_close(&s), 0);
            one_fork(forks, &f[i], i);
        }
    }
    CHECK_EQ(weft_sleep(WEFT_USEC), 0);
    for (int i = MANY - 1; i >= 0; i--)
        CHECK_EQ(one_join(forks, &f[i]), i);
    return 0;
}

TEST(fork, may_be_joined_in_a_scope_opened_after_it)
{
    with_workers(open_scopes_between, NULL);
}

/* ---- stops ---- */

static int wait_for_stop(weft_forks *forks, weft_event *begun);
WEFT_FORKABLE(int, wait_for_stop, weft_event *)

static int wait_for_stop(weft_forks *forks, weft_event *begun)
{
    (void)forks;
    weft_event_set(begun);
    int why = weft_sleep_until(weft_never());
    CHECK_EQ(weft_checkpoint(), why);
    return why;
}

static int fork_in_a_scope(void *arg)
{
    weft_event begun = {0};
    struct wait_for_stop_fork f;
    weft_forks *forks = weft_forks_self();
    (void)arg;
    WEFT_SCOPE(s);
    wait_for_stop_fork(forks, &f, &begun);
    CHECK_EQ(weft_event_wait(&begun), 0);
    weft_scope_set_deadline(&s, weft_after(WEFT_MSEC));
    CHECK_EQ(wait_for_stop_join(forks, &f), -ETIMEDOUT);
    CHECK_EQ(weft_scope_close(&s), -ETIMEDOUT);
    return 0;
}

TEST(fork, is_stopped_with_the_scope_it_was_forked_in)
{
    with_workers(fork_in_a_scope, NULL);
}

static int wait_for_second(weft_forks *forks, struct meeting *m);
WEFT_FORKABLE(int, wait_for_second, struct meeting *)

static int wait_for_second(weft_forks *forks, struct meeting *m)
{
    (void)forks;
    weft_event_set(&m->first);
    return weft_event_wait(&m->second);
}

static int fork_outside_a_scope(void *arg)
{
    struct meeting m = {0};
    struct wait_for_second_fork f;
    weft_forks *forks = weft_forks_self();
    (void)arg;
    wait_for_second_fork(forks, &f, &m);
    {
        WEFT_SCOPE(s);
        CHECK_EQ(weft_event_wait(&m.first), 0); /* it has begun */
        weft_scope_cancel(&s);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
    }
    weft_event_set(&m.second);
    CHECK_EQ(wait_for_second_join(forks, &f), 0);
    return 0;
}

TEST(fork, is_not_stopped_with_a_scope_opened_after_it)
{
    with_workers(fork_outside_a_scope, NULL);
}

/* The fork's memory is used again, for one that is forked inside. */
static int fork_again_in_a_scope(void *arg)
{
    weft_event begun = {0};
    struct wait_for_stop_fork f;
    struct one_fork *early = (struct one_fork *)(void *)&f;
    weft_forks *forks = weft_forks_self();
    (void)arg;
    one_fork(forks, early, 1);
    WEFT_SCOPE(s);
    CHECK_EQ(one_join(forks, early), 1);
    wait_for_stop_fork(forks, &f, &begun);
    CHECK_EQ(weft_event_wait(&begun), 0);
    weft_scope_cancel(&s);
    CHECK_EQ(wait_for_stop_join(forks, &f), -ECANCELED);
    weft_scope_close(&s);
    return 0;
}

TEST(fork, belongs_to_its_own_scope_in_the_memory_of_another)
{
    with_workers(fork_again_in_a_scope, NULL);
}

static int join_what_waits(void *begun)
{
    struct wait_for_stop_fork f;
    weft_forks *forks = weft_forks_self();
    wait_for_stop_fork(forks, &f, begun);
    while (!weft_event_is_set(begun))
        if (weft_sleep(WEFT_USEC) < 0)
            break;
    return wait_for_stop_join(forks, &f);
}

static int cancel_the_parent(void *arg)
{
    weft_event begun = {0};
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, join_what_waits, &begun);
    CHECK_EQ(weft_event_wait(&begun), 0);
    weft_cancel(t);
    CHECK_EQ(weft_await(t), -ECANCELED);
    return weft_scope_close(&s);
}

TEST(fork, is_stopped_when_its_parent_is_cancelled)
{
    with_workers(cancel_the_parent, NULL);
}

/* ---- no memory ---- */

#ifdef WF_FAULTS

static int wait_for_first(weft_forks *forks, struct meeting *m);
WEFT_FORKABLE(int, wait_for_first, struct meeting *)

static int wait_for_first(weft_forks *forks, struct meeting *m)
{
    (void)forks;
    weft_event_set(&m->second);
    return weft_event_wait(&m->first);
}

/* More than the caches hold, all of which wait at once, as far as they can begin at all. */
static int fork_many_without(void *kind)
{
    static struct wait_for_first_fork f[MANY];
    struct meeting m = {0};
    weft_forks *forks = weft_forks_self();
    for (int i = 0; i < MANY; i++)
        wait_for_first_fork(forks, &f[i], &m);
    wf_fault_at(*(enum wf_fault_kind *)kind, 1, WF_FAULT_ONWARDS);
    CHECK_EQ(weft_event_wait(&m.second), 0);
    while (wf_fault_failed() == 0)
        CHECK_EQ(weft_yield(), 0);
    weft_event_set(&m.first);
    for (int i = MANY - 1; i >= 0; i--)
        CHECK_EQ(wait_for_first_join(forks, &f[i]), 0);
    wf_fault_at(*(enum wf_fault_kind *)kind, 1, WF_FAULT_NEVER);
    return 0;
}

TEST(fork, is_a_call_when_there_is_no_memory_for_a_task)
{
    enum wf_fault_kind kind = WF_FAULT_MEMORY;
    with_one_worker(fork_many_without, &kind);
}

TEST(fork, is_a_call_when_there_is_no_memory_for_a_stack)
{
    enum wf_fault_kind kind = WF_FAULT_MAP;
    with_one_worker(fork_many_without, &kind);
}

#endif

/* ---- loops ---- */

struct tally {
    int64_t from, to;
    WF_ATOMIC(uint8_t) *seen;
    bool waits;
};

static void tick_off(weft_forks *forks, int64_t from, int64_t to, void *ctx)
{
    struct tally *t = ctx;
    CHECK(forks == weft_forks_self());
    CHECK(t->from <= from && from < to && to <= t->to);
    if (t->waits)
        CHECK_EQ(weft_sleep(WEFT_USEC), 0);
    for (int64_t i = from; i < to; i++)
        CHECK_EQ(wf_add(&t->seen[i - t->from], (uint8_t)1, relaxed), 0);
}

static void loop_over(int64_t from, int64_t n, bool waits)
{
    struct tally t = {from, from + n, calloc((size_t)n + 1, 1), waits};
    CHECK(t.seen != NULL);
    weft_for(weft_forks_self(), t.from, t.to, tick_off, &t);
    for (int64_t i = 0; i < n; i++)
        CHECK_EQ(wf_load(&t.seen[i], relaxed), 1);
    free(t.seen);
}

static int loop_over_all_sizes(void *arg)
{
    (void)arg;
    for (int64_t n = 0; n < 70; n++) {
        loop_over(-n / 2, n, false);
        loop_over(INT64_MAX - n, n, false);
        loop_over(INT64_MIN, n, n % 8 == 0);
    }
    loop_over(0, 100000, false);
    loop_over(0, 100, true);
    return 0;
}

TEST(fork, loop_calls_its_body_once_for_each)
{
    with_workers(loop_over_all_sizes, NULL);
}

/* A sum that is not commutative: the first and the last of what stands side by side, and that nothing is between. */
struct run {
    int64_t from, to;
    bool any, whole;
};

static void append(void *into, const void *right, void *ctx)
{
    struct run *l = into;
    const struct run *r = right;
    (void)ctx;
    if (!r->any)
        return;
    l->whole = r->whole && (!l->any || (l->whole && l->to == r->from));
    l->from = l->any ? l->from : r->from;
    l->to = r->to;
    l->any = true;
}

static void add_piece(weft_forks *forks, int64_t from, int64_t to, void *sum, void *ctx)
{
    (void)forks;
    for (int64_t i = from; i < to; i++)
        append(sum, &(struct run){i, i + 1, true, true}, ctx);
    if (to - from == 3)
        CHECK_EQ(weft_sleep(WEFT_USEC), 0); /* so that others take the rest */
}

static int sum_up(void *arg)
{
    (void)arg;
    for (int64_t n = 0; n < 3000; n = n * 3 / 2 + 1) {
        struct run sum = {.whole = true};
        weft_reduce(weft_forks_self(), -7, n - 7, &sum, sizeof sum, add_piece, append, NULL);
        CHECK_EQ(sum.any, n > 0);
        CHECK(sum.whole);
        if (n > 0) {
            CHECK_EQ(sum.from, -7);
            CHECK_EQ(sum.to, n - 7);
        }
    }
    return 0;
}

TEST(fork, reduction_keeps_the_order_of_what_it_adds)
{
    with_workers(sum_up, NULL);
}
