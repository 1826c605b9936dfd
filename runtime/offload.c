/* offload.c - see offload.h.
 *
 * The hand-over. A thread whose job is over takes the next one, or sits down among the idle, and only then tells who
 * waits for the first: by the time that comes with another job there is somebody for it. It tells outside of the
 * lock, since to tell may be a system call; the waiter stays until it is told, because it was claimed under the lock.
 *
 * Who sits down looks on for SPIN_NS before it sleeps, so that a job that follows closely costs no wake. It does so
 * once per job, only while there is a CPU for everybody who is awake, not on the very CPU that whoever has handed over
 * the job needs, and not for a while if it was in vain. The worker does the same for its result. If all threads are
 * busy, it takes a nap instead: results gather then, where each would ring the bell of a worker that sleeps.
 * docs/design/hand-over.md has the figures.
 *
 * Ordering: everything is under the lock, but an idle thread's word: O1 the caller's swap (release) <-> O2 the
 * idle one's load (acquire). Both sides change the word by exchange, so either the caller finds ASLEEP and
 * wakes it, or the sleeper finds CALLED. And O3 the last thread's subtraction (release) <-> close's load (acquire).
 * `awake` is a hint. */
#include "runtime/offload.h"

#include "runtime/alloc.h"
#include "runtime/child.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/local.h"
#include "runtime/platform/spin.h"
#include "runtime/worker.h"

#include <weft/offload.h>

static const int64_t RETIRE_NS = 10 * WEFT_SEC, SPIN_NS = 20 * WEFT_USEC;

enum { LOOKING, ASLEEP, CALLED }; /* CALLED by whoever took it off the list */

struct wf_offload_idle {
    struct wf_offload_idle *next;
    WF_ATOMIC(uint32_t) word;
    int cpu; /* where it looks on, or did */
};

/* A job is over: who is to be told, once the lock is let go. */
struct ending {
    weft_task *guest;
    weft_waiter *waiter; /* claimed, so it stays */
    int result;
};

struct wf_offload_thread {
    struct wf_thread id;
    struct wf_offload *pool;
    struct wf_offload_thread *next; /* among the exited ones */
    struct ending last;             /* nobody has been told of it yet */
    int partner;                    /* the CPU that its last job came from; -1: none */
    struct wf_spin_habit habit;
};

void wf_offload_open(struct wf_offload *o, unsigned threads_max)
{
    o->last = &o->first;
    o->threads_max = threads_max;
    wf_thread_affinity(&o->affinity); /* before any worker is bound to a core */
}

void wf_offload_allow_spin(struct wf_offload *o, struct wf_idle *workers, unsigned cpus)
{
    o->workers = workers;
    wf_store(&o->cpus, cpus, relaxed); /* before anybody runs; tests change them later */
    wf_store(&o->spin_ns, SPIN_NS, relaxed);
}

bool wf_offload_is_quiet(struct wf_offload *o)
{
    wf_lock(&o->lock);
    bool quiet = !o->first && !o->expected && wf_load(&o->awake, relaxed) == 0;
    wf_unlock(&o->lock);
    return quiet;
}

static void enqueue(struct wf_offload *o, struct wf_offload_job *j)
{
    j->next = NULL;
    j->link = o->last;
    *o->last = j;
    o->last = &j->next;
}

static void take(struct wf_offload *o, struct wf_offload_job *j)
{
    *j->link = j->next;
    if (j->next)
        j->next->link = j->link;
    else
        o->last = j->link;
    j->link = NULL;
}

/* Whether it was awake, and has the job by now. */
static bool call_idle(struct wf_offload_idle *i)
{
    if (!i)
        return false;
    bool looking = wf_swap(&i->word, CALLED, release) == LOOKING; /* O1; from here on its frame may go */
    if (!looking)
        wf_futex_wake(&i->word, 1);
    return looking;
}

static bool forget_idle(struct wf_offload *o, struct wf_offload_idle *i)
{
    struct wf_offload_idle **at = &o->idle;
    while (*at && *at != i)
        at = &(*at)->next;
    bool found = *at != NULL;
    if (found)
        *at = i->next;
    return found;
}

static bool is_same_cpu(int a, int b)
{
    return a == b && a >= 0;
}

/* Until somebody calls, or it has looked for long enough. */
static void look_for_call(struct wf_offload *o, struct wf_offload_thread *self, struct wf_offload_idle *me)
{
    struct wf_spin_habit *habit = &self->habit;
    if (is_same_cpu(me->cpu, self->partner) || !wf_offload_has_spare_cpu(o) || !wf_spin_is_worth_it(habit))
        return;
    struct wf_spin spin = wf_spin_begin(wf_load(&o->spin_ns, relaxed));
    bool called;
    do
        called = wf_load(&me->word, relaxed) == CALLED; /* looked at again later (O2) */
    while (!called && wf_offload_has_spare_cpu(o) && wf_spin_on(&spin));
    wf_spin_learn(habit, called);
}

static void sleep_until_call(struct wf_offload *o, struct wf_offload_idle *me)
{
    uint32_t looking = LOOKING;
    if (!wf_cas(&me->word, &looking, ASLEEP, relaxed)) /* looked at again later (O2) */
        return;
    int64_t until = wf_clock_now() + RETIRE_NS;
    int slept = 0;
    wf_sub(&o->awake, 1, relaxed);
    while (wf_load(&me->word, relaxed) == ASLEEP && slept != -ETIMEDOUT)
        slept = wf_futex_wait(&me->word, ASLEEP, until);
    wf_add(&o->awake, 1, relaxed);
}

/* Among the idle: wait for a job, or for the time to retire. Returns with the lock held. False: the thread goes. */
static bool wait_for_job(struct wf_offload *o, struct wf_offload_thread *self, struct wf_offload_idle *me)
{
    look_for_call(o, self, me);
    sleep_until_call(o, me);
    wf_lock(&o->lock);
    if (forget_idle(o, me))
        return o->first || o->expected; /* nobody has taken us off, so nobody will wake us */
    while (wf_load(&me->word, acquire) != CALLED) { /* O2: somebody has, and our frame must stay until the call */
        wf_unlock(&o->lock);
        wf_pause();
        wf_lock(&o->lock);
    }
    return true;
}

/* Run a task as this thread's guest until it leaves. */
static void host_guest(weft_task *t)
{
    struct wf_context base = {0};
    wf_context_adopt_thread(&base);
    wf_store(&t->pool.host, &base, relaxed);
    wf_local()->guest = t;
    wf_side_give(&t->pool);
    wf_context_switch_aside(&base, &wf_load(&t->stack, relaxed)->context);
    wf_local()->guest = NULL;
    wf_context_finish(&base);
}

static int run_job(struct wf_offload_job *j, weft_task *guest, void (*call)(struct wf_offload_job *))
{
    int result = 0;
    if (guest)
        host_guest(guest);
    else if (call)
        call(j);
    else
        result = j->fn(j->arg);
    wf_child_refuse("an offloaded call returned");
    return result;
}

/* Under the lock: it is done. Who has been stopped meanwhile cannot be claimed, but looks at done. */
static struct ending finish_job(struct wf_offload_job *j, int result)
{
    j->result = result;
    j->done = true;
    return (struct ending){.waiter = wf_fire_claim(&j->waiter) ? &j->waiter : NULL, .result = result};
}

static void tell(struct ending e)
{
    if (e.guest)
        wf_worker_deliver(wf_load(&e.guest->home, relaxed), e.guest);
    else if (e.waiter)
        wf_fire_claimed(e.waiter, e.result);
}

/* Take the next job, or sit down; tell of the last one; do the job, or wait for one. Called and returns with the lock
 * held. False: the thread goes. */
static bool turn(struct wf_offload *o, struct wf_offload_thread *self)
{
    struct wf_offload_idle me = {.next = o->idle, .cpu = wf_thread_cpu()};
    struct wf_offload_job *j = o->first;
    weft_task *guest = j ? j->guest : NULL;
    void (*call)(struct wf_offload_job *) = j ? j->call : NULL;
    if (j)
        take(o, j);
    else
        o->idle = &me;
    wf_unlock(&o->lock);
    tell(self->last);
    self->last = (struct ending){.guest = guest};
    if (!j)
        return wait_for_job(o, self, &me);
    self->partner = guest || call ? -1 : j->cpu;
    int result = run_job(j, guest, call);
    wf_lock(&o->lock);
    if (!guest && !call) /* else j is gone */
        self->last = finish_job(j, result);
    return true;
}

static void *thread_main(void *arg)
{
    struct wf_offload_thread *self = arg;
    struct wf_offload *o = self->pool;
    void *altstack = NULL;
    wf_thread_unbind(&o->affinity); /* a bound worker may have started us, and we would have its one core */
    wf_stack_guard_enter(&altstack); /* for guests that overflow; without memory the fault just has no words */
    wf_lock(&o->lock);
    while ((o->first || !o->stopping) && turn(o, self))
        ;
    wf_sub(&o->awake, 1, relaxed);
    o->threads--;
    self->next = o->exited;
    o->exited = self;
    wf_stack_guard_leave(altstack);
    wf_unlock(&o->lock);
    if (wf_sub(&o->alive, 1, release) == 1) /* O3; the pool is not touched after this: a wake may be spurious */
        wf_futex_wake(&o->alive, 1);
    return NULL;
}

static void join_all(struct wf_offload_thread *t)
{
    while (t) {
        struct wf_offload_thread *next = t->next;
        wf_thread_join(&t->id);
        wf_free(t, sizeof *t);
        t = next;
    }
}

/* Under the lock. What is refused here is not said through errno: it is the caller's, who may learn of nothing. */
static void start_thread(struct wf_offload *o)
{
    int before = wf_errno_read();
    struct wf_offload_thread *t = wf_alloc(sizeof *t);
    if (t) {
        t->pool = o;
        wf_add(&o->alive, 1, relaxed);
        if (wf_thread_start(&t->id, thread_main, t, "weft-offload") == 0) {
            o->threads++; /* the thread begins by taking the lock */
            wf_add(&o->awake, 1, relaxed);
        } else {
            wf_sub(&o->alive, 1, relaxed);
            wf_free(t, sizeof *t);
        }
    }
    wf_errno_write(before);
}

/* Who will take a job. */
struct taker {
    struct wf_offload_idle *idle; /* to be called, after the lock; NULL: whoever comes first */
    int cpu;                      /* where that is */
    bool busy;                    /* or all are busy */
};

/* Under the lock: see to it that somebody will take the next job. False: there is no thread and none can be started. */
static bool provide(struct wf_offload *o, struct taker *ret)
{
    unsigned before = o->threads;
    ret->idle = o->idle;
    if (o->idle) {
        ret->cpu = o->idle->cpu;
        o->idle = o->idle->next;
    } else if (o->threads < o->threads_max) {
        start_thread(o);
    }
    ret->busy = !ret->idle && o->threads == before;
    return o->threads > 0;
}

/* Under the lock: those that have retired meanwhile, to be joined after it. */
static struct wf_offload_thread *take_exited(struct wf_offload *o)
{
    struct wf_offload_thread *t = o->exited;
    o->exited = NULL;
    return t;
}

void wf_offload_close(struct wf_offload *o)
{
    wf_lock(&o->lock);
    WF_CHECK(!o->first);
    o->stopping = true;
    struct wf_offload_idle *idle = o->idle;
    o->idle = NULL;
    wf_unlock(&o->lock);
    while (idle) {
        struct wf_offload_idle *next = idle->next;
        call_idle(idle);
        idle = next;
    }
    for (uint32_t n; (n = wf_load(&o->alive, acquire)) != 0;) /* O3 */
        wf_futex_wait(&o->alive, n, INT64_MAX);
    join_all(o->exited);
}

static bool submit(struct wf_offload *o, struct wf_offload_job *j, struct taker *ret)
{
    wf_lock(&o->lock);
    bool can = provide(o, ret);
    if (can)
        enqueue(o, j);
    struct wf_offload_thread *exited = take_exited(o);
    wf_unlock(&o->lock);
    join_all(exited);
    return can;
}

/* How the calling worker, on that CPU, had better wait for the job. If somebody has to be woken, not at all: on this
 * very CPU perhaps, which it should leave then. */
static enum wf_linger call_taker(struct taker by, int cpu)
{
    if (by.busy)
        return WF_LINGER_NAPPING;
    return call_idle(by.idle) && !is_same_cpu(by.cpu, cpu) ? WF_LINGER_LOOKING : WF_LINGER_NOT;
}

int weft_offload(weft_fn fn, void *arg)
{
    weft_task *t = wf_task_require("weft_offload");
    struct wf_offload *o = &wf_worker_self()->rt->offload;
    struct wf_offload_job j = {.fn = fn, .arg = arg, .cpu = wf_thread_cpu()};
    struct taker by;
    int reason = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE);
    if (reason)
        return reason;
    wf_waiter_init(&j.waiter, &t->wait, 0);
    if (!submit(o, &j, &by)) {
        wf_wait_disarm(&t->wait);
        return -EAGAIN;
    }
    wf_worker_linger(call_taker(by, j.cpu));
    if (wf_wait_suspend(&t->wait) != WF_WAIT_STOPPED)
        return j.result;

    if (wf_offload_withdraw(o, &j))
        return wf_wait_why_stopped();
    wf_lock(&o->lock);
    bool done = j.done;
    if (!done) { /* it runs: wait for it, whatever happens */
        wf_wait_arm(&t->wait, 0);
        wf_waiter_init(&j.waiter, &t->wait, 0);
    }
    wf_unlock(&o->lock);
    if (!done)
        wf_wait_suspend(&t->wait);
    return j.result;
}

bool wf_offload_reserve(struct wf_offload *o)
{
    wf_lock(&o->lock);
    if (o->threads == 0)
        start_thread(o);
    bool can = o->threads > 0;
    if (can)
        o->expected++;
    wf_unlock(&o->lock);
    return can;
}

void wf_offload_task(struct wf_offload *o, weft_task *t)
{
    /* In the frame of weft_blocking_begin, until a thread has taken it. */
    struct wf_offload_job *j = wf_load(&t->pool.job, relaxed);
    struct taker by;
    wf_lock(&o->lock);
    o->expected--;
    provide(o, &by);
    WF_CHECK(o->threads > 0);
    enqueue(o, j);
    wf_unlock(&o->lock);
    call_idle(by.idle);
}

bool wf_offload_call(struct wf_offload *o, struct wf_offload_job *j)
{
    struct taker by;
    bool can = submit(o, j, &by);
    call_idle(by.idle);
    return can;
}

bool wf_offload_withdraw(struct wf_offload *o, struct wf_offload_job *j)
{
    wf_lock(&o->lock);
    bool queued = j->link != NULL;
    if (queued)
        take(o, j);
    wf_unlock(&o->lock);
    return queued;
}

void weft_blocking_begin(void)
{
    wf_child_refuse("weft_blocking_begin");
    weft_task *t = wf_task_self();
    WF_REQUIRE(t, "weft_blocking_begin called outside a task");
    WF_REQUIRE(t->blocking < UINT8_MAX, "weft_blocking_begin nested 256 deep");
    if (t->blocking++ > 0 || !wf_offload_reserve(&wf_worker_self()->rt->offload))
        return;
    struct wf_offload_job j = {.guest = t};
    wf_store(&t->pool.job, &j, relaxed); /* goes to the pool by way of the switch */
    wf_worker_leave_for_pool(t);
}

void weft_blocking_end(void)
{
    wf_child_refuse("weft_blocking_end");
    weft_task *t = wf_task_self();
    WF_REQUIRE(t && t->blocking > 0, "weft_blocking_end without weft_blocking_begin");
    if (--t->blocking == 0 && !wf_worker_self())
        wf_worker_return_from_pool(t);
}
