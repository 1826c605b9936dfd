/* memory.c - tests of a runtime that is up when memory or threads run out: what fails says so, the rest goes on.
 *
 * Address space is limited, which makes mappings fail and hence stacks; what the allocator has mapped already is still
 * there. Sanitizers reserve more than there is to limit, so under them there are no such tests. */
#include "tests/runtime/with.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if TEST_SLOWNESS == 1

/* Leave this process that many more bytes of address space. */
static void leave_room(size_t bytes)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f && fscanf(f, "%zu", &pages) == 1);
    fclose(f);
    size_t limit = pages * (size_t)sysconf(_SC_PAGESIZE) + bytes;
    CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){limit, RLIM_INFINITY}), 0);
}

static void in_child(void (*body)(void))
{
    char said[4096];
    int status = test_in_child(body, 15, said, sizeof said);
    if (status != 0)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}

enum { TASKS = 4000 };

struct crowd {
    weft_event never;
    WF_ATOMIC(unsigned) ran;
};

static int wait_in_the_crowd(void *arg)
{
    struct crowd *c = arg;
    wf_add(&c->ran, 1, relaxed);
    return weft_event_wait(&c->never);
}

/* How many of these tasks, which are being stopped, have found no stack. */
static unsigned count_the_unrun(weft_task *const task[TASKS])
{
    unsigned unrun = 0;
    WEFT_SCOPE(s);
    weft_scope_shield(&s);
    for (int i = 0; i < TASKS; i++) {
        int result = weft_await(task[i]);
        CHECK(result == -ECANCELED || result == -ENOMEM);
        unrun += result == -ENOMEM;
    }
    CHECK_EQ(weft_scope_close(&s), 0);
    return unrun;
}

/* Each task wants a stack, for which there is no room after the first few hundred. */
static int want_too_many_stacks(void *arg)
{
    static weft_task *task[TASKS];
    struct crowd c = {0};
    leave_room(8 << 20);
    WEFT_SCOPE(s);
    for (int i = 0; i < TASKS; i++)
        task[i] = weft_spawn(&s, wait_in_the_crowd, &c);
    CHECK_EQ(weft_sleep(10 * WEFT_SEC), -ECANCELED);
    unsigned unrun = count_the_unrun(task);
    CHECK_EQ(weft_scope_close(&s), -ENOMEM);
    CHECK(unrun > 0);
    CHECK(wf_load(&c.ran, relaxed) > 0);
    CHECK_EQ(unrun + wf_load(&c.ran, relaxed), TASKS);
    WEFT_SCOPE(again);
    CHECK_EQ(weft_await(weft_spawn(&again, return_zero, arg)), 0);
    return weft_scope_close(&again);
}

/* A slab of stacks is 64 MiB, so tasks of a large stack fill it soon, and the next slab does not come. */
static void run_out_of_stacks(void)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        weft_config config = {.workers = workers, .stack_size = 256 << 10};
        CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}), 0);
        CHECK_EQ(weft_run(&config, want_too_many_stacks, NULL), 0);
    }
}

TEST(memory, that_is_out_for_stacks_fails_tasks_and_not_the_runtime)
{
    in_child(run_out_of_stacks);
}

/* ---- one task that finds no stack ---- */

enum { HUGE_STACK = 256 << 20, ONE_HUGE_STACK = 400 << 20, NO_HUGE_STACK = 100 << 20 }; /* and some room beside it */

struct pair {
    int (*start)(weft_scope *s, struct pair *p); /* the one that finds no stack; what its opener is told */
    int sibling;                                 /* how that one ended, which has a stack */
    bool ran;
};

static int be_its_sibling(void *arg)
{
    struct pair *p = arg;
    return p->sibling = weft_sleep(10 * WEFT_SEC);
}

static int note_that_it_ran(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

static int just_go(weft_scope *s, struct pair *p)
{
    CHECK_EQ(weft_go(s, note_that_it_ran, &p->ran), 0);
    return weft_sleep(10 * WEFT_SEC);
}

static int hold_it(weft_scope *s, struct pair *p)
{
    weft_task *t = weft_spawn(s, note_that_it_ran, &p->ran);
    int told = weft_sleep(10 * WEFT_SEC);
    CHECK(weft_done(t));
    return told;
}

static int hold_and_await_it_late(weft_scope *s, struct pair *p)
{
    weft_task *t = weft_spawn(s, note_that_it_ran, &p->ran);
    int told = weft_sleep(10 * WEFT_SEC);
    CHECK_EQ(weft_await(t), -ENOMEM);
    return told;
}

static int hold_and_await_it(weft_scope *s, struct pair *p)
{
    CHECK_EQ(weft_await(weft_spawn(s, note_that_it_ran, &p->ran)), -ENOMEM);
    return weft_sleep(10 * WEFT_SEC);
}

static int prepare_and_await_it(weft_scope *s, struct pair *p)
{
    CHECK_EQ(weft_await(weft_prepare(s, note_that_it_ran, &p->ran)), -ENOMEM);
    return weft_sleep(10 * WEFT_SEC);
}

static int start_a_pair(void *arg)
{
    struct pair *p = arg;
    leave_room(ONE_HUGE_STACK);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, be_its_sibling, p), 0);
    let_all_run();
    CHECK_EQ(p->start(&s, p), -ECANCELED);
    CHECK_EQ(weft_scope_close(&s), -ENOMEM);
    CHECK_EQ(p->sibling, -ECANCELED);
    CHECK(!p->ran);
    return weft_checkpoint();
}

static void start_pairs(void)
{
    int (*const starts[])(weft_scope *, struct pair *) = {just_go, hold_it, hold_and_await_it_late, hold_and_await_it,
                                                          prepare_and_await_it};
    weft_config config = {.workers = 1, .stack_size = HUGE_STACK};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}), 0);
        CHECK_EQ(weft_run(&config, start_a_pair, &(struct pair){.start = starts[i]}), 0);
    }
}

TEST(memory, that_is_out_for_one_stack_stops_the_scope_however_its_task_was_started)
{
    in_child(start_pairs);
}

static int submit_one(void *arg)
{
    leave_room(NO_HUGE_STACK);
    CHECK_EQ(weft_submit(weft_runtime_self(), note_that_it_ran, arg), 0);
    for (int i = 0; i < 1000; i++) /* it has its turn while we have the stack */
        CHECK_EQ(weft_yield(), 0);
    return 0;
}

static void submit_without_stacks(void)
{
    bool ran = false;
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .stack_size = HUGE_STACK}, submit_one, &ran), -ENOMEM);
    CHECK(!ran);
}

TEST(memory, that_is_out_for_the_stack_of_what_was_submitted_is_the_runtimes_failure)
{
    in_child(submit_without_stacks);
}

/* ---- forks that find no stack: their parent calls them ---- */

struct visit {
    weft_event come, here, go;
};

/* Has the only other stack, until it may go. */
static int visit(void *arg)
{
    struct visit *v = arg;
    int err = weft_event_wait(&v->come);
    weft_event_set(&v->here);
    return err ? err : weft_event_wait(&v->go);
}

static int count_call(weft_forks *forks, int *calls);
WEFT_FORKABLE(int, count_call, int *)

static int count_call(weft_forks *forks, int *calls)
{
    (void)forks;
    return ++*calls;
}

static int fork_beside_a_visitor(void *arg)
{
    struct visit v = {0};
    struct count_call_fork f;
    int calls = 0;
    weft_forks *forks = weft_forks_self();
    (void)arg;
    leave_room(ONE_HUGE_STACK);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, visit, &v), 0);
    let_all_run();

    count_call_fork(forks, &f, &calls);
    CHECK_EQ(weft_sleep(WEFT_MSEC), 0); /* offered, and refused a stack; or not, if that was over at once */
    CHECK_EQ(calls, 0);
    CHECK_EQ(count_call_join(forks, &f), 1);

    count_call_fork(forks, &f, &calls);
    weft_event_set(&v.come);
    CHECK_EQ(weft_event_wait(&v.here), 0); /* offered, and not yet begun: the visitor and we come first */
    CHECK_EQ(count_call_join(forks, &f), 2);
    let_all_run(); /* what is left of it is refused a stack */

    CHECK_EQ(weft_checkpoint(), 0);
    weft_event_set(&v.go);
    return weft_scope_close(&s);
}

static void fork_without_stacks(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .stack_size = HUGE_STACK}, fork_beside_a_visitor, NULL), 0);
}

TEST(memory, that_is_out_for_the_stack_of_a_fork_leaves_it_to_its_parent)
{
    in_child(fork_without_stacks);
}

/* ---- threads, tasks ---- */

static int return_seven(void *arg)
{
    (void)arg;
    return 7;
}

/* From now on no thread can be started: limiting memory is not enough, since the C library keeps stacks. */
static void refuse_threads(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int want_a_thread(void *arg)
{
    pid_t worker = gettid();
    (void)arg;
    refuse_threads();
    CHECK_EQ(weft_offload(return_seven, NULL), -EAGAIN);
    weft_blocking_begin();
    CHECK_EQ(gettid(), worker); /* it stays, and blocks its worker */
    weft_blocking_begin();
    weft_blocking_end();
    weft_blocking_end();
    CHECK_EQ(weft_yield(), 0);
    return 0;
}

static void run_out_of_threads(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, want_a_thread, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, want_a_thread, NULL), -EAGAIN);
}

TEST(memory, or_a_thread_that_cannot_be_had_is_said_by_offload)
{
    in_child(run_out_of_threads);
}

static void raise_it(weft_forks *forks, WF_ATOMIC(bool) *flag);
WEFT_FORKABLE_VOID(raise_it, WF_ATOMIC(bool) *)

static void raise_it(weft_forks *forks, WF_ATOMIC(bool) *flag)
{
    (void)forks;
    raise_flag(flag);
}

/* The task stays on its worker, which will not come to the fork for as long as it blocks: another one has to. */
static int block_with_a_fork(void *arg)
{
    WF_ATOMIC(bool) raised = false;
    weft_forks *forks = weft_forks_self();
    struct raise_it_fork f;
    (void)arg;
    refuse_threads();
    raise_it_fork(forks, &f, &raised);
    weft_blocking_begin();
    spin_until(&raised);
    weft_blocking_end();
    raise_it_join(forks, &f);
    return 0;
}

static void block_two_without_threads(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, block_with_a_fork, NULL), 0);
}

TEST(memory, that_is_out_for_a_thread_leaves_forks_to_others_while_their_task_blocks)
{
    in_child(block_two_without_threads);
}

/* A lane is a queue and no more until its first job; that is refused, and it may be closed. */
static int want_threads_of_lanes(void *arg)
{
    weft_lane *l = NULL;
    weft_job job;
    refuse_threads();
    CHECK_EQ(weft_lane_open(&l, &(weft_lane_config){.name = "in vain", .full = WEFT_LANE_HERE}), 0);
    CHECK_EQ(weft_offload_on(l, return_seven, arg), -EAGAIN);
    CHECK_EQ(weft_job_start(&job, l, return_seven, arg), -EAGAIN);
    CHECK_EQ(weft_job_start_all(&job, l, return_seven, arg, 0, 3), -EAGAIN);
    weft_lane_stats stats;
    weft_lane_stats_read(l, &stats);
    CHECK(stats.threads == 0 && stats.refused == 5 && stats.done == 0);
    weft_lane_close(l);
    return 0;
}

static void run_lanes_without_threads(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, want_threads_of_lanes, NULL), 0);
}

TEST(memory, or_a_thread_that_cannot_be_had_is_said_by_every_lane)
{
    in_child(run_lanes_without_threads);
}

/* The caller need not look at each weft_go, since the scope has failed. */
static int go_on_and_on(void *arg)
{
    leave_room(4 << 20);
    WEFT_SCOPE(s);
    int result = 0;
    for (long i = 0; i < 10000000 && result == 0; i++)
        result = weft_go(&s, return_zero, arg);
    CHECK_EQ(result, -ENOMEM);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_await(weft_spawn(&s, return_zero, arg)), -ENOMEM);
    CHECK_EQ(weft_scope_close(&s), -ENOMEM);
    return 0;
}

static void run_out_of_tasks(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, go_on_and_on, NULL), 0);
}

TEST(memory, that_is_out_for_tasks_fails_their_scope)
{
    in_child(run_out_of_tasks);
}

#endif
