/* memory.c - what does a task cost that does nothing but be there?
 *
 * A million tasks in one process, with the default stacks and their guards: first all started and none of them run
 * yet, then all asleep in weft_sleep(). The figure is what the process holds, resident pages and page tables both
 * (VmRSS + VmPTE of /proc/self/status), less what it held before, per task. Each round is a process of its own, since
 * memory that was used once is kept for the next tasks.
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
    STACK_SPACING = 128 * 1024, /* the default stack and its guard */
    FIGURES = 4,
};

enum figure { UNSTARTED, ASLEEP, PAGE, WAKE_ALL };

static const double bar[FIGURES] = {[UNSTARTED] = 300, [ASLEEP] = 4.6 * 1024};

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

static int measure(void *arg)
{
    double *value = arg, before = held_bytes();
    int err;
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < tasks; i++)
        if ((err = weft_go(&s, sleeper, NULL)) < 0)
            return err;
    value[UNSTARTED] = (held_bytes() - before) / tasks;
    if (asleep != 0)
        bench_die("memory: %u tasks ran before their turn", asleep);
    while (asleep < tasks)
        if ((err = weft_sleep(10 * WEFT_MSEC)) < 0)
            return err;
    value[ASLEEP] = (held_bytes() - before) / tasks;
    int64_t start = bench_now_ns();
    weft_scope_cancel(&s);
    err = weft_scope_close(&s);
    value[WAKE_ALL] = (double)(bench_now_ns() - start) / tasks;
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

/* A round in a child: its figures come back through a pipe. */
static void round_apart(double *value)
{
    int fd[2], status;
    if (pipe(fd) != 0)
        bench_die("memory: no pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        double mine[FIGURES] = {0};
        mine[PAGE] = touch_pages();
        int err = weft_run(&(weft_config){.workers = 1}, measure, mine);
        if (err < 0)
            bench_die("memory: %s", weft_strerror(err));
        _exit(write(fd[1], mine, sizeof mine) != sizeof mine);
    }
    close(fd[1]);
    if (pid < 0 || read(fd[0], value, FIGURES * sizeof *value) != (ssize_t)(FIGURES * sizeof *value))
        bench_die("memory: a round gave no figures");
    close(fd[0]);
    waitpid(pid, &status, 0);
}

int main(int argc, char **argv)
{
    static const char *const name[FIGURES] = {"unstarted_task", "sleeping_task", "one_page_per_stack", "cancel_all"};
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
                                          .unit = i == WAKE_ALL ? "ns/task" : "bytes/task"};
    for (unsigned round = 0; round < o.rounds; round++) { /* no warm-up: every round is a new process */
        double value[FIGURES];
        round_apart(value);
        for (int i = 0; i < FIGURES; i++)
            bench_add(&figure[i], value[i]);
    }
    for (int i = 0; i < FIGURES; i++)
        bench_report(&figure[i]);
    return 0;
}
