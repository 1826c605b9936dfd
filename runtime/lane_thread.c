/* lane_thread.c - the threads of a lane. See lane.h.
 *
 * The hand-over. A thread whose job is over takes the next one, or sits down among the idle, and only then tells who
 * waits for the first: by the time that comes with another job there is somebody for it. It tells outside of the
 * lock, since to tell may be a system call; the waiter stays until it is told, because it was claimed under the lock.
 *
 * Who sits down looks on for a moment before it sleeps, so that a job that follows closely costs no wake. It does so
 * once per job, only while there is a CPU for everybody who is awake, not on the very CPU that whoever has handed over
 * the job needs, and not for a while if it was in vain. The worker does the same for its result. If all threads are
 * busy, it takes a nap instead: results are gathered then, where each would go through its inbox and ring its bell.
 * docs/design/hand-over.md has the figures.
 *
 * Of a job that stands for many calls a thread takes one, and while there are more sees to it that another comes: so
 * who starts it pays for one thread, and those that are there for the others, as long as there is something left.
 *
 * Ordering: everything is under the lock, but an idle thread's word: O1 the caller's swap (release) <-> O2 the
 * idle one's load (acquire). Both sides change the word by exchange, so either the caller finds ASLEEP and
 * wakes it, or the sleeper finds CALLED. And O3 the last thread's subtraction (release) <-> close's load (acquire).
 * `awake` is a hint. */
#include "runtime/lane_thread.h"

#include "runtime/alloc.h"
#include "runtime/child.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/local.h"
#include "runtime/platform/spin.h"
#include "runtime/worker.h"

static const int64_t RETIRE_NS = 10 * WEFT_SEC, SLOW_NS = 10 * WEFT_USEC;

enum { LINE = 64 };

enum { LOOKING, ASLEEP, CALLED }; /* CALLED by whoever took it off the list */

struct wf_lane_idle {
    struct wf_lane_idle *next;
    WF_ATOMIC(uint32_t) word;
    int cpu; /* where it looks on, or did */
};

/* What has happened: who is to be told, once the lock is let go. Both were claimed, so they stay. */
struct ending {
    weft_task *guest;
    weft_waiter *waiter;
    int result;
};

struct wf_lane_thread {
    struct wf_thread id;
    weft_lane *lane;
    struct wf_lane_thread *next; /* among the exited ones */
    struct wf_local *local;      /* its own */
    struct ending last;          /* nobody has been told of it yet */
    int partner;                 /* the CPU that its last job came from; -1: none */
    struct wf_spin_habit habit;
};

/* A call that was taken. */
struct turn {
    struct wf_job *job; /* NULL: none. If its guest or call is set, it may be gone once the lock is let go: */
    weft_task *guest;
    void (*call)(struct wf_job *);
    void *arg;
    int64_t asked_ns;         /* 0: its times are not taken */
    weft_waiter *admitted;    /* whose job is in the queue now, claimed; or NULL */
    struct wf_taker helper;   /* for the next call of the same job; */
    bool helped;              /* if so */
};

/* ---- who has nothing to do ---- */

bool wf_taker_call(struct wf_taker by)
{
    if (!by.idle)
        return false;
    bool looking = wf_swap(&by.idle->word, CALLED, release) == LOOKING; /* O1; from here on its frame may go */
    if (!looking)
        wf_futex_wake(&by.idle->word, 1);
    return looking;
}

static bool forget_idle(weft_lane *l, struct wf_lane_idle *i)
{
    struct wf_lane_idle **at = &l->idle;
    while (*at && *at != i)
        at = &(*at)->next;
    bool found = *at != NULL;
    if (found)
        *at = i->next;
    return found;
}

/* Until somebody calls, or it has looked for long enough. */
static void look_for_call(struct wf_awake *a, struct wf_lane_thread *self, struct wf_lane_idle *me)
{
    struct wf_spin_habit *habit = &self->habit;
    bool crowded = me->cpu == self->partner && me->cpu >= 0;
    if (crowded || !wf_awake_has_spare_cpu(a) || !wf_spin_is_worth_it(habit))
        return;
    struct wf_spin spin = wf_spin_begin(wf_load(&a->spin_ns, relaxed));
    bool called;
    do
        called = wf_load(&me->word, relaxed) == CALLED; /* looked at again later (O2) */
    while (!called && wf_awake_has_spare_cpu(a) && wf_spin_on(&spin));
    wf_spin_learn(habit, called);
}

static void sleep_until_call(struct wf_awake *a, struct wf_lane_idle *me)
{
    uint32_t looking = LOOKING;
    if (!wf_cas(&me->word, &looking, ASLEEP, relaxed)) /* looked at again later (O2) */
        return;
    int64_t until = wf_clock_now() + RETIRE_NS;
    int slept = 0;
    wf_sub(&a->threads, 1, relaxed);
    while (wf_load(&me->word, relaxed) == ASLEEP && slept != -ETIMEDOUT)
        slept = wf_futex_wait(&me->word, ASLEEP, until);
    wf_add(&a->threads, 1, relaxed);
}

/* Among the idle: wait for a job, or for the time to retire. Returns with the lock held. False: the thread goes. */
static bool wait_for_job(weft_lane *l, struct wf_lane_thread *self, struct wf_lane_idle *me)
{
    look_for_call(l->awake, self, me);
    sleep_until_call(l->awake, me);
    wf_lock(&l->lock);
    if (forget_idle(l, me))
        return l->first || l->expected; /* nobody has taken us off, so nobody will wake us */
    while (wf_load(&me->word, acquire) != CALLED) { /* O2: somebody has, and our frame must stay until the call */
        wf_unlock(&l->lock);
        wf_pause();
        wf_lock(&l->lock);
    }
    return true;
}

/* ---- what there is to do ---- */

/* Run a task as this thread's guest until it leaves. */
static void host_guest(weft_task *t, struct wf_local *local)
{
    struct wf_context base = {0};
    wf_context_adopt_thread(&base);
    wf_store(&t->pool.host, &base, relaxed);
    local->guest = t;
    wf_side_give(&t->pool);
    wf_context_switch_aside(&base, &wf_load(&t->stack, relaxed)->context);
    local->guest = NULL;
    wf_context_finish(&base);
}

static int run_call(struct turn *n, struct wf_lane_thread *self)
{
    int result = 0;
    if (n->guest) {
        host_guest(n->guest, self->local);
    } else if (n->call) {
        n->call(n->job);
    } else {
        self->local->job = n->job;
        result = n->job->fn(n->arg);
        self->local->job = NULL;
    }
    wf_child_refuse("an offloaded call returned");
    return result;
}

static void tell(struct ending e)
{
    if (e.guest)
        wf_worker_deliver(wf_load(&e.guest->home, relaxed), e.guest);
    else if (e.waiter)
        wf_fire_claimed(e.waiter, e.result);
}

/* What the end of j touches, and then the next job, is with those who started them, a hundred nanoseconds away each
 * time: it may come while j runs. Inlined, as GCC 12 leaves out a call that does nothing but this. */
static inline __attribute__((always_inline)) void fetch_ahead(const weft_lane *l, const struct wf_job *j)
{
    const char *next = (const char *)l->first;
    if (j->waits == WF_JOB_END)
        __builtin_prefetch(j->waiter.wait, 1);
    if (!next)
        return;
    __builtin_prefetch(next, 1);
    __builtin_prefetch(next + LINE, 1);
    __builtin_prefetch(next + 2 * LINE, 1);
}

/* Under the lock. */
static void take_call(weft_lane *l, struct wf_job *j, struct turn *ret)
{
    *ret = (struct turn){.job = j, .guest = j->guest, .call = j->call, .arg = j->arg};
    if (j->asked_ns && (l->slow || j->more % WF_LANE_TIMED_EACH == 0))
        ret->asked_ns = j->asked_ns;
    l->running++;
    if (WF_LIKELY(!j->more)) {
        ret->admitted = wf_lane_take(l, j);
        fetch_ahead(l, j);
        return;
    }
    j->more--;
    wf_job_step(j);
    ret->helped = wf_lane_provide(l, &ret->helper);
}

static void note_times(weft_lane *l, int64_t asked_ns, int64_t begun_ns)
{
    int64_t wait = begun_ns - asked_ns, ran = wf_clock_now() - begun_ns;
    l->timed++;
    l->wait_ns += wait;
    l->run_ns += ran;
    l->slow = ran >= SLOW_NS;
    if (wait > l->wait_max_ns)
        l->wait_max_ns = wait;
    if (ran > l->run_max_ns)
        l->run_max_ns = ran;
}

/* Take the next job, or sit down; tell of the last one; do the job, or wait for one. Called and returns with the lock
 * held. False: the thread goes. */
static bool turn(weft_lane *l, struct wf_lane_thread *self)
{
    struct wf_lane_idle me = {.next = l->idle};
    struct turn n = {0};
    if (l->first) {
        take_call(l, l->first, &n);
    } else {
        me.cpu = wf_thread_cpu();
        l->idle = &me;
    }
    wf_unlock(&l->lock);
    tell(self->last);
    self->last = (struct ending){.guest = n.guest};
    if (!n.job)
        return wait_for_job(l, self, &me);
    if (n.admitted)
        wf_fire_claimed(n.admitted, 0);
    if (n.helped)
        wf_taker_call(n.helper);
    self->partner = n.guest || n.call ? -1 : n.job->cpu;
    int64_t begun_ns = n.asked_ns ? wf_clock_now() : 0;
    int result = run_call(&n, self);
    wf_lock(&l->lock);
    l->running--;
    if (begun_ns)
        note_times(l, n.asked_ns, begun_ns);
    if (!n.guest && !n.call) { /* else the job is gone */
        self->last.waiter = wf_lane_end_call(l, n.job, result);
        self->last.result = result;
    }
    return true;
}

static void *thread_main(void *arg)
{
    struct wf_lane_thread *self = arg;
    weft_lane *l = self->lane;
    void *altstack = NULL;
    self->local = wf_local();
    wf_thread_unbind(&l->affinity); /* a bound worker may have started us, and we would have its one core */
    wf_thread_nice(l->nice);
    wf_stack_guard_enter(&altstack); /* for guests that overflow; without memory the fault just has no words */
    wf_lock(&l->lock);
    while ((l->first || !l->stopping) && turn(l, self))
        ;
    wf_sub(&l->awake->threads, 1, relaxed);
    l->threads--;
    self->next = l->exited;
    l->exited = self;
    wf_stack_guard_leave(altstack);
    wf_unlock(&l->lock);
    if (wf_sub(&l->alive, 1, release) == 1) /* O3; the lane is not touched after this: a wake may be spurious */
        wf_futex_wake(&l->alive, 1);
    return NULL;
}

/* ---- how many there are ---- */

void wf_lane_join(struct wf_lane_thread *t)
{
    while (t) {
        struct wf_lane_thread *next = t->next;
        wf_thread_join(&t->id);
        wf_free(t, sizeof *t);
        t = next;
    }
}

/* Under the lock. What is refused here is not said through errno: it is the caller's, who may learn of nothing. */
static void start_thread(weft_lane *l)
{
    int before = wf_errno_read();
    struct wf_lane_thread *t = wf_alloc(sizeof *t);
    if (t) {
        t->lane = l;
        wf_add(&l->alive, 1, relaxed);
        if (wf_thread_start(&t->id, thread_main, t, l->name) == 0) {
            l->threads++; /* the thread begins by taking the lock */
            wf_add(&l->awake->threads, 1, relaxed);
        } else {
            wf_sub(&l->alive, 1, relaxed);
            wf_free(t, sizeof *t);
        }
    }
    wf_errno_write(before);
}

bool wf_lane_any_thread(weft_lane *l)
{
    if (l->threads == 0)
        start_thread(l);
    return l->threads > 0;
}

bool wf_lane_provide(weft_lane *l, struct wf_taker *ret)
{
    unsigned before = l->threads;
    *ret = (struct wf_taker){.idle = l->idle};
    if (l->idle) {
        ret->cpu = l->idle->cpu;
        l->idle = l->idle->next;
    } else if (l->threads < l->threads_max) {
        start_thread(l);
    }
    ret->busy = !ret->idle && l->threads == before;
    return l->threads > 0;
}

struct wf_lane_thread *wf_lane_take_exited(weft_lane *l)
{
    struct wf_lane_thread *t = l->exited;
    l->exited = NULL;
    return t;
}

void wf_lane_close(weft_lane *l)
{
    wf_lock(&l->lock);
    l->stopping = true;
    struct wf_lane_idle *idle = l->idle;
    l->idle = NULL;
    wf_unlock(&l->lock);
    while (idle) {
        struct wf_lane_idle *next = idle->next;
        wf_taker_call((struct wf_taker){.idle = idle});
        idle = next;
    }
    for (uint32_t n; (n = wf_load(&l->alive, acquire)) != 0;) /* O3 */
        wf_futex_wait(&l->alive, n, INT64_MAX);
    wf_lane_join(l->exited);
    l->exited = NULL;
}
