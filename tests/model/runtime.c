/* runtime.c - a runtime from start to stop (runtime/run.c, crew.c), while threads submit to it or a spare comes.
 *
 * Real: runtime/run.c, crew.c, spare.c; delivering and counting ends (ready.c, worker.c); root scope (scope.c), inbox,
 * queue, idle, locks. Stand-ins: a worker's loop, which runs what it finds to its end and sleeps when there is nothing;
 * a driver, which is a word in memory of its own, to be rung; a watchdog, which calls a spare whenever it likes; what
 * else weft_run() asks for, which does nothing.
 *
 * What must hold: every task that was accepted runs, before weft_run() returns; who has delivered the last one does not
 * ring at a driver, nor touch a runtime, that is gone (visitors: tests/regress/0003 tells the story); workers come up
 * together or not at all; a spare that comes late, or is called then, is told of the end, and its driver not rung once
 * it is gone; nothing leaks.
 *
 *   parts: runtime/ready.c
 *   with: WF_LOCK_SPINS=1 WF_LOCK_CARE=0 */
#include "tests/model/model.h"

#define wf_worker_run real_loop /* the model has a smaller one */
#include "runtime/worker.c"
#undef wf_worker_run
void wf_worker_run(struct wf_worker *w);

#include "runtime/crew.c"
#include "runtime/errand.c"
#include "runtime/idle.c"
#include "runtime/platform/lock.c"
#include "runtime/nest.c"
#include "runtime/queue.c"
#include "runtime/lookout.c"
#include "runtime/run.c"
#include "runtime/scope.c"
#include "runtime/spare.c"
#include "runtime/stop.c"
#include "runtime/timer.c"
#include "runtime/wait.c"

#include "runtime/child.h"

/* ---- the driver ---- */

struct bell {
    WF_ATOMIC(uint32_t) rung;
};

static bool refused[2]; /* worker n's driver */
static bool refused_spare;
static WF_ATOMIC(unsigned) drivers;

int wf_driver_open(struct wf_driver **ret, weft_driver kind, weft_ring_mode mode)
{
    (void)kind, (void)mode;
    if (wf_add(&drivers, 1, relaxed) >= 2 && refused_spare) /* a spare is made when all workers have theirs */
        return -EMFILE;
    if (refused[model_self() != 1])
        return -EMFILE;
    *ret = wf_alloc(sizeof(struct bell));
    return 0;
}

void wf_driver_close(struct wf_driver *d)
{
    wf_free(d, sizeof(struct bell));
}

void wf_driver_wake(struct wf_driver *d)
{
    wf_swap(&((struct bell *)(void *)d)->rung, 1, acq_rel);
}

MODEL_PLAIN static bool is_rung(void *word)
{
    return *(uint32_t *)word != 0;
}

static void park(struct wf_driver *d)
{
    struct bell *b = (struct bell *)(void *)d;
    model_block(is_rung, &b->rung, INT64_MAX, "a ring of the bell");
    wf_swap(&b->rung, 0, acq_rel);
}

/* ---- the loop ---- */

static unsigned ran;      /* plain, under lock */
static struct wf_lock ran_lock;

static void run_task(struct wf_worker *w, weft_task *t)
{
    wf_store(&w->current, t, release);
    int result = t->fn(t->arg);
    wf_store(&w->current, NULL, relaxed);
    wf_runtime_result(w->rt, t, result);
    wf_worker_count_end(w, t->scope);
    wf_worker_flush_ends(w);
}

void wf_worker_run(struct wf_worker *w)
{
    for (;;) {
        if (w->spare)
            wf_spare_look(w, NULL);
        weft_task *t = wf_queue_pop(&w->queue);
        if (!t)
            t = wf_inbox_take(&w->inbox);
        while (t) {
            weft_task *next = t->next;
            t->next = NULL;
            run_task(w, t);
            t = next;
        }
        if (wf_load(&w->rt->stopping, acquire))
            return;
        if (!wf_inbox_any(&w->inbox))
            park(w->driver);
    }
}

/* ---- tasks ---- */

static weft_task tasks[4];
static unsigned tasks_used; /* under the pool's lock */
static unsigned tasks_max = 4;

weft_task *wf_task_pool_refill(struct wf_task_pool *p, struct wf_task_cache *c)
{
    model_check(!c);
    wf_lock(&p->lock);
    weft_task *t = tasks_used < tasks_max ? &tasks[tasks_used++] : NULL;
    wf_unlock(&p->lock);
    return t;
}

void wf_task_init(weft_task *t, struct wf_scope *s, weft_fn fn, void *arg, const char *site)
{
    t->scope = s;
    t->fn = fn;
    t->arg = arg;
    wf_store(&t->site, site, relaxed);
}

weft_task *wf_task_self(void)
{
    struct wf_worker *w = wf_worker_self();
    return w ? wf_load(&w->current, relaxed) : NULL;
}

/* ---- what is asked for and does nothing here ---- */

int wf_config_read(weft_config *ret, const weft_config *given)
{
    *ret = *given;
    return 0;
}

int wf_topology_read(struct wf_topology *t, unsigned workers, const char *synthetic)
{
    model_check(t && workers && !synthetic);
    return 0;
}

void wf_topology_victims(const struct wf_topology *t, unsigned self, unsigned char *ret)
{
    model_check(t);
    ret[0] = (unsigned char)!self;
}

const char *weft_strerror(int err)
{
    model_check(err == -EMFILE);
    return "no descriptor";
}

int wf_where_self(void)
{
    return 0;
}

unsigned wf_topology_cpus(void)
{
    return 1;
}

int wf_stack_pool_open(struct wf_stack_pool *p, size_t stack_size)
{
    (void)p, (void)stack_size;
    return 0;
}

int wf_stack_guard_enter(void **altstack)
{
    *altstack = NULL;
    return 0;
}

#define NOTHING(name, ...) \
    void name(__VA_ARGS__) \
    {                      \
    }
#define NOTHING_BUT_0(name, ...) \
    int name(__VA_ARGS__)        \
    {                            \
        return 0;                \
    }
#define NEVER_HERE(type, name, ...)    \
    type name(__VA_ARGS__)             \
    {                                  \
        model_fail("%s here", #name);  \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"
NOTHING(wf_stack_pool_close, struct wf_stack_pool *p)
NOTHING(wf_task_pool_close, struct wf_task_pool *p)
NOTHING(wf_stack_guard_leave, void *altstack)
NOTHING(wf_stack_guard_uninstall, void)
NOTHING(wf_lanes_open, weft_runtime *rt)
NOTHING(wf_lanes_close, struct wf_lanes *lanes)
NOTHING(wf_child_refuse, const char *what)
NOTHING_BUT_0(wf_child_watch, void)
NOTHING_BUT_0(wf_stack_guard_install, void (*report)(const void *addr))
NOTHING(wf_spills_open, weft_runtime *r)
NEVER_HERE(unsigned, wf_driver_serve, struct wf_driver *d)
NEVER_HERE(int, wf_spills_marker, void *record)
NEVER_HERE(void, wf_spills_restore, weft_task *t)
NEVER_HERE(void, wf_task_put, struct wf_task_pool *p, struct wf_task_cache *c, weft_task *t)
NEVER_HERE(void, wf_task_finish, struct wf_worker *w, weft_task *t, int result, bool has_run)
NEVER_HERE(void, wf_lane_host, weft_lane *l, weft_task *t)
NEVER_HERE(void, wf_op_interrupt, weft_task *t, uint64_t user_data, void *driver)
NEVER_HERE(void, wf_stack_put_slow, struct wf_stack_pool *p, struct wf_stack_cache *c, struct wf_stack *s)
NEVER_HERE(struct wf_stack *, wf_stack_get_slow, struct wf_stack_pool *p, struct wf_stack_cache *c)
NEVER_HERE(_Noreturn void, wf_worker_refuse, const char *function)
NEVER_HERE(weft_task *, wf_worker_find, struct wf_worker *w)
NEVER_HERE(weft_task *, wf_task_require, const char *function)
NEVER_HERE(weft_runtime *, wf_task_runtime, const weft_task *t)
NEVER_HERE(void, wf_forks_list, weft_task *t, struct wf_forks *f)
NEVER_HERE(void, wf_forks_offer_all, weft_task *t, struct wf_forks *f)
NEVER_HERE(bool, wf_fork_excuses, weft_task *t)
NEVER_HERE(const char *, wf_task_name, const weft_task *t)
NEVER_HERE(const char *, wf_task_place, const weft_task *t)
NEVER_HERE(weft_time, weft_after, int64_t ns)

/* ---- the watchdog ---- */

static unsigned calls; /* for a spare */
static struct wf_thread dog;

static void *call_spares(void *arg)
{
    for (unsigned i = 0; i < calls; i++)
        wf_spares_call(arg, WF_DUTY_ALL, model_now());
    return NULL;
}

int wf_watchdog_open(weft_runtime *rt)
{
    return calls ? wf_thread_start(&dog, call_spares, rt, "dog") : 0;
}

void wf_watchdog_close(weft_runtime *rt)
{
    model_check(rt);
    if (calls)
        wf_thread_join(&dog);
}

/* ---- the last task comes from outside ---- */

static weft_runtime *up; /* the runtime, once it runs: by the first task */
static unsigned wanted;  /* how many are to be counted in before the first task ends */

MODEL_PLAIN static bool is_up(void *arg)
{
    (void)arg;
    return up != NULL;
}

/* From then on the submitter's own count keeps the runtime up. */
MODEL_PLAIN static bool all_have_come(void *arg)
{
    (void)arg;
    return *(int64_t *)&up->root.pending > wanted || ran;
}

static int first(void *arg)
{
    (void)arg;
    wf_lock(&ran_lock);
    up = wf_worker_self()->rt;
    wf_unlock(&ran_lock);
    model_block(all_have_come, NULL, INT64_MAX, "tasks from outside");
    return 3;
}

static int count(void *arg)
{
    model_check(arg == &ran);
    wf_lock(&ran_lock);
    ran++;
    wf_unlock(&ran_lock);
    return 0;
}

static void submit(int expected)
{
    model_block(is_up, NULL, INT64_MAX, "the runtime");
    wf_lock(&ran_lock);
    weft_runtime *rt = up;
    wf_unlock(&ran_lock);
    int err = weft_submit_at(rt, count, &ran, "here:1");
    model_check(err == expected);
}

static void submit_one(void)
{
    submit(0);
}

static void run_with(unsigned workers, int expected)
{
    weft_config config = {.workers = workers};
    int got = weft_run(&config, first, NULL);
    model_check(got == expected);
}

static void run_one(void)
{
    run_with(1, 3);
}

static void setup_one(void)
{
    wanted = 1;
}

static void finish_one(void)
{
    model_check(ran == 1);
}

MODEL(runtime_submit, .setup = setup_one, .threads = {run_one, submit_one}, .finish = finish_one, .spurious = -1,
      .stale = 1, .bound = 3)

static void setup_two(void)
{
    wanted = 2;
}

static void finish_two(void)
{
    model_check(ran == 2);
}

MODEL(runtime_submit_two, .setup = setup_two, .threads = {run_one, submit_one, submit_one}, .finish = finish_two,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- two workers ---- */

static void run_two(void)
{
    run_with(2, 3);
}

MODEL(runtime_two_workers, .setup = setup_one, .threads = {run_two, submit_one}, .finish = finish_one, .spurious = -1,
      .stale = 1, .bound = 2)

/* ---- one worker's driver is refused: nothing runs ---- */

static void run_refused(void)
{
    refused[model_choose(2)] = true;
    run_with(2, -EMFILE);
    model_check(!up);
}

MODEL(runtime_refused, .threads = {run_refused}, .spurious = -1, .stale = 1, .bound = 3)

/* ---- a spare is called while all comes to its end ---- */

static void setup_spare(void)
{
    calls = 1;
}

static void setup_spare_refused(void)
{
    calls = 1;
    refused_spare = true;
}

MODEL(runtime_spare, .setup = setup_spare, .threads = {run_two}, .spurious = -1, .stale = 1, .bound = 1, .outdated = 1)
MODEL(runtime_spare_refused, .setup = setup_spare_refused, .threads = {run_two}, .spurious = -1, .stale = 1, .bound = 1,
      .outdated = 1)
