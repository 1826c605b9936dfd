/* mutex.c - one owner at a time, in the order of asking (sync/mutex.c).
 *
 * Real: sync/mutex.c, sync/waitq.c and what is below them; the rest is in tests/model/tasks.h.
 *
 * What must hold: one owner, who sees what the last one wrote (`count`, plain); whoever waits gets it, also if it is
 * told to stop meanwhile, for locking is no point at which one can be; the last owner may free the mutex. */
#include "tests/model/tasks.h"

#include "sync/mutex.c"
#include "sync/waitq.c"

#include "runtime/alloc.h"

static weft_mutex *mutex;
static int count, tried;

static struct mutex *inner(void)
{
    return (struct mutex *)(void *)mutex;
}

static void setup(void)
{
    task_open(1);
    task_open(2);
    mutex = wf_alloc(sizeof *mutex);
}

static void finish_with(int n)
{
    tasks_check();
    model_check(count == n);
    model_check(wf_load(&inner()->owner, relaxed) == 0);
    model_check(!inner()->q.list.first && !inner()->q.list.last);
    wf_free(mutex, sizeof *mutex);
}

static void add(void)
{
    weft_mutex_lock(mutex);
    count++;
    weft_mutex_unlock(mutex);
}

static void add_as_task(void)
{
    task_begin();
    add();
}

static void add_twice_as_task(void)
{
    task_begin();
    add();
    add();
}

static void finish_three(void)
{
    finish_with(3);
}

MODEL(mutex_three, .setup = setup, .threads = {add_as_task, add_as_task, add}, .finish = finish_three, .spurious = -1,
      .stale = 1, .bound = 2)
MODEL(mutex_two, .setup = setup, .threads = {add_twice_as_task, add_as_task}, .finish = finish_three, .bound = 3)

/* ---- a stop changes nothing ---- */

static void stop_first(void)
{
    wf_task_stop(&task[1]);
}

static void finish_two(void)
{
    finish_with(2);
}

MODEL(mutex_stop, .setup = setup, .threads = {add_as_task, add, stop_first}, .finish = finish_two, .spurious = -1,
      .stale = 1, .bound = 2)

/* ---- without waiting ---- */

static void try_to_add(void)
{
    if (weft_mutex_trylock(mutex)) {
        count++;
        tried++;
        weft_mutex_unlock(mutex);
    }
}

static void finish_tried(void)
{
    finish_with(2 + tried);
}

MODEL(mutex_try, .setup = setup, .threads = {add_as_task, add, try_to_add}, .finish = finish_tried, .spurious = -1,
      .stale = 1, .bound = 2)

/* ---- freed by the last of those who use it ---- */

static int users;

static void leave(void)
{
    weft_mutex_lock(mutex);
    bool last = ++users == 2;
    weft_mutex_unlock(mutex);
    if (last)
        wf_free(mutex, sizeof *mutex);
}

static void leave_as_task(void)
{
    task_begin();
    leave();
}

MODEL(mutex_freed, .setup = setup, .threads = {leave_as_task, leave}, .finish = tasks_check, .bound = 3)
