/* spill.c - tests of stacks that are given back while their tasks wait: who is chosen, what comes back, what it saves.
 *
 * Nothing here waits for a time to go by: it waits until the figures say that so many are spilled. */
#include "tests/runtime/with.h"

#include "runtime/worker.h"

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int64_t SOON_NS = 2 * WEFT_MSEC;

/* Where guards are not made by madvise there is nothing to test but that the rest goes on. */
static bool can_spill(void)
{
    struct wf_stack_pool p;
    CHECK_EQ(wf_stack_pool_open(&p, 64 << 10), 0);
    bool can = p.guard_by_madvise;
    wf_stack_pool_close(&p);
    if (!can)
        puts("stacks cannot be spilled here: not tested");
    return can;
}

static void spill_on(unsigned workers, weft_driver driver, weft_fn fn, void *arg)
{
    if (can_spill())
        CHECK_EQ(weft_run(&(weft_config){.workers = workers, .driver = driver, .spill_ns = SOON_NS}, fn, arg), 0);
}

static void spill_in_all_shapes(weft_fn fn, void *arg)
{
    spill_on(1, WEFT_DRIVER_AUTO, fn, arg);
    spill_on(2, WEFT_DRIVER_AUTO, fn, arg);
    spill_on(2, WEFT_DRIVER_SOFT, fn, arg);
}

static weft_stats stats(void)
{
    weft_stats now;
    weft_stats_read(weft_runtime_self(), &now);
    return now;
}

/* By a task that is not spilled itself, as its sleep is short. */
static void await_spills(uint64_t n)
{
    while (stats().spills < n)
        CHECK_EQ(weft_sleep(SOON_NS / 2), 0);
    CHECK_EQ(stats().spills, n);
}

static void make_pipe(int fd[2])
{
    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
}

static void close_pipe(const int fd[2])
{
    CHECK_EQ(weft_close(fd[0]), 0);
    CHECK_EQ(weft_close(fd[1]), 0);
}

/* ---- What comes back is what was there ---- */

enum { DEPTH = 30, FRAME = 150 }; /* about 40 KiB: ten pages */

/* Frames full of their own addresses, with a wait below all of them. */
__attribute__((noinline)) static int descend(int depth, weft_fn wait, void *arg)
{
    volatile uintptr_t frame[FRAME];
    for (int i = 0; i < FRAME; i++)
        frame[i] = (uintptr_t)&frame[i] ^ (uintptr_t)depth;
    errno = depth;
    int result = depth ? descend(depth - 1, wait, arg) : wait(arg);
    for (int i = 0; i < FRAME; i++)
        CHECK_EQ(frame[i], (uintptr_t)&frame[i] ^ (uintptr_t)depth);
    CHECK_EQ(errno, 0); /* as the deepest one has left it */
    return result;
}

static int poll_it(void *arg)
{
    int events = weft_poll(*(int *)arg, POLLIN);
    return events < 0 ? events : events == POLLIN ? 0 : -EPROTO;
}

static int poll_deep_down(void *arg)
{
    return descend(DEPTH, poll_it, arg);
}

static int poll_at_the_top(void *arg)
{
    return descend(0, poll_it, arg);
}

static int deep_and_shallow(void *arg)
{
    int fd[2];
    (void)arg;
    make_pipe(fd);
    WEFT_SCOPE(s);
    for (uint64_t round = 1; round <= 3; round++) {
        weft_task *deep = weft_spawn(&s, poll_deep_down, &fd[0]);
        weft_task *shallow = weft_spawn(&s, poll_at_the_top, &fd[0]);
        await_spills(2 * round);
        CHECK_EQ(weft_write_all(fd[1], "x", 1), 0);
        CHECK_EQ(weft_await(deep), 0);
        CHECK_EQ(weft_await(shallow), 0);
        CHECK_EQ(stats().restores, 2 * round);
        char byte;
        CHECK_EQ(weft_read(fd[0], &byte, 1), 1);
    }
    CHECK_EQ(weft_scope_close(&s), 0);
    close_pipe(fd);
    return 0;
}

TEST(spill, brings_back_every_byte_where_it_was)
{
    spill_in_all_shapes(deep_and_shallow, NULL);
}

/* ---- Which waits ---- */

struct reader {
    int fd;
    char byte; /* not on the reader's stack */
};

static int read_elsewhere(void *arg)
{
    struct reader *r = arg;
    return weft_read(r->fd, &r->byte, 1) == 1 && r->byte == 'x' ? 0 : -EPROTO;
}

static int accept_one(void *arg)
{
    int fd = weft_accept(*(int *)arg, NULL);
    return fd < 0 ? fd : weft_close(fd);
}

static int reads_and_accepts(void *arg)
{
    int fd[2], listener = weft_tcp_listen("127.0.0.1:0", 1);
    weft_addr at;
    char text[64];
    (void)arg;
    CHECK(listener >= 0);
    CHECK_EQ(weft_addr_local(listener, &at), 0);
    CHECK(weft_addr_format(&at, text, sizeof text) > 0);
    make_pipe(fd);
    struct reader *r = malloc(sizeof *r);
    *r = (struct reader){.fd = fd[0]};
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, read_elsewhere, r), 0);
    CHECK_EQ(weft_go(&s, accept_one, &listener), 0);
    await_spills(2);
    CHECK_EQ(weft_write_all(fd[1], "x", 1), 0);
    int peer = weft_tcp_connect(text);
    CHECK(peer >= 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(stats().restores, 2);
    CHECK_EQ(weft_close(peer), 0);
    CHECK_EQ(weft_close(listener), 0);
    close_pipe(fd);
    free(r);
    return 0;
}

TEST(spill, takes_who_waits_for_the_kernel_with_its_buffer_elsewhere)
{
    spill_in_all_shapes(reads_and_accepts, NULL);
}

struct kept {
    int fd[2];
    weft_event never;
    WF_ATOMIC(int) waiting; /* of those below; the last of them to come is the one that may be spilled */
};

static int read_here(void *arg)
{
    struct kept *k = arg;
    volatile size_t one = 1;
    char *byte = alloca(one); /* AddressSanitizer puts what has a known size elsewhere */
    wf_add(&k->waiting, 1, relaxed);
    return (int)weft_read(k->fd[0], byte, 1);
}

static int sleep_in_a_scope(void *arg)
{
    struct kept *k = arg;
    wf_add(&k->waiting, 1, relaxed);
    WEFT_SCOPE(s);
    weft_sleep_until(weft_never());
    return weft_scope_close(&s);
}

static int wait_for_an_event(void *arg)
{
    struct kept *k = arg;
    wf_add(&k->waiting, 1, relaxed);
    return weft_event_wait(&k->never);
}

static int await_another(void *arg)
{
    struct kept *k = arg;
    WEFT_SCOPE(s);
    weft_go(&s, wait_for_an_event, k);
    return weft_scope_close(&s);
}

static int wait_forked(weft_forks *forks, void *arg);
WEFT_FORKABLE(int, wait_forked, void *)

static int wait_forked(weft_forks *forks, void *arg)
{
    (void)forks;
    return wait_for_an_event(arg);
}

static int sleep_with_a_fork(void *arg)
{
    struct wait_forked_fork f;
    wait_forked_fork(weft_forks_self(), &f, arg);
    weft_sleep_until(weft_never());
    return wait_forked_join(weft_forks_self(), &f);
}

static int whom_it_leaves_alone(void *arg)
{
    static const weft_fn fn[] = {read_here, sleep_in_a_scope, wait_for_an_event, await_another,
                                sleep_with_a_fork};
    const int n = sizeof fn / sizeof *fn;
    struct kept k = {0};
    (void)arg;
    make_pipe(k.fd);
    WEFT_SCOPE(s);
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(&s, fn[i], &k), 0);
    while (wf_load(&k.waiting, relaxed) < n)
        CHECK_EQ(weft_sleep(SOON_NS / 2), 0);
    for (uint64_t i = 1; i <= 3; i++) { /* three times over, whoever waits by then has been looked at */
        CHECK_EQ(weft_go(&s, sleep_for_ever, NULL), 0);
        await_spills(i);
    }
    weft_scope_cancel(&s);
    CHECK_EQ(weft_scope_close(&s), 0);
    close_pipe(k.fd);
    return 0;
}

TEST(spill, leaves_those_alone_whose_stack_others_may_touch)
{
    spill_in_all_shapes(whom_it_leaves_alone, NULL);
}

/* ---- How such a wait ends ---- */

static int sleeps_a_little(void *arg)
{
    volatile int64_t *ns = arg; /* static */
    weft_time before = weft_now();
    CHECK_EQ(weft_sleep(*ns), 0);
    CHECK(weft_since(before) >= *ns);
    return 0;
}

/* Until one was long enough to be spilled before its time had come. */
static int by_its_timer(void *arg)
{
    static int64_t ns;
    uint64_t before = stats().spills;
    (void)arg;
    for (ns = 5 * SOON_NS; stats().spills == before; ns *= 2) {
        WEFT_SCOPE(s);
        CHECK_EQ(weft_go(&s, sleeps_a_little, (void *)&ns), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    CHECK_EQ(stats().restores, stats().spills);
    return 0;
}

TEST(spill, ends_by_a_timer)
{
    spill_in_all_shapes(by_its_timer, NULL);
}

static int poll_pinned(void *arg)
{
    weft_pin();
    unsigned here = weft_worker();
    int result = poll_it(arg);
    CHECK_EQ(weft_worker(), here);
    weft_unpin();
    return result;
}

static int by_a_stop(void *arg)
{
    int fd[2];
    (void)arg;
    make_pipe(fd);
    WEFT_SCOPE(s);
    weft_task *sleeper = weft_spawn(&s, sleep_for_ever, NULL), *poller = weft_spawn(&s, poll_it, &fd[0]);
    weft_task *pinned = weft_spawn(&s, poll_pinned, &fd[0]);
    await_spills(3);
    weft_cancel(sleeper);
    CHECK_EQ(weft_await(sleeper), -ECANCELED);
    weft_cancel(poller);
    CHECK_EQ(weft_await(poller), -ECANCELED);
    weft_cancel(pinned);
    CHECK_EQ(weft_await(pinned), -ECANCELED);
    CHECK_EQ(stats().restores, 3);
    CHECK_EQ(weft_scope_close(&s), 0);
    close_pipe(fd);
    return 0;
}

TEST(spill, ends_by_a_cancel)
{
    spill_in_all_shapes(by_a_stop, NULL);
}

static int by_a_deadline(void *arg)
{
    int fd[2];
    (void)arg;
    make_pipe(fd);
    WEFT_SCOPE(s);
    weft_task *sleeper = weft_spawn(&s, sleep_for_ever, NULL), *poller = weft_spawn(&s, poll_it, &fd[0]);
    await_spills(2);
    weft_scope_set_deadline(&s, weft_now());
    CHECK_EQ(weft_await(sleeper), -ETIMEDOUT);
    CHECK_EQ(weft_await(poller), -ETIMEDOUT);
    CHECK_EQ(weft_scope_close(&s), -ETIMEDOUT);
    close_pipe(fd);
    return 0;
}

TEST(spill, ends_by_a_deadline)
{
    spill_in_all_shapes(by_a_deadline, NULL);
}

/* ---- Many, on two workers ---- */

enum { MANY = 10000, ROUNDS = 3 };

static int one_of_many(void *arg)
{
    volatile uintptr_t mine[8];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 8; i++)
            mine[i] = (uintptr_t)&mine[i] + (uintptr_t)round;
        CHECK_EQ(poll_it(arg), 0);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(mine[i], (uintptr_t)&mine[i] + (uintptr_t)round);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static size_t resident(void)
{
    size_t size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f && fscanf(f, "%zu %zu", &size, &pages) == 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int sleepers_give_their_pages_back(void *arg)
{
    const int n = TEST_TIMES(MANY);
    (void)arg;
    WEFT_SCOPE(s);
    size_t before = resident();
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(&s, sleep_for_ever, NULL), 0);
    await_spills((uint64_t)n);
    size_t held = resident() - before;
    if (TEST_SLOWNESS == 1) /* well below what their stacks alone would hold; frames are large without optimisation */
        if (held / (size_t)n >= 3072)
            test_failed(__FILE__, __LINE__, "%zu bytes for each of %d spilled tasks", held / (size_t)n, n);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(stats().restores, n);
    return 0;
}

TEST(spill, gives_the_pages_of_ten_thousand_stacks_back)
{
    spill_on(1, WEFT_DRIVER_AUTO, sleepers_give_their_pages_back, NULL);
    spill_on(2, WEFT_DRIVER_AUTO, sleepers_give_their_pages_back, NULL);
}

/* Whether spilled or not: when they have ended, their stacks lie idle, and nothing happens any more. */
static int pages_of_who_has_ended(void *arg)
{
    const int n = TEST_TIMES(MANY);
    (void)arg;
    size_t before = resident();
    WEFT_SCOPE(s);
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(&s, sleep_for_ever, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_scope_close(&s), 0);
    while (TEST_SLOWNESS == 1 && resident() > before + (size_t)n * 2048)
        CHECK_EQ(weft_sleep(100 * WEFT_MSEC), 0);
    return 0;
}

TEST(spill, of_those_who_have_ended_needs_no_config)
{
    with_workers(pages_of_who_has_ended, NULL);
}

enum { CROWD = 1000 };

/* All poll one pipe, which is readable now and then: they are spilled and come back, on either worker, in any order. */
static int again_and_again(void *arg)
{
    const int n = TEST_TIMES(CROWD);
    int fd[2];
    char byte;
    (void)arg;
    make_pipe(fd);
    WEFT_SCOPE(s);
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(&s, one_of_many, &fd[0]), 0);
    await_spills((uint64_t)n);
    CHECK_EQ(weft_write_all(fd[1], "x", 1), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK(stats().restores >= (uint64_t)n);
    CHECK_EQ(stats().restores, stats().spills);
    CHECK_EQ(weft_read(fd[0], &byte, 1), 1);
    close_pipe(fd);
    return 0;
}

TEST(spill, brings_a_thousand_back_at_once)
{
    spill_in_all_shapes(again_and_again, NULL);
}

/* ---- Nobody wakes up for nothing ---- */

struct watch {
    weft_runtime *rt;
    int fd[2];
};

/* From outside: when all are spilled, there is to be no sweep any more, and no timer for one. */
static void *await_the_end_of_sweeps(void *arg)
{
    struct watch *w = arg;
    weft_stats now;
    do {
        sched_yield();
        weft_stats_read(w->rt, &now);
    } while (now.spills < CROWD || !wf_load(&w->rt->spills.resting, acquire));
    CHECK_EQ(now.spills, CROWD);
    for (unsigned i = 0; i < now.workers; i++)
        CHECK_EQ(wf_wheel_next(&w->rt->workers[i].wheel), INT64_MAX);
    CHECK_EQ(write(w->fd[1], "x", 1), 1);
    return NULL;
}

static int asleep_for_good(void *arg)
{
    struct watch w = {.rt = weft_runtime_self()};
    (void)arg;
    make_pipe(w.fd);
    WEFT_SCOPE(s);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(weft_go(&s, poll_it, &w.fd[0]), 0);
    pthread_t watcher = start_thread(await_the_end_of_sweeps, &w);
    CHECK_EQ(weft_scope_close(&s), 0);
    join_thread(watcher);
    CHECK_EQ(stats().restores, CROWD);
    close_pipe(w.fd);
    return 0;
}

TEST(spill, lets_the_workers_sleep_when_all_is_done)
{
    spill_in_all_shapes(asleep_for_good, NULL);
}

/* ---- When it is on ---- */

static int sleeps_and_is_not_spilled(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, sleep_for_ever, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weft_sleep(SOON_NS), 0);
    CHECK_EQ(stats().spills + stats().restores, 0);
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

TEST(spill, is_off_by_default)
{
    CHECK_EQ(weft_run(NULL, sleeps_and_is_not_spilled, NULL), 0);
}

#if TEST_SLOWNESS == 1 /* tools answer system calls themselves */

/* As before Linux 6.13: no guards but by mprotect. */
static void forbid_guards(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102 /* MADV_GUARD_INSTALL */, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void on_an_old_kernel(void)
{
    forbid_guards();
    CHECK_EQ(weft_run(&(weft_config){.workers = 2, .spill_ns = SOON_NS}, sleeps_and_is_not_spilled, NULL), 0);
}

TEST(spill, is_off_where_the_kernel_cannot_and_says_so)
{
    char said[1024];
    CHECK_EQ(test_in_child(on_an_old_kernel, 15, said, sizeof said), 0);
    const char *line = strstr(said, "weft: spill_ns is set, but stacks cannot be spilled here");
    CHECK(line && !strstr(line + 10, "weft:")); /* once */
}

#endif

static int sleeps_and_is_spilled(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, sleep_for_ever, NULL), 0);
    await_spills(1);
    weft_dump(STDERR_FILENO); /* who walks over all tasks keeps off their stacks */
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

TEST(spill, is_what_the_environment_says)
{
    if (!can_spill())
        return;
    CHECK_EQ(setenv("WEFT_SPILL_MS", "2", 1), 0);
    CHECK_EQ(weft_run(NULL, sleeps_and_is_spilled, NULL), 0);
    CHECK_EQ(setenv("WEFT_SPILL_MS", "0", 1), 0);
    CHECK_EQ(weft_run(&(weft_config){.spill_ns = SOON_NS}, sleeps_and_is_not_spilled, NULL), 0);
    CHECK_EQ(setenv("WEFT_SPILL_MS", "soon", 1), 0);
    CHECK_EQ(weft_run(NULL, sleeps_and_is_not_spilled, NULL), -EINVAL);
    CHECK_EQ(unsetenv("WEFT_SPILL_MS"), 0);
    CHECK_EQ(weft_run(&(weft_config){.spill_ns = -1}, sleeps_and_is_not_spilled, NULL), -EINVAL);
}
