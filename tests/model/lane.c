/* lane.c - jobs that are awaited later, a queue that is full, many calls in one job, and closing (runtime/lane.c).
 *
 * Real and stand-ins: tests/model/lane.h.
 *
 * What must hold: a job runs once, or was taken back and never does, also one that waited for room; whoever waits for
 * room is let in when there is some, whether what made it was taken by a thread or taken back; each call of a job of
 * many is made once, and its end is told when the last one has ended; a result that was gathered for a worker that naps
 * is told when it does not any more; nobody touches a job after it was awaited, nor a lane after close. */
#include "tests/model/lane.h"

static weft_job jobs[MODEL_THREADS_MAX]; /* of each task */
static int calls[4];                     /* plain: how often each was made */

static int job(void *arg)
{
    ++*(int *)arg;
    return 5;
}

/* One thread, and room for one job while it is busy. */
static void setup_narrow(void)
{
    setup_with(1, 1, 2);
}

static void setup_alone(void)
{
    setup_with(1, 1, 1);
}

static void setup_wide(void)
{
    setup_with(2, 1, 1);
}

static void finish(void)
{
    tasks_check();
}

/* ---- room ---- */

/* Start three, with room for one: the thread may not have come to any yet. Then await them in this order. */
static void start_three(void)
{
    weft_job own[3];
    begin();
    for (int i = 0; i < 3; i++) {
        int err = weft_job_start(&own[i], lane, job, &calls[i]);
        model_check(err == 0);
    }
    for (int i = 0; i < 3; i++) {
        int got = weft_job_await(&own[i]);
        model_check(got == 5 && calls[i] == 1);
        model_gone(&own[i], sizeof own[i]);
    }
    leave();
}

MODEL(lane_room, .setup = setup_alone, .threads = {start_three}, .finish = finish, .early = -1, .spurious = -1,
      .stale = 1, .bound = 2)

/* The lane's thread is thread 1, and there is a job for it: until it takes that, there is no room for another. Tasks
 * are 2 and 3. */
static void setup_full(void)
{
    struct wf_taker by;
    setup_narrow();
    struct wf_job *j = inside(&jobs[0]);
    *j = (struct wf_job){.lane = lane, .fn = job, .arg = (char *)&calls[0], .unended = 1, .cpu = -1};
    int err = wf_lane_submit(lane, j, &by);
    model_check(err == 0);
}

static void await_first(void)
{
    int got = weft_job_await(&jobs[0]);
    model_check(got == 5 && calls[0] == 1);
}

static void start_one(void)
{
    weft_job own;
    int err = weft_job_start(&own, lane, job, &calls[3]);
    model_check(err == 0);
    int got = weft_job_await(&own);
    model_check(got == 5 && calls[3] == 1);
    model_gone(&own, sizeof own);
}

static void stop_other_and_await(void)
{
    begin();
    wf_task_stop(&task[2]);
    await_first();
    leave();
}

/* Stopped at any moment: as it waits for room, in the queue, as it runs, afterwards. */
static void start_or_be_stopped(void)
{
    weft_job own;
    begin();
    int got = weft_job_start(&own, lane, job, &calls[2]);
    if (got == 0)
        got = weft_job_await(&own);
    model_check(got == 5 ? calls[2] == 1 : got == -ECANCELED && calls[2] == 0);
    model_gone(&own, sizeof own);
    leave();
}

MODEL(lane_room_stop, .setup = setup_full, .threads = {start_or_be_stopped, stop_other_and_await}, .finish = finish,
      .early = -1, .spurious = -1, .stale = 1, .bound = 2, .outdated = 1)

/* The one in the queue is taken back: who waits for room gets its place. */
static void start_behind_it(void)
{
    begin();
    start_one();
    leave();
}

static void await_though_stopped(void)
{
    begin();
    wf_task_stop(&task[2]);
    int got = weft_job_await(&jobs[0]);
    model_check(got == 5 ? calls[0] == 1 : got == -ECANCELED && calls[0] == 0);
    leave();
}

MODEL(lane_place_taken_back, .setup = setup_full, .threads = {await_though_stopped, start_behind_it}, .finish = finish,
      .early = -1, .spurious = -1, .stale = 1, .bound = 2)

/* ---- asked for ---- */

static void ask_until_done(void)
{
    weft_job own;
    begin();
    int err = weft_job_start(&own, lane, job, &calls[1]);
    model_check(err == 0);
    while (!weft_job_done(&own))
        wf_pause();
    model_check(calls[1] == 1);
    err = weft_job_await(&own);
    model_check(err == 5);
    leave();
}

MODEL(lane_done, .setup = setup_alone, .threads = {ask_until_done}, .finish = finish, .early = -1, .spurious = -1,
      .stale = 1, .bound = 2)

/* ---- many calls ---- */

static void start_many(void)
{
    weft_job own;
    begin();
    int err = weft_job_start_all(&own, lane, job, calls, sizeof *calls, 3);
    model_check(err == 0);
    int got = weft_job_await(&own);
    model_check(got == 0 && calls[0] == 1 && calls[1] == 1 && calls[2] == 1);
    model_gone(&own, sizeof own);
    leave();
}

MODEL(lane_many, .setup = setup_wide, .threads = {start_many}, .finish = finish, .early = -1, .spurious = -1,
      .stale = 1, .bound = 2, .outdated = 1)

static void stop_first(void)
{
    wf_task_stop(&task[1]);
}

static void start_many_or_be_stopped(void)
{
    weft_job own;
    begin();
    int got = weft_job_start_all(&own, lane, job, calls, sizeof *calls, 2);
    if (got == 0)
        got = weft_job_await(&own);
    int made = calls[0] + calls[1];
    model_check(got == 0 ? made == 2 : got == -ECANCELED && made < 2 && calls[1] == 0);
    model_gone(&own, sizeof own);
    leave();
}

MODEL(lane_many_stop, .setup = setup_alone, .threads = {start_many_or_be_stopped, stop_first}, .finish = finish,
      .early = -1, .spurious = -1, .stale = 1, .bound = 2, .outdated = 1)

/* ---- closing ---- */

/* One closes while the other uses it: a job that it has not awaited yet keeps the lane open for its other calls. */
static void use_or_be_late(void)
{
    weft_job own;
    begin();
    int got = weft_job_start(&own, lane, job, &calls[2]);
    if (got == 0)
        got = weft_job_await(&own);
    model_check(got == 5 ? calls[2] == 1 : got == -ESHUTDOWN && calls[2] == 0);
    await_first();
    model_gone(&own, sizeof own);
}

static void call_or_be_late(void)
{
    begin();
    int got = weft_offload_on(lane, job, &calls[2]);
    model_check(got == 5 ? calls[2] == 1 : got == -ESHUTDOWN && calls[2] == 0);
    await_first();
}

static void close_it(void)
{
    begin();
    wf_lane_shut(lane, wf_task_self());
    wf_lane_close(lane);
    model_check(!lane->first && !lane->idle && !lane->threads && !lane->users && !lane->outside && !lane->queued);
    model_gone(lane, sizeof *lane);
}

MODEL(lane_close, .setup = setup_full, .threads = {use_or_be_late, close_it}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2, .outdated = 1)
MODEL(lane_close_called, .setup = setup_full, .threads = {call_or_be_late, close_it}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2, .outdated = 1)

/* ---- gathered ---- */

/* A task waits for its call, and its worker, which is another thread of the model, naps. Who looks for the lane may
 * find it closed: runtime/lanes.c. */
static struct wf_worker *napper;

static void nap_and_collect(void)
{
    wf_store(&napper->napping, true, relaxed);
    wf_store(&napper->napping, false, relaxed);
    wf_lock(&rt.lanes.lock);
    if (rt.lanes.opened)
        wf_lane_collect(lane);
    wf_unlock(&rt.lanes.lock);
}

static void nap_twice(void)
{
    nap_and_collect();
    nap_and_collect();
    leave();
}

static void setup_napping(void)
{
    setup_narrow();
    rt.lanes.opened = lane;
    napper = &worker[1];
}

static void call_from_there(void)
{
    begin();
    int got = weft_offload_on(lane, job, &calls[1]);
    model_check(got == 5 && calls[1] == 1);
    leave();
}

MODEL(lane_gathered, .setup = setup_napping, .threads = {call_from_there, nap_twice}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 3)

static void call_there_or_be_stopped(void)
{
    begin();
    int got = weft_offload_on(lane, job, &calls[1]);
    model_check(got == 5 ? calls[1] == 1 : got == -ECANCELED && calls[1] == 0);
    leave();
}

static void nap_as_it_is_stopped(void)
{
    wf_store(&napper->napping, true, relaxed);
    wf_task_stop(&task[1]);
    nap_and_collect();
    leave();
}

MODEL(lane_gathered_stop, .setup = setup_napping, .threads = {call_there_or_be_stopped, nap_as_it_is_stopped},
      .finish = finish, .early = -1, .spurious = -1, .stale = 1, .bound = 2)

static void call_and_be_gone(void)
{
    begin();
    int got = weft_offload_on(lane, job, &calls[1]);
    model_check(got == 5 && calls[1] == 1);
}

MODEL_PLAIN static bool was_used(void *l)
{
    return ((weft_lane *)l)->started > 0;
}

static void close_once_used(void)
{
    begin();
    model_block(was_used, lane, INT64_MAX, "a user");
    wf_lane_shut(lane, wf_task_self());
    wf_lock(&rt.lanes.lock);
    rt.lanes.opened = NULL;
    wf_unlock(&rt.lanes.lock);
    wf_lane_close(lane);
    model_check(!lane->users && !lane->gathered);
    model_gone(lane, sizeof *lane);
}

MODEL(lane_gathered_close, .setup = setup_napping, .threads = {call_and_be_gone, close_once_used, nap_and_collect},
      .finish = finish, .early = -1, .spurious = -1, .stale = 1, .bound = 2, .outdated = 1)

/* Left to the end of the runtime: what was started is done all the same. */
static void forget(void)
{
    begin();
    for (int i = 0; i < 2; i++) {
        int err = weft_job_start(&jobs[i], lane, job, &calls[i]);
        model_check(err == 0);
    }
    wf_lane_close(lane);
    model_check(weft_job_done(&jobs[0]) && weft_job_done(&jobs[1]) && calls[0] == 1 && calls[1] == 1);
}

MODEL(lane_left_behind, .setup = setup_alone, .threads = {forget}, .finish = finish, .early = -1, .spurious = -1,
      .stale = 1, .bound = 3)
