/* spare.c - see spare.h. */
#include "runtime/spare.h"

#include "runtime/crew.h"
#include "runtime/lookout.h"
#include "runtime/panic.h"
#include "runtime/platform/futex.h"

#include <stdio.h>

static const int64_t AGAIN_NS = WEFT_SEC; /* after one could not be made */

enum { SPARES_MIN = 6 }; /* where there are two workers or more, or they would soon stand still themselves */

enum { NOT_YET = 0, HAS_COME = 1 }; /* or a negated errno */

unsigned wf_spares_max(unsigned workers)
{
    unsigned room = WF_TOPOLOGY_WORKERS_MAX - workers;
    unsigned wanted = workers > SPARES_MIN ? workers : SPARES_MIN;
    return workers == 1 ? 0 : wanted < room ? wanted : room;
}

unsigned wf_spares_final(weft_runtime *rt)
{
    wf_lock(&rt->spares.lock); /* who makes one holds it; who comes later sees that all stop */
    unsigned n = wf_load(&rt->present, relaxed);
    wf_unlock(&rt->spares.lock);
    return n;
}

/* ---- making one: on the watchdog's thread, under the lock ---- */

void wf_spare_has_come(struct wf_worker *w, int err)
{
    WF_ATOMIC(uint32_t) *come = &w->rt->spares.come;
    if (!err)
        wf_store(&w->rt->present, w->index + 1, release); /* E1; kept: no model steals */
    wf_store(come, err ? (uint32_t)err : HAS_COME, release); /* partner: await_it's load */
    wf_futex_wake(come, 1);
}

static int await_it(WF_ATOMIC(uint32_t) *come)
{
    uint32_t now;
    while ((now = wf_load(come, acquire)) == NOT_YET)
        wf_futex_wait(come, NOT_YET, INT64_MAX);
    return now == HAS_COME ? 0 : (int)now;
}

static void *thread_main(void *w)
{
    wf_thread_hurry(0); /* as the watchdog is, who has started us; not so our tasks, and threads that they start */
    wf_crew_run_spare(w);
    return NULL;
}

static int start(weft_runtime *rt, struct wf_worker *w)
{
    char name[16];
    snprintf(name, sizeof name, "weft-spare-%u", w->index - rt->worker_count);
    wf_store(&rt->spares.come, NOT_YET, relaxed);
    int err = wf_thread_start(&w->thread, thread_main, w, name);
    if (err)
        return err;
    err = await_it(&rt->spares.come);
    if (err)
        wf_thread_join(&w->thread);
    return err;
}

static void make(weft_runtime *rt, unsigned index, enum wf_duty duty, int64_t now)
{
    struct wf_worker *w = &rt->workers[index];
    int err = wf_crew_init_worker(rt, index, NULL);
    wf_store(&w->duty, duty, relaxed); /* its thread begins after that */
    if (!err)
        err = start(rt, w);
    if (!err)
        return;
    wf_queue_close(&w->queue);
    rt->spares.again_ns = now + AGAIN_NS;
    if (!rt->spares.told)
        wf_warn("all workers stand still, and a spare one cannot be had (%s): their tasks wait", weft_strerror(err));
    rt->spares.told = true;
}

/* ---- calling one ---- */

static struct wf_worker *find_on_standby(weft_runtime *rt)
{
    for (unsigned i = rt->worker_count; i < wf_load(&rt->present, relaxed); i++)
        if (!wf_spare_is_on_duty(&rt->workers[i]))
            return &rt->workers[i];
    return NULL;
}

/* Those that have come may begin things, too. One that leaves at this moment is not kept. */
static void extend(weft_runtime *rt)
{
    for (unsigned i = rt->worker_count; i < wf_load(&rt->present, relaxed); i++) {
        enum wf_duty before = WF_DUTY_GO_ON;
        wf_cas(&rt->workers[i].duty, &before, WF_DUTY_ALL, relaxed);
    }
}

/* Something of w's that a spare would go on with. */
static bool has_waiting(struct wf_worker *w, int64_t now)
{
    return wf_load(&w->queue.slot, relaxed) || wf_queue_any_begun(&w->queue) || wf_inbox_any(&w->inbox) ||
           wf_wheel_next(&w->wheel) <= now || wf_driver_due(w->driver);
}

static bool is_wanted(weft_runtime *rt, enum wf_duty duty, int64_t now)
{
    bool wanted = duty == WF_DUTY_ALL;
    for (unsigned i = 0; !wanted && i < wf_load(&rt->present, relaxed); i++)
        wanted = wf_spare_takes_part(&rt->workers[i]) && has_waiting(&rt->workers[i], now);
    return wanted;
}

static void call_one(weft_runtime *rt, enum wf_duty duty, int64_t now)
{
    struct wf_worker *w = find_on_standby(rt);
    unsigned n = wf_load(&rt->present, relaxed);
    for (unsigned i = 0; i < rt->worker_count; i++)
        wf_store(&rt->workers[i].stood_seq, wf_load(&rt->workers[i].run_seq, relaxed), relaxed);
    if (duty == WF_DUTY_ALL)
        extend(rt);
    if (w) {
        WF_COUNT(rt->spares.calls);
        wf_store(&w->duty, duty, relaxed);
        wf_driver_wake(w->driver);
    } else if (n < rt->worker_count + wf_spares_max(rt->worker_count) && now >= rt->spares.again_ns) {
        WF_COUNT(rt->spares.calls);
        make(rt, n, duty, now);
    }
}

/* Under the lock: all have come, and none leaves before it is let go. */
static bool are_all_here(weft_runtime *rt)
{
    return wf_load(&rt->started, acquire) >= rt->worker_count /* kept: for their drivers */ &&
           !wf_load(&rt->stopping, relaxed);
}

bool wf_spares_call(weft_runtime *rt, enum wf_duty duty, int64_t now)
{
    wf_lock(&rt->spares.lock);
    bool wanted = are_all_here(rt) && is_wanted(rt, duty, now);
    if (wanted)
        call_one(rt, duty, now);
    wf_unlock(&rt->spares.lock);
    return wanted;
}

void wf_spares_wake_idle(weft_runtime *rt, struct wf_worker *near)
{
    wf_lock(&rt->spares.lock);
    if (are_all_here(rt))
        wf_worker_wake_one(near);
    wf_unlock(&rt->spares.lock);
}

/* ---- by a spare ---- */

static bool is_back(struct wf_worker *v)
{
    return !wf_load(&v->current, relaxed) || wf_load(&v->run_seq, relaxed) != wf_load(&v->stood_seq, relaxed);
}

/* One that does not stand still any more. NULL: all do. */
static struct wf_worker *find_one_back(weft_runtime *rt)
{
    for (unsigned i = 0; i < rt->worker_count; i++)
        if (is_back(&rt->workers[i]))
            return &rt->workers[i];
    return NULL;
}

static void look_for_relief(struct wf_worker *w)
{
    if (!wf_spare_is_on_duty(w) || !find_one_back(w->rt))
        return;
    wf_store(&w->duty, WF_DUTY_NONE, relaxed); /* called again at this moment: the watchdog will look again */
    wf_lookout_resign(w);
    wf_worker_wake_one(w); /* somebody else is to look out */
}

weft_task *wf_spare_look(struct wf_worker *w, weft_task *t)
{
    look_for_relief(w);
    if (!t || wf_spare_is_on_duty(w))
        return t;
    struct wf_worker *v = wf_worker_is_pinned(t) ? NULL : find_one_back(w->rt);
    if (v) {
        wf_worker_deliver(v, t);
        return NULL;
    }
    w->tick -= w->tick % WF_TICK_OUTSIDE; /* what t makes run comes by here, too */
    return t;
}
