/* tasks.h - for models whose threads are tasks, each on a worker of its own, or plain threads that wait.
 *
 * Real: the wait word (runtime/wait.c), stops (runtime/stop.c), how a lock is taken and let go (lock.h). Stand-ins,
 * here:
 *
 *   - Waiting for a lock: sleep until it is free, then try again. tests/model/lock.c has the real way; with it the
 *     executions of a model of three threads go into the millions.
 *   - Suspending: what the arriving side of a switch does (park, and make it run if that was too late), and then the
 *     model's thread sleeps until somebody has made the task runnable. That is one word with the order of a queue:
 *     release by who makes it run, acquire by who runs it (Q1, Q2 of runtime/queue.h), and nothing more.
 *   - A task goes on on the same model thread. What it left behind is therefore looked at by who makes it run, as the
 *     worker would that runs it next.
 *
 * What must hold in every model: a task that waits is made runnable once (model_check below), and not never (deadlock);
 * when all is over, nobody is runnable who has not run (tasks_check). */
#ifndef MODEL_TASKS_H
#define MODEL_TASKS_H

#include "tests/model/model.h"

#include "runtime/stop.c"
#include "runtime/wait.c"

#include "runtime/child.h"
#include "runtime/platform/local.h"

static weft_task task[MODEL_THREADS_MAX];
static struct wf_stack task_stack[MODEL_THREADS_MAX]; /* for what they fork: runtime/fork.h */
static struct wf_scope family; /* of all of them */
static struct wf_worker home;  /* of all of them; alone where there is one, and the others are plain threads */
static WF_ATOMIC(uint32_t) runnable[MODEL_THREADS_MAX];

/* In setup: thread n is a task that a stop finds without a look at the owner's list. */
static __attribute__((unused)) void task_open(unsigned n)
{
    task[n].scope = &family;
    wf_store(&task[n].home, &home, relaxed);
    wf_store(&task[n].stack, &task_stack[n], relaxed);
    task[n].wait.task = &task[n];
    task[n].listed = true;
}

/* At the beginning of that thread. */
static __attribute__((unused)) weft_task *task_begin(void)
{
    weft_task *t = &task[model_self()];
    wf_local()->guest = t;
    return t;
}

static __attribute__((unused)) void tasks_check(void)
{
    for (unsigned n = 0; n < MODEL_THREADS_MAX; n++)
        model_check(wf_load(&runnable[n], relaxed) == 0);
}

int wf_wait_begin(void)
{
    return wf_wait_stop_reason(); /* nobody else is on its worker */
}

weft_task *wf_task_self(void)
{
    return wf_local()->guest;
}

void wf_child_refuse(const char *what)
{
    model_check(what); /* nobody forks here */
}

MODEL_PLAIN static bool lock_is_free(void *word)
{
    return *(uint32_t *)word == 0;
}

void wf_lock_slow(struct wf_lock *l)
{
    while (wf_swap(&l->word, 1u, acquire)) /* L2 */
        model_block(lock_is_free, &l->word, INT64_MAX, "a lock");
}

void wf_lock_patient_slow(struct wf_lock *l)
{
    wf_lock_slow(l);
}

WF_ATOMIC(uint32_t) wf_lock_care; /* nobody ever sleeps on a lock here */

void wf_unlock_slow(struct wf_lock *l)
{
    model_fail("nobody has said that he sleeps on the lock %p", (void *)l);
}

MODEL_PLAIN static bool is_runnable(void *word)
{
    return *(uint32_t *)word != 0;
}

#ifndef TASKS_COME_BACK /* a model that takes stacks away puts them back here */
#define TASKS_COME_BACK(t) ((void)0)
#endif

void wf_worker_suspend(weft_task *t, bool is_parked)
{
    unsigned n = model_self();
    model_check(t == &task[n]);
    t->saved_errno = (int)n; /* plain, like all it leaves on its stack */
    if (!is_parked && !wf_wait_park(&t->wait))
        wf_worker_ready(t); /* fired while it was leaving */
    model_block(is_runnable, &runnable[n], INT64_MAX, "being made runnable");
    uint32_t is = wf_swap(&runnable[n], 0, acquire);
    model_check(is == 1);
    model_check(home.queue.alone || t->saved_errno == -1);
    TASKS_COME_BACK(t);
}

void wf_worker_ready(weft_task *t)
{
    unsigned n = (unsigned)(t - task);
    if (!home.queue.alone) { /* else it may be leaving; its only worker runs it no sooner than it has */
        model_check(t->saved_errno == (int)n);
        t->saved_errno = -1;
    }
    uint32_t before = wf_swap(&runnable[n], 1, release);
    model_check(before == 0);
}

#ifndef TASKS_OPERATE /* a model that has a kernel says what it does */
void wf_op_interrupt(weft_task *t, uint64_t user_data, void *driver)
{
    model_fail("task %p is interrupted in operation %lu of %p, and has none", (void *)t, (unsigned long)user_data,
               driver);
}
#endif

#endif
