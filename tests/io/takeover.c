/* takeover.c - where io_uring is refused, the soft driver takes over, and one line says so. Each case is a process of
 * its own, which takes something away from itself. */
#include "io/kernel.h"
#include "tests/io/help.h"

#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Let a system call fail with err, for this thread and those it starts. */
static void refuse(int call, int err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static const char *driver; /* of the last run */

static int echo_once(void *arg)
{
    char byte;
    CHECK_EQ(weft_read(*(int *)arg, &byte, 1), 1);
    CHECK_EQ(weft_write(*(int *)arg, &byte, 1), 1);
    return 0;
}

static int ask_the_driver(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    weft_stats stats;
    weft_stats_read(weft_runtime_self(), &stats);
    driver = stats.driver;
    socket_pair(fds);
    WEFT_SCOPE(s);
    weft_go(&s, echo_once, &fds[0]);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(weft_read(fds[1], &byte, 1), 1);
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_close(fds[0]) | weft_close(fds[1]);
}

/* A run that says nothing about the driver. */
static int run_anyhow(unsigned workers)
{
    unsetenv("WEFT_DRIVER");
    driver = NULL;
    return weft_run(&(weft_config){.workers = workers}, ask_the_driver, NULL);
}

static void must_be_soft(void)
{
    CHECK_EQ(run_anyhow(3), 0);
    CHECK_STR(driver, "soft");
    CHECK_EQ(run_anyhow(1), 0); /* and says it once */
    CHECK_STR(driver, "soft");
}

static void must_say_one_line(void (*body)(void), const char *why)
{
    char said[4096];
    int status = test_in_child(body, 20, said, sizeof said);
    const char *line = "weft: running on epoll and threads (driver soft)";
    if (status != 0 || strncmp(said, line, strlen(line)) != 0 || strchr(said, '\n') != said + strlen(said) - 1 ||
        !strstr(said, why))
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}

static int error; /* the next refusal */

static void with_setup_refused(void)
{
    refuse(SYS_io_uring_setup, error);
    must_be_soft();
}

TEST(takeover, comes_when_io_uring_is_refused)
{
    static const int errors[] = {EPERM, EACCES, ENOSYS, EINVAL};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        error = errors[i];
        must_say_one_line(with_setup_refused, strerror(error));
    }
}

static void with_registering_refused(void)
{
    refuse(SYS_io_uring_register, EPERM); /* it cannot be asked what it knows */
    must_be_soft();
}

TEST(takeover, comes_when_io_uring_does_not_answer)
{
    must_say_one_line(with_registering_refused, "this kernel");
}

/* As for an ordinary user where memory must not be locked: some workers may still get a ring, but not all. */
static void with_little_locked_memory(void)
{
    struct rlimit little = {64 << 10, 64 << 10};
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &little), 0);
    CHECK(getuid() != 0 || setuid(65534) == 0);
    CHECK_EQ(run_anyhow(16), 0);
    CHECK_STR(driver, "soft");
}

TEST(takeover, comes_when_memory_must_not_be_locked)
{
    must_say_one_line(with_little_locked_memory, "RLIMIT_MEMLOCK");
}

TEST(takeover, comes_when_io_uring_lacks_a_feature)
{
    static const unsigned features[] = {IORING_FEAT_NODROP, IORING_FEAT_SUBMIT_STABLE, IORING_FEAT_EXT_ARG};
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        wf_uring_without_features = features[i];
        must_say_one_line(must_be_soft, "this kernel");
    }
}

TEST(takeover, comes_when_io_uring_lacks_an_operation)
{
    static const int operations[] = {IORING_OP_READ,   IORING_OP_WRITE,   IORING_OP_RECV,     IORING_OP_SEND,
                                     IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        wf_uring_without_operation = operations[i];
        must_say_one_line(must_be_soft, "this kernel");
    }
}

static void with_what_weft_does_not_use_missing(void)
{
    wf_uring_without_features = IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_RSRC_TAGS;
    wf_uring_without_operation = IORING_OP_MADVISE;
    CHECK_EQ(run_anyhow(2), 0);
    CHECK_STR(driver, "ring");
}

TEST(takeover, does_not_come_for_nothing)
{
    char said[4096];
    CHECK_EQ(test_in_child(with_what_weft_does_not_use_missing, 20, said, sizeof said), 0);
    CHECK_STR(said, "");
}

/* A shortage is not a refusal. */
static void without_descriptors(void)
{
    int next = dup(0);
    struct rlimit few = {(rlim_t)next, (rlim_t)next};
    CHECK(next > 0 && close(next) == 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_EQ(run_anyhow(2), -EMFILE);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .driver = WEFT_DRIVER_SOFT}, ask_the_driver, NULL), -EMFILE);
}

TEST(takeover, does_not_come_when_descriptors_are_out)
{
    char said[4096];
    int status = test_in_child(without_descriptors, 20, said, sizeof said);
    if (status != 0 || said[0])
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}

static void soft_by_environment(void)
{
    setenv("WEFT_DRIVER", "soft", 1);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .driver = WEFT_DRIVER_RING}, ask_the_driver, NULL), 0);
    CHECK_STR(driver, "soft");
}

TEST(takeover, needs_no_words_when_it_was_asked_for)
{
    char said[4096];
    CHECK_EQ(test_in_child(soft_by_environment, 20, said, sizeof said), 0);
    CHECK_STR(said, "");
}

/* ---- what else older kernels and strict filters lack ---- */

static int sleep_exactly(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        weft_time begin = weft_now();
        CHECK_EQ(weft_sleep(300 * WEFT_USEC * i), 0);
        CHECK(weft_since(begin) >= 300 * WEFT_USEC * i);
    }
    return ask_the_driver(NULL);
}

static void with_coarse_sleep(void)
{
    refuse(SYS_epoll_pwait2, error);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .driver = WEFT_DRIVER_SOFT}, sleep_exactly, NULL), 0);
}

TEST(takeover, sleeps_long_enough_without_epoll_pwait2)
{
    static const int errors[] = {ENOSYS, EPERM};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char said[4096];
        error = errors[i];
        CHECK_EQ(test_in_child(with_coarse_sleep, 20, said, sizeof said), 0);
        CHECK_STR(said, "");
    }
}

/* No thread can be started: what needs one is done nevertheless. */
static int use_a_file_alone(void *arg)
{
    char path[] = "/tmp/weft-soft-XXXXXX", back[6] = "";
    int fd = mkstemp(path);
    (void)arg;
    CHECK(fd >= 0);
    refuse(SYS_clone3, EAGAIN);
    refuse(SYS_clone, EAGAIN);
    CHECK_EQ(weft_pwrite(fd, "alone", 5, 0), 5);
    CHECK_EQ(weft_pread(fd, back, 5, 0), 5);
    CHECK_STR(back, "alone");
    return weft_close(fd) | unlink(path);
}

static void with_no_threads(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .driver = WEFT_DRIVER_SOFT}, use_a_file_alone, NULL), 0);
}

TEST(takeover, does_files_without_threads)
{
    char said[4096];
    int status = test_in_child(with_no_threads, 20, said, sizeof said);
    if (status != 0)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}

/* Pipes whose kernel cannot say that they would block. */
static int feed(void *arg)
{
    weft_sleep(WEFT_MSEC);
    CHECK_EQ(weft_write_all(*(int *)arg, "through an old pipe", 19), 0);
    return 0;
}

static int use_an_old_pipe(void *arg)
{
    int fds[2];
    char back[32];
    (void)arg;
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQ(weft_write(fds[0], "x", 1), -EBADF);
    CHECK_EQ(weft_read(fds[1], back, 1), -EBADF);
    WEFT_SCOPE(s);
    weft_go(&s, feed, &fds[1]);
    CHECK_EQ(weft_read_full(fds[0], back, 19), 0);
    CHECK_EQ(memcmp(back, "through an old pipe", 19), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_close(fds[0]) | weft_close(fds[1]);
}

/* More who read than there is to read: whoever comes too late is not caught, and can be stopped. */
enum { CROWD = 8 };

static int read_until_stopped(void *arg)
{
    char byte;
    ssize_t n;
    while ((n = weft_read(*(int *)arg, &byte, 1)) == 1)
        ;
    CHECK_EQ(n, -ECANCELED);
    return 0;
}

static int write_until_stopped(void *arg)
{
    static const char much[10000];
    ssize_t n;
    while ((n = weft_write(*(int *)arg, much, sizeof much)) > 0)
        ;
    CHECK_EQ(n, -ECANCELED);
    return 0;
}

static int crowd_at_an_old_pipe(void *arg)
{
    int fds[2], full[2];
    (void)arg;
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(full, O_CLOEXEC), 0);
    for (int round = 0; round < 20; round++) {
        WEFT_SCOPE(s);
        for (int i = 0; i < CROWD; i++) {
            weft_go(&s, read_until_stopped, &fds[0]);
            weft_go(&s, write_until_stopped, &full[1]);
        }
        for (int i = 0; i < 20; i++)
            CHECK_EQ(write(fds[1], "x", 1), weft_sleep(10 * WEFT_USEC) + 1);
        weft_scope_leave(&s);
    }
    return weft_close(fds[0]) | weft_close(fds[1]) | weft_close(full[0]) | weft_close(full[1]);
}

static int read_nothing(void *arg)
{
    int fds[2];
    (void)arg;
    socket_pair(fds);
    CHECK_EQ(weft_read(fds[0], fds, 0), 0);
    CHECK_EQ(weft_write(fds[0], fds, 0), 0);
    return weft_close(fds[0]) | weft_close(fds[1]);
}

static void with_old_pipes(void)
{
    refuse(SYS_preadv2, EOPNOTSUPP);
    refuse(SYS_pwritev2, EOPNOTSUPP);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .driver = WEFT_DRIVER_SOFT}, read_nothing, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .driver = WEFT_DRIVER_SOFT}, use_an_old_pipe, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .driver = WEFT_DRIVER_SOFT}, use_an_old_pipe, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .driver = WEFT_DRIVER_SOFT}, crowd_at_an_old_pipe, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 3, .driver = WEFT_DRIVER_SOFT}, crowd_at_an_old_pipe, NULL), 0);
}

TEST(takeover, waits_for_pipes_of_older_kernels)
{
    char said[4096];
    int status = test_in_child(with_old_pipes, 20, said, sizeof said);
    if (status != 0)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}
