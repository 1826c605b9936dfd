/* scope.c - scopes that are closed while others stop them: by cancel, by deadline, by errand, from outside.
 *
 * Real: runtime/scope.c, runtime/stop.c, runtime/errand.c, runtime/timer.c, waits. Stand-ins: what tests/model/tasks.h
 * says; tasks are not spawned by a queue, but begin when their count has been made (a lock's order); and a driver's
 * wake is a word that the sleeping worker looks at.
 *
 * What must hold: closing returns when every task has ended, and what they wrote is seen; all that waits inside is
 * told to stop, whenever it began to wait, unless a shield is around it; and when close has returned nobody touches the
 * scope any more (model_gone). */
#include "tests/model/tasks.h"

#include "runtime/errand.c"
#include "runtime/scope.c"
#include "runtime/timer.c"

static weft_runtime rt;
static struct wf_worker worker[2] = {{.rt = &rt}, {.rt = &rt}};
static weft_scope scope, inner;
static struct wf_lock start_lock; /* for started */
static unsigned started;
static int wrote, reason[MODEL_THREADS_MAX]; /* plain */
static WF_ATOMIC(uint32_t) woken; /* the driver: something has come for the worker that sleeps */

/* ---- what the files above ask of the rest ---- */

weft_task *wf_task_require(const char *function)
{
    model_check(wf_task_self() && function);
    return wf_task_self();
}

weft_runtime *wf_task_runtime(const weft_task *t)
{
    model_check(t);
    return &rt;
}

struct wf_wheel *wf_worker_wheel(void)
{
    return &worker[0].wheel;
}

weft_time weft_after(int64_t ns)
{
    return (weft_time){wf_clock_now() + ns};
}

void wf_task_put(struct wf_task_pool *p, struct wf_task_cache *c, weft_task *t)
{
    model_fail("no task here is held: %p %p %p", (void *)p, (void *)c, (void *)t);
}

int weft_go_at(weft_scope *s, weft_fn fn, void *arg, const char *site)
{
    model_fail("nobody gathers here: %p %p %p %s", (void *)s, (void *)(uintptr_t)fn, arg, site);
}

void wf_forks_list(weft_task *t, struct wf_forks *f)
{
    model_fail("nobody forks here: %p %p", (void *)t, (void *)f);
}

const char *wf_task_name(const weft_task *t)
{
    model_fail("no task here is held: %p", (const void *)t);
}

const char *wf_task_place(const weft_task *t)
{
    return wf_task_name(t);
}

int wf_idle_claim(struct wf_idle *i, unsigned near)
{
    model_check(i == &rt.idle && near == 0);
    return -1;
}

void wf_driver_wake(struct wf_driver *d)
{
    model_check(d == NULL);
    wf_swap(&woken, 1, acq_rel);
}

/* ---- */

static void setup(void)
{
    wf_scope_open_root(&family);
    for (unsigned i = 1; i <= 3; i++)
        task_open(i);
    task[2].listed = task[3].listed = false;
    rt.workers = worker;
    rt.worker_count = 2;
    wf_store(&rt.present, 2, relaxed);
}

static weft_task *begin(void)
{
    wf_local()->worker = &worker[0];
    return task_begin();
}

static void finish(void)
{
    tasks_check();
}

/* Start task n in s: the caller's own scope. */
static void spawn(weft_scope *s, unsigned n)
{
    wf_scope_count_start(wf_scope_of(s), wf_task_self());
    wf_lock(&start_lock);
    task[n].scope = wf_scope_of(s);
    started |= 1u << n;
    wf_unlock(&start_lock);
}

MODEL_PLAIN static bool is_started(void *arg)
{
    return started & *(unsigned *)arg;
}

/* What a task does until it has been started, and when it ends. */
static weft_task *begin_in_scope(void)
{
    unsigned me = 1u << model_self();
    model_block(is_started, &me, INT64_MAX, "being started");
    wf_lock(&start_lock);
    wf_unlock(&start_lock);
    return begin();
}

static void end(weft_task *t)
{
    if (t->listed)
        wf_scope_unlist(t);
    wf_scope_count_ends(t->scope, 1);
}

/* Wait for nothing but a stop. */
static int wait_for_stop(void)
{
    struct wf_wait *w = wf_wait_self();
    int err = wf_wait_arm(w, WF_WAIT_STOPPABLE);
    if (err)
        return err;
    unsigned index = wf_wait_suspend(w);
    model_check(index == WF_WAIT_STOPPED);
    return wf_wait_stop_reason();
}

static void close_it(int expected)
{
    int err = weft_scope_close(&scope);
    model_check(err == expected);
    model_gone(&scope, sizeof scope);
}

/* ---- ends counted down against close ---- */

static void open_two_and_close(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    spawn(&scope, 3);
    close_it(0);
    model_check(wrote == 2);
}

static void write_and_end(void)
{
    weft_task *t = begin_in_scope();
    wf_lock(&start_lock);
    wrote++;
    wf_unlock(&start_lock);
    end(t);
}

static void write_once_and_end(void)
{
    weft_task *t = begin_in_scope();
    wrote++;
    end(t);
}

static void open_one_and_close(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    close_it(0);
    model_check(wrote == 1);
}

/* A task that starts another one, which is counted by others than the opener. */
static void start_another_and_end(void)
{
    weft_task *t = begin_in_scope();
    spawn(&scope, 3);
    wrote++;
    end(t);
}

static void end_alone(void)
{
    weft_task *t = begin_in_scope();
    end(t);
}

MODEL(scope_close, .setup = setup, .threads = {open_one_and_close, write_once_and_end}, .finish = finish, .bound = 4)
MODEL(scope_close_two, .setup = setup, .threads = {open_two_and_close, write_and_end, write_and_end}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(scope_close_chain, .setup = setup, .threads = {open_one_and_close, start_another_and_end, end_alone},
      .finish = finish, .spurious = -1, .stale = 1, .bound = 2)

/* ---- cancelled by the opener, by a task inside, while another one begins to wait ---- */

static void open_cancel_and_close(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    weft_scope_cancel(&scope);
    close_it(0);
    model_check(reason[2] == -ECANCELED);
}

static void wait_and_end(void)
{
    weft_task *t = begin_in_scope();
    reason[model_self()] = wait_for_stop();
    end(t);
}

static void cancel_and_end(void)
{
    weft_task *t = begin_in_scope();
    weft_scope_cancel(&scope);
    end(t);
}

static void open_and_wait(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    spawn(&scope, 3);
    reason[1] = wait_for_stop();
    close_it(0);
    model_check(reason[1] == -ECANCELED && reason[2] == -ECANCELED);
}

MODEL(scope_cancel, .setup = setup, .threads = {open_cancel_and_close, wait_and_end}, .finish = finish, .spurious = -1,
      .bound = 3)
MODEL(scope_cancel_from_inside, .setup = setup, .threads = {open_and_wait, wait_and_end, cancel_and_end},
      .finish = finish, .spurious = -1, .stale = 1)

/* ---- stopped from outside, while a scope inside is opened, shielded or not, and closed ---- */

static void open_inner_and_wait(void)
{
    weft_task *t = begin();
    t->listed = false;
    weft_scope_open(&scope);
    reason[1] = wait_for_stop();
    model_check(reason[1] == -ECANCELED);
    close_it(-ECANCELED);
}

static void stop_family(void)
{
    wf_local()->worker = &worker[1];
    wf_scope_stop(&family, -ECANCELED);
}

static void stop_first(void)
{
    wf_local()->worker = &worker[1];
    wf_task_stop(&task[1]);
}

MODEL(scope_stopped_around, .setup = setup, .threads = {open_inner_and_wait, stop_family}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 3)

/* Two stops of two kinds at once: each passes through, and leaves. */
static void open_inner_and_close(void)
{
    weft_task *t = begin();
    t->listed = false;
    weft_scope_open(&scope);
    int err = weft_scope_close(&scope);
    model_check(err == 0 || err == -ECANCELED);
    model_gone(&scope, sizeof scope);
    wf_scope_unlist(t);
}

MODEL(scope_closed_while_stopped, .setup = setup, .threads = {open_inner_and_close, stop_family, stop_first},
      .finish = finish, .spurious = -1, .stale = 1, .bound = 2)

/* A stop of the scope itself is not wiped out by its shield, and one of those around does not pass. */
static void open_shield_and_wait(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    weft_scope_shield(&scope);
    reason[1] = wait_for_stop();
    model_check(reason[1] == -ECANCELED);
    close_it(0);
}

MODEL(scope_shield, .setup = setup, .threads = {open_shield_and_wait, cancel_and_end, stop_first}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

static bool was_cancelled;

static void open_shield_and_look(void)
{
    begin();
    weft_scope_open(&scope);
    weft_scope_open(&inner);
    weft_scope_shield(&inner);
    model_check(weft_checkpoint() == 0);
    int err = weft_scope_close(&inner);
    model_check(err == 0);
    model_gone(&inner, sizeof inner);
    err = weft_scope_close(&scope);
    was_cancelled = err == -ECANCELED;
    model_check(err == 0 || was_cancelled);
    model_gone(&scope, sizeof scope);
}

MODEL(scope_shield_holds, .setup = setup, .threads = {open_shield_and_look, stop_first}, .finish = finish, .bound = 2)

/* ---- a deadline, expired by another worker ---- */

static void open_with_deadline(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    weft_scope_set_deadline(&scope, weft_after(1000));
    spawn(&scope, 3); /* which only says that there is a deadline now */
    wf_scope_count_ends(wf_scope_of(&scope), 1);
    close_it(-ETIMEDOUT);
    model_check(reason[2] == -ETIMEDOUT);
}

static void expire(void)
{
    unsigned me = 1u << model_self();
    model_block(is_started, &me, INT64_MAX, "the deadline");
    wf_lock(&start_lock); /* a look at a wheel may come too early, and there is only this one */
    wf_unlock(&start_lock);
    wf_local()->worker = &worker[1];
    wf_wheel_expire(&worker[0].wheel, INT64_C(1) << 40);
}

MODEL(scope_deadline, .setup = setup, .threads = {open_with_deadline, wait_and_end, expire}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* It passes while the scope is closed, and once it is closed. */
static void open_with_deadline_and_close(void)
{
    begin();
    weft_scope_open(&scope);
    weft_scope_set_deadline(&scope, weft_after(1000));
    wf_lock(&start_lock);
    started |= 1u << 3;
    wf_unlock(&start_lock);
    int err = weft_scope_close(&scope);
    model_check(err == 0 || err == -ETIMEDOUT);
    model_gone(&scope, sizeof scope);
}

static void no_task(void)
{
}

MODEL(scope_deadline_late, .setup = setup, .threads = {open_with_deadline_and_close, no_task, expire}, .finish = finish,
      .spurious = -1, .bound = 3)

/* ---- by errand: from a plain thread, to be done by a worker, perhaps by the one that closes ---- */

static void open_and_close_after_errand(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    close_it(0);
}

/* A guest inside the scope keeps it open; it is on no worker's thread. */
static void cancel_from_no_worker(void)
{
    unsigned me = 1u << model_self();
    model_block(is_started, &me, INT64_MAX, "being started");
    wf_lock(&start_lock);
    wf_unlock(&start_lock);
    weft_task *t = task_begin();
    weft_scope_cancel(&scope);
    wf_local()->worker = &worker[1];
    end(t);
}

static void run_errands(void)
{
    wf_local()->worker = &worker[1];
    wf_errand_run(&rt);
}

MODEL(scope_errand, .setup = setup, .threads = {open_and_close_after_errand, cancel_from_no_worker, run_errands},
      .finish = finish, .spurious = -1, .stale = 1, .bound = 2)

/* Of a task, twice: the note is the task itself, and pins its scope. */
static void errand_for_second(void)
{
    wf_errand_task(&task[2]);
}

static void open_two_errands(void)
{
    begin();
    weft_scope_open(&scope);
    spawn(&scope, 2);
    spawn(&scope, 3);
    close_it(0);
    model_check(reason[2] == -ECANCELED);
}

static void errand_and_end(void)
{
    weft_task *t = begin_in_scope();
    errand_for_second();
    wf_errand_run(&rt);
    end(t);
}

MODEL(scope_errand_of_task, .setup = setup, .threads = {open_two_errands, wait_and_end, errand_and_end, run_errands},
      .finish = finish, .spurious = -1, .stale = 1)
