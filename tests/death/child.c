/* child.c - fork(): the child may exec; a call that needs the runtime ends it with a line that says so.
 *
 * Each of these forks where a program would, in a task, on the pool, on a thread beside the runtime; the child does
 * one thing. The parent dies as its child died, so that the usual checks apply: one abort, one line. */
#include "io/ring.h"
#include "runtime/platform/atomic.h"
#include "tests/death/dies.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD " in a child of fork(), which may only exec"

static weft_runtime *rt;
static weft_scope scope;
static weft_task *waiting;
static weft_future promised;
static weft_mutex mutex;
static weft_chan *chan;

/* ---- What a child may try ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void yield(void) { weft_yield(); }
static void await(void) { weft_await(waiting); }
static void spawn(void) { weft_spawn(&scope, nothing, NULL); }
static void close_scope(void) { weft_scope_close(&scope); }
static void leave_scope(void) { weft_scope_leave(&scope); }
static void offload(void) { weft_offload(nothing, NULL); }
static void start_job(void) { weft_job_start(&(weft_job){0}, NULL, nothing, NULL); }
static void await_job(void) { weft_job_await(&(weft_job){0}); }
static void close_lane(void) { weft_lane_close(NULL); }
static void read_lane(void) { weft_lane_stats_read(NULL, &(weft_lane_stats){0}); }
static void begin(void) { weft_blocking_begin(); }
static void end(void) { weft_blocking_end(); }
static void lock(void) { weft_mutex_lock(&mutex); }
static void submit(void) { weft_submit(rt, nothing, NULL); }
static void cancel(void) { weft_cancel(waiting); }
static void cancel_scope(void) { weft_scope_cancel(&scope); }
static void dump(void) { weft_dump(STDOUT_FILENO); }
static void set_future(void) { weft_future_set(&promised, NULL); }
static void await_future(void) { weft_future_await(&(weft_future){{0}}, NULL); }
static void receive(void) { weft_chan_recv(chan, &(int){0}); }
static void run(void) { weft_run(NULL, nothing, NULL); }

/* Its child is no better off. */
static void fork_again(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        weft_yield();
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    abort();
}

static void read_stats(void)
{
    weft_stats s;
    weft_stats_read(rt, &s);
}

static void read_descriptor(void)
{
    char c;
    weft_read(STDIN_FILENO, &c, 1);
}

struct row {
    const char *says;
    void (*call)(void);
};

static const struct row *row; /* whose turn it is; NULL: just return */

/* ---- Where the fork is ---- */

/* The child does it; the parent ends as the child did. */
static void in_a_child(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (!row)
            return;
        row->call();
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        abort();
    _exit(1);
}

static int fork_here(void *arg)
{
    (void)arg;
    in_a_child();
    return 0;
}

static int fork_while_blocking(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    in_a_child();
    weft_blocking_end();
    return 0;
}

static int fork_offloaded(void *arg)
{
    return weft_offload(fork_here, arg);
}

static int wait_for_promise(void *arg)
{
    (void)arg;
    return weft_future_await(&promised, NULL);
}

static weft_fn forking;

/* Everything that a child may try to use is there and in use. */
static void furnish(void)
{
    rt = weft_runtime_self();
    chan = weft_chan_new(0, sizeof(int));
    weft_mutex_lock(&mutex);
    weft_scope_open(&scope);
    waiting = weft_spawn(&scope, wait_for_promise, NULL);
    weft_yield();
}

static int furnish_and_fork(void *arg)
{
    furnish();
    weft_go_at(&scope, forking, arg, "forker\0forker.c:4");
    return weft_scope_close(&scope);
}

static void run_forking(void)
{
    weft_run(&(weft_config){.workers = 1}, furnish_and_fork, NULL);
}

static void each_dies(weft_fn fn, const struct row *table, size_t n, const char *blamed)
{
    forking = fn;
    for (size_t i = 0; i < n; i++) {
        row = table[i].call ? &table[i] : NULL;
        char text[128];
        snprintf(text, sizeof text, "weft: %s" CHILD, table[i].says);
        test_dies(run_forking, (const char *const[]){text, blamed, NULL});
    }
}

#define EACH_DIES(fn, table, blamed) each_dies((fn), (table), sizeof(table) / sizeof *(table), (blamed))
#define FORKER ", in task forker (spawned at forker.c:4)"

TEST_WITHIN(child, forked_by_a_task_may_not_use_the_runtime, 60)
{
    static const struct row table[] = {
        {"weft_yield", yield}, {"weft_await", await}, {"weft_spawn", spawn}, {"weft_scope_close", close_scope},
        {"weft_scope_leave", leave_scope}, {"weft_offload", offload}, {"weft_job_start", start_job},
        {"weft_job_await", await_job}, {"weft_lane_close", close_lane}, {"weft_lane_stats_read", read_lane},
        {"weft_blocking_begin", begin}, {"a call that suspends", lock}, {"weft_submit", submit},
        {"weft_cancel", cancel}, {"weft_scope_cancel", cancel_scope}, {"weft_dump", dump},
        {"weft_stats_read", read_stats},
        {"a call that suspends", await_future}, {"a call that suspends", receive}, {"weft_run", run},
        {"weft_read", read_descriptor}, {"weft_yield", fork_again}, {"a task returned", NULL},
    };
    EACH_DIES(fork_here, table, FORKER);
}

TEST(child, forked_by_a_blocking_task_may_not_use_the_runtime)
{
    static const struct row table[] = {
        {"weft_yield", yield}, {"weft_blocking_end", end}, {"weft_blocking_begin", begin}, {"weft_run", run},
        {"weft_blocking_end", NULL},
    };
    EACH_DIES(fork_while_blocking, table, FORKER);
}

TEST(child, forked_by_an_offloaded_function_may_not_use_the_runtime)
{
    static const struct row table[] = {
        {"weft_yield", yield}, {"weft_submit", submit}, {"waiting", await_future}, {"weft_run", run},
        {"an offloaded call returned", NULL},
    };
    EACH_DIES(fork_offloaded, table, "");
}

/* ---- On a thread beside the runtime ---- */

static void *fork_on_a_thread(void *arg)
{
    in_a_child();
    return arg;
}

static int furnish_and_start_a_thread(void *arg)
{
    pthread_t id;
    furnish();
    CHECK_EQ(pthread_create(&id, NULL, fork_on_a_thread, arg), 0);
    return weft_scope_close(&scope);
}

static void run_beside(void)
{
    weft_run(&(weft_config){.workers = 1}, furnish_and_start_a_thread, NULL);
}

TEST(child, forked_by_a_thread_may_not_use_the_runtime)
{
    static const struct row table[] = {
        {"weft_submit", submit}, {"waiting", await_future}, {"waiting", receive}, {"waiting", lock},
        {"waking a task", set_future}, {"weft_cancel", cancel}, {"weft_scope_cancel", cancel_scope},
        {"weft_dump", dump}, {"weft_stats_read", read_stats}, {"weft_run", run}, {"weft_yield", yield},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[128];
        row = &table[i];
        snprintf(text, sizeof text, "weft: %s" CHILD, row->says);
        test_dies(run_beside, (const char *const[]){text, NULL});
    }
}

/* ---- What is allowed ---- */

/* Run /bin/ls over the descriptors it was left with; how many there are. */
static int count_inherited(void)
{
    int out[2], count = 0;
    CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl("/bin/ls", "ls", "-1", "/proc/self/fd", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    char text[4096];
    for (ssize_t n; (n = read(out[0], text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            count += text[i] == '\n';
    close(out[0]);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    return count;
}

static int count_offloaded(void *arg)
{
    (void)arg;
    return count_inherited();
}

/* Rings and bells of two workers, a listener, a connection's two ends: none of them is left to the child. */
static int exec_from_everywhere(void *arg)
{
    int before = *(int *)arg;
    char text[WEFT_ADDR_TEXT_MAX];
    weft_addr at;
    int listener = weft_tcp_listen("127.0.0.1:0", 0);
    CHECK(listener >= 0);
    CHECK_EQ(weft_addr_local(listener, &at), 0);
    CHECK(weft_addr_format(&at, text, sizeof text) > 0);
    int client = weft_tcp_connect(text), server = weft_accept(listener, NULL);
    CHECK(client >= 0 && server >= 0);
    CHECK_EQ(count_inherited(), before);
    CHECK_EQ(weft_offload(count_offloaded, NULL), before);
    weft_blocking_begin();
    CHECK_EQ(count_inherited(), before);
    weft_blocking_end();
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_close((int[]){listener, client, server}[i]), 0);
    return 0;
}

TEST(child, may_exec_and_inherits_no_descriptor)
{
    int before = count_inherited();
    CHECK(before >= 4); /* three, and the folder it lists */
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, exec_from_everywhere, &before), 0);
    CHECK_EQ(count_inherited(), before);
}

/* ... nor the old bell, where the kernel has no other. */
TEST(child, does_not_inherit_the_old_bell_either)
{
    int before = count_inherited();
    wf_ring_force_eventfd = true;
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, exec_from_everywhere, &before), 0);
}

static int fork_among_others(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(100); i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            free(malloc(100000));
            _exit(0);
        }
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static int allocate_meanwhile(void *arg)
{
    WF_ATOMIC(bool) *over = arg;
    for (size_t n = 1; !wf_load(over, acquire); n = n * 7 % 100003) {
        free(malloc(n));
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static int fork_often(void *arg)
{
    WF_ATOMIC(bool) over = false;
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++)
        weft_go(&s, allocate_meanwhile, &over);
    CHECK_EQ(weft_await(weft_spawn(&s, fork_among_others, arg)), 0);
    wf_store(&over, true, release);
    return weft_scope_close(&s);
}

/* A fork at any moment leaves a child that can allocate and leave, and a parent in which nothing is lost. */
TEST_WITHIN(child, may_be_forked_while_others_allocate, 60)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 3}, fork_often, NULL), 0);
}

/* Without a runtime at the fork there is nothing that is not whole. */
TEST(child, forked_between_two_runtimes_has_a_third)
{
    CHECK_EQ(weft_run(NULL, nothing, NULL), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(weft_run(NULL, nothing, NULL) == 0 ? 0 : 1);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(weft_run(NULL, nothing, NULL), 0);
}
