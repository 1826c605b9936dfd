/* sim_thread.c - what the other headers of platform/ promise, in a simulation: threads, futexes, thread-locals, cores.
 *
 * Cores are all alike, and whom a worker robs first is up to the seed. A futex keeps its sleepers in the order in which
 * they came, as the kernel's does; and a thread-local lies in its thread. errno is the one of the machine's thread on
 * which all of it runs: whoever leaves takes its value along. */
#include "runtime/platform/sim.h"

#include "runtime/platform/barrier.h"
#include "runtime/platform/fault.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/lock.h"
#include "runtime/platform/random.h"
#include "runtime/platform/thread.h"
#include "runtime/platform/topology.h"

#include <errno.h>
#include <string.h>

/* ---- threads ---- */

static const int64_t BEGIN_LATE_MAX_NS = 20000000;

/* A thread that begins late is asleep first of all. */
static void *begin_late(void *arg)
{
    (void)arg;
    struct wf_sim_thread *t = wf_sim_self();
    int64_t late = wf_sim_amount(WEFT_SIM_SLOW_THREAD, BEGIN_LATE_MAX_NS);
    if (late)
        wf_sim_sleep(wf_sim_now() + late, "for its beginning", NULL);
    return t->late_fn(t->late_arg);
}

int wf_thread_start(struct wf_thread *t, void *(*fn)(void *), void *arg, const char *name)
{
    if (wf_fault(WF_FAULT_THREAD))
        return -EAGAIN;
    struct wf_sim_thread *s = wf_sim_thread_new(begin_late, NULL, name);
    if (!s)
        return -ENOMEM;
    s->late_fn = fn;
    s->late_arg = arg;
    t->id = (uintptr_t)s;
    wf_sim_start(s);
    wf_sim_point();
    return 0;
}

/* A child of fork() has the whole simulation, and may go on with it. */
int wf_thread_at_fork(void (*fn)(void))
{
    (void)fn;
    return 0;
}

static struct wf_sim_thread *thread_of(struct wf_thread *t)
{
    return (struct wf_sim_thread *)t->id; /* as wf_thread_start wrote it */
}

void wf_thread_join(struct wf_thread *t)
{
    struct wf_sim_thread *s = thread_of(t);
    while (!s->ended) {
        s->joiner = wf_sim_self();
        wf_sim_sleep(INT64_MAX, "for a thread to end", s);
    }
    wf_sim_thread_free(s);
}

void wf_thread_detach(struct wf_thread *t)
{
    (void)t; /* its memory goes at the end of the simulation, and it must have ended by then as well */
}

/* Nobody blocks here, but a watchdog may think so: what it does then must be right all the same. */

int64_t wf_thread_cpu_time(int id)
{
    (void)id;
    return 0;
}

bool wf_thread_is_blocked(int id)
{
    (void)id;
    return wf_sim_below(WF_SIM_KERNEL, 2) == 0;
}

/* Of the simulated ones nobody keeps count. */
unsigned wf_thread_count(void)
{
    return 0;
}

int wf_thread_cpu(void)
{
    return -1;
}

void wf_thread_yield(void)
{
    wf_sim_yield();
}

void wf_thread_nap(int64_t ns)
{
    if (!wf_sim_inside())
        return;
    wf_sim_sleep(wf_sim_now() + (ns > 0 ? ns : 1), "for a nap to end", NULL);
}

void weft_sim_busy(int64_t ns)
{
    struct wf_sim_thread *t = wf_sim_self();
    if (!wf_sim_inside())
        return;
    t->busy = true;
    wf_sim_sleep(wf_sim_now() + (ns > 0 ? ns : 0), "for its own work", NULL);
    t->busy = false;
}

/* There is nothing to bind to, and no signal reaches a simulated thread. */

void wf_thread_affinity(struct wf_affinity *ret)
{
    ret->saved = 0;
}

int wf_thread_choose(const unsigned *cpus, unsigned n, struct wf_affinity *ret)
{
    (void)cpus, (void)n;
    ret->saved = 0;
    return 0;
}

void wf_thread_nice(int more)
{
    (void)more;
}

void wf_thread_hurry(int64_t slice_ns)
{
    (void)slice_ns;
}

void wf_thread_bind(int cpu, struct wf_affinity *ret)
{
    (void)cpu;
    ret->saved = 0;
}

void wf_thread_unbind(const struct wf_affinity *a)
{
    (void)a;
}

void wf_thread_block_sigpipe(struct wf_sigpipe *ret)
{
    memset(ret, 0, sizeof *ret);
}

void wf_thread_restore_sigpipe(const struct wf_sigpipe *s)
{
    (void)s;
}

/* ---- futexes ---- */

static struct {
    struct wf_sim_thread *first, **last; /* all sleepers of all futexes, in the order in which they came */
} sleepers;

void wf_sim_futexes_begin(void)
{
    wf_store(&wf_lock_care, 0u, relaxed); /* whatever the last simulation, or none, has left */
    sleepers.first = NULL;
    sleepers.last = &sleepers.first;
}

static void forget_sleeper(const struct wf_sim_thread *t)
{
    struct wf_sim_thread **at = &sleepers.first;
    while (*at && *at != t)
        at = &(*at)->sleeper_next;
    if (!*at)
        return;
    *at = t->sleeper_next;
    if (!*at)
        sleepers.last = at;
}

int wf_futex_wait(const void *word, uint32_t value, int64_t deadline_ns)
{
    if (!wf_sim_inside())
        return -EINTR; /* whoever waits outside of a simulation waits in vain */
    if (wf_sim_held())
        wf_sim_stop(); /* a report needs a lock, and nobody will give it back */
    wf_sim_point();
    struct wf_sim_thread *t = wf_sim_self();
    if (*(const volatile uint32_t *)word != value)
        return -EAGAIN;
    if (deadline_ns <= wf_sim_now())
        return -ETIMEDOUT;
    if (wf_sim_fault(WEFT_SIM_SPURIOUS))
        return wf_sim_below(WF_SIM_KERNEL, 2) ? 0 : -EINTR;
    t->sleeper_next = NULL;
    *sleepers.last = t;
    sleepers.last = &t->sleeper_next;
    bool roused = wf_sim_sleep(deadline_ns, "on a futex", word);
    if (!roused)
        forget_sleeper(t);
    return roused ? 0 : -ETIMEDOUT;
}

void wf_futex_wake(const void *word, int n)
{
    wf_sim_point();
    for (struct wf_sim_thread *t = sleepers.first, *next; t && n > 0; t = next) {
        next = t->sleeper_next;
        if (t->on != word)
            continue;
        forget_sleeper(t);
        wf_sim_note("wakes", t->number, 0);
        wf_sim_rouse(t);
        n--;
    }
}

/* ---- barriers ---- */

/* All is in one order here, which no fence can change. */
int wf_barrier_prepare(void)
{
    return 0;
}

void wf_barrier(void)
{
}

/* ---- thread-locals ---- */

struct wf_local *wf_local(void)
{
    return &wf_sim_self()->local;
}

void *wf_local_room(void)
{
    return wf_sim_self()->room;
}

struct wf_worker *wf_worker_self(void)
{
    return wf_sim_self()->local.worker;
}

int *weft_errno(void)
{
    return __errno_location();
}

int wf_errno_read(void)
{
    return *__errno_location();
}

void wf_errno_write(int value)
{
    *__errno_location() = value;
}

uint32_t wf_random_here(uint32_t n)
{
    return (uint32_t)wf_sim_below(WF_SIM_SELECT, n);
}

/* ---- cores ---- */

unsigned wf_topology_cpus(void)
{
    return wf_sim_workers();
}

int wf_topology_read(struct wf_topology *t, unsigned workers, const char *synthetic)
{
    (void)synthetic;
    if (workers == 0 || workers > WF_TOPOLOGY_WORKERS_MAX)
        return -EINVAL;
    memset(t, 0, sizeof *t);
    t->workers = t->cores = workers;
    memset(t->cpu, -1, sizeof t->cpu);
    memset(t->distance, 2, sizeof t->distance);
    return 0;
}

/* Any order. */
void wf_topology_victims(const struct wf_topology *t, unsigned self, unsigned char *ret)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->workers; i++) {
        if (i == self)
            continue;
        unsigned at = (unsigned)wf_sim_below(WF_SIM_WORLD, n + 1);
        ret[n++] = ret[at];
        ret[at] = (unsigned char)i;
    }
}
