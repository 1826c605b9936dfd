/* offload.c - see offload.h.
 *
 * Ordering: everything is under the lock, but an idle thread's word: O1 the waker's store (release) <-> O2 the
 * sleeper's load (acquire), and the futex makes sure that it is seen; and O3 the last thread's subtraction
 * (release) <-> close's load (acquire). */
#include "runtime/offload.h"

#include "runtime/alloc.h"
#include "runtime/child.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/local.h"
#include "runtime/worker.h"

#include <weft/offload.h>

static const int64_t RETIRE_NS = 10 * WEFT_SEC;

struct wf_offload_idle {
    struct wf_offload_idle *next;
    WF_ATOMIC(uint32_t) woken; /* by whoever took it off the list */
};

struct wf_offload_thread {
    struct wf_thread id;
    struct wf_offload *pool;
    struct wf_offload_thread *next; /* among the exited ones */
};

void wf_offload_open(struct wf_offload *o, unsigned threads_max)
{
    o->last = &o->first;
    o->threads_max = threads_max;
    wf_thread_affinity(&o->affinity); /* before any worker is bound to a core */
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

static void wake_idle(struct wf_offload_idle *i)
{
    if (!i)
        return;
    wf_store(&i->woken, 1, release); /* O1; from here on its frame may go */
    wf_futex_wake(&i->woken, 1);
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

/* Wait for a job, or for the time to retire. Called and returns with the lock held. False: the thread goes. */
static bool wait_for_job(struct wf_offload *o)
{
    struct wf_offload_idle me = {.next = o->idle};
    o->idle = &me;
    wf_unlock(&o->lock);
    int64_t until = wf_clock_now() + RETIRE_NS;
    int slept = 0;
    while (!wf_load(&me.woken, relaxed) && slept != -ETIMEDOUT) /* looked at again below (O2) */
        slept = wf_futex_wait(&me.woken, 0, until);
    wf_lock(&o->lock);
    if (forget_idle(o, &me))
        return o->first || o->expected; /* nobody has taken us off, so nobody will wake us */
    while (!wf_load(&me.woken, acquire)) { /* somebody has, and our frame must stay until the wake */
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
    t->pool.host = &base;
    wf_local()->guest = t;
    wf_side_give(&t->pool);
    wf_context_switch_aside(&base, &wf_load(&t->stack, relaxed)->context);
    wf_local()->guest = NULL;
    wf_context_finish(&base);
}

/* Called with the lock held, which it lets go of meanwhile: run a job, then tell who waits for it. It is told under the
 * lock, so that by the time it comes with another job, this thread has taken one or is among the idle. */
static void run_job(struct wf_offload *o, struct wf_offload_job *j)
{
    weft_task *guest = j->guest;
    void (*call)(struct wf_offload_job *) = j->call;
    wf_unlock(&o->lock);
    int result = 0;
    if (guest)
        host_guest(guest);
    else if (call)
        call(j);
    else
        result = j->fn(j->arg);
    wf_child_refuse("an offloaded call returned");
    wf_lock(&o->lock);
    if (guest) { /* j was in a frame of its own */
        wf_worker_deliver(wf_load(&guest->home, relaxed), guest);
        return;
    }
    if (call)
        return;
    j->result = result;
    j->done = true;
    wf_fire(&j->waiter, result); /* refused if the task is just changing its wait: it looks at done then */
}

static void *thread_main(void *arg)
{
    struct wf_offload_thread *self = arg;
    struct wf_offload *o = self->pool;
    void *altstack = NULL;
    wf_thread_unbind(&o->affinity); /* a bound worker may have started us, and we would have its one core */
    wf_stack_guard_enter(&altstack); /* for guests that overflow; without memory the fault just has no words */
    wf_lock(&o->lock);
    for (;;) {
        struct wf_offload_job *j = o->first;
        if (!j) {
            if (o->stopping || !wait_for_job(o))
                break;
            continue;
        }
        take(o, j);
        run_job(o, j);
    }
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
        } else {
            wf_sub(&o->alive, 1, relaxed);
            wf_free(t, sizeof *t);
        }
    }
    wf_errno_write(before);
}

/* Under the lock: see to it that somebody will take the next job. Returns whom to wake, after the lock. False:
 * there is no thread and none can be started. */
static bool provide(struct wf_offload *o, struct wf_offload_idle **ret)
{
    *ret = o->idle;
    if (o->idle)
        o->idle = o->idle->next;
    else if (o->threads < o->threads_max)
        start_thread(o);
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
        wake_idle(idle);
        idle = next;
    }
    for (uint32_t n; (n = wf_load(&o->alive, acquire)) != 0;) /* O3 */
        wf_futex_wait(&o->alive, n, INT64_MAX);
    join_all(o->exited);
}

int weft_offload(weft_fn fn, void *arg)
{
    weft_task *t = wf_task_require("weft_offload");
    struct wf_offload *o = &wf_worker_self()->rt->offload;
    struct wf_offload_job j = {.fn = fn, .arg = arg};
    int reason = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE);
    if (reason)
        return reason;
    wf_waiter_init(&j.waiter, &t->wait, 0);
    if (!wf_offload_call(o, &j)) {
        wf_wait_disarm(&t->wait);
        return -EAGAIN;
    }
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
    struct wf_offload_job *j = t->pool.job; /* in the frame of weft_blocking_begin, until a thread has taken it */
    struct wf_offload_idle *idle;
    wf_lock(&o->lock);
    o->expected--;
    provide(o, &idle);
    WF_CHECK(o->threads > 0);
    enqueue(o, j);
    wf_unlock(&o->lock);
    wake_idle(idle);
}

bool wf_offload_call(struct wf_offload *o, struct wf_offload_job *j)
{
    struct wf_offload_idle *idle;
    wf_lock(&o->lock);
    bool can = provide(o, &idle);
    if (can)
        enqueue(o, j);
    struct wf_offload_thread *exited = take_exited(o);
    wf_unlock(&o->lock);
    join_all(exited);
    wake_idle(idle);
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
    t->pool.job = &j;
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
