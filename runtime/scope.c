/* scope.c - open, own, close. How a stop travels is in stop.c; the whole picture is in scope.h. */
#include "runtime/scope.h"

#include "runtime/fork.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/worker.h"

_Static_assert(sizeof(struct wf_scope) <= sizeof(weft_scope), "a scope fits its public size");
_Static_assert(_Alignof(struct wf_scope) <= _Alignof(weft_scope), "and its alignment");

static const int64_t BIAS = INT64_C(1) << 62; /* keeps pending above zero until close */

static void reset(struct wf_scope *s, weft_task *opener)
{
    *s = (struct wf_scope){.opener = opener, .open = true};
    wf_store(&s->pending, BIAS, relaxed);
}

void wf_scope_open_root(struct wf_scope *s)
{
    reset(s, NULL);
    s->is_root = true;
    wf_store(&s->pending, WF_SCOPE_ROOT_TASKS, relaxed);
}

void weft_scope_open(weft_scope *scope)
{
    weft_task *t = wf_task_require("weft_scope_open");
    struct wf_scope *s = wf_scope_of(scope);
    WF_REQUIRE(t->inner != s, "weft_scope_open of a scope that is open");
    reset(s, t);
    wf_forks_before_scope(t);
    if (!t->listed)
        wf_scope_list(t);
    /* Under the lock: a stop that comes later finds s in the chain, one that came before is inherited. */
    wf_lock(&t->lock);
    s->outer = t->inner;
    wf_store(&s->stop, wf_scope_stop_reason(t), relaxed);
    t->inner = s;
    wf_unlock(&t->lock);
}

bool wf_scope_count_ends(struct wf_scope *s, int64_t n)
{
    bool is_root = s->is_root; /* s may be gone as soon as it is counted */
    if (wf_sub(&s->pending, n, acq_rel) != n) /* S3 */
        return false;
    if (is_root)
        return true;
    bool fired = wf_fire(&s->closer, 0); /* the opener waits for just this, so s is still there */
    WF_CHECK(fired);
    return false;
}

/* Wait for every task. Suspends. */
static void join(struct wf_scope *s)
{
    struct wf_wait *w = &s->opener->wait;
    wf_wait_arm(w, WF_WAIT_PARKED);
    wf_waiter_init(&s->closer, w, 0);
    int64_t more = (int64_t)wf_load(&s->started, relaxed) - BIAS;
    wf_store(&s->started, 0, relaxed);
    if (wf_add(&s->pending, more, acq_rel) + more == 0) /* S4 */
        wf_wait_disarm(w);
    else
        wf_wait_suspend(w);
}

/* The failure of the held task that was spawned first among those that failed and nobody awaited. A task that ended
 * because it was told to has not failed. Gives all of them back; the list has the latest first. */
static int release_held(struct wf_scope *s)
{
    struct wf_worker *w = wf_worker_self();
    int error = 0;
    for (weft_task *t = s->held, *next; t; t = next) {
        next = t->held_next;
        if (wf_load(&t->state, relaxed) == WF_TASK_PREPARED) {
            wf_warn("task %s was prepared at %s and never started", wf_task_name(t), wf_task_place(t));
        } else if (t->result < 0 && !wf_load(&t->awaited, relaxed)) {
            bool told = t->result == -ECANCELED && wf_load(&t->stop, relaxed);
            if (!told && !wf_scope_told(s, t->result))
                error = t->result;
        }
        wf_task_put(&w->rt->tasks, &w->tasks, t);
    }
    s->held = NULL;
    return error;
}

int weft_scope_close(weft_scope *scope)
{
    struct wf_scope *s = wf_scope_of(scope);
    weft_task *t = wf_task_require("weft_scope_close");
    WF_REQUIRE(s->open && s->opener == t, "scope closed by a task that did not open it, or twice");
    WF_REQUIRE(t->inner == s, "scope closed while a scope inside it is open");
    WF_REQUIRE(!wf_forks_any_in(wf_forks_of(wf_load(&t->stack, relaxed)), s),
               "scope closed before what was forked in it was joined");
    join(s);
    wf_timer_cancel(&s->deadline);
    wf_lock(&t->lock);
    t->inner = s->outer;
    wf_unlock(&t->lock);
    while (wf_load(&s->visits, acquire)) { /* a stop is passing through; or it waits for a worker, such as us */
        wf_errand_run(wf_worker_self()->rt);
        wf_thread_yield();
    }
    s->open = false;

    int stop = wf_load(&s->stop, relaxed), own = wf_load(&s->own, relaxed), error = wf_load(&s->error, relaxed);
    int held = release_held(s);
    if (error || held)
        return error ? error : held;
    if (wf_load(&s->expired, relaxed))
        return -ETIMEDOUT;
    return stop && !own ? stop : 0;
}

void weft_scope_leave(weft_scope *scope)
{
    struct wf_scope *s = wf_scope_of(scope);
    if (!s->open)
        return;
    wf_task_require("weft_scope_leave");
    wf_scope_stop(s, -ECANCELED);
    weft_scope_close(scope);
}

void weft_scope_cancel(weft_scope *scope)
{
    struct wf_scope *s = wf_scope_of(scope);
    if (!s->open)
        return;
    if (wf_worker_is_of(s->opener))
        wf_scope_stop(s, -ECANCELED);
    else
        wf_errand_scope(s);
}

static void deadline_passed(struct wf_timer *timer)
{
    wf_scope_stop(timer->ctx, -ETIMEDOUT);
}

void weft_scope_set_deadline(weft_scope *scope, weft_time t)
{
    wf_task_require("weft_scope_set_deadline");
    struct wf_scope *s = wf_scope_of(scope);
    WF_REQUIRE(s->open, "weft_scope_set_deadline of a scope that is not open");
    wf_timer_cancel(&s->deadline);
    if (t.ns == INT64_MAX)
        return;
    if (t.ns <= wf_clock_now()) {
        wf_scope_stop(s, -ETIMEDOUT);
        return;
    }
    s->deadline.fire = deadline_passed;
    s->deadline.ctx = s;
    wf_timer_arm(wf_worker_wheel(), &s->deadline, t.ns);
}

void weft_scope_shield(weft_scope *scope)
{
    struct wf_scope *s = wf_scope_of(scope);
    weft_task *t = wf_task_require("weft_scope_shield");
    WF_REQUIRE(s->open && s->opener == t, "scope shielded by a task that did not open it, or after its close");
    wf_lock(&s->lock); /* against a stop on its way to the tasks inside */
    wf_lock(&t->lock); /* and to t itself */
    s->shield = true;
    int own;
    do { /* a stop of s itself may just come: it raises own first, so we see that, or it comes after our store */
        own = wf_load(&s->own, relaxed); /* it is looked at again */
        wf_store(&s->stop, own, seq_cst);
    } while (wf_load(&s->own, seq_cst) != own);
    wf_unlock(&t->lock);
    wf_unlock(&s->lock);
}

bool weft_scope_expired(const weft_scope *scope)
{
    const struct wf_scope *s = (const struct wf_scope *)(const void *)scope;
    return wf_load(&s->expired, relaxed);
}

int weft_within(int64_t ns, weft_fn fn, void *arg)
{
    wf_task_require("weft_within");
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(ns));
    int result = fn(arg);
    int closed = weft_scope_close(&s);
    return result == -ECANCELED && closed == -ETIMEDOUT ? closed : result;
}

int weft_gather_at(weft_fn fn, void *items, size_t size, size_t n, const char *site)
{
    weft_task *t = wf_task_require("weft_gather");
    int reason = wf_scope_stop_reason(t);
    if (reason)
        return reason;
    WEFT_SCOPE(s);
    int err = 0;
    for (size_t i = 0; i < n && !err; i++)
        err = weft_go_at(&s, fn, (char *)items + i * size, site);
    return weft_scope_close(&s);
}

int weft_checkpoint(void)
{
    return wf_scope_stop_reason(wf_task_require("weft_checkpoint"));
}
