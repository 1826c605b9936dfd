/* spills.c - see spills.h. */
#include "runtime/spills.h"

#include "runtime/alloc.h"
#include "runtime/fork.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/run.h"
#include "runtime/worker.h"

#include <string.h>

enum { SLICE_TASKS = 64 }; /* looked at in one go; 200 us if all of them are spilled */

/* ---- one stack ---- */

/* Sanitizers keep their marks for those addresses, and must not see what is no use of the variables there. */
#if defined(WF_ASAN) || defined(WF_TSAN)
#define UNSEEN __attribute__((no_sanitize("address", "thread")))
WF_UNOBSERVED UNSEEN static void copy(void *to, const void *from, size_t size)
{
    volatile uint64_t *t = to;
    const volatile uint64_t *f = from;
    for (size_t i = 0; i < size / sizeof *t; i++)
        t[i] = f[i];
}
#else
#define copy memcpy
#endif

int wf_spills_marker(void *record)
{
    (void)record;
    WF_CHECK(!"a spilled task was taken for a fresh one");
    return 0;
}

/* All of it that is in use: from below the stack pointer to the descriptor's end. NULL: no memory. */
WF_UNOBSERVED static struct wf_spilled *save(struct wf_stack *s)
{
    char *from = (char *)s->context.sp - WF_CONTEXT_SAVED;
    size_t size = (size_t)((char *)(s + 1) - from);
    struct wf_spilled *record = wf_alloc(sizeof *record + size);
    if (record) {
        record->stack = s;
        record->from = from;
        record->size = size;
        copy(record->bytes, from, size);
    }
    return record;
}

static void discard(struct wf_spilled *record)
{
    wf_free(record, sizeof *record + record->size);
}

WF_UNOBSERVED static void bring_back(struct wf_worker *w, const struct wf_spilled *record)
{
    bool is_back = wf_stack_take_back(&w->rt->stacks, record->stack);
    WF_CHECK(is_back);
    copy(record->from, record->bytes, record->size);
}

/* The task is ours. Whatever fails, it is as it was. */
WF_UNOBSERVED static void put_aside(struct wf_worker *w, weft_task *t)
{
    struct wf_spills *spills = &w->rt->spills;
    struct wf_stack *s = wf_load(&t->stack, relaxed);
    wf_lock(&spills->lock);
    struct wf_spilled *record = save(s);
    bool given = record && wf_stack_give_up(&w->rt->stacks, s);
    if (given) {
        wf_store(&t->stack, NULL, relaxed);
        t->fn = wf_spills_marker;
        t->arg = record;
        wf_side_give(record);
        WF_COUNT(w->spills);
    } else if (record) {
        bring_back(w, record);
        discard(record);
    }
    wf_unlock(&spills->lock);
}

WF_UNOBSERVED void wf_spills_restore(weft_task *t)
{
    struct wf_worker *w = wf_worker_self();
    struct wf_spilled *record = t->arg;
    wf_side_get(record);
    bring_back(w, record);
    t->fn = NULL; /* it has been called */
    wf_store(&t->stack, record->stack, release); /* U7 */
    discard(record);
    WF_COUNT(w->restores);
}

/* Before a wait is armed: by t, which alone changes what is asked here. */
unsigned wf_spills_kind(weft_task *t, const void *one, const void *other)
{
    struct wf_worker *w = wf_load(&t->home, relaxed);
    struct wf_stack *s = wf_load(&t->stack, relaxed);
    if (t->inner || wf_forks_any(wf_forks_of(s)))
        return 0;
    bool inside = wf_stack_has(&w->rt->stacks, s, (uintptr_t)one) || wf_stack_has(&w->rt->stacks, s, (uintptr_t)other);
    return inside ? 0 : WF_WAIT_SPILLABLE;
}

/* ---- a sweep ---- */

static void on_time(struct wf_timer *timer)
{
    struct wf_spills *spills = timer->ctx;
    wf_store(&spills->due, true, release); /* U5 */
}

static void arm(struct wf_worker *w)
{
    struct wf_spills *spills = &w->rt->spills;
    int64_t at;
    if (__builtin_add_overflow(wf_clock_now(), spills->after_ns, &at))
        at = INT64_MAX;
    wf_timer_arm(&w->wheel, &spills->timer, at);
}

WF_UNOBSERVED static void look_at(weft_task *t, void *ctx)
{
    struct wf_worker *w = ctx;
    const uint64_t looked_for = WF_WAIT_ARMED | WF_WAIT_PARKED | WF_WAIT_SPILLABLE;
    uint64_t word = wf_load(&t->wait.word, relaxed);
    if ((word & (WF_WAIT_STATE | WF_WAIT_PARKED | WF_WAIT_SPILLABLE | WF_WAIT_CANCELLING)) != looked_for)
        return;
    if (!(word & WF_WAIT_SEEN)) {
        w->rt->spills.marked += wf_wait_mark_seen(&t->wait, word);
    } else if (wf_wait_unpark(&t->wait, word)) {
        put_aside(w, t);
        if (!wf_wait_park(&t->wait))
            wf_worker_ready(t); /* fired while it was ours */
    }
}

static void begin(struct wf_worker *w, struct wf_spills *spills)
{
    wf_swap(&spills->stirred, false, acquire); /* U2 */
    wf_task_pool_first(&w->rt->tasks, &spills->at);
    spills->begun = true;
    spills->marked = 0;
}

/* When is the next one? */
static void end(struct wf_worker *w, struct wf_spills *spills)
{
    spills->begun = false;
    wf_store(&spills->due, false, relaxed); /* nobody else does, under this lock; until the timer fires again */
    bool again = spills->marked || wf_load(&spills->stirred, relaxed);
    if (!again) {
        wf_store(&spills->resting, true, release); /* U8 */
        wf_fence(); /* U4 */
        again = wf_load(&spills->stirred, relaxed) && wf_swap(&spills->resting, false, relaxed); /* our own */
    }
    if (again)
        arm(w);
}

/* Tasks have run here, and those that wait now may be worth a sweep. */
static void stir(struct wf_worker *w, struct wf_spills *spills)
{
    uint64_t seq = wf_load(&w->run_seq, relaxed);
    if (seq == w->looked_seq)
        return;
    w->looked_seq = seq;
    wf_swap(&spills->stirred, true, release); /* U1 */
    wf_fence();                               /* U3 */
    if (wf_load(&spills->resting, relaxed) && wf_swap(&spills->resting, false, acquire)) /* U8 */
        arm(w);
}

void wf_spills_look(struct wf_worker *w)
{
    struct wf_spills *spills = &w->rt->spills;
    stir(w, spills);
    w->sweeping = false;
    if (!wf_load(&spills->due, acquire) || !wf_trylock(&spills->sweeping)) /* U6 */
        return;
    if (wf_load(&spills->due, relaxed)) {
        if (!spills->begun)
            begin(w, spills);
        w->sweeping = wf_task_pool_next(&spills->at, SLICE_TASKS, look_at, w);
        if (!w->sweeping)
            end(w, spills);
    }
    wf_unlock(&spills->sweeping);
}

/* ---- what is not allowed ---- */

struct stray {
    uintptr_t addr;
    bool found;
};

/* In a signal handler; t may be anything by now. */
__attribute__((no_sanitize("thread"))) static void match(weft_task *t, void *ctx)
{
    struct stray *stray = ctx;
    const struct wf_spilled *record = t->arg;
    if (stray->found || t->fn != wf_spills_marker ||
        !wf_stack_has(&wf_task_runtime(t)->stacks, record->stack, stray->addr))
        return;
    char name[WF_TASK_TEXT_MAX], own[WF_TASK_TEXT_MAX];
    const char *place = wf_task_describe(t, name);
    const weft_task *self = wf_task_self();
    stray->found = true;
    if (self) {
        const char *own_place = wf_task_describe(self, own);
        wf_warn("stray access to the stack of task %s (spawned at %s), which is spilled, in task %s (spawned at %s)",
                name, place, own, own_place);
    } else {
        wf_warn("stray access to the stack of task %s (spawned at %s), which is spilled, outside a task", name, place);
    }
}

static void match_in(weft_runtime *rt, void *ctx)
{
    wf_task_pool_each(&rt->tasks, match, ctx);
}

/* The locks on the way are held by nobody who touches a stack, so not by the thread that is interrupted here. */
static bool report(const void *addr)
{
    struct stray stray = {.addr = (uintptr_t)addr};
    wf_runtime_each(match_in, &stray);
    return stray.found;
}

void wf_spills_open(weft_runtime *rt)
{
    struct wf_spills *spills = &rt->spills;
    if (!rt->config.spill_ns)
        return;
    if (!rt->stacks.guard_by_madvise) {
        wf_warn("spill_ns is set, but stacks cannot be spilled here: that needs MADV_GUARD_INSTALL (Linux 6.13)");
        return;
    }
    spills->on = true;
    spills->after_ns = rt->config.spill_ns;
    spills->timer.fire = on_time;
    spills->timer.ctx = spills;
    wf_store(&spills->resting, true, relaxed);
    wf_stack_guard_stray(report);
}
