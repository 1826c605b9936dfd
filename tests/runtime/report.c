/* report.c - tests of what a runtime tells about itself: stalls, dumps, figures, misuse. */
#include "tests/runtime/with.h"

#include <sys/mman.h>
#include <unistd.h>

/* ---- Stalls ---- */

enum { REPORTS = 16 };

struct reports {
    WF_ATOMIC(unsigned) count;
    struct {
        char task[64], where[256];
        unsigned worker;
        int64_t held_ns;
    } report[REPORTS];
    WF_ATOMIC(unsigned) worker;
};

static void note_stall(const weft_stall *stall, void *ctx)
{
    struct reports *r = ctx;
    unsigned n = wf_load(&r->count, relaxed);
    CHECK(n < REPORTS);
    snprintf(r->report[n].task, sizeof r->report[n].task, "%s", stall->task);
    snprintf(r->report[n].where, sizeof r->report[n].where, "%s", stall->where);
    r->report[n].worker = stall->worker;
    r->report[n].held_ns = stall->held_ns;
    wf_store(&r->count, n + 1, release);
}

static const int64_t LIMIT_NS = 5 * WEFT_MSEC;

static void compute(int64_t ns)
{
    for (weft_time start = weft_now(); weft_since(start) < ns;)
        ;
}

/* Holds its worker until it has been reported, and then some. */
static int be_rude(void *arg)
{
    struct reports *r = arg;
    unsigned before = wf_load(&r->count, acquire);
    wf_store(&r->worker, weft_worker(), relaxed);
    while (wf_load(&r->count, acquire) == before)
        compute(100 * WEFT_USEC);
    compute(4 * LIMIT_NS); /* it is the same stall still */
    return 0;
}

static int be_rude_by_name(void *arg)
{
    weft_set_name("the rude one");
    return be_rude(arg);
}

static unsigned count_reports(const struct reports *r, const char *task)
{
    unsigned n = 0, count = wf_load(&r->count, acquire);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(r->report[i].task, task) == 0) {
            n++;
            CHECK(strstr(r->report[i].where, "report.c:") != NULL);
            CHECK(r->report[i].held_ns >= LIMIT_NS);
        }
    return n;
}

static int start_rude_ones(void *arg)
{
    struct reports *r = arg;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_await(weft_spawn(&s, be_rude, r)), 0);
    CHECK_EQ(count_reports(r, "be_rude"), 1);
    CHECK_EQ(r->report[0].worker, wf_load(&r->worker, relaxed));
    CHECK_EQ(weft_await(weft_spawn(&s, be_rude_by_name, r)), 0);
    CHECK_EQ(count_reports(r, "the rude one"), 1);
    CHECK_EQ(count_reports(r, "be_rude"), 1);
    return weft_scope_close(&s);
}

TEST(watchdog, reports_a_task_that_holds_its_worker_once)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct reports r = {0};
        weft_config config = {.workers = workers, .stall_ns = LIMIT_NS, .on_stall = note_stall, .ctx = &r};
        CHECK_EQ(weft_run(&config, start_rude_ones, &r), 0);
    }
}

static WF_ATOMIC(int64_t) longest_stretch; /* by tasks of one worker, which orders nothing */

/* Ten times the limit in all, but never for long at once; unless the machine takes the worker's core away. */
static int be_polite(void *arg)
{
    weft_time since = weft_now();
    (void)arg;
    for (int i = 0; i < 200; i++) {
        compute(LIMIT_NS / 2);
        CHECK_EQ(i % 2 ? weft_yield() : weft_sleep(20 * WEFT_USEC), 0);
        int64_t stretch = weft_since(since);
        if (stretch > wf_load(&longest_stretch, relaxed))
            wf_store(&longest_stretch, stretch, relaxed);
        since = weft_now();
    }
    return 0;
}

static int start_polite_ones(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_go(&s, be_polite, arg), 0);
    return weft_scope_close(&s);
}

TEST(watchdog, says_nothing_of_tasks_that_give_way)
{
    struct reports r = {0};
    weft_config config = {.workers = 1, .stall_ns = 20 * LIMIT_NS, .on_stall = note_stall, .ctx = &r};
    CHECK_EQ(weft_run(&config, start_polite_ones, &r), 0);
    CHECK(wf_load(&r.count, acquire) == 0 || wf_load(&longest_stretch, relaxed) >= config.stall_ns);
}

static int be_rude_first(void *arg)
{
    return be_rude(arg);
}

TEST(watchdog, knows_the_first_task)
{
    struct reports r = {0};
    weft_config config = {.workers = 1, .stall_ns = LIMIT_NS, .on_stall = note_stall, .ctx = &r};
    CHECK_EQ(weft_run(&config, be_rude_first, &r), 0);
    CHECK_EQ(wf_load(&r.count, acquire), 1);
    CHECK_STR(r.report[0].task, "(first task)");
    CHECK_STR(r.report[0].where, "weft_run");
}

/* The machine may take a core away for many milliseconds, which is a stall like any other: hence such long ones. */
enum { LONG = 40 };

static int only_sleep(void *arg)
{
    (void)arg;
    weft_blocking_begin(); /* off the worker: no stall */
    compute(2 * LONG * LIMIT_NS);
    weft_blocking_end();
    return weft_sleep(2 * LONG * LIMIT_NS);
}

TEST(watchdog, says_nothing_of_tasks_that_wait_or_block_elsewhere)
{
    struct reports r = {0};
    weft_config config = {.workers = 1, .stall_ns = LONG * LIMIT_NS, .on_stall = note_stall, .ctx = &r};
    CHECK_EQ(weft_run(&config, only_sleep, &r), 0);
    CHECK_EQ(wf_load(&r.count, acquire), 0);
}

static int be_rude_to_nobody(void *arg)
{
    compute(20 * WEFT_MSEC);
    return only_sleep(arg);
}

TEST(watchdog, may_have_nobody_to_tell)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .stall_ns = WEFT_MSEC}, be_rude_to_nobody, NULL), 0);
}

/* ---- Dumps ---- */

/* What weft_dump() writes now. */
static char *dump(void)
{
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    weft_dump(fd);
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    CHECK_EQ(pread(fd, text, (size_t)size, 0), size);
    close(fd);
    return text;
}

/* The line of the task with this name holds these words. */
static void check_line(const char *text, const char *name, const char *words)
{
    char key[64], line[512];
    snprintf(key, sizeof key, " %s: ", name);
    const char *at = strstr(text, key);
    if (!at)
        test_failed(__FILE__, __LINE__, "no task \"%s\" in: %s", name, text);
    snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    if (!strstr(line, words) || !strstr(line, "report.c:"))
        test_failed(__FILE__, __LINE__, "no \"%s\" in: %s", words, line);
}

static void wait_for_state(const char *name, const char *state)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, " %s: %s", name, state);
    for (bool there = false; !there;) {
        CHECK_EQ(weft_yield(), 0);
        char *text = dump();
        there = strstr(text, wanted) != NULL;
        free(text);
    }
}

struct stages {
    int pipe[2];
    weft_mutex mutex;
    weft_event go_on;
    WF_ATOMIC(bool) blocks, may_unblock;
};

static int wait_stoppably(void *arg)
{
    weft_set_name("sleeper");
    CHECK_EQ(weft_event_wait(&((struct stages *)arg)->go_on), 0);
    return 0;
}

static int wait_for_kernel(void *arg)
{
    char item;
    weft_set_name("reader");
    CHECK_EQ(weft_read(((struct stages *)arg)->pipe[0], &item, 1), 1);
    return 0;
}

static int wait_for_kernel_or_stop(void *arg)
{
    char item;
    weft_set_name("reader");
    return (int)weft_read(((struct stages *)arg)->pipe[0], &item, 1);
}

static int wait_for_mutex(void *arg)
{
    struct stages *s = arg;
    weft_set_name("locker");
    weft_mutex_lock(&s->mutex);
    weft_mutex_unlock(&s->mutex);
    return 0;
}

static int block_on_pool(void *arg)
{
    struct stages *s = arg;
    weft_set_name("blocker");
    weft_blocking_begin();
    raise_flag(&s->blocks);
    spin_until(&s->may_unblock);
    weft_blocking_end();
    return 0;
}

static int just_return(void *arg)
{
    (void)arg;
    weft_set_name("finished");
    return 0;
}

static void check_dump(void)
{
    char *text = dump();
    check_line(text, "sleeper", "waiting");
    check_line(text, "reader", "waiting for the kernel");
    check_line(text, "locker", "waiting, whatever happens");
    check_line(text, "blocker", "blocking, on a lane");
    check_line(text, "finished", "done, kept by its scope");
    check_line(text, "sleep_for_ever", "prepared, not started");
    check_line(text, "return_zero", "ready");
    CHECK(strstr(text, "(first task): running, spawned at weft_run"));
    CHECK(strstr(text, "1 workers"));
    CHECK(strstr(text, "worker 0: runs task 1"));
    free(text);
}

static int show_every_state(void *arg)
{
    struct stages st = {0};
    (void)arg;
    CHECK_EQ(pipe(st.pipe), 0);
    weft_mutex_lock(&st.mutex);
    WEFT_SCOPE(s);
    weft_go(&s, wait_stoppably, &st);
    weft_go(&s, wait_for_kernel, &st);
    weft_go(&s, wait_for_mutex, &st);
    weft_go(&s, block_on_pool, &st);
    CHECK_EQ(weft_await(weft_spawn(&s, just_return, NULL)), 0);
    weft_task *prepared = weft_prepare(&s, sleep_for_ever, NULL);
    yield_until(&st.blocks);
    wait_for_state("reader", "waiting for the kernel"); /* it may need more than one request to get there */
    weft_go(&s, return_zero, NULL);
    check_dump();
    raise_flag(&st.may_unblock);
    weft_event_set(&st.go_on);
    weft_mutex_unlock(&st.mutex);
    CHECK_EQ(write(st.pipe[1], "x", 1), 1);
    weft_cancel(prepared);
    CHECK_EQ(weft_await(prepared), -ECANCELED);
    CHECK_EQ(weft_scope_close(&s), 0);
    close(st.pipe[0]);
    close(st.pipe[1]);
    return 0;
}

TEST(dump, shows_every_task_and_its_state)
{
    with_one_worker(show_every_state, NULL);
}

TEST(dump, of_nothing_is_empty)
{
    char *text = dump();
    CHECK_STR(text, "");
    free(text);
}

struct other {
    WF_ATOMIC(bool) up, seen;
};

static int stay_up(void *arg)
{
    struct other *o = arg;
    weft_set_name("elsewhere");
    raise_flag(&o->up);
    spin_until(&o->seen);
    return 0;
}

static void *run_other(void *arg)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, stay_up, arg), 0);
    return NULL;
}

TEST(dump, shows_all_runtimes_and_is_for_any_thread)
{
    struct other o[2] = {0};
    pthread_t id[2];
    for (int i = 0; i < 2; i++)
        id[i] = start_thread(run_other, &o[i]);
    for (int i = 0; i < 2; i++)
        spin_until(&o[i].up);
    char *text = dump();
    char *first = strstr(text, "elsewhere");
    CHECK(first && strstr(first + 1, "elsewhere"));
    free(text);
    for (int i = 0; i < 2; i++) {
        raise_flag(&o[i].seen);
        join_thread(id[i]);
    }
}

/* ---- Figures ---- */

static bool only_grows(const weft_stats *a, const weft_stats *b)
{
    return b->tasks >= a->tasks && b->switches >= a->switches && b->steals >= a->steals && b->parks >= a->parks &&
           b->submits >= a->submits && b->completions >= a->completions && b->served >= a->served;
}

static int count_what_happens(void *arg)
{
    weft_runtime *rt = weft_runtime_self();
    weft_stats before, after;
    (void)arg;
    weft_stats_read(rt, &before);
    CHECK(before.tasks >= 1);
    WEFT_SCOPE(s);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_await(weft_spawn(&s, return_zero, NULL)), 0);
    do { /* a sleep that is over before its worker could go to sleep is no park */
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
        weft_stats_read(rt, &after);
    } while (after.parks == before.parks);
    CHECK(only_grows(&before, &after));
    CHECK_EQ(after.tasks - before.tasks, 100);
    CHECK(after.switches > before.switches);
    return weft_scope_close(&s);
}

TEST(stats, count_what_happens)
{
    with_workers(count_what_happens, NULL);
}

static int count_operations(void *arg)
{
    weft_runtime *rt = weft_runtime_self();
    weft_stats before, after;
    int fd[2];
    char item = 'x';
    (void)arg;
    CHECK_EQ(pipe(fd), 0);
    weft_stats_read(rt, &before);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(weft_write(fd[1], &item, 1), 1);
        CHECK_EQ(weft_read(fd[0], &item, 1), 1);
    }
    weft_stats_read(rt, &after);
    CHECK(after.completions - before.completions >= 20);
    CHECK(after.completions - before.completions < 60);
    close(fd[0]);
    close(fd[1]);
    return 0;
}

TEST(stats, count_kernel_operations)
{
    with_workers(count_operations, NULL);
}

/* A body whose text is longer than a line, and a file deeper than any: the line is cut, and is still one. */
static int dump_at_length(void *arg)
{
    static char site[2048];
    memset(site, 'b', sizeof site);
    site[1000] = '\0';
    site[sizeof site - 1] = '\0';
    (void)arg;
    WEFT_SCOPE(s);
    weft_go_at(&s, return_zero, NULL, site);
    char *text = dump();
    for (char *line = text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        CHECK(end && end - line < 512);
    }
    CHECK(strstr(text, "bbbbbbbb: ready") != NULL);
    free(text);
    weft_dump(-1); /* nobody reads it */
    return weft_scope_close(&s);
}

TEST(dump, cuts_what_is_too_long_for_a_line)
{
    with_one_worker(dump_at_length, NULL);
}

static int dump_a_cancel(void *arg)
{
    struct stages st = {0};
    (void)arg;
    CHECK_EQ(pipe(st.pipe), 0);
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, wait_for_kernel_or_stop, &st);
    wait_for_state("reader", "waiting for the kernel");
    weft_cancel(t); /* the request to cancel lies in the ring until we look outside */
    char *text = dump();
    check_line(text, "reader", "waiting for the kernel to cancel");
    free(text);
    CHECK_EQ(weft_await(t), -ECANCELED);
    close(st.pipe[0]);
    close(st.pipe[1]);
    return weft_scope_close(&s);
}

TEST(dump, shows_a_cancel_on_its_way)
{
    with_one_worker(dump_a_cancel, NULL);
}
