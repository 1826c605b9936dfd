/* sem.c - permits, first come, first served (sync/sem.c).
 *
 * Real: sync/sem.c, sync/waitq.c and what is below them; the rest is in tests/model/tasks.h.
 *
 * What must hold: permits are conserved, whoever gives, takes, or is told to stop meanwhile; who could have them does
 * not wait, also behind one that was stopped at the head of the line; who takes sees what the giver did before
 * (`shared`, plain); and who got the last permit may free the semaphore. */
#include "tests/model/tasks.h"

#include "sync/sem.c"
#include "sync/waitq.c"

#include "runtime/alloc.h"

static weft_sem *sem;
static int shared; /* plain: by whoever has the one permit */
static unsigned got[MODEL_THREADS_MAX];

static struct sem *inner(void)
{
    return (struct sem *)(void *)sem;
}

static void setup(void)
{
    task_open(1);
    task_open(2);
    sem = wf_alloc(sizeof *sem);
}

static void finish_with(unsigned given)
{
    tasks_check();
    unsigned taken = 0;
    for (unsigned i = 0; i < MODEL_THREADS_MAX; i++)
        taken += got[i];
    model_check(wf_load(&inner()->word, relaxed) == (uint64_t)(given - taken) * PERMIT);
    model_check(!inner()->q.list.first && !inner()->q.list.last);
    wf_free(sem, sizeof *sem);
}

static void acquire(unsigned n)
{
    int err = weft_sem_acquire(sem, n);
    model_check(err == 0 || err == -ECANCELED);
    got[model_self()] = err ? 0 : n;
}

static void give(void)
{
    weft_sem_release(sem, 1);
}

static void stop_first(void)
{
    wf_task_stop(&task[1]);
}

/* ---- one permit goes round ---- */

static void setup_full(void)
{
    setup();
    weft_sem_release(sem, 1);
}

static void use(void)
{
    int err = weft_sem_acquire(sem, 1);
    model_check(err == 0);
    shared++;
    weft_sem_release(sem, 1);
}

static void use_as_task(void)
{
    task_begin();
    use();
}

static void finish_full(void)
{
    model_check(shared == 3);
    finish_with(1);
}

static void use_twice_as_task(void)
{
    use_as_task();
    use();
}

MODEL(sem_two_tasks, .setup = setup_full, .threads = {use_twice_as_task, use_as_task}, .finish = finish_full,
      .spurious = -1, .stale = 1, .bound = 2)

MODEL(sem_one_permit, .setup = setup_full, .threads = {use_as_task, use_as_task, use}, .finish = finish_full,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- granted or stopped, never both; the permit goes to whom it can ---- */

static void take_one(void)
{
    task_begin();
    acquire(1);
}

static void finish_stop(void)
{
    finish_with(1);
}

MODEL(sem_stop, .setup = setup, .threads = {take_one, give, stop_first}, .finish = finish_stop, .spurious = -1,
      .stale = 1, .bound = 3)

static void take_one_and_it_comes(void) /* a plain thread */
{
    acquire(1);
    model_check(got[model_self()] == 1);
}

static void take_two(void)
{
    task_begin();
    acquire(2);
    model_check(got[1] == 0);
}

/* The first asks for two, of which there will never be more than one, and is stopped: the second must get it. */
MODEL(sem_stopped_at_the_head, .setup = setup_full, .threads = {take_two, take_one_and_it_comes, stop_first},
      .finish = finish_stop, .spurious = -1, .stale = 1, .bound = 2)

static void give_two(void)
{
    give();
    give();
}

static void finish_two(void)
{
    finish_with(2);
}

static void stop_then_give(void)
{
    stop_first();
    give();
}

/* One of the two may be stopped; what it did not get stays, or goes to the other one. */
MODEL(sem_passed_on, .setup = setup_full, .threads = {take_one, take_one_and_it_comes, stop_then_give},
      .finish = finish_two, .spurious = -1, .stale = 1, .bound = 2)

/* ---- without waiting ---- */

static void try_one(void)
{
    got[model_self()] = weft_sem_try_acquire(sem, 1);
}

MODEL(sem_try, .setup = setup, .threads = {take_one_and_it_comes, try_one, give_two}, .finish = finish_two,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- freed by who got the permit ---- */

static void take_and_free(void)
{
    int err = weft_sem_acquire(sem, 1);
    model_check(err == 0);
    wf_free(sem, sizeof *sem);
}

static void take_and_free_as_task(void)
{
    task_begin();
    take_and_free();
}

MODEL(sem_freed, .setup = setup, .threads = {take_and_free_as_task, give}, .finish = tasks_check, .bound = 4)

/* The second giver may have seen that somebody waits, who has got the first one's permit meanwhile: it has the lock
 * when its own is taken without. */
static void take_two_times_and_free(void)
{
    int err = weft_sem_acquire(sem, 1);
    model_check(err == 0);
    take_and_free();
}

MODEL(sem_freed_by_two, .setup = setup, .threads = {take_two_times_and_free, give, give}, .finish = tasks_check,
      .spurious = -1, .stale = 1, .bound = 2)
