/* thread.c - see thread.h. */
#include "runtime/platform/thread.h"

#include "runtime/platform/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 15 }; /* what the kernel keeps */

/* ---- Starting ------------------------------------------------------------------------------------ */

/* Everything but what a fault of the thread's own raises: blocking those would end the process without a
 * word, since the kernel does not wait for a handler then. */
static void fill_mask(sigset_t *mask)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(mask, faults[i]);
}

int wf_thread_start(struct wf_thread *t, void *(*fn)(void *), void *arg, const char *name)
{
    sigset_t mask, before;
    pthread_t id;
    _Static_assert(sizeof id == sizeof t->id, "a thread's name fits");
    if (wf_fault(WF_FAULT_THREAD))
        return -EAGAIN;
    fill_mask(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, &before); /* inherited; an attribute would do, but not under ASan */
    int err = pthread_create(&id, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        return err == ENOMEM ? -ENOMEM : -EAGAIN;
    t->id = id;

    char cut[NAME_MAX_BYTES + 1];
    strncpy(cut, name, NAME_MAX_BYTES);
    cut[NAME_MAX_BYTES] = 0;
    pthread_setname_np(id, cut); /* best effort: for ps and gdb */
    return 0;
}

void wf_thread_join(struct wf_thread *t)
{
    pthread_join(t->id, NULL);
}

void wf_thread_detach(struct wf_thread *t)
{
    pthread_detach(t->id);
}

int wf_thread_cpu(void)
{
    return sched_getcpu();
}

void wf_thread_yield(void)
{
    sched_yield();
}

void wf_thread_nap(int64_t ns)
{
    struct timespec nap = {ns / 1000000000, ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

/* ---- Counting ------------------------------------------------------------------------------------ */

/* One of io_uring's, or gone. */
static bool is_kernels(const char *id)
{
    char path[64], name[NAME_MAX_BYTES + 2] = "iou-";
    snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, name, sizeof name - 1) < 0)
            name[0] = 0; /* nobody knows: it counts */
        close(fd);
    }
    return strncmp(name, "iou-", 4) == 0;
}

unsigned wf_thread_count(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.' && !is_kernels(e->d_name);
    closedir(dir);
    return count;
}

/* ---- What another one does ----------------------------------------------------------------------- */

int64_t wf_thread_cpu_time(int id)
{
    enum { PER_THREAD = 4, SCHEDULED = 2 }; /* as the kernel makes a clock's number of a thread's */
    clockid_t clock = (clockid_t)(~(unsigned)id << 3 | PER_THREAD | SCHEDULED);
    struct timespec t;
    int before = errno;
    int err = clock_gettime(clock, &t);
    errno = before;
    return err ? -1 : t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

bool wf_thread_is_blocked(int id)
{
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *state = strrchr(text, ')'); /* behind its name, which may hold anything */
    return state && (state[1] == ' ') && (state[2] == 'S' || state[2] == 'D');
}

/* ---- Binding ------------------------------------------------------------------------------------- */

void wf_thread_affinity(struct wf_affinity *ret)
{
    _Static_assert(sizeof ret->mask == sizeof(cpu_set_t), "a mask is the C library's");
    ret->saved = sched_getaffinity(0, sizeof ret->mask, (cpu_set_t *)ret->mask) == 0;
}

void wf_thread_bind(int cpu, struct wf_affinity *ret)
{
    cpu_set_t one;
    wf_thread_affinity(ret);
    bool can = cpu >= 0 && cpu < CPU_SETSIZE && ret->saved;
    ret->saved = 0;
    if (!can)
        return;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ret->saved = sched_setaffinity(0, sizeof one, &one) == 0;
}

void wf_thread_unbind(const struct wf_affinity *a)
{
    if (a->saved)
        sched_setaffinity(0, sizeof a->mask, (const cpu_set_t *)a->mask);
}

int wf_thread_choose(const unsigned *cpus, unsigned n, struct wf_affinity *ret)
{
    cpu_set_t all, chosen;
    wf_thread_affinity(ret);
    memcpy(&all, ret->mask, sizeof all);
    CPU_ZERO(&chosen);
    for (unsigned i = 0; i < n; i++) {
        if (cpus[i] >= CPU_SETSIZE || (ret->saved && !CPU_ISSET(cpus[i], &all)))
            return -EINVAL;
        CPU_SET(cpus[i], &chosen);
    }
    memcpy(ret->mask, &chosen, sizeof chosen);
    ret->saved = 1;
    return 0;
}

/* ---- Niceness ------------------------------------------------------------------------------------ */

void wf_thread_nice(int more)
{
    if (more == 0)
        return;
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0); /* of the thread: so it is on Linux */
    if (errno == 0)
        setpriority(PRIO_PROCESS, 0, now + more);
}

/* ---- Urgency ------------------------------------------------------------------------------------- */

/* As linux/sched/types.h has it, which cannot be included beside sched.h. */
struct sched_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns; /* of an ordinary thread the first is its slice */
};

void wf_thread_hurry(int64_t slice_ns)
{
    struct sched_attributes a = {.size = sizeof a};
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) < 0 || a.policy != SCHED_OTHER)
        return;
    a.runtime_ns = (uint64_t)slice_ns;
    syscall(SYS_sched_setattr, 0, &a, 0);
}

/* ---- Children -------------------------------------------------------------------------------------- */

int wf_thread_at_fork(void (*fn)(void))
{
    return -pthread_atfork(NULL, NULL, fn);
}

/* ---- SIGPIPE ------------------------------------------------------------------------------------- */

static bool is_pending(int sig)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, sig) == 1;
}

static void only_sigpipe(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

void wf_thread_block_sigpipe(struct wf_sigpipe *ret)
{
    sigset_t pipe, was;
    only_sigpipe(&pipe);
    ret->was_pending = is_pending(SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &was);
    ret->was_blocked = sigismember(&was, SIGPIPE) == 1;
}

void wf_thread_restore_sigpipe(const struct wf_sigpipe *s)
{
    sigset_t pipe;
    const struct timespec now = {0, 0};
    only_sigpipe(&pipe);
    if (!s->was_pending && is_pending(SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
            continue;
    if (!s->was_blocked)
        pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
}
