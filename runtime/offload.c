/* offload.c - calls on other threads, and tasks that go there themselves. lane.h says how they get there.
 *
 * weft_offload() is a job that is started and awaited in one: its owner waits already as it is put into the queue, so
 * it does not matter to it whether there is room. A job that is started to be awaited later has its waiter used twice:
 * by its starter, until there is room, and by whoever awaits it.
 *
 * Who is stopped takes the job back. What has begun by then cannot be: its owner waits for it, as it may use what is in
 * the owner's frame. */
#include "runtime/child.h"
#include "runtime/fork.h"
#include "runtime/lanes.h"
#include "runtime/panic.h"
#include "runtime/platform/local.h"
#include "runtime/worker.h"

#include <weft/offload.h>

_Static_assert(sizeof(struct wf_job) <= sizeof(weft_job), "a job must fit what users reserve for it");

static struct wf_job *inside(const weft_job *j)
{
    return (struct wf_job *)(void *)(uintptr_t)j;
}

/* How the calling worker, on that CPU, had better wait for the job. If somebody has to be woken, not at all: on this
 * very CPU perhaps, which it should leave then. */
static enum wf_linger call_taker(struct wf_taker by, int cpu)
{
    if (by.busy)
        return WF_LINGER_NAPPING;
    bool together = by.cpu == cpu && cpu >= 0;
    return wf_taker_call(by) && !together ? WF_LINGER_LOOKING : WF_LINGER_NOT;
}

static void check_lane(const weft_lane *l, const char *function)
{
    WF_REQUIRE(l->rt == wf_worker_self()->rt, "%s with a lane of another runtime", function);
}

/* Its result; or, if it never ran or not all of it, why. */
static int result_of(const struct wf_job *j)
{
    return j->cut ? wf_wait_why_stopped() : j->result;
}

/* The queue is full, and the lane's way is to have its caller do it. */
static void run_here(struct wf_job *j)
{
    for (; j->unended > 0; j->unended--, wf_job_step(j)) {
        int result = j->fn(j->arg);
        if (!j->many || (result < 0 && j->result == 0))
            j->result = result;
    }
    wf_store(&j->done, true, release); /* O4 */
}

/* ---- at once ---- */

static int offload(weft_lane *l, weft_task *t, weft_fn fn, void *arg)
{
    struct wf_job j = {.lane = l, .fn = fn, .arg = arg, .unended = 1, .cpu = wf_thread_cpu(),
                       .home = wf_worker_self(), .waits = WF_JOB_END};
    struct wf_taker by;
    int err = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE);
    if (err)
        return err;
    wf_waiter_init(&j.waiter, &t->wait, 0);
    err = wf_lane_submit(l, &j, &by);
    if (err) {
        wf_wait_disarm(&t->wait);
        if (err < 0)
            return err;
        run_here(&j);
        wf_lane_leave(&j);
        return j.result;
    }
    wf_worker_linger(call_taker(by, j.cpu));
    if (wf_wait_suspend(&t->wait) == WF_WAIT_STOPPED)
        wf_lane_give_up(&j, t);
    return result_of(&j);
}

int weft_offload(weft_fn fn, void *arg)
{
    weft_task *t = wf_task_require("weft_offload");
    return offload(&wf_worker_self()->rt->lanes.blocking, t, fn, arg);
}

int weft_offload_on(weft_lane *l, weft_fn fn, void *arg)
{
    weft_task *t = wf_task_require("weft_offload_on");
    check_lane(l, "weft_offload_on");
    return offload(l, t, fn, arg);
}

bool weft_offload_cancelled(void)
{
    struct wf_job *j = wf_local()->job;
    if (wf_task_self()) /* first: a job may run a runtime of its own */
        return wf_wait_stop_reason() != 0;
    return j && wf_load(&j->told, relaxed);
}

/* ---- now, and awaited later ---- */

/* j is whole. Suspends while there is no room. */
static int start(struct wf_job *j, weft_task *t)
{
    struct wf_taker by;
    int err = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE);
    if (err)
        return err;
    wf_waiter_init(&j->waiter, &t->wait, 0);
    j->waits = WF_JOB_ROOM;
    err = wf_lane_submit(j->lane, j, &by);
    bool waits = err == 0 && by.outside;
    if (!waits)
        wf_wait_disarm(&t->wait);
    if (err == WF_LANE_IS_FULL)
        run_here(j);
    else if (err == 0)
        wf_taker_call(by);
    if (waits && wf_wait_suspend(&t->wait) == WF_WAIT_STOPPED && wf_lane_unstart(j))
        err = wf_wait_why_stopped();
    return err < 0 ? err : 0;
}

int weft_job_start(weft_job *job, weft_lane *l, weft_fn fn, void *arg)
{
    weft_task *t = wf_task_require("weft_job_start");
    struct wf_job *j = inside(job);
    check_lane(l, "weft_job_start");
    *j = (struct wf_job){.lane = l, .fn = fn, .arg = arg, .unended = 1, .cpu = wf_thread_cpu()};
    int err = start(j, t);
    if (err)
        j->lane = NULL;
    return err;
}

int weft_job_start_all(weft_job *job, weft_lane *l, weft_fn fn, void *args, size_t size, size_t n)
{
    weft_task *t = wf_task_require("weft_job_start_all");
    struct wf_job *j = inside(job);
    check_lane(l, "weft_job_start_all");
    *j = (struct wf_job){.lane = l, .fn = fn, .arg = args, .stride = size, .unended = n, .cpu = wf_thread_cpu(),
                         .many = true};
    if (n > 0)
        j->more = n - 1;
    int err = n > 0 ? start(j, t) : wf_lane_enter(j);
    if (err)
        j->lane = NULL;
    return err;
}

bool weft_job_done(const weft_job *job)
{
    return wf_load(&inside(job)->done, acquire); /* O4 */
}

int weft_job_await(weft_job *job)
{
    weft_task *t = wf_task_require("weft_job_await");
    struct wf_job *j = inside(job);
    WF_REQUIRE(j->lane, "weft_job_await of a job that was not started, or was awaited before");
    if (wf_load(&j->done, relaxed)) /* what it has done is seen by way of the lock */
        wf_lane_leave(j);
    else if (wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE) != 0)
        wf_lane_give_up(j, t);
    else if (wf_lane_await(j, t) && wf_wait_suspend(&t->wait) == WF_WAIT_STOPPED)
        wf_lane_give_up(j, t);
    j->lane = NULL;
    return result_of(j);
}

/* ---- going there oneself ---- */

void weft_blocking_begin(void)
{
    wf_child_refuse("weft_blocking_begin");
    weft_task *t = wf_task_self();
    WF_REQUIRE(t, "weft_blocking_begin called outside a task");
    WF_REQUIRE(t->blocking < UINT8_MAX, "weft_blocking_begin nested 256 deep");
    if (t->blocking++ > 0)
        return;
    weft_lane *l = &wf_worker_self()->rt->lanes.blocking;
    if (!wf_lane_reserve(l)) {
        wf_forks_before_wait(t); /* this worker will not come to them for a while */
        return;
    }
    struct wf_job j = {.lane = l, .guest = t};
    wf_store(&t->pool.job, &j, relaxed); /* goes to the lane by way of the switch */
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
