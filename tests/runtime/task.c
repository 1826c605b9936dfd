/* task.c - tests of tasks: birth, await, results, names, copies, yielding, pins. Stops are in scope.c. */
#include "runtime/worker.h"
#include "tests/runtime/with.h"

#include <stdalign.h>
#include <unistd.h>

/* ---- Starting and awaiting ---- */

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int return_it(void *arg)
{
    return *(int *)arg;
}

static int go_thrice(void *arg)
{
    int *n = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_go(&s, add_one, &n[i]), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(n[0] + n[1] + n[2], 3);
    memset(n, 0, 3 * sizeof *n);
    return 0;
}

TEST(task, that_nobody_holds_has_run_when_its_scope_is_closed)
{
    int n[3] = {0};
    with_workers(go_thrice, n);
}

static int await_results(void *arg)
{
    static const int results[] = {0, 7, INT32_MAX, -EIO, INT32_MIN};
    (void)arg;
    WEFT_SCOPE(s);
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        weft_task *t = weft_spawn(&s, return_it, (void *)(uintptr_t)&results[i]);
        CHECK_EQ(weft_await(t), results[i]);
        CHECK_EQ(weft_await(t), results[i]); /* any number of times */
        CHECK(weft_done(t));
    }
    return weft_scope_close(&s); /* all failures have been awaited */
}

TEST(task, gives_its_result_to_whoever_awaits_it)
{
    with_workers(await_results, NULL);
}

struct family {
    weft_task *child;
    WF_ATOMIC(bool) release;
    WF_ATOMIC(int) got;
};

static int wait_for_release(void *arg)
{
    struct family *f = arg;
    while (!wf_load(&f->release, acquire))
        CHECK_EQ(weft_sleep(10 * WEFT_USEC), 0);
    return 99;
}

static int await_child(void *arg)
{
    struct family *f = arg;
    CHECK_EQ(weft_await(f->child), 99);
    wf_add(&f->got, 1, relaxed);
    return 0;
}

static int await_from_many(void *arg)
{
    struct family f = {0};
    (void)arg;
    WEFT_SCOPE(s);
    f.child = weft_spawn(&s, wait_for_release, &f);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_go(&s, await_child, &f), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    CHECK_EQ(wf_load(&f.got, relaxed), 0);
    raise_flag(&f.release);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(wf_load(&f.got, relaxed), 50);
    return 0;
}

TEST(task, may_be_awaited_by_many)
{
    with_workers(await_from_many, NULL);
}

static int await_myself(void *arg)
{
    WF_ATOMIC(weft_task *) *me = arg;
    while (!wf_load(me, relaxed))
        ;
    return weft_await(wf_load(me, relaxed));
}

static int spawn_self_awaiter(void *arg)
{
    WF_ATOMIC(weft_task *) t = NULL;
    (void)arg;
    WEFT_SCOPE(s);
    wf_store(&t, weft_spawn(&s, await_myself, &t), relaxed);
    return weft_scope_close(&s);
}

TEST_DIES(task, must_not_await_itself, "awaits itself", "await_myself", "task.c")
{
    weft_run(&(weft_config){.workers = 1}, spawn_self_awaiter, NULL);
}

TEST_DIES(task, calls_are_refused_outside_a_task, "weft_yield called outside a task")
{
    weft_yield();
}

static int forget_scope(void *arg)
{
    weft_scope_open(arg);
    return 0;
}

TEST_DIES(task, must_not_return_with_a_scope_open, "scope open", "weft_run")
{
    weft_scope s;
    weft_run(NULL, forget_scope, &s);
}

/* ---- Prepared tasks ---- */

static int prepare_and_start(void *arg)
{
    int ran = 0;
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, add_one, &ran);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    CHECK_EQ(ran, 0);
    CHECK(!weft_done(t));
    weft_start(t);
    CHECK_EQ(weft_await(t), 0);
    CHECK_EQ(ran, 1);
    return weft_scope_close(&s);
}

TEST(task, that_is_prepared_runs_once_it_is_started)
{
    with_workers(prepare_and_start, NULL);
}

static int prepare_and_await(void *arg)
{
    int ran = 0;
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, add_one, &ran);
    CHECK_EQ(weft_await(t), 0);
    CHECK_EQ(weft_await(t), 0);
    CHECK_EQ(ran, 1);
    return weft_scope_close(&s);
}

TEST(task, that_is_prepared_is_started_by_the_first_await)
{
    with_workers(prepare_and_await, NULL);
}

struct race {
    weft_task *prepared;
    int ran;
};

static int await_prepared(void *arg)
{
    return weft_await(((struct race *)arg)->prepared);
}

static int race_to_start(void *arg)
{
    (void)arg;
    for (int round = 0; round < TEST_TIMES(200); round++) {
        struct race r = {0};
        WEFT_SCOPE(s);
        r.prepared = weft_prepare(&s, add_one, &r.ran);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(weft_go(&s, await_prepared, &r), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
        CHECK_EQ(r.ran, 1);
    }
    return 0;
}

TEST(task, that_many_await_at_once_is_started_once)
{
    with_workers(race_to_start, NULL);
}

static int start_twice(void *arg)
{
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, return_zero, arg);
    weft_start(t);
    weft_start(t);
    return weft_scope_close(&s);
}

TEST_DIES(task, must_not_be_started_twice, "started twice", "return_zero")
{
    weft_run(NULL, start_twice, NULL);
}

/* ---- Copies ---- */

struct args {
    int a;
    char text[20];
};

static int check_args(void *arg)
{
    struct args *p = arg;
    CHECK_EQ((uintptr_t)p % alignof(max_align_t), 0);
    CHECK_EQ(p->a, 5);
    CHECK_STR(p->text, "five");
    p->a = 6; /* its own copy */
    return 0;
}

static int copy_small(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    struct args mine = {5, "five"};
    weft_task *t = weft_spawn_copy(&s, check_args, &mine, sizeof mine);
    CHECK_EQ(weft_go_copy(&s, check_args, &mine, sizeof mine), 0);
    CHECK_EQ(weft_go_with(&s, check_args, struct args, .a = 5, .text = "five"), 0);
    memset(&mine, 0xff, sizeof mine); /* before any of them has run, perhaps */
    CHECK_EQ(weft_await(t), 0);
    CHECK_EQ(weft_await(weft_spawn_with(&s, check_args, struct args, .a = 5, .text = "five")), 0);
    return weft_scope_close(&s);
}

TEST(task, gets_a_copy_of_its_arguments)
{
    with_workers(copy_small, NULL);
}

struct sized {
    size_t size;
    unsigned char byte[];
};

static int check_sized(void *arg)
{
    struct sized *p = arg;
    CHECK_EQ((uintptr_t)p % alignof(max_align_t), 0);
    for (size_t i = sizeof *p; i < p->size; i++)
        CHECK_EQ(((unsigned char *)p)[i], (unsigned char)(i * 7));
    return 0;
}

static int copy_all_sizes(void *arg)
{
    static const size_t sizes[] = {8, 16, 47, 48, 49, 64, 100, 4096, 1 << 20};
    unsigned char *buffer = malloc(1 << 20);
    (void)arg;
    WEFT_SCOPE(s);
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        for (size_t i = 0; i < sizes[n]; i++)
            buffer[i] = (unsigned char)(i * 7);
        memcpy(buffer, &sizes[n], sizeof sizes[n]);
        CHECK_EQ(weft_go_copy(&s, check_sized, buffer, sizes[n]), 0);
        CHECK_EQ(weft_await(weft_spawn_copy(&s, check_sized, buffer, sizes[n])), 0);
    }
    CHECK_EQ(weft_scope_close(&s), 0);
    free(buffer);
    return 0;
}

TEST(task, copies_arguments_of_any_size)
{
    with_workers(copy_all_sizes, NULL);
}

#if TEST_SLOWNESS > 1 /* sanitizers end the process instead, unless told so */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}
#endif

static int copy_too_much(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn_copy(&s, return_zero, "", SIZE_MAX / 2);
    CHECK(t != NULL);
    CHECK(weft_done(t));
    CHECK_EQ(weft_await(t), -ENOMEM);
    weft_cancel(t); /* whatever is done with it, it is a task */
    return weft_scope_close(&s);
}

TEST(task, that_found_no_memory_fails_when_it_is_awaited_and_fails_its_scope)
{
    CHECK_EQ(weft_run(NULL, copy_too_much, NULL), -ENOMEM);
}

/* ---- Names ---- */

static int name_itself(void *arg)
{
    (void)arg;
    CHECK_STR(weft_name(), "name_itself");
    weft_set_name("short");
    CHECK_STR(weft_name(), "short");
    weft_set_name("a name that is longer than thirty-one bytes");
    CHECK_STR(weft_name(), "a name that is longer than thir");
    weft_set_name("");
    CHECK_STR(weft_name(), "");
    return 0;
}

static int spawn_named(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 100; i++) /* memory of a named task is used again for an unnamed one */
        CHECK_EQ(weft_await(weft_spawn(&s, name_itself, arg)), 0);
    return weft_scope_close(&s);
}

TEST(task, is_named_after_its_body_until_it_is_given_a_name)
{
    with_workers(spawn_named, NULL);
}

/* ---- Yielding ---- */

struct turns {
    WF_ATOMIC(int) turn;
    int count;
};

struct turner {
    struct turns *turns;
    int me;
};

static int take_turns(void *arg)
{
    struct turner *t = arg;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(wf_add(&t->turns->turn, 1, relaxed) % t->turns->count, t->me);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static int yield_in_turns(void *arg)
{
    struct turns turns = {.count = 5};
    struct turner turner[5];
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 5; i++) {
        turner[i] = (struct turner){&turns, i};
        CHECK_EQ(weft_go(&s, take_turns, &turner[i]), 0);
    }
    return weft_scope_close(&s);
}

TEST(task, yields_to_all_others_of_its_worker)
{
    with_one_worker(yield_in_turns, NULL);
}

/* Who waits for one task after another. The first has been waited for: how many have run, and has a stranger? */
struct row {
    int length;
    bool sends;
    weft_chan *to;
    WF_ATOMIC(int) ran, others;
};

static int run_in_row(void *arg)
{
    struct row *r = arg;
    int ran = wf_add(&r->ran, 1, relaxed);
    return r->sends ? weft_chan_send(r->to, &ran) : 0;
}

static int run_beside_row(void *arg)
{
    wf_add(&((struct row *)arg)->others, 1, relaxed);
    return 0;
}

static int wait_for_row(void *arg)
{
    struct row *r = arg;
    int sent = -1;
    r->to = weft_chan_new((size_t)r->length, sizeof sent);
    CHECK(r->to != NULL);
    WEFT_SCOPE(strangers);
    WEFT_SCOPE(s);
    weft_task *first = weft_spawn(&s, run_in_row, r);
    for (int i = 1; i < r->length; i++)
        CHECK_EQ(weft_go(&s, run_in_row, r), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_go(&strangers, run_beside_row, r), 0);
    CHECK_EQ(r->sends ? weft_chan_recv(r->to, &sent) : weft_await(first), 0);
    int ran = wf_load(&r->ran, relaxed), others = wf_load(&r->others, relaxed);
    CHECK_EQ(sent, r->sends ? 0 : -1);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(weft_scope_close(&strangers), 0);
    weft_chan_free(r->to);
    wf_store(&r->ran, ran, relaxed);
    wf_store(&r->others, others, relaxed);
    return 0;
}

static void wait_for_rows(bool sends)
{
    static const struct {
        int length, ran, others;
    } expected[] = {{1, 1, 0}, {2, 2, 1}, {10, 10, 1}, {100, 1 + WF_PATIENCE, 0}};
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct row r = {.length = expected[i].length, .sends = sends};
        with_one_worker(wait_for_row, &r);
        CHECK_EQ(wf_load(&r.ran, relaxed), expected[i].ran);
        CHECK_EQ(wf_load(&r.others, relaxed), expected[i].others);
    }
}

TEST(task, that_awaits_many_lets_them_go_first_but_not_all_and_nobody_else)
{
    wait_for_rows(false);
}

TEST(task, that_receives_from_many_lets_them_go_first_but_not_all_and_nobody_else)
{
    wait_for_rows(true);
}

/* Two tasks that wake each other run from the slot, which goes before the queue, but not for ever. */
struct pingpong {
    weft_chan *there, *back;
    WF_ATOMIC(bool) seen;
    int rounds;
};

static int answer(void *arg)
{
    struct pingpong *p = arg;
    int ball;
    while (weft_chan_recv(p->there, &ball) == 0)
        CHECK_EQ(weft_chan_send(p->back, &ball), 0);
    return 0;
}

static int see_that_it_is_its_turn(void *arg)
{
    raise_flag(&((struct pingpong *)arg)->seen);
    return 0;
}

static int play_pingpong(void *arg)
{
    struct pingpong p = {weft_chan_new(0, sizeof(int)), weft_chan_new(0, sizeof(int)), false, 0};
    int ball = 0;
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, answer, &p);
    let_all_run();
    weft_go(&s, see_that_it_is_its_turn, &p);
    for (; p.rounds < 100 && !wf_load(&p.seen, acquire); p.rounds++) {
        CHECK_EQ(weft_chan_send(p.there, &ball), 0);
        CHECK_EQ(weft_chan_recv(p.back, &ball), 0);
    }
    CHECK(p.rounds < 10);
    weft_chan_close(p.there);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_chan_free(p.there);
    weft_chan_free(p.back);
    return 0;
}

TEST(task, pairs_that_wake_each_other_let_a_third_one_run)
{
    with_one_worker(play_pingpong, NULL);
}

static int mind_the_time(void *arg)
{
    weft_time start = weft_now();
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    wf_store((WF_ATOMIC(int64_t) *)arg, weft_since(start), relaxed);
    return 0;
}

static int be_always_ready(void *arg)
{
    WF_ATOMIC(int64_t) *slept = arg;
    while (!wf_load(slept, relaxed))
        CHECK_EQ(weft_yield(), 0);
    return 0;
}

static int crowd_out_a_timer(void *arg)
{
    WF_ATOMIC(int64_t) slept = 0;
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, mind_the_time, &slept);
    for (int i = 0; i < 1000; i++)
        weft_go(&s, be_always_ready, &slept);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK(wf_load(&slept, relaxed) < 100 * WEFT_MSEC * TEST_SLOWNESS);
    return 0;
}

TEST(task, that_sleeps_is_served_though_others_are_always_ready)
{
    with_one_worker(crowd_out_a_timer, NULL);
}

/* ---- Pins ---- */

static int stay(void *arg)
{
    (void)arg;
    weft_pin();
    weft_pin();
    unsigned here = weft_worker();
    pid_t thread = gettid();
    for (int i = 0; i < 200; i++) {
        if (i == 100)
            weft_unpin();
        CHECK_EQ(i % 3 ? weft_yield() : weft_sleep(20 * WEFT_USEC), 0);
        CHECK_EQ(weft_worker(), here);
        CHECK_EQ(gettid(), thread);
    }
    weft_unpin();
    return 0;
}

static int stay_and_roam(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(&s, stay, arg), 0);
    return weft_scope_close(&s);
}

TEST(task, that_is_pinned_stays_on_its_worker)
{
    with_workers(stay_and_roam, NULL);
}

static int unpin_too_often(void *arg)
{
    (void)arg;
    weft_unpin();
    return 0;
}

TEST_DIES(task, must_not_be_unpinned_more_often_than_pinned, "not pinned")
{
    weft_run(NULL, unpin_too_often, NULL);
}

static int return_pinned(void *arg)
{
    (void)arg;
    weft_pin();
    return 0;
}

TEST_DIES(task, must_not_return_pinned, "pinned")
{
    weft_run(NULL, return_pinned, NULL);
}

/* ---- Many ---- */

static int sum_up(void *arg)
{
    wf_add((WF_ATOMIC(int) *)arg, 1, relaxed);
    return 0;
}

static int start_many(void *arg)
{
    WF_ATOMIC(int) sum = 0;
    int n = TEST_TIMES(300000);
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < n; i++)
        if (weft_go(&s, sum_up, &sum) < 0)
            break;
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(wf_load(&sum, relaxed), n);
    return 0;
}

TEST(task, may_be_one_of_very_many)
{
    with_workers(start_many, NULL);
}

/* ---- Among those who await ---- */

static int await_it(void *task)
{
    return weft_await(*(weft_task **)task);
}

static int stop_one_in_the_middle(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int middle = 0; middle < 3; middle++) {
        weft_task *t = weft_spawn(&s, sleep_for_ever, NULL), *w[3];
        for (int i = 0; i < 3; i++)
            w[i] = weft_spawn(&s, await_it, &t);
        let_all_run(); /* they stand in a row: the first, the middle, the last */
        weft_cancel(w[middle]);
        CHECK_EQ(weft_await(w[middle]), -ECANCELED);
        CHECK(!weft_done(t));
        weft_cancel(t);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_await(w[i]), -ECANCELED);
        CHECK(weft_done(t));
    }
    return weft_scope_close(&s);
}

TEST(task, may_be_left_by_one_of_those_who_await_it)
{
    with_one_worker(stop_one_in_the_middle, NULL);
}

/* ---- Pinned, and woken from elsewhere ---- */

struct pinned {
    weft_future f;
    WF_ATOMIC(bool) waits;
};

static int wait_pinned(void *arg)
{
    struct pinned *p = arg;
    weft_pin();
    unsigned here = weft_worker();
    raise_flag(&p->waits);
    CHECK_EQ(weft_future_await(&p->f, NULL), 0);
    CHECK_EQ(weft_worker(), here);
    weft_unpin();
    return 0;
}

static void *set_on_thread(void *arg)
{
    CHECK_EQ(weft_future_set(arg, NULL), 0);
    return NULL;
}

static int wake_pinned_from_a_thread(void *arg)
{
    struct pinned p = {0};
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, wait_pinned, &p);
    yield_until(&p.waits);
    on_a_thread(set_on_thread, &p.f);
    return weft_scope_close(&s);
}

/* Two workers, and each has one of the two: the waiter is taken away while we do not give way. */
static int wake_pinned_from_another_worker(void *arg)
{
    struct pinned p = {0};
    (void)arg;
    weft_pin();
    WEFT_SCOPE(s);
    weft_go(&s, wait_pinned, &p);
    spin_until(&p.waits);
    CHECK_EQ(weft_future_set(&p.f, NULL), 0);
    int err = weft_scope_close(&s);
    weft_unpin();
    return err;
}

TEST(task, that_is_pinned_is_woken_on_its_worker)
{
    with_workers(wake_pinned_from_a_thread, NULL);
    for (int i = 0; i < TEST_TIMES(50); i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = 2}, wake_pinned_from_another_worker, NULL), 0);
}
