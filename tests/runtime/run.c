/* run.c - tests of runtimes: from weft_run() to its return, one or several, and when they cannot start. */
#include "tests/runtime/with.h"

#include "runtime/worker.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int return_arg(void *arg)
{
    return (int)(intptr_t)arg;
}

static void *as_arg(int n)
{
    return (void *)(intptr_t)n;
}

static int count_workers(void *arg)
{
    weft_stats stats;
    weft_stats_read(weft_runtime_self(), &stats);
    *(unsigned *)arg = stats.workers;
    return 0;
}

static unsigned workers_of(const weft_config *config)
{
    unsigned n = 0;
    CHECK_EQ(weft_run(config, count_workers, &n), 0);
    return n;
}

/* ---- Results ---- */

TEST(run, returns_what_the_first_task_returned)
{
    CHECK_EQ(weft_run(NULL, return_arg, as_arg(0)), 0);
    CHECK_EQ(weft_run(NULL, return_arg, as_arg(7)), 7);
    CHECK_EQ(weft_run(NULL, return_arg, as_arg(-EIO)), -EIO);
    CHECK_EQ(weft_run(NULL, return_arg, as_arg(-ECANCELED)), -ECANCELED);
}

static int submit_failure(void *arg)
{
    weft_runtime *rt = weft_runtime_self();
    CHECK_EQ(weft_submit(rt, return_arg, as_arg(5)), 0);
    CHECK_EQ(weft_submit(rt, return_arg, as_arg(-EPIPE)), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_submit(rt, return_arg, as_arg(-EPIPE)), 0); /* the first failure is told, whichever that is */
    return (int)(intptr_t)arg;
}

TEST(run, returns_the_failure_of_a_submitted_task_if_the_first_did_not_fail)
{
    CHECK_EQ(weft_run(NULL, submit_failure, as_arg(0)), -EPIPE);
    CHECK_EQ(weft_run(NULL, submit_failure, as_arg(7)), -EPIPE);
    CHECK_EQ(weft_run(NULL, submit_failure, as_arg(-EIO)), -EIO);
}

static int nest_a_run(void *arg)
{
    return weft_run(NULL, return_arg, arg);
}

TEST_DIES(run, must_not_be_called_in_a_task, "weft_run called inside a task")
{
    weft_run(NULL, nest_a_run, NULL);
}

static int offload_a_run(void *arg)
{
    return weft_offload(nest_a_run, arg);
}

TEST(run, may_be_called_on_a_thread_of_the_pool)
{
    CHECK_EQ(weft_run(NULL, offload_a_run, as_arg(9)), 9);
}

/* ---- Configuration ---- */

TEST(run, has_as_many_workers_as_it_is_told)
{
    CHECK_EQ(workers_of(&(weft_config){.workers = 1}), 1);
    CHECK_EQ(workers_of(&(weft_config){.workers = 5}), 5);
    CHECK(workers_of(NULL) >= 1);
    CHECK_EQ(workers_of(NULL), workers_of(&(weft_config){0}));
}

TEST(run, refuses_configurations_out_of_range)
{
    static const weft_config bad[] = {
        {.workers = 257},
        {.offload_max = 1025},
        {.stack_size = 1},
        {.stack_size = ((size_t)1 << 30) + 1},
        {.spin_ns = -1},
        {.spin_ns = WEFT_MSEC + 1},
        {.ring = (weft_ring_mode)7},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(weft_run(&bad[i], return_arg, NULL), -EINVAL);
}

static int use_stack(void *arg)
{
    size_t size = (size_t)(uintptr_t)arg;
    volatile char room[size];
    for (size_t i = 0; i < size; i += 512)
        room[i] = 1;
    return room[size / 2 / 512 * 512];
}

TEST(run, gives_tasks_the_stack_they_are_promised)
{
    CHECK_EQ(weft_run(NULL, use_stack, (void *)(uintptr_t)(48 << 10)), 1);
    CHECK_EQ(weft_run(&(weft_config){.stack_size = 8 << 20}, use_stack, (void *)(uintptr_t)(7 << 20)), 1);
    CHECK_EQ(weft_run(&(weft_config){.stack_size = 16 << 10}, return_arg, as_arg(1)), 1);
}

TEST(run, listens_to_the_environment_first)
{
    setenv("WEFT_WORKERS", "3", 1);
    CHECK_EQ(workers_of(&(weft_config){.workers = 2}), 3);
    setenv("WEFT_WORKERS", "", 1);
    CHECK_EQ(workers_of(&(weft_config){.workers = 2}), 2);
    setenv("WEFT_RING", "", 1);
    CHECK_EQ(weft_run(NULL, return_arg, as_arg(4)), 4);
    setenv("WEFT_RING", "defer", 1);
    CHECK_EQ(workers_of(&(weft_config){.workers = 2}), 2);
    setenv("WEFT_RING", "shared", 1);
    CHECK_EQ(workers_of(&(weft_config){.workers = 2, .ring = WEFT_RING_DEFER}), 2);
}

static void run_with_bad_environment(void)
{
    static const char *const bad[] = {"0", "257", "-1", "x", "2x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("WEFT_WORKERS", bad[i], 1);
        CHECK_EQ(weft_run(NULL, return_arg, NULL), -EINVAL);
    }
    unsetenv("WEFT_WORKERS");
    setenv("WEFT_RING", "round", 1);
    CHECK_EQ(weft_run(NULL, return_arg, NULL), -EINVAL);
    unsetenv("WEFT_RING");
    setenv("WEFT_DRIVER", "epoll", 1);
    CHECK_EQ(weft_run(NULL, return_arg, NULL), -EINVAL);
    unsetenv("WEFT_DRIVER");
    setenv("WEFT_RESCUE", "no", 1);
    CHECK_EQ(weft_run(NULL, return_arg, NULL), -EINVAL);
    unsetenv("WEFT_RESCUE");
    static const char *const bad_spin[] = {"20us", "1001", "-1"};
    for (size_t i = 0; i < sizeof bad_spin / sizeof *bad_spin; i++) {
        setenv("WEFT_SPIN_US", bad_spin[i], 1);
        CHECK_EQ(weft_run(NULL, return_arg, NULL), -EINVAL);
    }
    unsetenv("WEFT_SPIN_US");
    CHECK_EQ(weft_run(&(weft_config){.driver = (weft_driver)7}, return_arg, NULL), -EINVAL);
}

TEST(run, says_what_is_wrong_with_the_environment)
{
    char said[4096];
    CHECK_EQ(test_in_child(run_with_bad_environment, 10, said, sizeof said), 0);
    CHECK(strstr(said, "WEFT_WORKERS is \"0\""));
    CHECK(strstr(said, "WEFT_WORKERS is \"2x\""));
    CHECK(strstr(said, "WEFT_RING is \"round\""));
    CHECK(strstr(said, "WEFT_DRIVER is \"epoll\": auto, ring or soft"));
    CHECK(strstr(said, "WEFT_RESCUE is \"no\": on or off"));
    CHECK(strstr(said, "WEFT_SPIN_US is \"20us\": microseconds are needed"));
}

static int name_cpu(void *arg)
{
    cpu_set_t set;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    *(int *)arg = CPU_COUNT(&set);
    return 0;
}

TEST(run, binds_workers_to_cores_and_undoes_it)
{
    cpu_set_t before, after;
    int cpus = 0;
    CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .pin = true}, name_cpu, &cpus), 0);
    CHECK_EQ(cpus, 1);
    CHECK_EQ(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
}

static int break_a_pipe(void *arg)
{
    int fd[2];
    (void)arg;
    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
    close(fd[0]);
    CHECK_EQ(write(fd[1], "x", 1), -1);
    CHECK_EQ(errno, EPIPE);
    close(fd[1]);
    return 0;
}

TEST(run, keeps_sigpipe_away_and_undoes_it)
{
    sigset_t now;
    signal(SIGPIPE, SIG_DFL);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, break_a_pipe, NULL), 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    CHECK(!sigismember(&now, SIGPIPE));
}

/* ---- Several ---- */

static int do_some_work(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(&s, return_zero, NULL), 0);
    CHECK_EQ(weft_sleep(100 * WEFT_USEC), 0);
    CHECK_EQ(weft_offload(return_zero, NULL), 0);
    return weft_scope_close(&s);
}

static unsigned fds_now(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

TEST(run, may_be_followed_by_another_and_leaves_nothing_open)
{
    CHECK_EQ(weft_run(NULL, do_some_work, NULL), 0);
    unsigned before = fds_now();
    for (unsigned i = 0; i < TEST_TIMES(100); i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = 1 + i % 4}, do_some_work, NULL), 0);
    CHECK_EQ(fds_now(), before);
}

static void *run_some(void *arg)
{
    for (unsigned i = 0; i < TEST_TIMES(20); i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = 1 + i % 3}, do_some_work, arg), 0);
    return NULL;
}

TEST(run, may_be_beside_others)
{
    pthread_t id[4];
    for (int i = 0; i < 4; i++)
        id[i] = start_thread(run_some, NULL);
    for (int i = 0; i < 4; i++)
        join_thread(id[i]);
}

/* A task of one runtime waits for a task of the other. */
struct neighbours {
    weft_future here, there;
};

static int answer_neighbour(void *arg)
{
    struct neighbours *n = arg;
    CHECK_EQ(weft_future_await(&n->here, NULL), 0);
    return weft_future_set(&n->there, n);
}

static void *run_answer(void *arg)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, answer_neighbour, arg), 0);
    return NULL;
}

static int ask_neighbour(void *arg)
{
    struct neighbours *n = arg;
    void *ret;
    CHECK_EQ(weft_future_set(&n->here, n), 0);
    CHECK_EQ(weft_future_await(&n->there, &ret), 0);
    CHECK(ret == n);
    return 0;
}

TEST(run, may_talk_to_others)
{
    for (int i = 0; i < TEST_TIMES(100); i++) {
        struct neighbours n = {0};
        pthread_t id = start_thread(run_answer, &n);
        CHECK_EQ(weft_run(&(weft_config){.workers = 2}, ask_neighbour, &n), 0);
        join_thread(id);
    }
}

/* ---- Submitting ---- */

enum { SUBMITTERS = 4 };

struct submissions {
    weft_runtime *rt;
    WF_ATOMIC(unsigned) ran;
    WF_ATOMIC(unsigned) threads;
    unsigned each;
};

static int count_run(void *arg)
{
    wf_add(&((struct submissions *)arg)->ran, 1, relaxed);
    return 0;
}

static void *submit_each(void *arg)
{
    struct submissions *s = arg;
    for (unsigned i = 0; i < s->each; i++)
        CHECK_EQ(weft_submit(s->rt, count_run, s), 0);
    wf_sub(&s->threads, 1, release);
    return NULL;
}

/* It returns before all that was submitted has run: the runtime waits for those. */
static int let_them_submit(void *arg)
{
    struct submissions *s = arg;
    pthread_t id[SUBMITTERS];
    s->rt = weft_runtime_self();
    wf_store(&s->threads, SUBMITTERS, relaxed);
    for (int i = 0; i < SUBMITTERS; i++) {
        id[i] = start_thread(submit_each, s);
        pthread_detach(id[i]);
    }
    while (wf_load(&s->threads, acquire) > 0)
        CHECK_EQ(weft_sleep(10 * WEFT_USEC), 0);
    return 0;
}

TEST(run, ends_when_all_that_threads_have_submitted_is_done)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        struct submissions s = {.each = TEST_TIMES(5000)};
        CHECK_EQ(weft_run(&(weft_config){.workers = workers}, let_them_submit, &s), 0);
        CHECK_EQ(wf_load(&s.ran, relaxed), SUBMITTERS * s.each);
    }
}

static int submit_the_next(void *arg)
{
    int *left = arg;
    return --*left > 0 ? weft_submit(weft_runtime_self(), submit_the_next, left) : 0;
}

TEST(run, goes_on_while_submitted_tasks_submit_others)
{
    int left = 1000;
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, submit_the_next, &left), 0);
    CHECK_EQ(left, 0);
}

/* The end is seen from the watchdog's callback, which weft_run waits for: it starts while the first task holds its
 * worker, and goes on when all is done. */
struct late {
    WF_ATOMIC(weft_runtime *) rt;
    WF_ATOMIC(bool) reported;
    int result;
};

static void submit_too_late(const weft_stall *stall, void *ctx)
{
    struct late *l = ctx;
    (void)stall;
    weft_runtime *rt = wf_load(&l->rt, acquire);
    raise_flag(&l->reported);
    while (wf_load(&rt->root.pending, acquire) > 0)
        sched_yield();
    l->result = weft_submit(rt, count_run, NULL);
}

static int hold_until_reported(void *arg)
{
    struct late *l = arg;
    wf_store(&l->rt, weft_runtime_self(), release);
    spin_until(&l->reported);
    return 0;
}

TEST(run, refuses_what_is_submitted_when_all_is_done)
{
    struct late l = {.result = 1};
    weft_config config = {.workers = 2, .stall_ns = WEFT_MSEC, .on_stall = submit_too_late, .ctx = &l};
    CHECK_EQ(weft_run(&config, hold_until_reported, &l), 0);
    CHECK_EQ(l.result, -ESHUTDOWN);
}

/* ---- When it cannot start ---- */

static void run_without_files(void)
{
    struct rlimit files = {3, 3};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, return_arg, NULL), -EMFILE);
    CHECK_EQ(weft_run(&(weft_config){.workers = 4}, return_arg, NULL), -EMFILE);
}

TEST(run, says_when_there_are_no_file_descriptors_left)
{
    char said[4096];
    int status = test_in_child(run_without_files, 10, said, sizeof said);
    if (status != 0)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}

static void run_with_files_for_some(void)
{
    struct rlimit files = {fds_now() + 3, fds_now() + 3};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 8}, return_arg, NULL), -EMFILE);
    CHECK_EQ(fds_now() + 3, files.rlim_cur);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, return_arg, as_arg(4)), 4);
}

TEST(run, undoes_what_has_started_when_the_rest_cannot)
{
    char said[4096];
    int status = test_in_child(run_with_files_for_some, 10, said, sizeof said);
    if (status != 0)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}

/* Sanitizers reserve more address space than there is to limit. */
#if TEST_SLOWNESS == 1
static size_t address_space(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f && fscanf(f, "%zu", &pages) == 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* With ever more address space weft_run fails, and then it does not. Its result is never anything else, and what it
 * took it gives back. */
static void run_with_little_memory(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, return_arg, as_arg(6)), 6);
    size_t have = address_space(), step = 4 << 20;
    int result = -1;
    for (size_t more = 0; result != 6 && more < 1024 * step; more += step) {
        struct rlimit space = {have + more, RLIM_INFINITY};
        CHECK_EQ(setrlimit(RLIMIT_AS, &space), 0);
        result = weft_run(&(weft_config){.workers = 2}, return_arg, as_arg(6));
        CHECK(result == 6 || result == -ENOMEM || result == -EAGAIN);
        if (more == 0)
            CHECK(result < 0);
    }
    CHECK_EQ(result, 6);
}

TEST(run, says_when_there_is_no_memory)
{
    char said[4096];
    int status = test_in_child(run_with_little_memory, 10, said, sizeof said);
    if (status != 0)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}
#endif

/* As container engines do it: the system call fails. */
static void refuse(long call, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void run_where_it_is_refused(void)
{
    setenv("WEFT_DRIVER", "ring", 1);
    refuse(SYS_io_uring_setup, EPERM);
    CHECK_EQ(weft_run(&(weft_config){.workers = 3}, return_arg, NULL), -ENOSYS);
}

static void run_where_it_is_not_allowed(void)
{
    setenv("WEFT_DRIVER", "ring", 1);
    refuse(SYS_io_uring_setup, EACCES);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, return_arg, NULL), -ENOSYS);
}

static void run_where_it_is_unknown(void)
{
    unsetenv("WEFT_DRIVER");
    refuse(SYS_io_uring_setup, ENOSYS);
    CHECK_EQ(weft_run(&(weft_config){.workers = 3, .driver = WEFT_DRIVER_RING}, return_arg, NULL), -ENOSYS);
}

static void check_one_line(void (*body)(void))
{
    char said[4096];
    int status = test_in_child(body, 10, said, sizeof said);
    if (status != 0 || strncmp(said, "weft: io_uring", 14) != 0 || strchr(said, '\n') != said + strlen(said) - 1)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}

TEST(run, says_in_one_line_that_io_uring_is_refused)
{
    check_one_line(run_where_it_is_not_allowed);
    check_one_line(run_where_it_is_refused);
    check_one_line(run_where_it_is_unknown);
}

/* ---- Told to stop, at any moment ---- */

struct told {
    weft_scope all;
    weft_sem sem;
    weft_chan *chan;
    int pipe[2];
    WF_ATOMIC(unsigned) looks; /* of the busy one: what the thread counts on, to strike at another moment each time */
    unsigned at;
    WF_ATOMIC(bool) over;
};

static int keep_asking(void *arg)
{
    struct told *t = arg;
    int err;
    while ((err = weft_yield()) == 0)
        wf_add(&t->looks, 1u, release);
    return err;
}

static int wait_for_permit(void *arg)
{
    return weft_sem_acquire(&((struct told *)arg)->sem, 1);
}

static int wait_for_item(void *arg)
{
    int item;
    return weft_chan_recv(((struct told *)arg)->chan, &item);
}

static int wait_for_byte(void *arg)
{
    char byte;
    return (int)weft_read(((struct told *)arg)->pipe[0], &byte, 1);
}

static int keep_offloading(void *arg)
{
    int err;
    while ((err = weft_offload(return_zero, arg)) == 0)
        continue;
    return err;
}

static int have_children(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, wait_for_permit, arg);
    weft_go(&s, sleep_for_ever, arg);
    return weft_scope_close(&s);
}

/* Three times: a second call, and one when all is over, change nothing. */
static void *tell(void *arg)
{
    struct told *t = arg;
    while (wf_load(&t->looks, acquire) < t->at)
        sched_yield();
    for (int i = 0; i < 3; i++)
        weft_scope_cancel(&t->all);
    raise_flag(&t->over);
    return NULL;
}

static int be_told(void *arg)
{
    struct told *t = arg;
    static const weft_fn bodies[] = {keep_asking, wait_for_permit, wait_for_item, wait_for_byte, keep_offloading,
                                     have_children, sleep_for_ever};
    weft_scope_open(&t->all);
    for (size_t i = 0; i < 3 * (sizeof bodies / sizeof *bodies); i++)
        weft_go(&t->all, bodies[i / 3], t);
    pthread_t id = start_thread(tell, t);
    while (!wf_load(&t->over, acquire)) /* it uses the scope until then */
        weft_yield();
    CHECK_EQ(weft_scope_close(&t->all), 0);
    join_thread(id);
    return 0;
}

TEST_WITHIN(run, ends_whenever_its_tasks_are_told_to, 60)
{
    for (unsigned i = 0; i < TEST_TIMES(200); i++) {
        struct told t = {.at = i * 7 % 200, .chan = weft_chan_new(0, sizeof(int))};
        CHECK_EQ(pipe(t.pipe), 0);
        CHECK_EQ(weft_run(&(weft_config){.workers = 1 + i % 3}, be_told, &t), 0);
        close(t.pipe[0]);
        close(t.pipe[1]);
        weft_chan_free(t.chan);
    }
}

/* ---- A host that has its own handler ---- */

static void (*handler_seen)(int);

static int look_at_handlers(void *arg)
{
    struct sigaction now;
    (void)arg;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    handler_seen = now.sa_handler;
    return 0;
}

static void handler_of_the_host(int sig)
{
    (void)sig;
    _exit(3);
}

TEST(run, leaves_the_hosts_handler_alone_if_it_is_told_to)
{
    signal(SIGSEGV, handler_of_the_host);
    CHECK_EQ(weft_run(&(weft_config){.no_fault_handler = true}, look_at_handlers, NULL), 0);
    CHECK(handler_seen == handler_of_the_host);
    CHECK_EQ(weft_run(NULL, look_at_handlers, NULL), 0);
    CHECK(handler_seen != handler_of_the_host);
    CHECK(signal(SIGSEGV, SIG_DFL) == handler_of_the_host);
}

#if TEST_SLOWNESS == 1 /* Sanitizers need them, too. */

/* ---- Other system calls that a sandbox may refuse ---- */

static void run_without_affinity(void)
{
    refuse(SYS_sched_getaffinity, EINVAL); /* as with more than 1,024 CPUs */
    CHECK_EQ(weft_run(&(weft_config){.pin = true}, return_arg, as_arg(3)), 3);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .pin = true}, do_some_work, NULL), 0);
}

static void run_without_handlers(void)
{
    refuse(SYS_rt_sigaction, EPERM);
    CHECK_EQ(weft_run(NULL, return_arg, as_arg(3)), -EPERM);
    CHECK_EQ(weft_run(&(weft_config){.no_fault_handler = true}, return_arg, as_arg(3)), 3);
}

static void run_without_alternate_stacks(void)
{
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    refuse(SYS_sigaltstack, EPERM);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, return_arg, as_arg(3)), -ENOMEM);
}

TEST(run, goes_on_or_says_so_when_a_system_call_is_refused)
{
    static void (*const bodies[])(void) = {run_without_affinity, run_without_handlers, run_without_alternate_stacks};
    static char said[4096];
#ifdef WF_TSAN
    const size_t first = 1; /* it asks for the affinity itself, whenever a thread starts, and ends without */
#else
    const size_t first = 0;
#endif
    for (size_t i = first; i < sizeof bodies / sizeof *bodies; i++) {
        int status = test_in_child(bodies[i], 10, said, sizeof said);
        if (status)
            test_failed(__FILE__, __LINE__, "case %zu: wait status %#x; stderr: %s", i, (unsigned)status, said);
    }
}

#endif
