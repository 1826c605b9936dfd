/* spare.c - tests of workers that come when all others stand still. What would end that is done by a task that only
 * such a one can run: without it these would hang. */
#include "runtime/platform/fault.h"
#include "tests/runtime/with.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORKERS = 2, SPARES = 6 /* that so few may have */ };

struct scene {
    int pipe[2];             /* of who blocks: a byte lets one go */
    unsigned wanted;         /* so many block */
    WF_ATOMIC(unsigned) blocking;
    weft_event all_block;    /* all that want to are, or do nothing else before they are */
    weft_fn meanwhile;       /* by a task, before it lets them go */
    weft_runtime *rt;
    WF_ATOMIC(unsigned) ran, begun; /* tasks */
    int other[2];            /* a pipe of who waits properly */
    weft_event go_on;
    unsigned where;
};

static void open_scene(struct scene *s, unsigned wanted, weft_fn meanwhile)
{
    *s = (struct scene){.wanted = wanted, .meanwhile = meanwhile, .rt = weft_runtime_self()};
    CHECK_EQ(pipe2(s->pipe, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(s->other, O_CLOEXEC), 0);
}

static void close_scene(struct scene *s)
{
    for (int i = 0; i < 2; i++) {
        close(s->pipe[i]);
        close(s->other[i]);
    }
}

/* As a careless task does it. */
static int block(void *arg)
{
    struct scene *s = arg;
    char byte;
    if (wf_add(&s->blocking, 1u, acq_rel) + 1 == s->wanted)
        weft_event_set(&s->all_block);
    CHECK_EQ(read(s->pipe[0], &byte, 1), 1);
    return 0;
}

static int let_go(void *arg)
{
    struct scene *s = arg;
    CHECK_EQ(weft_event_wait(&s->all_block), 0);
    if (s->meanwhile)
        CHECK_EQ(s->meanwhile(s), 0);
    for (unsigned i = 0; i < s->wanted; i++)
        CHECK_EQ(write(s->pipe[1], "x", 1), 1);
    return 0;
}

static void play(struct scene *s)
{
    WEFT_SCOPE(scope);
    CHECK_EQ(weft_go(&scope, let_go, s), 0);
    for (unsigned i = 0; i < s->wanted; i++)
        CHECK_EQ(weft_go(&scope, block, s), 0);
    CHECK_EQ(weft_scope_close(&scope), 0);
}

static weft_stats stats_of(weft_runtime *rt)
{
    weft_stats stats;
    weft_stats_read(rt, &stats);
    return stats;
}

static void run(weft_fn fn)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = WORKERS}, fn, NULL), 0);
}

/* ---- One ---- */

static int block_both(void *arg)
{
    (void)arg;
    struct scene s;
    CHECK_EQ(stats_of(weft_runtime_self()).spares, 0);
    open_scene(&s, WORKERS, NULL);
    play(&s);
    close_scene(&s);
    CHECK(stats_of(weft_runtime_self()).spares >= 1);
    CHECK_EQ(stats_of(weft_runtime_self()).workers, WORKERS);
    return 0;
}

TEST(spare, comes_when_all_workers_are_blocked)
{
    run(block_both);
}

/* ---- What it runs ---- */

static int count(void *arg)
{
    wf_add(&((struct scene *)arg)->ran, 1u, relaxed);
    return 0;
}

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int read_other(void *arg)
{
    struct scene *s = arg;
    char byte;
    CHECK_EQ(weft_read(s->other[0], &byte, 1), 1);
    return count(s);
}

/* All that a worker is needed for. */
static int live_on(void *arg)
{
    struct scene *s = arg;
    int added = 0;
    WEFT_SCOPE(scope);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_go(&scope, count, s), 0);
    CHECK_EQ(weft_go(&scope, read_other, s), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    CHECK_EQ(weft_offload(add_one, &added), 0);
    CHECK_EQ(weft_submit(s->rt, count, s), 0);
    CHECK_EQ(weft_write(s->other[1], "x", 1), 1);
    CHECK_EQ(weft_scope_close(&scope), 0);
    while (wf_load(&s->ran, relaxed) < 102)
        CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(added, 1);
    return 0;
}

static int live_on_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(30); i++) {
        struct scene s;
        open_scene(&s, WORKERS, live_on);
        play(&s);
        close_scene(&s);
    }
    return 0;
}

TEST_WITHIN(spare, runs_all_that_a_worker_runs_and_goes_and_comes_again, 60)
{
    run(live_on_often);
}

/* The other sleeps before they block, on one of their workers. */
static int sleep_and_let_go(void *arg)
{
    struct scene *s = arg;
    CHECK_EQ(weft_sleep(20 * WEFT_MSEC), 0);
    return let_go(s);
}

static int block_beside_a_sleeper(void *arg)
{
    (void)arg;
    struct scene s;
    open_scene(&s, WORKERS, NULL);
    WEFT_SCOPE(scope);
    CHECK_EQ(weft_go(&scope, sleep_and_let_go, &s), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    for (unsigned i = 0; i < s.wanted; i++)
        CHECK_EQ(weft_go(&scope, block, &s), 0);
    CHECK_EQ(weft_scope_close(&scope), 0);
    close_scene(&s);
    return 0;
}

TEST(spare, fires_the_timers_of_blocked_workers)
{
    run(block_beside_a_sleeper);
}

/* ---- Several ---- */

static int block_spares_too(void *arg)
{
    (void)arg;
    for (unsigned others = 1; others < SPARES; others += SPARES - 2) { /* one; and all but the last */
        struct scene s;
        open_scene(&s, WORKERS + others, live_on);
        play(&s);
        close_scene(&s);
        CHECK(stats_of(weft_runtime_self()).spares >= others + 1);
    }
    return 0;
}

TEST(spare, has_a_successor_when_it_is_blocked_itself)
{
    run(block_spares_too);
}

/* ---- Computing ---- */

static struct {
    WF_ATOMIC(unsigned) begun, computing, fresh_ran;
    WF_ATOMIC(bool) is_fresh_there, enough;
    int ping[2], pong[2];
} busy;

static int note_fresh(void *arg)
{
    (void)arg;
    CHECK(weft_worker() < WORKERS);
    wf_add(&busy.fresh_ran, 1u, relaxed);
    return 0;
}

/* Holds a worker without a system call, and has something else to be done, once all compute. */
static int compute(void *arg)
{
    (void)arg;
    bool last = wf_add(&busy.computing, 1u, acq_rel) + 1 == WORKERS;
    WEFT_SCOPE(s);
    if (last) {
        CHECK_EQ(weft_go(&s, note_fresh, NULL), 0);
        raise_flag(&busy.is_fresh_there);
    }
    while (!wf_load(&busy.enough, acquire))
        continue;
    CHECK_EQ(weft_scope_close(&s), 0);
    return 0;
}

static int answer(void *arg)
{
    char byte;
    (void)arg;
    wf_add(&busy.begun, 1u, relaxed);
    while (weft_read(busy.ping[0], &byte, 1) == 1)
        CHECK_EQ(weft_write(busy.pong[1], &byte, 1), 1);
    return 0;
}

/* Timers, the kernel's answers, other tasks', lanes; and what a task begins that goes on on a spare goes on there. */
static int go_on_meanwhile(void *arg)
{
    int added = 0;
    (void)arg;
    wf_add(&busy.begun, 1u, relaxed);
    while (!wf_load(&busy.is_fresh_there, acquire))
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    for (int i = 0; i < 20; i++) {
        char byte = (char)i;
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
        CHECK_EQ(weft_write(busy.ping[1], &byte, 1), 1);
        CHECK_EQ(weft_read(busy.pong[0], &byte, 1), 1);
        CHECK_EQ(byte, i);
        CHECK_EQ(weft_offload(add_one, &added), 0);
        WEFT_SCOPE(s);
        CHECK_EQ(weft_go(&s, add_one, &added), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    CHECK_EQ(added, 40);
    CHECK_EQ(wf_load(&busy.fresh_ran, relaxed), 0);
    raise_flag(&busy.enough);
    close(busy.ping[1]);
    return 0;
}

static int compute_on_all(void *arg)
{
    (void)arg;
    CHECK_EQ(pipe2(busy.ping, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(busy.pong, O_CLOEXEC), 0);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, answer, NULL), 0);
    CHECK_EQ(weft_go(&s, go_on_meanwhile, NULL), 0);
    while (wf_load(&busy.begun, relaxed) < 2)
        CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(weft_go(&s, compute, NULL), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(wf_load(&busy.fresh_ran, relaxed), 1);
    CHECK(stats_of(weft_runtime_self()).spares >= 1);
    for (int i = 0; i < 2; i++)
        close(busy.pong[i]);
    close(busy.ping[0]);
    return 0;
}

TEST(spare, goes_on_with_what_has_begun_while_all_compute_and_begins_nothing)
{
    run(compute_on_all);
}

/* Nobody waits for anything: then nobody is called, however long it takes. */
static int compute_for_a_while(void *arg)
{
    weft_time end = weft_after(50 * WEFT_MSEC);
    (void)arg;
    while (weft_since(end) < 0)
        continue;
    return 0;
}

static int compute_much(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 3 * WORKERS; i++)
        CHECK_EQ(weft_go(&s, compute_for_a_while, NULL), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(stats_of(weft_runtime_self()).spares, 0);
    return 0;
}

TEST(spare, does_not_come_where_all_compute_and_nothing_else_has_begun)
{
    run(compute_much);
}

/* ---- Standby ---- */

/* Asks the kernel on a spare, is answered when that stands by. */
static int wait_on_a_spare(void *arg)
{
    struct scene *s = arg;
    char byte;
    s->where = weft_worker();
    CHECK(s->where >= WORKERS);
    wf_add(&s->begun, 1u, relaxed);
    CHECK_EQ(weft_read(s->other[0], &byte, 1), 1);
    return count(s);
}

/* The same, and comes back to the very spare. */
static int wait_pinned(void *arg)
{
    struct scene *s = arg;
    weft_pin();
    unsigned where = weft_worker();
    CHECK(where >= WORKERS);
    wf_add(&s->begun, 1u, relaxed);
    CHECK_EQ(weft_event_wait(&s->go_on), 0);
    CHECK_EQ(weft_worker(), where);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    CHECK_EQ(weft_worker(), where);
    weft_unpin();
    return count(s);
}

static weft_scope *outer; /* of who outlives the block */

static int start_who_stays(void *arg)
{
    struct scene *s = arg;
    unsigned before = wf_load(&s->ran, relaxed);
    CHECK_EQ(weft_go(outer, wait_on_a_spare, s), 0);
    CHECK_EQ(weft_go(outer, wait_pinned, s), 0);
    while (wf_load(&s->begun, relaxed) < 2)
        CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(wf_load(&s->ran, relaxed), before);
    return 0;
}

static int answer_on_standby(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(20); i++) {
        struct scene s;
        open_scene(&s, WORKERS, start_who_stays);
        WEFT_SCOPE(scope);
        outer = &scope;
        play(&s);
        CHECK_EQ(weft_sleep(3 * WEFT_MSEC), 0); /* the spare goes meanwhile */
        weft_event_set(&s.go_on);
        CHECK_EQ(weft_write(s.other[1], "x", 1), 1);
        CHECK_EQ(weft_scope_close(&scope), 0);
        CHECK_EQ(wf_load(&s.ran, relaxed), 2);
        close_scene(&s);
    }
    return 0;
}

TEST_WITHIN(spare, passes_on_what_reaches_it_on_standby_but_for_pinned_tasks, 60)
{
    run(answer_on_standby);
}

/* ---- Reports ---- */

static int dump_meanwhile(void *arg)
{
    (void)arg;
    char text[4096] = "", wanted[64];
    snprintf(wanted, sizeof wanted, "  spare worker %u: runs task ", weft_worker());
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    weft_dump(fd);
    CHECK(pread(fd, text, sizeof text - 1, 0) > 0);
    CHECK(strstr(text, wanted) != NULL);
    close(fd);
    return 0;
}

static int dump_while_blocked(void *arg)
{
    (void)arg;
    struct scene s;
    open_scene(&s, WORKERS, dump_meanwhile);
    play(&s);
    close_scene(&s);
    return 0;
}

TEST(spare, is_in_dumps)
{
    run(dump_while_blocked);
}

#if defined(WF_FAULTS)

/* The watchdog's thread is the first, the second worker's the next. */
TEST(spare, that_cannot_be_had_comes_later)
{
    wf_fault_at(WF_FAULT_THREAD, 3, WF_FAULT_ONCE);
    run(block_both);
    CHECK_EQ(wf_fault_failed(), 1);
}

#endif
