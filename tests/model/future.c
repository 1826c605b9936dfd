/* future.c - a value that arrives once (sync/future.c), for tasks and plain threads, with stops, and freed early.
 *
 * Real: sync/future.c, sync/waitq.c and what is below them; the rest is in tests/model/tasks.h.
 *
 * What must hold: whoever waits ends, with the value, all of it, or because it was told to stop; one of two setters
 * wins; and who knows the future to be done, by waiting or by asking, may free it, though its setter has not returned.
 * */
#include "tests/model/tasks.h"

#include "sync/future.c"
#include "sync/waitq.c"

#include "runtime/alloc.h"

static weft_future *future;
static int value;              /* plain: what the future hands over */
static WF_ATOMIC(int) users;   /* who has still to be done with it; the last one frees it */
static int results[MODEL_THREADS_MAX];

static void open(int n)
{
    future = wf_alloc(sizeof *future);
    wf_store(&users, n, relaxed);
}

static void leave(void)
{
    if (wf_sub(&users, 1, acq_rel) == 1)
        wf_free(future, sizeof *future);
}

static void await(void)
{
    void *got = NULL;
    int err = weft_future_await(future, &got);
    results[model_self()] = err;
    if (err == 0) {
        model_check(got == &value);
        model_check(value == 7);
    }
    leave();
}

static void await_as_task(void)
{
    task_begin();
    await();
}

static void set(void)
{
    value = 7;
    int err = weft_future_set(future, &value);
    model_check(err == 0);
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

/* ---- the waiters free it; the setter does not count ---- */

static void setup_waiters(void)
{
    task_open(1);
    open(2);
}

static void finish_waiters(void)
{
    tasks_check();
    model_check(results[1] == 0 && results[2] == 0);
}

MODEL(future_waiters_free_it, .setup = setup_waiters, .threads = {await_as_task, await, set}, .finish = finish_waiters,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- who asks frees it; and who waited in vain lets it be ---- */

static void ask(void)
{
    if (weft_future_done(future)) {
        model_check(value == 7);
        leave();
    }
}

static void setup_one(void)
{
    open(1);
}

static void finish_one(void)
{
    if (wf_load(&users, relaxed))
        leave();
}

MODEL(future_asked, .setup = setup_one, .threads = {set, ask}, .finish = finish_one, .bound = 3)

/* ---- a stop ---- */

static void setup_task(void)
{
    task_open(1);
    open(1);
}

/* Stopped in vain, it must not free what will still be set. */
static void await_stopped(void)
{
    task_begin();
    void *got = NULL;
    int err = weft_future_await(future, &got);
    model_check(err == 0 ? got == &value && value == 7 : err == -ECANCELED && !got);
    if (err == 0)
        leave();
}

static void finish_stopped(void)
{
    tasks_check();
    if (!wf_load(&users, relaxed))
        return;
    struct future *f = inside(future);
    model_check(!f->q.list.first && !f->q.list.last);
    leave();
}

MODEL(future_stop, .setup = setup_task, .threads = {await_stopped, set, stop}, .finish = finish_stopped, .spurious = -1,
      .stale = 1, .bound = 3)

static void setup_stop_alone(void)
{
    task_open(1);
    open(1);
}

static void finish_stop_alone(void)
{
    tasks_check();
    model_check(results[1] == -ECANCELED);
}

MODEL(future_never_set, .setup = setup_stop_alone, .threads = {await_as_task, stop}, .finish = finish_stop_alone,
      .bound = 3)

/* ---- two setters ---- */

static int wins[MODEL_THREADS_MAX];

static void fail(void)
{
    wins[model_self()] = weft_future_fail(future, -EIO) == 0;
}

static void set_or_not(void)
{
    value = 7;
    wins[model_self()] = weft_future_set(future, &value) == 0;
}

static void await_one_of_two(void)
{
    task_begin();
    void *got = NULL;
    int err = weft_future_await(future, &got);
    results[1] = err;
    model_check(err == 0 ? got == &value && value == 7 : err == -EIO && !got);
}

static void finish_two(void)
{
    tasks_check();
    model_check(wins[2] + wins[3] == 1);
    model_check(results[1] == (wins[2] ? -EIO : 0));
    leave();
}

MODEL(future_two_setters, .setup = setup_task, .threads = {await_one_of_two, fail, set_or_not}, .finish = finish_two,
      .spurious = -1, .stale = 1, .bound = 2)
