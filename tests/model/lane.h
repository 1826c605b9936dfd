/* lane.h - for models of lanes: runtime/lane.c, lane_thread.c and offload.c with the threads they start.
 *
 * Stand-ins: what tests/model/tasks.h says; and a guest, a task that goes on on a thread of the lane, stays on its own
 * thread of the model, while the lane's waits for it. The system may refuse a thread, where a model says how often:
 * what a retired thread left undone would otherwise be made good by the next one, and nobody would notice. */
#ifndef MODEL_LANE_H
#define MODEL_LANE_H

#include "tests/model/tasks.h"

#include "runtime/platform/thread.h"

#define wf_context_switch switch_to_guest /* in this file alone */
#define wf_context_adopt_thread(c) ((void)(c))
#define wf_context_finish(c) ((void)(c))
#define wf_thread_start start_or_refuse
static void switch_to_guest(struct wf_context *from, struct wf_context *to);
static int start_or_refuse(struct wf_thread *t, void *(*fn)(void *), void *arg, const char *name);
#include "runtime/lane.c"
#include "runtime/lane_thread.c"
#include "runtime/offload.c"
#undef wf_thread_start

static weft_runtime rt;
static weft_lane *const lane = &rt.lanes.blocking;
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

/* Nobody forks here. */
void wf_forks_offer_all(weft_task *t, struct wf_forks *f)
{
    model_fail("task %p has forked something into %p", (void *)t, (void *)f);
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
    wf_lane_host(lane, t);
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

static void setup_with(unsigned threads_max, unsigned queue_max, int n)
{
    static const struct wf_affinity anywhere;
    wf_lane_open(lane, &(struct wf_lane_plan){.name = "it", .threads_max = threads_max, .queue_max = queue_max,
                                              .affinity = &anywhere, .awake = &rt.lanes.awake});
    lane->rt = &rt;
    wf_store(&users, n, relaxed);
    for (unsigned i = 1; i <= 3; i++) {
        task_open(i);
        worker[i].rt = &rt;
        wf_store(&task[i].home, &worker[i], relaxed);
    }
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
    wf_lane_close(lane);
    model_check(!lane->first && !lane->idle && !lane->threads && !lane->expected && !lane->running && !lane->users);
    model_gone(lane, sizeof *lane);
}

#endif
