/* lane.c - misuse of lanes and jobs. */
#include "runtime/platform/atomic.h"
#include "tests/death/dies.h"

static int close_the_runtimes(void *arg)
{
    (void)arg;
    weft_lane_close(weft_lane_cpu());
    return 0;
}

DIES(lane, closed_though_it_is_the_runtimes_own, close_the_runtimes, "weft_lane_close of a lane of the runtime's own")

static int close_it(void *arg)
{
    weft_lane_close(arg);
    return 0;
}

static weft_lane *open_one(void)
{
    weft_lane *l = NULL;
    CHECK_EQ(weft_lane_open(&l, &(weft_lane_config){.name = "it", .threads = 1}), 0);
    return l;
}

/* A job that nobody has awaited keeps it from being closed, so the second one comes to see that. */
static int close_twice(void *arg)
{
    weft_job job;
    (void)arg;
    weft_lane *l = open_one();
    CHECK_EQ(weft_job_start(&job, l, do_nothing, NULL), 0);
    WEFT_SCOPE(s);
    weft_go(&s, close_it, l);
    CHECK_EQ(weft_yield(), 0);
    weft_lane_close(l);
    return weft_scope_close(&s);
}

DIES(lane, closed_twice, close_twice, "weft_lane_close of a lane that is being closed")

static WF_ATOMIC(weft_lane *) another;

static int lend_a_lane(void *arg)
{
    wf_store(&another, weft_lane_cpu(), release);
    return wait_for_ever(arg);
}

static int run_another(void *arg)
{
    return weft_run(&(weft_config){.workers = 1}, lend_a_lane, arg);
}

static int offload_another(void *arg)
{
    return weft_offload(run_another, arg);
}

static weft_lane *borrow(weft_scope *s)
{
    weft_lane *l;
    weft_go(s, offload_another, NULL);
    while (!(l = wf_load(&another, acquire)))
        CHECK_EQ(weft_yield(), 0);
    return l;
}

static int use_anothers(void *arg)
{
    WEFT_SCOPE(s);
    return weft_offload_on(borrow(&s), do_nothing, arg);
}

static int start_in_anothers(void *arg)
{
    weft_job job;
    WEFT_SCOPE(s);
    return weft_job_start(&job, borrow(&s), do_nothing, arg);
}

static int close_anothers(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_lane_close(borrow(&s));
    return 0;
}

DIES(lane, used_by_another_runtime, use_anothers, "weft_offload_on with a lane of another runtime")
DIES(lane, used_for_later_by_another_runtime, start_in_anothers, "weft_job_start with a lane of another runtime")
DIES(lane, closed_by_another_runtime, close_anothers, "weft_lane_close of a lane of another runtime")

static int await_nothing(void *arg)
{
    weft_job job = {0};
    (void)arg;
    return weft_job_await(&job);
}

static int await_again(void *arg)
{
    weft_job job;
    CHECK_EQ(weft_job_start(&job, weft_lane_cpu(), do_nothing, arg), 0);
    CHECK_EQ(weft_job_await(&job), 0);
    return weft_job_await(&job);
}

static WF_ATOMIC(bool) awaited;

static int end_when_awaited(void *arg)
{
    while (!wf_load(&awaited, acquire))
        ;
    return do_nothing(arg);
}

static int await_it(void *arg)
{
    return weft_job_await(arg);
}

static int await_together(void *arg)
{
    weft_job job;
    CHECK_EQ(weft_job_start(&job, weft_lane_cpu(), end_when_awaited, arg), 0);
    WEFT_SCOPE(s);
    weft_go(&s, await_it, &job);
    CHECK_EQ(weft_yield(), 0);
    return weft_job_await(&job);
}

DIES(job, awaited_though_never_started, await_nothing, "weft_job_await of a job that was not started")
DIES(job, awaited_twice, await_again, "weft_job_await of a job that was not started, or was awaited before")
DIES(job, awaited_by_two, await_together, "weft_job_await of a job that somebody awaits")
