/* fork.c - a fork that was offered: who calls it, whom the parent waits for, and whether a sleeper's wish is heard.
 *
 * Real: runtime/fork.c, runtime/idle.c, stops and waits. Stand-ins: what tests/model/tasks.h says; the fork's task is
 * thread 2 of the model, which begins when it was spawned (a queue's order) and ends as runtime/task.c has it: done,
 * and whoever waits is told, under its lock, if it is held; else its memory goes back.
 *
 * What must hold: the call is made once, by the one or the other; the parent sees what it wrote, and nobody touches the
 * fork any more once it is joined; the task's memory goes back once; a stop of the parent reaches a call that waits
 * elsewhere; and a worker that fell asleep after it saw nothing is asked for, or its wish still stands, though it may
 * have taken what was in the queue a moment ago. */
#include "tests/model/tasks.h"

#include "runtime/fork.c"
#include "runtime/idle.c"

static weft_runtime rt = {.idle = {.workers = 2}};
static struct wf_worker worker[3] = {{.rt = &rt}, {.rt = &rt}, {.rt = &rt}}; /* of thread 1, 2 */

static struct call {
    weft_fork fork;
    int arg, result; /* plain */
} call;

static int calls[MODEL_THREADS_MAX]; /* by whom; plain */
static int given_back, offers;       /* plain: by whoever has the task */
static bool waits;                   /* the call waits for a stop */

/* ---- what runtime/fork.c asks of the rest ---- */

weft_task *wf_task_require(const char *function)
{
    model_check(wf_task_self() && function);
    return wf_task_self();
}

weft_task *wf_task_pool_refill(struct wf_task_pool *p, struct wf_task_cache *c)
{
    model_check(p == &rt.tasks && c == &worker[1].tasks && offers == 0);
    offers++;
    return &task[2];
}

void wf_task_init(weft_task *t, struct wf_scope *s, weft_fn fn, void *arg, const char *site)
{
    model_check(s == &family && site);
    t->fn = fn;
    t->arg = arg;
}

uint64_t wf_worker_number(struct wf_worker *w)
{
    model_check(w == &worker[1]);
    return 1;
}

void wf_worker_spawn(struct wf_worker *w, weft_task *t)
{
    model_check(w == &worker[1] && t == &task[2]);
    wf_store(&runnable[2], 1, release); /* Q1 */
}

void wf_task_put(struct wf_task_pool *p, struct wf_task_cache *c, weft_task *t)
{
    model_check(p && c && t == &task[2]);
    given_back++;
    t->arg = NULL; /* another's, from now on */
}

/* As runtime/task.c has them. */

static bool is_done(const weft_task *t)
{
    return wf_load(&t->state, relaxed) == WF_TASK_DONE;
}

bool wf_task_ready(weft_task *t, int *ret)
{
    wf_lock(&t->lock);
    bool done = is_done(t);
    if (done)
        *ret = t->result;
    wf_unlock(&t->lock);
    return done;
}

bool wf_task_enqueue(weft_task *t, weft_waiter *r)
{
    wf_lock(&t->lock);
    bool stays = !is_done(t);
    if (stays)
        t->joiners = r;
    wf_unlock(&t->lock);
    return stays;
}

bool wf_task_dequeue(weft_task *t, weft_waiter *r)
{
    wf_lock(&t->lock);
    bool stays = !is_done(t);
    if (stays) {
        model_check(t->joiners == r);
        t->joiners = NULL;
    }
    wf_unlock(&t->lock);
    return stays;
}

static void end_task(weft_task *t, int result)
{
    if (!t->held) {
        wf_task_put(&rt.tasks, &worker[2].tasks, t);
        return;
    }
    wf_lock(&t->lock);
    t->result = result;
    wf_store(&t->state, WF_TASK_DONE, release);
    if (t->joiners)
        wf_fire(t->joiners, result);
    wf_unlock(&t->lock);
}

/* ---- the call ---- */

static void wait_for_stop(void)
{
    struct wf_wait *w = wf_wait_self();
    if (!wf_wait_arm(w, WF_WAIT_STOPPABLE))
        model_check(wf_wait_suspend(w) == WF_WAIT_STOPPED);
}

static void make_call(weft_forks *forks, weft_fork *fork)
{
    struct call *c = (struct call *)fork;
    model_check(forks == weft_forks_self());
    calls[model_self()]++;
    if (waits)
        wait_for_stop();
    c->result = c->arg + 1;
}

/* ---- threads ---- */

static void setup(void)
{
    for (unsigned n = 1; n <= 2; n++)
        task_open(n);
    wf_idle_sleep(&rt.idle, 1, false);
}

static void setup_waiting(void)
{
    setup();
    waits = true;
}

static weft_task *begin(void)
{
    struct wf_worker *w = &worker[model_self()];
    wf_local()->worker = w;
    wf_store(&w->current, task_begin(), relaxed);
    return wf_task_self();
}

static void fork_and_join(void)
{
    static const struct weft_fork_how how = {make_call, "call"};
    weft_task *self = begin();
    weft_forks *forks = weft_forks_self();
    call.arg = 1;
    weft_fork_push(forks, &call.fork, &how);
    wf_forks_offer_all(self, inside(forks));
    if (weft_fork_pop(forks, &call.fork))
        make_call(forks, &call.fork);
    model_check(call.result == 2);
    model_check(!wf_forks_any(inside(forks)) && !wf_forks_hidden(inside(forks)));
    model_gone(&call, sizeof call);
}

static void be_the_fork(void)
{
    begin();
    model_block(is_runnable, &runnable[2], INT64_MAX, "being spawned");
    wf_swap(&runnable[2], 0, acquire); /* Q2 */
    end_task(&task[2], task[2].fn(task[2].arg));
}

static void cancel_parent(void)
{
    wf_task_stop(&task[1]);
}

static void finish(void)
{
    tasks_check();
    model_check(calls[1] + calls[2] == 1);
    model_check(given_back == 1);
}

MODEL(fork_settle, .setup = setup, .threads = {fork_and_join, be_the_fork}, .finish = finish, .bound = 3)
MODEL(fork_stop, .setup = setup_waiting, .threads = {fork_and_join, be_the_fork, cancel_parent}, .finish = finish)

/* ---- who has nothing to do ---- */

static struct call early, late;

static void setup_awake(void)
{
    for (unsigned n = 1; n <= 2; n++)
        task_open(n);
}

static void fork_twice(void)
{
    static const struct weft_fork_how how = {make_call, "call"};
    begin();
    weft_forks *forks = weft_forks_self();
    weft_fork_push(forks, &early.fork, &how);
    if (offers == 0)
        weft_fork_push(forks, &late.fork, &how);
}

static void fall_asleep(void)
{
    wf_idle_sleep(&rt.idle, 1, false);
    wf_forks_want(&task[1]);
}

static void finish_wish(void)
{
    model_check(offers == 1 || wf_shared_load(&wf_forks_of(&task_stack[1])->open.wanted, relaxed));
}

MODEL(fork_wish, .setup = setup_awake, .threads = {fork_twice, fall_asleep}, .finish = finish_wish, .bound = 3)

/* As a thief's last look at the queue has it (Q3); what lay there is no matter here. */

static void setup_queued(void)
{
    setup_awake();
    wf_store(&worker[1].queue.tail, 1, relaxed);
}

static void take_and_fall_asleep(void)
{
    uint32_t head = 0;
    model_check(wf_cas(&worker[1].queue.head, &head, 1u, release));
    fall_asleep();
}

MODEL(fork_wish_of_thief, .setup = setup_queued, .threads = {fork_twice, take_and_fall_asleep}, .finish = finish_wish,
      .bound = 3)
