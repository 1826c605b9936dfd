/* offload.c - plain threads for code that blocks (runtime/lane.c, lane_thread.c, offload.c): submit, withdraw, retire,
 * close. Jobs that are awaited later, and a full queue, are in tests/model/lane.c.
 *
 * Real and stand-ins: tests/model/lane.h. In some, threads look on before they sleep; that the workers do too is seen
 * in no model, as it changes nothing but when they sleep.
 *
 * What must hold: each call runs once, and its caller sees what it did; one that was withdrawn never runs; no job is
 * left with nobody to take it, though threads retire just then (a timed sleep may end at any moment); a guest that was
 * told there is a thread finds one; every thread is joined, its memory given back, and none touches the pool after
 * close, nor a job after its caller has gone on.
 *
 *   with: WF_SPIN_LOOKS=2 */
#include "tests/model/lane.h"

static void setup_one(void)
{
    setup_with(1, 2, 1);
}

static void setup_two(void)
{
    setup_with(1, 2, 2);
}

static void allow_looks(void)
{
    rt.lanes.awake.workers = &rt.idle;
    wf_store(&rt.lanes.awake.cpus, MODEL_THREADS_MAX, relaxed);
    wf_store(&rt.lanes.awake.spin_ns, WEFT_USEC, relaxed);
}

/* There is a CPU for everybody, so threads look on for a moment before they sleep. */
static void setup_looking(void)
{
    setup_one();
    allow_looks();
}

static void setup_two_looking(void)
{
    setup_two();
    allow_looks();
}

static int job(void *arg)
{
    int *n = arg;
    ran[*n < 0 ? -*n : *n]++;
    *n = -*n; /* in the caller's frame */
    return 5;
}

static int call(void)
{
    int n = (int)model_self();
    int before = ran[n], got = weft_offload(job, &n);
    if (got == 5)
        model_check(n == -(int)model_self() && ran[-n] == before + 1);
    else
        model_check((got == -ECANCELED || got == -EAGAIN) && n > 0 && ran[n] == before);
    model_gone(&n, sizeof n);
    return got;
}

static void call_once(void)
{
    begin();
    int got = call();
    model_check(got == 5);
    leave();
}

static void call_twice(void)
{
    begin();
    int got = call();
    model_check(got == 5);
    got = call();
    model_check(got == 5);
    leave();
}

static void call_or_be_refused(void)
{
    begin();
    int got = call(), again = call();
    model_check(got == 5 || got == -EAGAIN);
    model_check(again == 5 || again == -EAGAIN);
    model_check(got == 5 || again == 5); /* one refusal, one failure */
    leave();
}

static void setup_refused(void)
{
    setup_with(1, 2, 1);
    refusals = 1;
}

static void finish(void)
{
    tasks_check();
}

/* The thread may retire between the two calls, during the second one, or while the pool is closed. */
MODEL(offload_retire, .setup = setup_one, .threads = {call_twice}, .finish = finish, .early = 1,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(offload_two_calls, .setup = setup_two, .threads = {call_once, call_once}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
/* The second call may meet a thread that looks, one that is just falling asleep, or one that sleeps. */
MODEL(offload_looks, .setup = setup_looking, .threads = {call_twice}, .finish = finish, .early = 1,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(offload_two_look, .setup = setup_two_looking, .threads = {call_once, call_once}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
/* A thread is refused at first, or in place of one that has retired; never in place of one that has not. */
MODEL(offload_refused, .setup = setup_refused, .threads = {call_or_be_refused}, .finish = finish, .early = 1,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- withdrawn, or run and waited for ---- */

/* The caller goes on to other things, where its job's record has been. */
static __attribute__((noinline)) void use_the_stack(void)
{
    volatile char other[1024];
    for (unsigned i = 0; i < sizeof other; i += sizeof(void *))
        other[i] = 1;
}

static void call_or_stop(void)
{
    begin();
    result[1] = call();
    use_the_stack();
    leave();
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

static void finish_stop(void)
{
    tasks_check();
    model_check(ran[1] == (result[1] == 5));
}

MODEL(offload_stop, .setup = setup_one, .threads = {call_or_stop, stop}, .finish = finish_stop, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
/* The pool's thread, when there is one, has something to do first, for somebody who waits no more. */
static int others = -3;
static struct wf_job first = {.fn = job, .arg = (char *)&others, .unended = 1};

static void call_behind_it(void)
{
    begin();
    wf_waiter_init(&first.waiter, &task[2].wait, 0);
    wf_lock(&lane->lock);
    enqueue(lane, &first, false);
    wf_unlock(&lane->lock);
    result[1] = call();
    wf_lock(&lane->lock);
    if (first.link) { /* no thread has come to it yet, and perhaps there is none */
        wf_lane_take(lane, &first);
        wf_store(&first.done, job(&others) == 5, relaxed);
    }
    wf_unlock(&lane->lock);
    leave();
}

static void finish_withdraw(void)
{
    finish_stop();
    model_check(others == 3 && wf_load(&first.done, relaxed));
}

MODEL(offload_withdraw, .setup = setup_one, .threads = {call_behind_it, stop}, .finish = finish_withdraw, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- a guest ---- */

static void be_guest(void)
{
    begin();
    int before = refusals;
    weft_blocking_begin();
    model_check(!wf_worker_self() == (refusals == before)); /* refused: it blocks its own worker */
    ran[1]++;
    weft_blocking_end();
    model_check(wf_worker_self());
    leave();
}

/* There is a thread with nothing to do, thread 1. If it retires once the guest has been told of it, it was the last. */
static void setup_idle(void)
{
    setup_one();
    wf_lock(&lane->lock);
    start_thread(lane);
    wf_unlock(&lane->lock);
    refusals = 1;
}

MODEL(offload_guest, .setup = setup_two, .threads = {be_guest, call_once}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(offload_guest_of_retiring, .setup = setup_idle, .threads = {be_guest}, .finish = finish, .early = 1)
