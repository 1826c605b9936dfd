/* lane.c - the queue of a lane; lane_thread.c has its threads. See lane.h.
 *
 * A job's owner, its starter and whoever awaits it, keeps the lane open: `users` counts them, and close waits until
 * they are none. Whoever is waiting as the job ends is counted down by the thread that ends it, under the lock it holds
 * anyway, and does not come back to the lane; others count themselves down when they come.
 *
 * Whose home naps is told by that: such jobs are gathered, so that a thread has nothing to do with a worker's inbox.
 * They are not left behind: a worker says that it naps, naps, takes that back, and then collects, under the lock. Who
 * reads under the lock that it naps gathers before that; whoever comes to the lock later sees that it does no more, or
 * naps again. And a lane with something gathered is not closed.
 *
 * Ordering: everything is under the lock, but for O4: the ending thread's store of a job's `done` (release) <-> its
 * owner's load (acquire), which sees what the calls have written. The record stays: its owner takes the lock before it
 * lets go of it, or is told after, having been claimed. `told` is a hint. */
#include "runtime/lane.h"

#include "runtime/lane_thread.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/worker.h"

#include <stdio.h>

void wf_lane_open(weft_lane *l, const struct wf_lane_plan *plan)
{
    *l = (weft_lane){.last = &l->first, .gathered_last = &l->gathered, .threads_max = plan->threads_max,
                     .queue_max = plan->queue_max, .full = plan->full, .nice = plan->nice, .awake = plan->awake,
                     .affinity = *plan->affinity};
    snprintf(l->name, sizeof l->name, "weft-%s", plan->name);
}

bool wf_lane_is_quiet(weft_lane *l)
{
    wf_lock(&l->lock);
    bool quiet = !l->first && !l->expected && !l->running && !l->gathered;
    wf_unlock(&l->lock);
    return quiet;
}

/* ---- in and out, under the lock ---- */

static void enqueue(weft_lane *l, struct wf_job *j, bool outside)
{
    j->next = NULL;
    j->link = l->last;
    *l->last = j;
    l->last = &j->next;
    j->outside = outside;
    if (!outside)
        l->queued++;
    else if (!l->outside)
        l->outside = j;
}

/* There may be room for the first one outside. Its starter, claimed, to be told after the lock; or NULL. */
static weft_waiter *let_in(weft_lane *l)
{
    struct wf_job *j = l->outside;
    if (WF_LIKELY(!j) || l->queued >= l->queue_max)
        return NULL;
    l->outside = j->next;
    l->queued++;
    j->outside = false;
    if (j->waits != WF_JOB_ROOM)
        return NULL;
    j->waits = WF_JOB_NOTHING;
    return wf_fire_claim(&j->waiter) ? &j->waiter : NULL;
}

weft_waiter *wf_lane_take(weft_lane *l, struct wf_job *j)
{
    *j->link = j->next;
    if (j->next)
        j->next->link = j->link;
    else
        l->last = j->link;
    j->link = NULL;
    if (!j->outside)
        l->queued--;
    else if (l->outside == j)
        l->outside = j->next;
    return let_in(l);
}

/* Perhaps nobody is left to keep the lane open: not before we have let go of the lock, which close takes once more. */
static void let_close(weft_lane *l)
{
    if (l->users == 0 && !l->gathered && l->closer)
        wf_fire(l->closer, 0);
}

/* j's owner. */
static void count_down(weft_lane *l)
{
    l->users--;
    let_close(l);
}

static void gather(weft_lane *l, struct wf_job *j)
{
    j->next = NULL;
    *l->gathered_last = j;
    l->gathered_last = &j->next;
}

weft_waiter *wf_lane_end_call(weft_lane *l, struct wf_job *j, int result)
{
    l->done++;
    if (!j->many || (result < 0 && j->result == 0))
        j->result = result;
    if (--j->unended > 0)
        return NULL;
    bool awaited = j->waits == WF_JOB_END && wf_fire_claim(&j->waiter); /* else its owner is not here yet */
    bool gathers = awaited && j->home && wf_load(&j->home->napping, relaxed); /* ordered by the lock, see above */
    if (gathers)
        gather(l, j);
    if (awaited)
        count_down(l);
    weft_waiter *w = awaited && !gathers ? &j->waiter : NULL;
    wf_store(&j->done, true, release); /* O4 */
    return w;
}

/* What has not begun never will. Who is let in for it is claimed. */
static weft_waiter *take_back(weft_lane *l, struct wf_job *j)
{
    if (!j->link)
        return NULL;
    l->cancelled += 1 + j->more;
    j->unended -= 1 + j->more;
    j->cut = true;
    return wf_lane_take(l, j);
}

static void let_go(weft_waiter *w)
{
    if (w)
        wf_fire_claimed(w, 0);
}

/* ---- calls that somebody waits for ---- */

static void count_start(weft_lane *l, const struct wf_job *j, int result)
{
    if (result < 0)
        l->refused += 1 + j->more;
    else
        l->users++;
    if (result == WF_LANE_IS_FULL)
        l->here += 1 + j->more;
}

int wf_lane_submit(weft_lane *l, struct wf_job *j, struct wf_taker *ret)
{
    int result = 0;
    bool outside = false;
    wf_lock(&l->lock);
    if (l->closing)
        result = -ESHUTDOWN;
    else if (!wf_lane_provide(l, ret))
        result = -EAGAIN;
    else
        outside = ret->outside = l->outside || (ret->busy && l->queued >= l->queue_max);
    if (outside && l->full != WEFT_LANE_WAIT)
        result = l->full == WEFT_LANE_HERE ? WF_LANE_IS_FULL : -EAGAIN;
    count_start(l, j, result);
    if (result == 0) {
        if (l->started++ % WF_LANE_TIMED_EACH == 0 || l->slow || j->many)
            j->asked_ns = wf_clock_now();
        if (!outside && j->waits == WF_JOB_ROOM)
            j->waits = WF_JOB_NOTHING;
        enqueue(l, j, outside);
    }
    struct wf_lane_thread *exited = wf_lane_take_exited(l);
    wf_unlock(&l->lock);
    wf_lane_join(exited);
    return result;
}

void wf_lane_give_up(struct wf_job *j, weft_task *t)
{
    weft_lane *l = j->lane;
    wf_lock(&l->lock);
    weft_waiter *admitted = take_back(l, j);
    bool over = j->unended == 0;
    if (over) {
        count_down(l);
    } else { /* it runs: wait for it, whatever happens */
        wf_store(&j->told, true, relaxed);
        wf_wait_arm(&t->wait, 0);
        j->waits = WF_JOB_END;
        wf_waiter_init(&j->waiter, &t->wait, 0);
    }
    wf_unlock(&l->lock);
    let_go(admitted);
    if (!over)
        wf_wait_suspend(&t->wait);
}

int wf_lane_enter(struct wf_job *j)
{
    weft_lane *l = j->lane;
    wf_lock(&l->lock);
    int err = l->closing ? -ESHUTDOWN : 0;
    if (!err)
        l->users++;
    wf_unlock(&l->lock);
    wf_store(&j->done, true, relaxed); /* as plain as the rest: nobody else knows it yet */
    return err;
}

bool wf_lane_await(struct wf_job *j, weft_task *t)
{
    weft_lane *l = j->lane;
    wf_lock(&l->lock);
    WF_REQUIRE(j->waits != WF_JOB_END, "weft_job_await of a job that somebody awaits");
    bool done = wf_load(&j->done, relaxed);
    if (done) {
        wf_wait_disarm(&t->wait);
        count_down(l);
    } else {
        j->waits = WF_JOB_END;
        wf_waiter_init(&j->waiter, &t->wait, 0);
    }
    wf_unlock(&l->lock);
    return !done;
}

bool wf_lane_unstart(struct wf_job *j)
{
    weft_lane *l = j->lane;
    wf_lock(&l->lock);
    bool unbegun = j->link && j->unended == 1 + j->more;
    weft_waiter *admitted = unbegun ? take_back(l, j) : NULL;
    if (unbegun)
        count_down(l);
    j->waits = WF_JOB_NOTHING;
    wf_unlock(&l->lock);
    let_go(admitted);
    return unbegun;
}

void wf_lane_leave(struct wf_job *j)
{
    weft_lane *l = j->lane;
    wf_lock(&l->lock);
    count_down(l);
    wf_unlock(&l->lock);
}

bool wf_lane_collect(weft_lane *l)
{
    wf_lock(&l->lock);
    struct wf_job *first = l->gathered;
    l->gathered = NULL;
    l->gathered_last = &l->gathered;
    if (first)
        let_close(l);
    wf_unlock(&l->lock);
    for (struct wf_job *j = first, *next; j; j = next) {
        next = j->next; /* j is its owner's, once it is told */
        wf_fire_claimed(&j->waiter, 0);
    }
    return first != NULL;
}

void wf_lane_shut(weft_lane *l, weft_task *t)
{
    weft_waiter closer;
    wf_lock(&l->lock);
    WF_REQUIRE(!l->closing, "weft_lane_close of a lane that is being closed");
    l->closing = true;
    bool waits = l->users > 0 || l->gathered;
    if (waits) {
        wf_wait_arm(&t->wait, 0);
        wf_waiter_init(&closer, &t->wait, 0);
        l->closer = &closer;
    }
    wf_unlock(&l->lock);
    if (!waits)
        return;
    wf_wait_suspend(&t->wait);
    wf_lock(&l->lock); /* whoever has let us go has let go of it, too */
    wf_unlock(&l->lock);
}

/* ---- calls that nobody waits for, and guests: they always come in ---- */

static bool push(weft_lane *l, struct wf_job *j)
{
    struct wf_taker by;
    wf_lock(&l->lock);
    if (j->guest)
        l->expected--;
    bool can = wf_lane_provide(l, &by);
    if (can)
        enqueue(l, j, l->outside != NULL);
    struct wf_lane_thread *exited = wf_lane_take_exited(l);
    wf_unlock(&l->lock);
    if (can)
        wf_taker_call(by);
    wf_lane_join(exited);
    return can;
}

bool wf_lane_call(weft_lane *l, struct wf_job *j)
{
    return push(l, j);
}

bool wf_lane_withdraw(weft_lane *l, struct wf_job *j)
{
    wf_lock(&l->lock);
    bool queued = j->link != NULL;
    weft_waiter *admitted = queued ? wf_lane_take(l, j) : NULL;
    wf_unlock(&l->lock);
    let_go(admitted);
    return queued;
}

bool wf_lane_reserve(weft_lane *l)
{
    wf_lock(&l->lock);
    bool can = wf_lane_any_thread(l);
    if (can)
        l->expected++;
    wf_unlock(&l->lock);
    return can;
}

void wf_lane_host(weft_lane *l, weft_task *t)
{
    /* In the frame of weft_blocking_begin, until a thread has taken it. */
    struct wf_job *j = wf_load(&t->pool.job, relaxed);
    bool can = push(l, j);
    WF_CHECK(can);
}
