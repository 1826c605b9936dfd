/* signals.c - a program's own signals and a runtime: each is delivered once, none disturbs a task, and a runtime that
 * is stopped by the terminal goes on where it was. */
#include "tests/runtime/with.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Work that would notice ---- */

struct work {
    WF_ATOMIC(bool) over;
    int pipe[2];
    unsigned rounds;
};

/* Bytes through a pipe, a sleep, a call on the pool: none may say that it was interrupted. Once at least, for a busy
 * machine may do all that is to disturb it before it lets it begin. */
static int work_on(void *arg)
{
    struct work *w = arg;
    do {
        char byte = (char)w->rounds, back = 0;
        CHECK_EQ(weft_write(w->pipe[1], &byte, 1), 1);
        CHECK_EQ(weft_read(w->pipe[0], &back, 1), 1);
        CHECK_EQ(byte, back);
        CHECK_EQ(weft_sleep(10 * WEFT_USEC), 0);
        CHECK_EQ(weft_offload(return_zero, NULL), 0);
        CHECK_EQ(weft_yield(), 0);
        w->rounds++;
    } while (!wf_load(&w->over, acquire));
    return 0;
}

/* Work until disturb(), on a thread of its own, has done its worst. */
static int work_while(struct work *work, void *(*disturb)(void *), void *arg)
{
    WEFT_SCOPE(s);
    CHECK_EQ(pipe(work->pipe), 0);
    weft_go(&s, work_on, work);
    pthread_t id = start_thread(disturb, arg);
    weft_blocking_begin();
    join_thread(id);
    weft_blocking_end();
    raise_flag(&work->over);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK(work->rounds > 0);
    close(work->pipe[0]);
    close(work->pipe[1]);
    return 0;
}

/* ---- As many as were sent ---- */

enum { SENT = 20000 };

static WF_ATOMIC(unsigned) heard;

static void hear(int sig)
{
    (void)sig;
    wf_add(&heard, 1u, relaxed);
}

/* A real-time signal queues up, so every one that was sent must be heard, by whichever thread takes it. */
static void *send_signals(void *arg)
{
    for (unsigned i = 0; i < TEST_TIMES(SENT); i++)
        while (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 0}) != 0)
            sched_yield(); /* as many as may wait do wait */
    return arg;
}

static int work_under_signals(void *arg)
{
    return work_while(&(struct work){0}, send_signals, arg);
}

TEST_WITHIN(signals, are_heard_as_often_as_they_are_sent, 60)
{
    struct sigaction by = {.sa_handler = hear}; /* without SA_RESTART: whoever can be interrupted is */
    CHECK_EQ(sigaction(SIGRTMIN, &by, NULL), 0);
    for (unsigned workers = 1; workers <= 3; workers += 2) {
        wf_store(&heard, 0, relaxed);
        CHECK_EQ(weft_run(&(weft_config){.workers = workers}, work_under_signals, NULL), 0);
#ifdef WF_TSAN /* It keeps one of a kind for each thread until that calls the C library, and drops the rest. */
        CHECK(wf_load(&heard, relaxed) <= TEST_TIMES(SENT));
#else
        while (wf_load(&heard, relaxed) < TEST_TIMES(SENT))
            sched_yield();
        CHECK_EQ(wf_load(&heard, relaxed), TEST_TIMES(SENT));
#endif
    }
}

/* ---- Children that end in a storm ---- */

enum { CHILDREN = 300, AT_ONCE = 50 };

static WF_ATOMIC(unsigned) reaped;

static void reap(int sig)
{
    int before = *__errno_location(); /* where a handler runs no task can move */
    (void)sig;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        wf_add(&reaped, 1u, relaxed);
    *__errno_location() = before;
}

static void *end_children(void *arg)
{
    for (unsigned i = 0; i < CHILDREN; i++) {
        while (i - wf_load(&reaped, acquire) >= AT_ONCE)
            sched_yield();
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            _exit(0);
    }
    while (wf_load(&reaped, acquire) < CHILDREN)
        sched_yield();
    return arg;
}

static int work_under_sigchld(void *arg)
{
    return work_while(&(struct work){0}, end_children, arg);
}

TEST_WITHIN(signals, of_many_children_disturb_nobody_and_all_are_reaped, 60)
{
    struct sigaction by = {.sa_handler = reap};
    CHECK_EQ(sigaction(SIGCHLD, &by, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, work_under_sigchld, NULL), 0);
    CHECK_EQ(wf_load(&reaped, relaxed), CHILDREN);
}

/* ---- Stopped and continued ---- */

static void *wait_for_end(void *arg)
{
    char byte;
    CHECK_EQ(read(*(int *)arg, &byte, 1), 0); /* the parent has closed it */
    return NULL;
}

static int work_until_closed(void *arg)
{
    return work_while(&(struct work){0}, wait_for_end, arg);
}

TEST_WITHIN(signals, that_stop_and_continue_a_process_lose_nothing, 60)
{
    int end[2], status;
    CHECK_EQ(pipe(end), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(end[1]);
        _exit(weft_run(&(weft_config){.workers = 2}, work_until_closed, &end[0]) == 0 ? 0 : 1);
    }
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(kill(pid, SIGSTOP), 0);
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
        CHECK(WIFSTOPPED(status));
        CHECK_EQ(kill(pid, SIGCONT), 0);
        CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
        CHECK(WIFCONTINUED(status));
    }
    close(end[1]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}
