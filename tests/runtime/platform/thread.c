/* thread.c - threads of our own, and what we borrow from the host's. */
#include "runtime/platform/thread.h"

#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Starting -------------------------------------------------------------------------------------- */

struct seen {
    sigset_t mask;
    char name[16];
    pthread_mutex_t named; /* held until the name has been given */
};

static void *look(void *arg)
{
    struct seen *s = arg;
    pthread_sigmask(SIG_BLOCK, NULL, &s->mask);
    pthread_mutex_lock(&s->named);
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_mutex_unlock(&s->named);
    return NULL;
}

TEST(thread, it_starts_with_signals_blocked_but_faults)
{
    struct seen s = {.named = PTHREAD_MUTEX_INITIALIZER};
    struct wf_thread t;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    pthread_mutex_lock(&s.named);
    CHECK_EQ(wf_thread_start(&t, look, &s, "a name longer than fifteen"), 0);
    pthread_mutex_unlock(&s.named);
    wf_thread_join(&t);
    const int blocked[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE, SIGUSR1, SIGALRM, 0};
    const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, 0};
    for (const int *sig = blocked; *sig; sig++)
        CHECK(sigismember(&s.mask, *sig));
    for (const int *sig = open; *sig; sig++)
        CHECK(!sigismember(&s.mask, *sig));
    CHECK_STR(s.name, "a name longer t");
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int sig = 1; sig < SIGRTMAX; sig++)
        CHECK_EQ(sigismember(&after, sig), sigismember(&before, sig));
}

static void *count(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELEASE);
    return NULL;
}

TEST(thread, one_that_is_detached_runs_all_the_same)
{
    int done = 0;
    for (int i = 0; i < 10; i++) {
        struct wf_thread t;
        CHECK_EQ(wf_thread_start(&t, count, &done, "detached"), 0);
        wf_thread_detach(&t);
    }
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < 10)
        sched_yield();
}

/* ---- Hurrying -------------------------------------------------------------------------------------- */

/* As linux/sched/types.h has it. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static struct attributes attributes_of_caller(void)
{
    struct attributes a = {.size = sizeof a};
    syscall(SYS_sched_getattr, 0, &a, sizeof a, 0); /* an emulator may not know it: zeros */
    return a;
}

enum { SLICE_NS = 200000 };

static void *hurry(void *arg)
{
    struct attributes *seen = arg;
    seen[0] = attributes_of_caller();
    wf_thread_hurry(SLICE_NS);
    seen[1] = attributes_of_caller();
    wf_thread_hurry(0);
    seen[2] = attributes_of_caller();
    return NULL;
}

TEST(thread, one_in_a_hurry_has_a_short_slice_and_is_else_as_before)
{
    struct attributes seen[3];
    struct wf_thread t;
    CHECK_EQ(wf_thread_start(&t, hurry, seen, "hurry"), 0);
    wf_thread_join(&t);
    CHECK_EQ(seen[1].policy, seen[0].policy);
    CHECK_EQ(seen[1].nice, seen[0].nice);
    CHECK_EQ(seen[1].flags, seen[0].flags);
    if (seen[0].runtime != 0) { /* else this kernel knows no such slices, and says so */
        CHECK_EQ(seen[1].runtime, SLICE_NS);
        CHECK(seen[2].runtime != SLICE_NS);
    }
}

/* ---- Binding --------------------------------------------------------------------------------------- */

TEST(thread, binding_to_a_cpu_can_be_taken_back)
{
    cpu_set_t before, now;
    struct wf_affinity a;
    CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &before))
            continue;
        wf_thread_bind(cpu, &a);
        CHECK_EQ(sched_getaffinity(0, sizeof now, &now), 0);
        CHECK(CPU_COUNT(&now) == 1 && CPU_ISSET(cpu, &now));
        CHECK_EQ(sched_getcpu(), cpu);
        wf_thread_unbind(&a);
        CHECK_EQ(sched_getaffinity(0, sizeof now, &now), 0);
        CHECK(CPU_EQUAL(&now, &before));
    }
}

TEST(thread, binding_to_no_cpu_or_one_that_is_not_there_changes_nothing)
{
    cpu_set_t before, now;
    struct wf_affinity a;
    CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    for (const int *cpu = (const int[]){-1, 1023, 1 << 20, 0}; *cpu; cpu++) {
        wf_thread_bind(*cpu, &a);
        CHECK(!a.saved || CPU_ISSET(1023, &before));
        wf_thread_unbind(&a);
        CHECK_EQ(sched_getaffinity(0, sizeof now, &now), 0);
        CHECK(CPU_EQUAL(&now, &before));
    }
}

/* ---- SIGPIPE --------------------------------------------------------------------------------------- */

static void write_to_nobody(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    close(fds[0]);
    CHECK(write(fds[1], "x", 1) == -1 && errno == EPIPE);
    close(fds[1]);
}

static bool is_pending(int sig)
{
    sigset_t pending;
    CHECK_EQ(sigpending(&pending), 0);
    return sigismember(&pending, sig);
}

static bool is_blocked(int sig)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, sig);
}

static void set_blocked(int sig, int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(how, &set, NULL);
}

TEST(thread, a_broken_pipe_of_ours_is_not_heard_of)
{
    struct wf_sigpipe s;
    signal(SIGPIPE, SIG_DFL);
    wf_thread_block_sigpipe(&s);
    write_to_nobody();
    CHECK(is_pending(SIGPIPE));
    wf_thread_restore_sigpipe(&s); /* would end the process if it were still pending */
    CHECK(!is_pending(SIGPIPE) && !is_blocked(SIGPIPE));
}

TEST(thread, a_broken_pipe_of_the_hosts_stays_pending)
{
    struct wf_sigpipe s;
    set_blocked(SIGPIPE, SIG_BLOCK);
    write_to_nobody();
    wf_thread_block_sigpipe(&s);
    write_to_nobody();
    wf_thread_restore_sigpipe(&s);
    CHECK(is_pending(SIGPIPE) && is_blocked(SIGPIPE));
}
