/* memory.c - what does a task cost that does nothing but be there?
 *
 * A million tasks in one process, with the default stacks and their guards: first all started and none of them run
 * yet, then all asleep in weft_sleep(). The figure is what the process holds, resident pages and page tables both
 * (VmRSS + VmPTE of /proc/self/status), less what it held before, per task. Each round is a process of its own, since
 * memory that was used once is kept for the next tasks.
 *
 * In another process the same tasks sleep in a runtime that spills (weft_config.spill_ns), until all stacks are away.
 * What that costs is time of the processor, so that it does not matter how long a sweep waits for its turn; what the
 * way back costs is what waking all of them takes longer than waking those that have their stacks.
 *
 * Beside it the limit, in the same round: a million stacks of the same size and spacing, one page of each touched.
 * No stackful task can be smaller than its page and its part of the page table. */
#include "bench/bench.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <weft.h>

enum {
    TASKS = 1000000,
    TASKS_QUICK = 50000,
    STACK_SPACING = 116 * 1024, /* the default stack and its guard */
    FIGURES = 7,
};

static const int64_t SPILL_NS = 100 * WEFT_MSEC;

enum figure { UNSTARTED, ASLEEP, PAGE, WAKE_ALL, SPILLED, SPILL, RESTORE };

static const double bar[FIGURES] = {[UNSTARTED] = 288, [ASLEEP] = 4.5 * 1024, [SPILLED] = 1.25 * 1024};

static unsigned tasks = TASKS;
static _Atomic unsigned asleep; /* counted up by each task before it sleeps; the opener polls it */

static double held_bytes(void)
{
    return 1024.0 * (double)(bench_status("VmRSS") + bench_status("VmPTE"));
}

static int sleeper(void *arg)
{
    (void)arg;
    asleep++;
    return weft_sleep(3600 * WEFT_SEC);
}

static int start_all(weft_scope *s)
{
    int err = 0;
    for (unsigned i = 0; i < tasks && !err; i++)
        err = weft_go(s, sleeper, NULL);
    if (asleep != 0)
        bench_die("memory: %u tasks ran before their turn", asleep);
    return err;
}

static int await_sleep(void)
{
    int err = 0;
    while (asleep < tasks && !err)
        err = weft_sleep(10 * WEFT_MSEC);
    return err;
}

/* How long it took, per task. */
static double wake_all(weft_scope *s)
{
    int64_t start = bench_now_ns();
    weft_scope_cancel(s);
    int err = weft_scope_close(s);
    if (err < 0)
        bench_die("memory: %s", weft_strerror(err));
    return (double)(bench_now_ns() - start) / tasks;
}

static int measure(void *arg)
{
    double *value = arg, before = held_bytes();
    WEFT_SCOPE(s);
    int err = start_all(&s);
    value[UNSTARTED] = (held_bytes() - before) / tasks;
    if (!err)
        err = await_sleep();
    value[ASLEEP] = (held_bytes() - before) / tasks;
    value[WAKE_ALL] = wake_all(&s);
    return err;
}

static double processor_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int measure_spilled(void *arg)
{
    double *value = arg, before = held_bytes();
    weft_stats stats;
    WEFT_SCOPE(s);
    int err = start_all(&s);
    if (!err)
        err = await_sleep();
    double start = processor_ns();
    do {
        if (!err)
            err = weft_sleep(10 * WEFT_MSEC);
        weft_stats_read(weft_runtime_self(), &stats);
    } while (!err && stats.spills < tasks);
    value[SPILL] = (processor_ns() - start) / tasks;
    value[SPILLED] = (held_bytes() - before) / tasks;
    value[RESTORE] = wake_all(&s);
    return err;
}

/* The same without any runtime: what one touched page in each stack costs. */
static double touch_pages(void)
{
    double before = held_bytes();
    size_t size = (size_t)tasks * STACK_SPACING;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        bench_die("memory: no room for %zu bytes of address space", size);
    for (size_t i = STACK_SPACING - 1; i < size; i += STACK_SPACING)
        *(volatile char *)(at + i) = 1;
    double held = (held_bytes() - before) / tasks;
    munmap(at, size);
    return held;
}

static void run_one(const weft_config *config, weft_fn fn, double *value)
{
    asleep = 0;
    int err = weft_run(config, fn, value);
    if (err < 0)
        bench_die("memory: %s", weft_strerror(err));
}

static void without_spilling(double *value)
{
    value[PAGE] = touch_pages();
    run_one(&(weft_config){.workers = 1}, measure, value);
}

static void with_spilling(double *value)
{
    run_one(&(weft_config){.workers = 1, .spill_ns = SPILL_NS}, measure_spilled, value);
}

/* A part of a round, in a child: its figures come back through a pipe. */
static void apart(void (*part)(double *value), double *value)
{
    double mine[FIGURES] = {0};
    int fd[2], status;
    if (pipe(fd) != 0)
        bench_die("memory: no pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        part(mine);
        _exit(write(fd[1], mine, sizeof mine) != sizeof mine);
    }
    close(fd[1]);
    if (pid < 0 || read(fd[0], mine, sizeof mine) != sizeof mine)
        bench_die("memory: a round gave no figures");
    close(fd[0]);
    waitpid(pid, &status, 0);
    for (int i = 0; i < FIGURES; i++)
        value[i] += mine[i];
}

static bool is_time(int i)
{
    return i == WAKE_ALL || i == SPILL || i == RESTORE;
}

int main(int argc, char **argv)
{
    static const char *const name[FIGURES] = {"unstarted_task", "sleeping_task", "one_page_per_stack", "cancel_all",
                                              "spilled_task", "spill", "restore"};
    struct bench_options o = bench_options(&argc, argv, 3, NULL);
    struct bench_figure figure[FIGURES];
    if (o.quick)
        tasks = TASKS_QUICK;
    unsetenv("WEFT_WORKERS");
    bench_machine(stdout);
    bench_pin(0, 1);
    for (int i = 0; i < FIGURES; i++)
        figure[i] = (struct bench_figure){.bench = "memory", .who = i == PAGE ? "limit" : "weft",
                                          .version = weft_version(), .metric = name[i], .workers = 1, .bar = bar[i],
                                          .unit = is_time(i) ? "ns/task" : "bytes/task"};
    for (unsigned round = 0; round < o.rounds; round++) { /* no warm-up: every round is a new process */
        double value[FIGURES] = {0};
        apart(without_spilling, value);
        apart(with_spilling, value);
        value[RESTORE] -= value[WAKE_ALL];
        for (int i = 0; i < FIGURES; i++)
            bench_add(&figure[i], value[i]);
    }
    for (int i = 0; i < FIGURES; i++)
        bench_report(&figure[i]);
    return 0;
}
