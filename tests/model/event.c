/* event.c - something that has happened, until it is cleared (sync/event.c).
 *
 * Real: sync/event.c, sync/waitq.c and what is below them; the rest is in tests/model/tasks.h.
 *
 * What must hold: no set is lost between clearing, looking at the data, and waiting, though the data is relaxed;
 * whoever waits ends, once it is set or because it was told to stop; and the last who waited may free it. */
#include "tests/model/tasks.h"

#include "sync/event.c"
#include "sync/waitq.c"

#include "runtime/alloc.h"

static weft_event *event;
static WF_ATOMIC(int) data;

static void setup(void)
{
    task_open(1);
    event = wf_alloc(sizeof *event);
}

static void finish(void)
{
    tasks_check();
    model_check(!inside(event)->list.first && !inside(event)->list.last);
    wf_free(event, sizeof *event);
}

/* ---- clear, look, wait; against: change, set ---- */

static void consume(void)
{
    task_begin();
    for (;;) {
        weft_event_clear(event);
        if (wf_load(&data, relaxed) == 2)
            break;
        int err = weft_event_wait(event);
        model_check(err == 0);
    }
}

static void produce(void)
{
    wf_add(&data, 1, relaxed);
    weft_event_set(event);
}

MODEL(event_clear_look_wait, .setup = setup, .threads = {consume, produce, produce}, .finish = finish, .spurious = -1,
      .stale = 1, .bound = 2)

/* ---- a stop against a set ---- */

static int results[MODEL_THREADS_MAX];
static int happened; /* plain */

static void wait_and_look(void)
{
    task_begin();
    int err = weft_event_wait(event);
    model_check(err == 0 ? happened == 1 : err == -ECANCELED);
}

static void set(void)
{
    happened = 1;
    weft_event_set(event);
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

MODEL(event_stop, .setup = setup, .threads = {wait_and_look, set, stop}, .finish = finish, .spurious = -1, .stale = 1,
      .bound = 3)

/* ---- freed by the last who waited, a task and a plain thread ---- */

static WF_ATOMIC(int) users;

static void setup_users(void)
{
    setup();
    wf_store(&users, 2, relaxed);
}

static void wait_and_leave(void)
{
    results[model_self()] = weft_event_wait(event);
    model_check(happened == 1);
    if (wf_sub(&users, 1, acq_rel) == 1)
        wf_free(event, sizeof *event);
}

static void wait_as_task(void)
{
    task_begin();
    wait_and_leave();
}

static void finish_users(void)
{
    tasks_check();
    model_check(results[1] == 0 && results[2] == 0);
}

MODEL(event_freed, .setup = setup_users, .threads = {wait_as_task, wait_and_leave, set}, .finish = finish_users,
      .spurious = -1, .stale = 1, .bound = 2)
