/* worker.c - a task's way through a worker (runtime/worker.c): begin, leave, be made to run, be run again elsewhere.
 *
 * Real: all of runtime/worker.c and runtime/search.c; queue, inbox, idle, waits. Task stacks are real as well, and so
 * are the switches between them: a thread of a model stands wherever its worker stands, as a thread of the system does.
 * What a switch reads and writes is the stack pointer, which the assembly does unseen; so the model does the same once
 * more where it is seen, and takes the pointer away while nobody stands there. Whoever goes on with a task must
 * therefore be ordered behind whoever left it, and weft's own check is no help in that: the exchanges by which a debug
 * build knows the owner of a task order nothing.
 *
 * Stand-ins: a driver, which is a word to be rung, and sleeps until it is, so that a lookout's slices never end and
 * nothing here comes to light by chance; what a task's end does, which is to count; stacks, of which there are enough.
 *
 * What must hold: a task is run by one worker at a time, as often as it was made to run and no more; nobody sleeps
 * while something is left to run; a pinned task runs at home; whoever waits sees what who ended its wait wrote before;
 * who leaves the loop sees what all tasks did.
 *
 *   with: WF_DEBUG=1 WF_QUEUE_RING=4 WF_LOCK_SPINS=1 WF_LOCK_CARE=0 */
#include "tests/model/model.h"

#include "runtime/platform/context.h"

#undef wf_context_make_aside
#undef wf_context_switch_aside
#undef wf_context_switch_last_aside
#define wf_context_make_aside make_stand
#define wf_context_switch_aside stand_and_go
#define wf_context_switch_last_aside go_for_good
static void make_stand(struct wf_context *c, void *low, size_t size, void (*entry)(void *), void *arg);
static void stand_and_go(struct wf_context *from, struct wf_context *to);
static _Noreturn void go_for_good(struct wf_context *from, struct wf_context *to);

#include "runtime/idle.c"
#include "runtime/lookout.c"
#include "runtime/platform/lock.c"
#include "runtime/nest.c"
#include "runtime/queue.c"
#include "runtime/ready.c"
#include "runtime/search.c"
#include "runtime/wait.c"
#include "runtime/worker.c"

enum { WORKERS = 3, STACKS = 3, STACK_BYTES = 24 * 1024, TASKS = 3, HOME = 0, OTHER = 1 };

/* ---- switches ---- */

static unsigned left[WORKERS]; /* how often tasks have left their stacks, to come back; by each worker */

static void make_stand(struct wf_context *c, void *low, size_t size, void (*entry)(void *), void *arg)
{
    c->sp = c;
    wf_context_make(c, low, size, entry, arg);
}

/* Where `to` stands; nobody does from now on. */
static void *take_stand(struct wf_context *to)
{
    void *sp = to->sp;
    model_check(sp);
    to->sp = NULL;
    return sp;
}

static void stand_and_go(struct wf_context *from, struct wf_context *to)
{
    struct wf_worker *w = wf_worker_self();
    void *sp = take_stand(to);
    left[w->index] += from != &w->base;
    from->sp = from;
    wf_context_swap(&from->sp, &sp);
}

static void go_for_good(struct wf_context *from, struct wf_context *to)
{
    void *sp = take_stand(to);
    from->sp = NULL;
    wf_context_leave(&sp);
}

/* ---- the driver ---- */

struct bell {
    struct wf_driver base; /* first: nothing is ever due in it */
    WF_ATOMIC(uint32_t) rung;
};

static unsigned nothing_due;
static struct bell bells[WORKERS];

void wf_driver_wake(struct wf_driver *d)
{
    wf_swap(&((struct bell *)(void *)d)->rung, 1, release); /* R8 */
}

MODEL_PLAIN static bool is_rung(void *word)
{
    return *(uint32_t *)word != 0;
}

unsigned wf_driver_nap(struct wf_driver *d, int64_t ns)
{
    (void)d, (void)ns;
    model_fail("nobody offloads here");
}

unsigned wf_driver_park(struct wf_driver *d, int64_t deadline_ns)
{
    struct bell *b = (struct bell *)(void *)d;
    (void)deadline_ns;
    model_block(is_rung, &b->rung, INT64_MAX, "a ring of the bell");
    wf_swap(&b->rung, 0, acquire); /* R9 */
    return 0;
}

/* ---- the rest of weft ---- */

static weft_runtime rt;
static struct wf_worker worker[WORKERS];
static struct wf_scope family; /* of all tasks */
static weft_task task[TASKS];
static WF_ATOMIC(unsigned) left_over; /* tasks that have not ended */
static unsigned tasks, ended[WORKERS];
static uint64_t runs_before; /* by a worker that is busy from the beginning */

weft_task *wf_task_self(void)
{
    struct wf_worker *w = wf_worker_self();
    return w ? wf_load(&w->current, relaxed) : NULL;
}

/* The last one lets the workers go, as run.c does. */
void wf_task_finish(struct wf_worker *w, weft_task *t, int result, bool has_run)
{
    model_check(has_run);
    model_check(t == &task[result]);
    ended[w->index]++;
    if (wf_sub(&left_over, 1, acq_rel) != 1)
        return;
    wf_store(&rt.stopping, true, release);
    for (unsigned i = 0; i < rt.worker_count; i++)
        wf_driver_wake(worker[i].driver);
}

#define NEVER_HERE(type, name, ...)    \
    type name(__VA_ARGS__)             \
    {                                  \
        model_fail("%s here", #name);  \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"
void wf_child_refuse(const char *what)
{
}
void wf_errand_run(weft_runtime *r)
{
}
NEVER_HERE(weft_task *, wf_spare_look, struct wf_worker *w, weft_task *t)
NEVER_HERE(void, wf_spills_look, struct wf_worker *w)
NEVER_HERE(int64_t, wf_stack_pool_trim_slow, struct wf_stack_pool *p, int64_t now)
NEVER_HERE(int, wf_spills_marker, void *record)
NEVER_HERE(void, wf_spills_restore, weft_task *t)
NEVER_HERE(unsigned, wf_driver_poll, struct wf_driver *d)
NEVER_HERE(unsigned, wf_driver_serve, struct wf_driver *d)
NEVER_HERE(unsigned, wf_wheel_expire, struct wf_wheel *w, int64_t now)
NEVER_HERE(int64_t, wf_wheel_next_loose, struct wf_wheel *w, const struct wf_timer *loose)
NEVER_HERE(void, wf_scope_list, weft_task *t)
NEVER_HERE(bool, wf_scope_count_ends, struct wf_scope *s, int64_t n)
NEVER_HERE(void, wf_runtime_stop, weft_runtime *r)
NEVER_HERE(void, wf_lane_host, weft_lane *l, weft_task *t)
NEVER_HERE(void, wf_forks_offer_all, weft_task *t, struct wf_forks *f)
NEVER_HERE(bool, wf_fork_excuses, weft_task *t)
NEVER_HERE(void, wf_op_interrupt, weft_task *t, uint64_t user_data, void *driver)
NEVER_HERE(void, wf_stack_put_slow, struct wf_stack_pool *p, struct wf_stack_cache *c, struct wf_stack *s)
NEVER_HERE(struct wf_stack *, wf_stack_get_slow, struct wf_stack_pool *p, struct wf_stack_cache *c)
NEVER_HERE(_Noreturn void, wf_worker_refuse, const char *function)

/* ---- setup, finish ---- */

static char room[WORKERS * STACKS][STACK_BYTES] __attribute__((section("model_stacks"), aligned(64)));
static struct wf_stack stacks[WORKERS * STACKS];
static unsigned stacks_used;

static void open_worker(unsigned n)
{
    struct wf_worker *w = &worker[n];
    struct wf_driver *d = &bells[n].base;
    d->sq_head = d->sq_tail = d->sq_flags = d->cq_head = d->cq_tail = &nothing_due;
    w->rt = &rt;
    w->index = n;
    w->tick = 1;
    w->driver = d;
    for (unsigned i = 1; i < rt.worker_count; i++)
        w->victims[i - 1] = (unsigned char)((n + i) % rt.worker_count);
    w->pinned_last = &w->pinned;
    wf_store(&w->wheel.next_ns, INT64_MAX, relaxed);
    model_check(wf_queue_open(&w->queue, rt.worker_count == 1) == 0);
    for (unsigned i = 0; i < STACKS; i++) {
        struct wf_stack *s = &stacks[stacks_used];
        s->low = room[stacks_used++];
        s->size = STACK_BYTES;
        wf_stack_put(&rt.stacks, &w->stacks, s);
    }
}

static void open_workers(unsigned workers, unsigned n)
{
    rt.workers = worker;
    rt.worker_count = rt.idle.workers = workers;
    wf_store(&rt.present, workers, relaxed);
    for (unsigned i = 0; i < workers; i++)
        open_worker(i);
    tasks = n;
    wf_store(&left_over, n, relaxed);
}

static void prepare(struct wf_worker *w, unsigned n, weft_fn fn)
{
    weft_task *t = &task[n];
    t->fn = fn;
    t->arg = t;
    t->scope = &family;
    t->wait.task = t;
    wf_store(&t->home, w, relaxed);
}

/* Worker w has task n, and comes to it after those that it was given before. */
static void give(unsigned w, unsigned n, weft_fn fn)
{
    prepare(&worker[w], n, fn);
    if (worker[w].first)
        wf_queue_push(&worker[w].queue, &task[n]);
    else
        worker[w].first = &task[n];
}

static void be_worker(unsigned n)
{
    struct wf_worker *w = &worker[n];
    unsigned all = 0;
    wf_local()->worker = w;
    w->errno_at = weft_errno();
    wf_worker_run(w);
    for (unsigned i = 0; i < rt.worker_count; i++)
        all += ended[i]; /* what tasks did is before */
    model_check(all == tasks);
    model_check(!w->first && !w->pinned && w->left == WF_LEFT_NOTHING && !wf_load(&w->current, relaxed));
}

static void home_worker(void)
{
    be_worker(HOME);
}

static void other_worker(void)
{
    be_worker(OTHER);
}

/* Each task was run at first, and once more for each time it had left its stack. */
static void finish(void)
{
    uint64_t runs = 0, wanted = tasks;
    unsigned all = 0, free_stacks = 0;
    for (unsigned n = 0; n < rt.worker_count; n++) {
        runs += wf_load(&worker[n].run_seq, relaxed);
        wanted += left[n];
        all += ended[n];
        free_stacks += worker[n].stacks.count;
        model_check(!wf_worker_at_hand(&worker[n]));
        model_check(!wf_inbox_any(&worker[n].inbox) && !wf_inbox_any(&worker[n].pinned_inbox));
        wf_queue_close(&worker[n].queue);
    }
    model_check(all == tasks && runs == wanted + runs_before && free_stacks == stacks_used);
}

/* ---- a task that waits, and whoever ends its wait ---- */

static weft_waiter waiter;
static int handed; /* plain: what comes with the fire */
static bool fired, was_stopped;

/* Task 0 is about to suspend. */
static void arm(unsigned kind)
{
    task[0].listed = true;
    int err = wf_wait_arm(&task[0].wait, kind);
    model_check(err == 0);
    wf_waiter_init(&waiter, &task[0].wait, 0);
}

static int number(void *arg)
{
    return (int)((weft_task *)arg - task);
}

static unsigned suspend(weft_task *t)
{
    *weft_errno() = 7;
    unsigned index = wf_wait_suspend(&t->wait);
    model_check(wf_load(&wf_worker_self()->current, relaxed) == t);
    model_check(*weft_errno() == 7);
    return index;
}

static int wait_for_fire(void *arg)
{
    unsigned index = suspend(arg);
    model_check(index == 0 && waiter.result == 10 && handed == 5);
    return number(arg);
}

static void fire(void)
{
    handed = 5;
    fired = wf_fire(&waiter, 10);
}

static int fire_it(void *arg)
{
    *weft_errno() = 8;
    fire();
    model_check(fired);
    return number(arg);
}

static int pass_by(void *arg)
{
    return number(arg);
}

/* By a task of another worker: it goes to that one's slot, while its own worker may steal it back. */
static void setup_by_worker(void)
{
    open_workers(2, 2);
    give(HOME, 0, wait_for_fire);
    give(OTHER, 1, fire_it);
    arm(0);
}

MODEL(worker_fired_elsewhere, .setup = setup_by_worker, .threads = {home_worker, other_worker}, .finish = finish,
      .spurious = -1, .stale = 1)

/* By the task that runs behind it, while another worker is looking for something to steal. */
static void setup_at_home(void)
{
    open_workers(2, 2);
    give(HOME, 0, wait_for_fire);
    give(HOME, 1, fire_it);
    arm(0);
}

MODEL(worker_fired_at_home, .setup = setup_at_home, .threads = {home_worker, other_worker}, .finish = finish,
      .spurious = -1, .stale = 1)

/* By a plain thread: its worker is alone. */
static void setup_alone(void)
{
    open_workers(1, 2);
    give(HOME, 0, wait_for_fire);
    give(HOME, 1, pass_by);
    arm(0);
}

MODEL(worker_fired_alone, .setup = setup_alone, .threads = {home_worker, fire}, .finish = finish, .bound = 3)

/* ---- pinned ---- */

static int wait_pinned(void *arg)
{
    weft_task *t = arg;
    t->pins++;
    wait_for_fire(arg);
    model_check(wf_worker_self() == &worker[HOME]);
    t->pins--;
    return number(arg);
}

static void setup_pinned_by_worker(void)
{
    setup_by_worker();
    task[0].fn = wait_pinned;
}

static void setup_pinned_at_home(void)
{
    setup_at_home();
    task[0].fn = wait_pinned;
}

MODEL(worker_pinned_fired_elsewhere, .setup = setup_pinned_by_worker, .threads = {home_worker, other_worker},
      .finish = finish, .spurious = -1, .stale = 1)
MODEL(worker_pinned_fired_at_home, .setup = setup_pinned_at_home, .threads = {home_worker, other_worker},
      .finish = finish, .spurious = -1, .stale = 1)

/* ---- stopped, by a task of another worker ---- */

static int wait_stoppable(void *arg)
{
    unsigned index = suspend(arg);
    model_check(index == 0 ? waiter.result == 10 && handed == 5 : index == WF_WAIT_STOPPED);
    was_stopped = index == WF_WAIT_STOPPED;
    return number(arg);
}

static int stop_it(void *arg)
{
    wf_wait_interrupt(&task[0].wait);
    return number(arg);
}

static void setup_stop(void)
{
    open_workers(2, 2);
    give(HOME, 0, wait_stoppable);
    give(OTHER, 1, stop_it);
    arm(WF_WAIT_STOPPABLE);
}

static void finish_stop(void)
{
    finish();
    model_check(fired != was_stopped);
}

MODEL(worker_stopped, .setup = setup_stop, .threads = {home_worker, other_worker}, .finish = finish_stop,
      .spurious = -1, .stale = 1)

/* ---- gives way, and is stolen ---- */

static int yield(void *arg)
{
    *weft_errno() = 7;
    int err = weft_yield();
    model_check(err == 0 && *weft_errno() == 7);
    model_check(wf_load(&wf_worker_self()->current, relaxed) == arg);
    return number(arg);
}

static int yield_pinned(void *arg)
{
    weft_task *t = arg;
    t->pins++;
    yield(arg);
    model_check(wf_worker_self() == &worker[HOME]);
    t->pins--;
    return number(arg);
}

static void setup_yield(void)
{
    open_workers(2, 2);
    give(HOME, 0, yield);
    give(HOME, 1, yield);
}

static void setup_yield_pinned(void)
{
    open_workers(2, 2);
    give(HOME, 0, yield_pinned);
    give(HOME, 1, yield);
}

MODEL(worker_yields, .setup = setup_yield, .threads = {home_worker, other_worker}, .finish = finish, .spurious = -1,
      .stale = 1)
MODEL(worker_yields_pinned, .setup = setup_yield_pinned, .threads = {home_worker, other_worker}, .finish = finish,
      .spurious = -1, .stale = 1)

/* ---- spawned: stolen, or looked at from outside while it runs, as a dump does ---- */

static int spawn(void *arg)
{
    prepare(wf_worker_self(), 1, pass_by);
    wf_worker_spawn(wf_worker_self(), &task[1]);
    return number(arg);
}

static void look_from_outside(void)
{
    for (unsigned n = 0; n < rt.worker_count; n++) {
        weft_task *t = wf_load(&worker[n].current, acquire); /* D2 */
        model_check(!t || t->scope == &family);
    }
}

static void setup_spawn(void)
{
    open_workers(2, 2);
    give(HOME, 0, spawn);
}

static void setup_spawn_alone(void)
{
    open_workers(1, 2);
    give(HOME, 0, spawn);
}

MODEL(worker_spawns, .setup = setup_spawn, .threads = {home_worker, other_worker}, .finish = finish, .spurious = -1,
      .stale = 1)
MODEL(worker_is_looked_at, .setup = setup_spawn_alone, .threads = {home_worker, look_from_outside}, .finish = finish,
      .bound = 3)

/* ---- two who look out for a third, which runs one task for ever: one after the other ---- */

static void setup_lookouts(void)
{
    open_workers(3, 2);
    give(HOME, 0, wait_pinned); /* so that the first one is called home from its post */
    give(OTHER, 1, fire_it);
    arm(0);
    wf_store(&worker[2].current, &task[2], relaxed);
    runs_before = 1;
    wf_store(&worker[2].run_seq, runs_before, relaxed);
}

MODEL(worker_lookouts, .setup = setup_lookouts, .threads = {home_worker, other_worker}, .finish = finish,
      .spurious = -1, .stale = 1, .outdated = 1)

/* ---- two workers, and a plain thread ---- */

static void setup_by_thread(void)
{
    open_workers(2, 1);
    give(HOME, 0, wait_for_fire);
    arm(0);
}

static void setup_pinned_by_thread(void)
{
    setup_by_thread();
    task[0].fn = wait_pinned;
}

MODEL(worker_fired_from_outside, .setup = setup_by_thread, .threads = {home_worker, other_worker, fire},
      .finish = finish, .spurious = -1, .stale = 1, .outdated = 1)
MODEL(worker_pinned_fired_from_outside, .setup = setup_pinned_by_thread,
      .threads = {home_worker, other_worker, fire}, .finish = finish, .spurious = -1, .stale = 1, .outdated = 1)
/* Whoever comes first, the one who stops it or the one who fires. */
MODEL(worker_stopped_or_fired, .setup = setup_stop, .threads = {home_worker, other_worker, fire},
      .finish = finish_stop, .spurious = -1, .stale = 1, .outdated = 1)

/* Its home is busy until it has run: somebody else has to be told. */
static WF_ATOMIC(uint32_t) busy, has_run;

MODEL_PLAIN static bool is_set(void *word)
{
    return *(uint32_t *)word != 0;
}

static void await_flag(WF_ATOMIC(uint32_t) *flag, const char *what)
{
    model_block(is_set, flag, INT64_MAX, what);
    wf_or(flag, 0u, acquire); /* the latest */
}

static int be_busy(void *arg)
{
    wf_store(&busy, 1u, release);
    await_flag(&has_run, "the other task");
    return number(arg);
}

static int wait_and_release(void *arg)
{
    wait_for_fire(arg);
    wf_store(&has_run, 1u, release);
    return number(arg);
}

static void fire_once_busy(void)
{
    await_flag(&busy, "the home to be busy");
    fire();
}

static void setup_busy(void)
{
    open_workers(2, 2);
    give(HOME, 0, wait_and_release);
    give(HOME, 1, be_busy);
    arm(0);
}

MODEL(worker_home_is_busy, .setup = setup_busy, .threads = {home_worker, other_worker, fire_once_busy},
      .finish = finish, .spurious = -1, .stale = 1, .outdated = 1)
