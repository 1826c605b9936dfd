/* watchdog.c - tests of the watchdog that nobody has asked for: when it is there, when it speaks, and what it takes for
 * a stall and what not. */
#include "runtime/platform/thread.h"
#include "tests/runtime/with.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process of its own, which has no other threads: Criterion's may. */
static void in_a_child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* ---- Whether there is one ---- */

static int count_threads(void *arg)
{
    *(unsigned *)arg = wf_thread_count();
    return 0;
}

static unsigned threads_with(int64_t stall_ns)
{
    unsigned threads = 0;
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .stall_ns = stall_ns}, count_threads, &threads), 0);
    return threads;
}

static void count_with_and_without(void)
{
    CHECK(threads_with(0) > 0); /* sanitizers have one of their own beside the first */
    unsigned before = wf_thread_count();
    CHECK_EQ(threads_with(0), before + 1);
    CHECK_EQ(threads_with(WEFT_SEC), before + 1);
    CHECK_EQ(threads_with(-1), before);
    CHECK_EQ(setenv("WEFT_STALL_MS", "0", 1), 0);
    CHECK_EQ(threads_with(0), before);
    CHECK_EQ(threads_with(WEFT_SEC), before);
    CHECK_EQ(setenv("WEFT_STALL_MS", "1000", 1), 0);
    CHECK_EQ(threads_with(-1), before + 1);
}

TEST(watchdog, is_there_unless_it_is_not_wanted)
{
    in_a_child(count_with_and_without);
}

/* ---- Stalls ---- */

static const int64_t LIMIT_NS = 200 * WEFT_MSEC;
static const int64_t STOP_LIMIT_NS = 600 * WEFT_MSEC; /* a busy machine gives no CPU for part of that */

struct told {
    WF_ATOMIC(unsigned) count;
    WF_ATOMIC(int64_t) at_ns;
};

static void note(const weft_stall *stall, void *ctx)
{
    struct told *t = ctx;
    CHECK(stall->held_ns >= LIMIT_NS);
    wf_store(&t->at_ns, weft_now().ns, relaxed);
    wf_add(&t->count, 1u, release);
}

static int64_t shortest_ns;

/* A machine with other things to do may take its time: of several reports, one is to be in time. */
static int hold_the_worker(void *arg)
{
    struct told *t = arg;
    for (unsigned round = 1; round <= 5; round++) {
        weft_time start = weft_now();
        while (wf_load(&t->count, acquire) < round)
            wf_pause();
        int64_t took = wf_load(&t->at_ns, relaxed) - start.ns;
        CHECK(took >= LIMIT_NS);
        shortest_ns = round == 1 || took < shortest_ns ? took : shortest_ns;
        CHECK_EQ(weft_sleep((int64_t)round * 40 * WEFT_MSEC), 0); /* it may have fallen asleep by then, or not */
    }
    weft_stats stats;
    weft_stats_read(weft_runtime_self(), &stats);
    CHECK_EQ(stats.stalls, 5);
    return 0;
}

TEST(watchdog, says_soon_after_the_limit_that_a_task_holds_its_worker)
{
    struct told t = {0};
    weft_config config = {.workers = 1, .stall_ns = LIMIT_NS, .on_stall = note, .ctx = &t};
    CHECK_EQ(weft_run(&config, hold_the_worker, &t), 0);
    CHECK(shortest_ns <= LIMIT_NS + 100 * WEFT_MSEC * TEST_PATIENCE);
}

static void compute(int64_t ns)
{
    for (weft_time start = weft_now(); weft_since(start) < ns;)
        wf_pause();
}

/* Computes for a fifth of the limit at a time, until the parent has closed the pipe. */
static int give_way_often(void *arg)
{
    char byte;
    do
        compute(STOP_LIMIT_NS / 5);
    while (weft_yield() == 0 && read(*(int *)arg, &byte, 1) < 0);
    return 0;
}

static int run_in_stopped_process(int *end)
{
    struct told t = {0};
    weft_config config = {.workers = 1, .stall_ns = STOP_LIMIT_NS, .on_stall = note, .ctx = &t};
    CHECK_EQ(weft_run(&config, give_way_often, end), 0);
    return wf_load(&t.count, relaxed) == 0 ? 0 : 1;
}

static void stop_and_continue(pid_t pid)
{
    int status;
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    compute(STOP_LIMIT_NS * 5 / 4);
    CHECK_EQ(kill(pid, SIGCONT), 0);
    CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    CHECK(WIFCONTINUED(status));
}

TEST(watchdog, takes_no_stop_of_the_process_for_a_stall)
{
    int end[2], status;
    CHECK_EQ(pipe2(end, O_NONBLOCK), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(end[1]);
        _exit(run_in_stopped_process(&end[0]));
    }
    for (int i = 0; i < 5; i++)
        stop_and_continue(pid);
    close(end[1]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* ---- Deadlocks ---- */

static const int64_t DEFAULT_LIMIT_NS = (TEST_SLOWNESS > 1 ? 5 : 1) * WEFT_SEC;

#ifndef WF_TSAN /* which has a thread of its own in every process */

static int await_for_ever(void *arg)
{
    void *value;
    return weft_future_await(arg, &value);
}

/* A child's stderr up to `needle`. */
static void expect_line(int fd, const char *needle)
{
    char text[4096];
    size_t n = 0;
    while (n + 1 < sizeof text) {
        ssize_t got = read(fd, text + n, sizeof text - 1 - n);
        CHECK(got > 0);
        text[n += (size_t)got] = 0;
        if (strstr(text, needle))
            return;
    }
    CHECK(!"found");
}

TEST(watchdog, names_a_deadlock_unasked_where_there_are_none_but_weft_s_threads)
{
    int err[2], status;
    CHECK_EQ(pipe(err), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        weft_future f = {0};
        dup2(err[1], STDERR_FILENO);
        close(err[0]);
        close(err[1]);
        _exit(weft_run(&(weft_config){.workers = 2}, await_for_ever, &f));
    }
    close(err[1]);
    expect_line(err[0], "weft: nothing can go on: 1 tasks wait, all 2 workers sleep");
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(err[0]);
}

#endif

struct late {
    weft_future future;
    weft_runtime *rt;
    uint64_t deadlocks;
};

static void *set_late(void *arg)
{
    struct late *l = arg;
    weft_stats stats;
    compute(DEFAULT_LIMIT_NS * 3 / 2); /* longer than it would take to say so */
    weft_stats_read(l->rt, &stats);
    l->deadlocks = stats.deadlocks;
    CHECK_EQ(weft_future_set(&l->future, NULL), 0);
    return NULL;
}

static int await_a_late_thread(void *arg)
{
    struct late *l = arg;
    void *value;
    l->rt = weft_runtime_self();
    pthread_t id = start_thread(set_late, l);
    CHECK_EQ(weft_future_await(&l->future, &value), 0);
    join_thread(id);
    return 0;
}

TEST(watchdog, leaves_it_to_a_thread_of_the_program_s_own_unless_asked)
{
    struct late l = {0};
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, await_a_late_thread, &l), 0);
    CHECK_EQ(l.deadlocks, 0);
}
