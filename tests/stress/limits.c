/* limits.c - what the system refuses, and what it does to a process, at any moment.
 *
 *     stress_limits [SECONDS]
 *     stress_limits 0 NAME HEIGHT       one limit, in this very process: to see what went wrong
 *
 * Each case is a child of its own that is killed when it has not ended within a minute, and has failed then.
 *
 *     descriptors, memory, threads   a load runs under a limit of each height from none at all up to plenty. It may
 *                      fail, by an error that says why; nothing may be lost by that; and once the limit is lifted,
 *                      the same load runs to its end in the same process
 *     stopped          a process that is stopped and continued at random moments ends as if it had not been
 *     attached         the same for a tracer that attaches to every thread, interrupts it, and lets it go, so that
 *                      every system call there is may be cut short
 *
 * SECONDS are for the last two; half for each. Memory is not limited under a sanitizer, which reserves more than
 * there is, nor threads unless we are root, who can become a user that has none.
 *
 * jemalloc 5.3 crashes when it finds no memory for the arena of a new thread, so here all threads share one. */
#include "tests/stress/stress.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TASKS = 100, CASE_SECONDS = 60, NOBODY_ELSE = 54321 };

/* ---- the load ---- */

static WF_ATOMIC(unsigned) ended;

/* What a limit may be answered with; and what the others are told when one task has failed. */
static bool is_refusal(int result)
{
    return result == -ENOMEM || result == -EAGAIN || result == -EMFILE || result == -ENFILE || result == -ENOBUFS;
}

static int note_end(int result)
{
    CHECK(result == 0 || is_refusal(result) || is_stop(result));
    wf_add(&ended, 1, relaxed);
    return result;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int sleep_and_yield(void *arg)
{
    struct wf_random r = stress_random();
    int64_t ns = wf_random_below(&r, 500) * WEFT_USEC;
    weft_time until = weft_after(ns);
    (void)arg;
    int result = weft_sleep(ns);
    if (result == 0)
        CHECK(weft_since(until) >= 0);
    if (result == 0)
        result = weft_yield();
    return note_end(result);
}

static int use_pool(void *arg)
{
    int result = weft_offload(nothing, arg);
    weft_blocking_begin(); /* without a thread it blocks the worker, and says nothing */
    nothing(arg);
    weft_blocking_end();
    return note_end(result);
}

static int listen_and_connect(void *arg)
{
    char at[64] = "127.0.0.1:";
    weft_addr a;
    (void)arg;
    int listener = weft_tcp_listen("127.0.0.1:0", 0);
    if (listener < 0)
        return note_end(listener);
    CHECK_EQ(weft_addr_local(listener, &a), 0);
    snprintf(at, sizeof at, "127.0.0.1:%d", weft_addr_port(&a));
    int fd = weft_tcp_connect(at);
    if (fd >= 0)
        CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_close(listener), 0);
    return note_end(fd < 0 ? fd : 0);
}

static int load(void *arg)
{
    static const weft_fn fn[] = {sleep_and_yield, use_pool, listen_and_connect, sleep_and_yield};
    WEFT_SCOPE(s);
    unsigned started = 0;
    wf_store(&ended, 0u, relaxed);
    for (int i = 0; i < TASKS; i++)
        started += weft_go(&s, fn[i % 4], arg) == 0;
    int result = weft_scope_close(&s);
    if (result == 0)
        CHECK_EQ(wf_load(&ended, relaxed), started); /* who found no stack has failed, and has not run */
    return result;
}

static int run_load(void)
{
    return weft_run(&(weft_config){.workers = 3, .offload_max = 3}, load, NULL);
}

/* ---- limits ---- */

static int descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

struct limit {
    const char *name;
    int resource;
    unsigned long base, step, count; /* from base on, in steps */
    bool as_stranger;
};

static unsigned long address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f != NULL);
    CHECK_EQ(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    return pages * (unsigned long)sysconf(_SC_PAGESIZE);
}

/* In a child: 0 if the load ran, 1 if it was refused, properly. */
static int run_limited(const struct limit *l, unsigned long height)
{
    struct rlimit before, now;
    alarm(CASE_SECONDS);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (l->as_stranger)
        CHECK_EQ(setresuid(NOBODY_ELSE, NOBODY_ELSE, NOBODY_ELSE), 0);
    int had = l->as_stranger ? 0 : descriptors();
    CHECK_EQ(getrlimit((__rlimit_resource_t)l->resource, &before), 0);
    now = before;
    now.rlim_cur = height < before.rlim_max ? height : before.rlim_max;
    CHECK_EQ(setrlimit((__rlimit_resource_t)l->resource, &now), 0);
    int result = run_load();
    CHECK_EQ(setrlimit((__rlimit_resource_t)l->resource, &before), 0);
    CHECK(result == 0 || is_refusal(result));
    CHECK_EQ(run_load(), 0);
    if (!l->as_stranger)
        CHECK_EQ(descriptors(), had);
    return result != 0;
}

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        CHECK_EQ(errno, EINTR);
    return status;
}

static void sweep(const struct limit *l)
{
    unsigned refused = 0;
    for (unsigned long i = 0; i < l->count; i++) {
        unsigned long height = l->base + i * l->step;
        fflush(NULL);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            _exit(run_limited(l, height));
        int status = wait_for(pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
            test_failed(__FILE__, __LINE__, "limit of %s to %lu: wait status %#x", l->name, height, (unsigned)status);
        refused += WEXITSTATUS(status) == 1;
    }
    printf("limits, %s: %lu heights, %u of them refused\n", l->name, l->count, refused);
    fflush(stdout);
    CHECK(refused > 0 && refused < l->count); /* else it was no limit, or nothing but */
}

/* ---- from outside ---- */

_Noreturn static void be_busy(int64_t ns)
{
    alarm(CASE_SECONDS);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    stress_end = weft_after(ns);
    int rounds = 0;
    for (; !stress_over() || rounds == 0; rounds++)
        CHECK_EQ(run_load(), 0);
    _exit(0);
}

/* A child that is disturbed. Who waits for one of its threads may be told its end. */
struct victim {
    pid_t pid;
    bool has_ended;
    int status;
};

static bool is_running(struct victim *v)
{
    if (!v->has_ended)
        v->has_ended = waitpid(v->pid, &v->status, WNOHANG) == v->pid;
    return !v->has_ended;
}

/* At random moments, and for so long: that is what is tried out; nobody waits for anything here. */
static void pause_up_to(struct wf_random *r, uint32_t us)
{
    struct timespec t = {0, (long)wf_random_below(r, us) * 1000};
    nanosleep(&t, NULL);
}

static void stop_and_continue(struct victim *v, struct wf_random *r)
{
    CHECK_EQ(kill(v->pid, SIGSTOP), 0);
    pause_up_to(r, 2000);
    CHECK_EQ(kill(v->pid, SIGCONT), 0);
}

static void interrupt_thread(struct victim *v, pid_t tid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0)
        return; /* it has ended meanwhile */
    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    if (waitpid(tid, &status, __WALL) != tid)
        return;
    if (WIFSTOPPED(status)) {
        ptrace(PTRACE_DETACH, tid, NULL, NULL);
    } else if (tid == v->pid) {
        v->has_ended = true;
        v->status = status;
    }
}

static void attach_and_detach(struct victim *v, struct wf_random *r)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)v->pid);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.' && !one_in(r, 3) && is_running(v))
            interrupt_thread(v, (pid_t)atol(e->d_name));
    if (dir)
        closedir(dir);
}

static void disturb(const char *name, void (*how)(struct victim *v, struct wf_random *r), double seconds)
{
    struct wf_random r = stress_random();
    unsigned times = 0;
    fflush(NULL);
    struct victim v = {.pid = fork()};
    CHECK(v.pid >= 0);
    if (v.pid == 0)
        be_busy((int64_t)(seconds * 1e9));
    for (; is_running(&v); times++) {
        how(&v, &r);
        pause_up_to(&r, 3000);
    }
    CHECK_EQ(v.status, 0);
    printf("limits, %s: %u times\n", name, times);
    fflush(stdout);
}

/* An option of jemalloc's is read before main: begin anew with it. */
static void share_one_arena(char **argv)
{
    if (getenv("MALLOC_CONF"))
        return;
    CHECK_EQ(setenv("MALLOC_CONF", "narenas:1", 1), 0);
    execv("/proc/self/exe", argv);
    CHECK(!"begun anew");
}

int main(int argc, char **argv)
{
    share_one_arena(argv);
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    unsigned long here = address_space();
    struct limit files = {"descriptors", RLIMIT_NOFILE, 3, 3, 30, false};
    struct limit space = {"memory", RLIMIT_AS, here, 12UL << 20, 30, false};
    struct limit threads = {"threads", RLIMIT_NPROC, 0, 1, 12, true};
    const struct limit *each[] = {&files, &space, &threads};
    for (int i = 0; argc > 3 && i < 3; i++)
        if (strcmp(argv[2], each[i]->name) == 0)
            return run_limited(each[i], strtoul(argv[3], NULL, 0));
    sweep(&files);
    if (TEST_SLOWNESS == 1)
        sweep(&space);
    if (geteuid() == 0)
        sweep(&threads);
    disturb("stopped and continued", stop_and_continue, seconds / 2);
    disturb("attached to and let go", attach_and_detach, seconds / 2);
    return 0;
}
