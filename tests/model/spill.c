/* spill.c - stacks that are put aside while their tasks wait (runtime/spills.c), against all who end such a wait.
 *
 * Real: all of runtime/spills.c, the wait word, stops. Workers are tests/model/tasks.h, which put a stack back before
 * its task goes on. A stack is some bytes, its frame, below a real descriptor. Giving its pages up overwrites all of
 * that, so that who comes too early or too late is a data race, or finds nonsense. The timer of the sweeps is a word.
 *
 * What must hold: a task goes on once, with the bytes that it has left, whether its stack was away, just going, or
 * could not go; no record is left; who may look at a stack that is not his finds one; and some sweep comes by everybody
 * who waits. */
#define TASKS_COME_BACK(t)                     \
    do {                                       \
        if (!wf_load(&(t)->stack, relaxed))    \
            model_check(wf_spills_back(t));    \
    } while (0)
#include "runtime/spills.h"

#include "tests/model/tasks.h"

#include "runtime/fork.h"
#include "runtime/spills.c"
#include "runtime/task_pool.c"

#include "runtime/platform/local.h"

enum { FRAME = 72, WAITER = 1 };

static weft_runtime rt;
static struct wf_worker worker[MODEL_THREADS_MAX]; /* each thread's own */
static struct {
    char frame[FRAME];
    struct wf_stack s;
} stack;
static bool can_fail; /* it may be that pages cannot be given up; constant */
static unsigned armed; /* the timer; by whoever arms it, in the order that spills.c has to see to */

/* ---- stand-ins ---- */

bool wf_stack_give_up(const struct wf_stack_pool *p, struct wf_stack *s)
{
    (void)p;
    model_check(s == &stack.s);
    memset(&stack, 0x55, sizeof stack);
    return !can_fail || model_choose(2);
}

bool wf_stack_take_back(const struct wf_stack_pool *p, struct wf_stack *s)
{
    (void)p;
    model_check(s == &stack.s);
    memset(&stack, 0, sizeof stack);
    return true;
}

void wf_timer_arm(struct wf_wheel *w, struct wf_timer *t, int64_t deadline_ns)
{
    (void)w, (void)deadline_ns;
    model_check(t == &rt.spills.timer);
    t->tick = 1;
    armed++;
}

#define NEVER_HERE(type, name, ...)   \
    type name(__VA_ARGS__)            \
    {                                 \
        model_fail("%s here", #name); \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"
NEVER_HERE(bool, wf_stack_has, const struct wf_stack_pool *p, const struct wf_stack *s, uintptr_t addr)
NEVER_HERE(void, wf_stack_guard_stray, bool (*r)(const void *addr))
NEVER_HERE(void, wf_runtime_each, void (*fn)(weft_runtime *r, void *ctx), void *ctx)
NEVER_HERE(const char *, wf_task_describe, const weft_task *t, char name[WF_TASK_TEXT_MAX])
NEVER_HERE(weft_runtime *, wf_task_runtime, const weft_task *t)

/* ---- the waiter ---- */

static void setup(void)
{
    task_open(WAITER);
    wf_store(&task[WAITER].stack, &stack.s, relaxed);
    for (unsigned n = 0; n < MODEL_THREADS_MAX; n++)
        worker[n].rt = &rt;
    wf_store(&rt.spills.resting, true, relaxed);
}

static void begin_as_worker(void)
{
    wf_local()->worker = &worker[model_self()];
}

static WF_ATOMIC(unsigned) asked; /* which of its waits somebody is to end */

/* Leaves its frame full of marks, and finds them again. */
static int sleep_once(unsigned mark)
{
    weft_task *t = wf_local()->guest;
    t->result = 0;
    int err = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE | WF_WAIT_SPILLABLE);
    if (err)
        return err;
    stack.s.context.sp = stack.frame + FRAME - 8;
    memset(stack.frame, (int)mark, FRAME);
    wf_store(&asked, mark, release);
    unsigned index = wf_wait_suspend(&t->wait);
    model_check(index == WF_WAIT_STOPPED || t->result == 10 + (int)mark);
    model_check(wf_load(&t->stack, relaxed) == &stack.s);
    model_check(stack.s.context.sp == stack.frame + FRAME - 8);
    for (unsigned i = FRAME - 8 - WF_CONTEXT_SAVED; i < FRAME; i++)
        model_check(stack.frame[i] == (char)mark);
    return index == WF_WAIT_STOPPED ? -ECANCELED : 0;
}

static void waits_once(void)
{
    begin_as_worker();
    task_begin();
    sleep_once(1);
}

static void waits_twice(void)
{
    begin_as_worker();
    task_begin();
    if (sleep_once(1) == 0)
        sleep_once(2);
}

/* ---- the others ---- */

MODEL_PLAIN static bool is_asked(void *n)
{
    return *(unsigned *)&asked == *(unsigned *)n;
}

/* As a kernel does, which is the only one to end that wait: once it has been asked to. */
static void fire_the(unsigned n)
{
    model_block(is_asked, &n, INT64_MAX, "the wait");
    unsigned now = wf_or(&asked, 0, acquire);
    model_check(now == n);
    task[WAITER].result = (int)(10 + n);
    bool fired = wf_fire_task(&task[WAITER]);
    model_check(fired);
}

static void fires_once(void)
{
    fire_the(1);
}

static void fires_twice(void)
{
    fire_the(1);
    fire_the(2);
}

static void stops(void)
{
    wf_task_stop(&task[WAITER]);
}

/* Marks, puts aside, and would do neither again. */
static void sweeps(void)
{
    begin_as_worker();
    for (int i = 0; i < 3; i++)
        look_at(&task[WAITER], &worker[model_self()]);
}

static void finish(void)
{
    uint64_t spills = 0, restores = 0;
    tasks_check();
    for (unsigned n = 0; n < MODEL_THREADS_MAX; n++) {
        spills += wf_load(&worker[n].spills, relaxed);
        restores += wf_load(&worker[n].restores, relaxed);
    }
    model_check(spills == restores);
    model_check(wf_load(&task[WAITER].stack, relaxed) == &stack.s);
}

MODEL(spill_fired, .setup = setup, .threads = {waits_once, fires_once, sweeps}, .finish = finish, .spurious = -1,
      .bound = 3)
MODEL(spill_fired_twice, .setup = setup, .threads = {waits_twice, fires_twice, sweeps}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(spill_stopped, .setup = setup, .threads = {waits_once, stops, sweeps}, .finish = finish, .spurious = -1,
      .bound = 3)

static void setup_failing(void)
{
    setup();
    can_fail = true;
}

MODEL(spill_refused, .setup = setup_failing, .threads = {waits_once, fires_once, sweeps}, .finish = finish,
      .spurious = -1, .bound = 2)

/* ---- who looks at a stack that is not his ---- */

/* It has seen the task running, a while ago: as ask_for_forks() in runtime/search.c does. */
static void wants_forks(void)
{
    wf_lock(&rt.spills.lock);
    wf_forks_want(&task[WAITER]);
    wf_unlock(&rt.spills.lock);
}

/* It waits already. */
static void setup_parked(void)
{
    setup();
    stack.s.context.sp = stack.frame + FRAME - 8;
    task[WAITER].saved_errno = WAITER;
    int err = wf_wait_arm(&task[WAITER].wait, WF_WAIT_STOPPABLE | WF_WAIT_SPILLABLE);
    model_check(err == 0);
    bool parked = wf_wait_park(&task[WAITER].wait);
    model_check(parked);
}

/* Fires it, and is the worker that runs it then. */
static void fires_and_runs(void)
{
    begin_as_worker();
    bool fired = wf_fire_task(&task[WAITER]);
    model_check(fired);
    model_block(is_runnable, &runnable[WAITER], INT64_MAX, "the task");
    wf_swap(&runnable[WAITER], 0, acquire);
    TASKS_COME_BACK(&task[WAITER]);
}

MODEL(spill_looked_at, .setup = setup_parked, .threads = {sweeps, wants_forks, fires_and_runs}, .finish = finish,
      .spurious = -1, .bound = 3)

/* ---- some sweep comes by ---- */

static struct wf_task_chunk pool; /* of which one task waits */

static void look_outside(void)
{
    struct wf_worker *w = &worker[model_self()];
    do
        wf_spills_look(w);
    while (w->sweeping);
}

/* A worker that runs it, after which it waits, and looks outside. */
static void runs_and_looks(void)
{
    weft_task *t = &pool.task[0];
    begin_as_worker();
    WF_COUNT(worker[model_self()].run_seq);
    int err = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE | WF_WAIT_SPILLABLE);
    model_check(err == 0);
    bool parked = wf_wait_park(&t->wait);
    model_check(parked);
    look_outside();
}

/* The timer fires, in whosever wheel it was. */
static void fires_the_timer(void)
{
    rt.spills.timer.tick = 0;
    on_time(&rt.spills.timer);
}

/* Another one, which has run nothing. */
static void looks(void)
{
    begin_as_worker();
    look_outside();
}

static void setup_sweep(void)
{
    setup();
    pool.task[0].scope = &family;
    wf_store(&pool.task[0].home, &home, relaxed);
    pool.task[0].listed = true;
    pool.task[0].wait.task = &pool.task[0];
    rt.tasks.chunks = &pool;
    rt.spills.timer.ctx = &rt.spills;
    wf_store(&rt.spills.resting, false, relaxed);
}

/* Whoever has taken a sweep's slice and found it taken leaves the rest to the other; some have been marked, or will. */
static void finish_sweep(void)
{
    bool seen = wf_load(&pool.task[0].wait.word, relaxed) & WF_WAIT_SEEN;
    bool due = wf_load(&rt.spills.due, relaxed);
    model_check(armed + due <= 1);
    model_check(seen || armed || due);
    model_check(wf_load(&rt.spills.resting, relaxed) == (!armed && !due));
}

MODEL(spill_sweeps_follow, .setup = setup_sweep, .threads = {runs_and_looks, fires_the_timer}, .finish = finish_sweep,
      .spurious = -1, .bound = 4)
MODEL(spill_sweeps_follow_elsewhere, .setup = setup_sweep,
      .threads = {runs_and_looks, fires_the_timer, looks}, .finish = finish_sweep, .spurious = -1)

/* ---- and none when nobody has run ---- */

static void setup_quiet(void)
{
    setup();
    wf_store(&rt.spills.resting, false, relaxed);
    wf_store(&rt.spills.stirred, true, relaxed);
    wf_store(&rt.spills.due, true, relaxed);
}

static void finish_quiet(void)
{
    model_check(wf_load(&rt.spills.resting, relaxed) && !wf_load(&rt.spills.due, relaxed) && !armed);
}

MODEL(spill_comes_to_rest, .setup = setup_quiet, .threads = {looks}, .finish = finish_quiet)
