/* offload.c - plain threads for code that blocks (runtime/offload.c): submit, withdraw, retire, close.
 *
 * Real: runtime/offload.c with the threads it starts, waits and stops. Stand-ins: what tests/model/tasks.h says; and a
 * guest, a task that goes on on a thread of the pool, stays on its own thread of the model, while the pool's waits for
 * it.
 *
 * The system may refuse a thread, where a model says how often: what a retired thread left undone would otherwise be
 * made good by the next one, and nobody would notice. In some, threads look on before they sleep; that the workers do
 * too is seen in no model, as it changes nothing but when they sleep.
 *
 * What must hold: each call runs once, and its caller sees what it did; one that was withdrawn never runs; no job is
 * left with nobody to take it, though threads retire just then (a timed sleep may end at any moment); a guest that was
 * told there is a thread finds one; every thread is joined, its memory given back, and none touches the pool after
 * close, nor a job after its caller has gone on.
 *
 *   with: WF_SPIN_LOOKS=2 */
#include "tests/model/tasks.h"

#include "runtime/platform/thread.h"

#define wf_context_switch switch_to_guest /* in this file alone */
#define wf_context_adopt_thread(c) ((void)(c))
#define wf_context_finish(c) ((void)(c))
#define wf_thread_start start_or_refuse
static void switch_to_guest(struct wf_context *from, struct wf_context *to);
static int start_or_refuse(struct wf_thread *t, void *(*fn)(void *), void *arg, const char *name);
#include "runtime/offload.c"
#undef wf_thread_start

static weft_runtime rt;
static struct wf_worker worker[MODEL_THREADS_MAX]; /* of each task, on its thread of the model */
static struct wf_stack stack[MODEL_THREADS_MAX];
static WF_ATOMIC(int) users; /* the last one closes */
static int ran[MODEL_THREADS_MAX], result[MODEL_THREADS_MAX]; /* plain */

weft_task *wf_task_require(const char *function)
{
    model_check(wf_task_self() && function);
    return wf_task_self();
}

int wf_stack_guard_enter(void **altstack)
{
    *altstack = NULL;
    return 0;
}

void wf_stack_guard_leave(void *altstack)
{
    model_check(!altstack);
}

/* ---- threads that are refused ---- */

static int refusals; /* how many there may be yet; under the pool's lock */

static int start_or_refuse(struct wf_thread *t, void *(*fn)(void *), void *arg, const char *name)
{
    if (refusals && model_choose(2)) {
        refusals--;
        return -EAGAIN;
    }
    return wf_thread_start(t, fn, arg, name);
}

/* ---- guests ---- */

enum { AWAY, INVITED, LEFT };
static WF_ATOMIC(uint32_t) guest[MODEL_THREADS_MAX]; /* AWAY, INVITED by a thread of the pool, LEFT it */

MODEL_PLAIN static bool is_invited(void *word)
{
    return *(uint32_t *)word == INVITED;
}

MODEL_PLAIN static bool has_left(void *word)
{
    return *(uint32_t *)word == LEFT;
}

/* The thread's side: let the guest run until it leaves. */
static void switch_to_guest(struct wf_context *from, struct wf_context *to)
{
    struct wf_stack *s = (struct wf_stack *)((char *)to - offsetof(struct wf_stack, context));
    WF_ATOMIC(uint32_t) *word = &guest[s - stack];
    model_check(from == wf_load(&task[s - stack].pool.host, relaxed));
    uint32_t before = wf_swap(word, INVITED, acq_rel);
    model_check(before == AWAY);
    model_block(has_left, word, INT64_MAX, "its guest");
    before = wf_swap(word, AWAY, acq_rel);
    model_check(before == LEFT);
}

/* The task's side: it has left its stack, then goes on. */
void wf_worker_leave_for_pool(weft_task *t)
{
    unsigned n = model_self();
    wf_store(&t->stack, &stack[n], relaxed);
    wf_local()->worker = NULL;
    wf_offload_task(&rt.offload, t);
    model_block(is_invited, &guest[n], INT64_MAX, "a thread of the pool");
    uint32_t is = wf_or(&guest[n], 0, acquire);
    model_check(is == INVITED);
}

void wf_worker_return_from_pool(weft_task *t)
{
    unsigned n = model_self();
    t->saved_errno = (int)n;
    wf_store(&guest[n], LEFT, release);
    model_block(is_runnable, &runnable[n], INT64_MAX, "being delivered");
    uint32_t is = wf_swap(&runnable[n], 0, acquire);
    model_check(is == 1);
    wf_local()->worker = &worker[n];
}

void wf_worker_deliver(struct wf_worker *w, weft_task *t)
{
    model_check(w->rt == &rt);
    wf_worker_ready(t);
}

/* ---- tasks ---- */

static void setup_with(unsigned threads_max, int n)
{
    wf_offload_open(&rt.offload, threads_max);
    wf_store(&users, n, relaxed);
    for (unsigned i = 1; i <= 2; i++) {
        task_open(i);
        worker[i].rt = &rt;
        wf_store(&task[i].home, &worker[i], relaxed);
    }
}

static void setup_one(void)
{
    setup_with(1, 1);
}

static void setup_two(void)
{
    setup_with(1, 2);
}

/* There is a CPU for everybody, so threads look on for a moment before they sleep. */
static void setup_looking(void)
{
    setup_one();
    wf_offload_allow_spin(&rt.offload, &rt.idle, MODEL_THREADS_MAX);
}

static void setup_two_looking(void)
{
    setup_two();
    wf_offload_allow_spin(&rt.offload, &rt.idle, MODEL_THREADS_MAX);
}

static void begin(void)
{
    task_begin();
    wf_local()->worker = &worker[model_self()];
}

static void leave(void)
{
    if (wf_sub(&users, 1, acq_rel) != 1)
        return;
    wf_offload_close(&rt.offload);
    model_check(!rt.offload.first && !rt.offload.idle && !rt.offload.threads && !rt.offload.expected);
    model_gone(&rt.offload, sizeof rt.offload);
}

static int job(void *arg)
{
    int *n = arg;
    ran[*n < 0 ? -*n : *n]++;
    *n = -*n; /* in the caller's frame */
    return 5;
}

static int call(void)
{
    int n = (int)model_self();
    int before = ran[n], got = weft_offload(job, &n);
    if (got == 5)
        model_check(n == -(int)model_self() && ran[-n] == before + 1);
    else
        model_check((got == -ECANCELED || got == -EAGAIN) && n > 0 && ran[n] == before);
    model_gone(&n, sizeof n);
    return got;
}

static void call_once(void)
{
    begin();
    int got = call();
    model_check(got == 5);
    leave();
}

static void call_twice(void)
{
    begin();
    int got = call();
    model_check(got == 5);
    got = call();
    model_check(got == 5);
    leave();
}

static void call_or_be_refused(void)
{
    begin();
    int got = call(), again = call();
    model_check(got == 5 || got == -EAGAIN);
    model_check(again == 5 || again == -EAGAIN);
    model_check(got == 5 || again == 5); /* one refusal, one failure */
    leave();
}

static void setup_refused(void)
{
    setup_with(1, 1);
    refusals = 1;
}

static void finish(void)
{
    tasks_check();
}

/* The thread may retire between the two calls, during the second one, or while the pool is closed. */
MODEL(offload_retire, .setup = setup_one, .threads = {call_twice}, .finish = finish, .early = 1,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(offload_two_calls, .setup = setup_two, .threads = {call_once, call_once}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
/* The second call may meet a thread that looks, one that is just falling asleep, or one that sleeps. */
MODEL(offload_looks, .setup = setup_looking, .threads = {call_twice}, .finish = finish, .early = 1,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(offload_two_look, .setup = setup_two_looking, .threads = {call_once, call_once}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
/* A thread is refused at first, or in place of one that has retired; never in place of one that has not. */
MODEL(offload_refused, .setup = setup_refused, .threads = {call_or_be_refused}, .finish = finish, .early = 1,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- withdrawn, or run and waited for ---- */

/* The caller goes on to other things, where its job's record has been. */
static __attribute__((noinline)) void use_the_stack(void)
{
    volatile char other[1024];
    for (unsigned i = 0; i < sizeof other; i += sizeof(void *))
        other[i] = 1;
}

static void call_or_stop(void)
{
    begin();
    result[1] = call();
    use_the_stack();
    leave();
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

static void finish_stop(void)
{
    tasks_check();
    model_check(ran[1] == (result[1] == 5));
}

MODEL(offload_stop, .setup = setup_one, .threads = {call_or_stop, stop}, .finish = finish_stop, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
/* The pool's thread, when there is one, has something to do first, for somebody who waits no more. */
static int others = -3;
static struct wf_offload_job first = {.fn = job, .arg = &others};

static void call_behind_it(void)
{
    begin();
    wf_waiter_init(&first.waiter, &task[2].wait, 0);
    wf_lock(&rt.offload.lock);
    enqueue(&rt.offload, &first);
    wf_unlock(&rt.offload.lock);
    result[1] = call();
    wf_lock(&rt.offload.lock);
    if (first.link) { /* no thread has come to it yet, and perhaps there is none */
        take(&rt.offload, &first);
        first.done = job(&others);
    }
    wf_unlock(&rt.offload.lock);
    leave();
}

static void finish_withdraw(void)
{
    finish_stop();
    model_check(others == 3 && first.done);
}

MODEL(offload_withdraw, .setup = setup_one, .threads = {call_behind_it, stop}, .finish = finish_withdraw, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- a guest ---- */

static void be_guest(void)
{
    begin();
    int before = refusals;
    weft_blocking_begin();
    model_check(!wf_worker_self() == (refusals == before)); /* refused: it blocks its own worker */
    ran[1]++;
    weft_blocking_end();
    model_check(wf_worker_self());
    leave();
}

/* There is a thread with nothing to do, thread 1. If it retires once the guest has been told of it, it was the last. */
static void setup_idle(void)
{
    setup_one();
    wf_lock(&rt.offload.lock);
    start_thread(&rt.offload);
    wf_unlock(&rt.offload.lock);
    refusals = 1;
}

MODEL(offload_guest, .setup = setup_two, .threads = {be_guest, call_once}, .finish = finish, .early = -1,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(offload_guest_of_retiring, .setup = setup_idle, .threads = {be_guest}, .finish = finish, .early = 1)
