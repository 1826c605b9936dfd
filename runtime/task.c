/* task.c - see task.h. Birth, end, await. */
#include "runtime/task.h"

#include "runtime/alloc.h"
#include "runtime/child.h"
#include "runtime/panic.h"
#include "runtime/scope.h"
#include "runtime/worker.h"

#include <string.h>

#define INLINED inline __attribute__((always_inline)) /* a spawn is a few dozen instructions: calls count */

/* ---- who runs here ---- */

weft_runtime *wf_task_runtime(const weft_task *t)
{
    return wf_load(&t->home, relaxed)->rt; /* whichever worker it is: its runtime is the same */
}

WF_UNOBSERVED weft_task *wf_task_self(void)
{
    struct wf_worker *w = wf_worker_self();
    return w ? wf_load(&w->current, relaxed) : wf_local()->guest;
}

weft_task *wf_task_require(const char *function)
{
    return wf_load(&wf_worker_require(function)->current, relaxed);
}

const char *wf_task_name(const weft_task *t)
{
    const char *site = wf_load(&t->site, relaxed);
    return wf_load(&t->named, relaxed) ? t->name : site ? site : "(first task)";
}

const char *wf_task_place(const weft_task *t)
{
    const char *site = wf_load(&t->site, relaxed);
    return site ? site + strlen(site) + 1 : "weft_run";
}

/* The name may be just changing: what is copied is old, new, or some of both, and always ends. That is all that is
 * wanted, and the one race that is meant. */
__attribute__((no_sanitize("thread"))) const char *wf_task_describe(const weft_task *t, char name[WF_TASK_TEXT_MAX])
{
    const volatile char *from = wf_task_name(t);
    size_t max = from == t->name ? WF_TASK_NAME_MAX : WF_TASK_TEXT_MAX, i = 0;
    for (; i < max - 1 && from[i]; i++)
        name[i] = from[i];
    name[i] = 0;
    return wf_task_place(t);
}

/* Only what somebody holds has a handle, and only until its scope closes; then it may be any other task, or none. */
static void require_handle(const weft_task *t, const char *function)
{
    bool valid = t->held && wf_load(&t->state, relaxed) != WF_TASK_FREE;
    WF_REQUIRE(valid, "%s of a task whose scope has closed", function);
}

/* ---- birth ---- */

/* What weft_spawn returns when memory is out: a task that has failed. It belongs to nobody. */
static weft_task no_memory = {.held = true, .result = -ENOMEM, .state = WF_TASK_DONE};

static inline void init(weft_task *t, struct wf_scope *s, weft_fn fn, void *arg, const char *site)
{
    wf_side_clear(t, sizeof *t);
    wf_store(&t->stack, NULL, relaxed);
    t->fn = fn;
    t->arg = arg;
    t->scope = s;
    t->inner = NULL;
    t->held = t->args_on_heap = t->listed = false;
    t->pins = 0;
    t->overruns = 0;
    t->blocking = 0;
    t->result = 0;
    t->saved_errno = 0;
    t->joiners = NULL;
    wf_store(&t->named, false, relaxed);
    wf_store(&t->site, site, relaxed);
    wf_store(&t->awaited, false, relaxed);
    wf_store(&t->stop, 0, relaxed);
}

void wf_task_init(weft_task *t, struct wf_scope *s, weft_fn fn, void *arg, const char *site)
{
    init(t, s, fn, arg, site);
}

static bool copy_args(weft_task *t, const void *args, size_t size)
{
    t->arg = t->args;
    if (size > WF_TASK_INLINE_ARGS) {
        struct { void *at; size_t size; } heap = {wf_alloc(size), size};
        if (!heap.at)
            return false;
        memcpy(t->args, &heap, sizeof heap);
        t->args_on_heap = 1;
        t->arg = heap.at;
    }
    memcpy(t->arg, args, size);
    return true;
}

/* A task of s, with a copy of its arguments if size is not 0; NULL, and the scope has failed. */
static INLINED weft_task *make(struct wf_worker *w, struct wf_scope *s, weft_fn fn, void *arg, size_t size,
                               const char *site)
{
    WF_REQUIRE(s->open, "task started in a scope that is not open");
    void *side = wf_side_take(wf_side_of(&w->base));
    weft_task *t = wf_task_get(&w->rt->tasks, &w->tasks);
    wf_side_take(side);
    if (WF_LIKELY(t)) {
        init(t, s, fn, arg, site);
        wf_store(&t->number, wf_worker_number(w), relaxed);
        if (!size || copy_args(t, arg, size))
            return t;
        wf_task_put(&w->rt->tasks, &w->tasks, t);
    }
    wf_scope_fail(s, -ENOMEM);
    return NULL;
}

static void hold(weft_task *t, struct wf_scope *s)
{
    t->held = true;
    wf_lock(&s->lock);
    t->held_next = s->held;
    s->held = t;
    wf_unlock(&s->lock);
}

static void start(struct wf_worker *w, weft_task *t)
{
    wf_scope_count_start(t->scope, wf_load(&w->current, relaxed));
    wf_worker_spawn(w, t);
}

static INLINED int go(weft_scope *scope, weft_fn fn, void *arg, size_t size, const char *site)
{
    struct wf_worker *w = wf_worker_require("weft_go");
    weft_task *t = make(w, wf_scope_of(scope), fn, arg, size, site);
    if (!t)
        return -ENOMEM;
    start(w, t);
    return 0;
}

static weft_task *spawn(weft_scope *scope, weft_fn fn, void *arg, size_t size, const char *site)
{
    struct wf_worker *w = wf_worker_require("weft_spawn");
    weft_task *t = make(w, wf_scope_of(scope), fn, arg, size, site);
    if (!t)
        return &no_memory;
    hold(t, wf_scope_of(scope));
    start(w, t);
    return t;
}

int weft_go_at(weft_scope *s, weft_fn fn, void *arg, const char *site)
{
    return go(s, fn, arg, 0, site);
}

int weft_go_copy_at(weft_scope *s, weft_fn fn, const void *args, size_t size, const char *site)
{
    return go(s, fn, (void *)(uintptr_t)args, size, site);
}

weft_task *weft_spawn_at(weft_scope *s, weft_fn fn, void *arg, const char *site)
{
    return spawn(s, fn, arg, 0, site);
}

weft_task *weft_spawn_copy_at(weft_scope *s, weft_fn fn, const void *args, size_t size, const char *site)
{
    return spawn(s, fn, (void *)(uintptr_t)args, size, site);
}

weft_task *weft_prepare_at(weft_scope *scope, weft_fn fn, void *arg, const char *site)
{
    struct wf_worker *w = wf_worker_require("weft_prepare");
    weft_task *t = make(w, wf_scope_of(scope), fn, arg, 0, site);
    if (!t)
        return &no_memory;
    wf_store(&t->state, WF_TASK_PREPARED, relaxed);
    hold(t, wf_scope_of(scope));
    return t;
}

/* Two may try to start it (two awaits): one exchange of the state decides. */
static bool start_if_prepared(weft_task *t)
{
    uint8_t prepared = WF_TASK_PREPARED;
    if (wf_load(&t->state, relaxed) != WF_TASK_PREPARED || !wf_cas(&t->state, &prepared, WF_TASK_READY, acq_rel))
        return false;
    start(wf_worker_self(), t);
    return true;
}

void weft_start(weft_task *t)
{
    wf_task_require("weft_start");
    require_handle(t, "weft_start");
    if (t != &no_memory)
        WF_REQUIRE(start_if_prepared(t), "task %s started twice", wf_task_name(t));
}

/* ---- end ---- */

WF_STEP void put(struct wf_task_pool *p, struct wf_task_cache *c, weft_task *t)
{
    if (WF_UNLIKELY(t->args_on_heap)) {
        struct { void *at; size_t size; } heap;
        memcpy(&heap, t->args, sizeof heap);
        wf_free(heap.at, heap.size);
    }
    wf_store(&t->state, WF_TASK_FREE, relaxed);
    t->next = c->head;
    c->head = t;
    if (WF_UNLIKELY(++c->count > WF_TASK_CACHE_MAX))
        wf_task_pool_spill(p, c);
}

WF_UNOBSERVED void wf_task_put(struct wf_task_pool *p, struct wf_task_cache *c, weft_task *t)
{
    put(p, c, t);
}

void wf_task_finish(struct wf_worker *w, weft_task *t, int result, bool has_run)
{
    struct wf_scope *s = t->scope;
    if (t->listed)
        wf_scope_unlist(t);
    if (t->held) {
        wf_lock(&t->lock);
        t->result = result;
        wf_store(&t->state, WF_TASK_DONE, release); /* partner: the loads of wf_task_ready and weft_done */
        weft_waiter *r = t->joiners, *next;
        t->joiners = NULL;
        for (; r; r = next) {
            next = r->next;
            wf_fire(r, result);
        }
        wf_unlock(&t->lock);
        if (WF_UNLIKELY(!has_run))
            wf_scope_fail(s, result); /* only now, so that who awaits t is given its result and not the stop */
    } else {
        if (WF_UNLIKELY(s->is_root))
            wf_runtime_result(w->rt, t, result);
        else if (WF_UNLIKELY(result < 0) && !wf_scope_told(s, result))
            wf_scope_fail(s, result);
        put(&w->rt->tasks, &w->tasks, t);
    }
    wf_worker_be_patient(w, s);
    wf_worker_count_end(w, s);
}

/* ---- await ---- */

/* Under its lock. */
static bool is_done(const weft_task *t)
{
    return wf_load(&t->state, relaxed) == WF_TASK_DONE;
}

bool wf_task_ready(weft_task *t, int *ret)
{
    start_if_prepared(t);
    if (wf_load(&t->state, acquire) != WF_TASK_DONE) /* partner: wf_task_finish's store */
        return false;
    *ret = t->result;
    wf_store(&t->awaited, true, relaxed);
    return true;
}

bool wf_task_enqueue(weft_task *t, weft_waiter *r)
{
    require_handle(t, "waiting for the end"); /* one that has ended answers without coming here */
    wf_lock(&t->lock);
    bool waits = !is_done(t);
    if (waits) {
        r->prev = NULL;
        r->next = t->joiners;
        if (r->next)
            r->next->prev = r;
        t->joiners = r;
    }
    wf_unlock(&t->lock);
    return waits;
}

bool wf_task_dequeue(weft_task *t, weft_waiter *r)
{
    wf_lock(&t->lock);
    bool waits = !is_done(t);
    if (waits) {
        if (r->prev)
            r->prev->next = r->next;
        else
            t->joiners = r->next;
        if (r->next)
            r->next->prev = r->prev;
    }
    wf_unlock(&t->lock);
    return waits;
}

int weft_await(weft_task *t)
{
    weft_task *self = wf_task_require("weft_await");
    WF_REQUIRE(self != t, "a task awaits itself");
    int result;
    if (wf_task_ready(t, &result))
        return result;
    int reason = wf_wait_arm(&self->wait, WF_WAIT_STOPPABLE | WF_WAIT_PARKED);
    if (reason)
        return wf_task_ready(t, &result) ? result : reason;
    weft_waiter me;
    wf_waiter_init(&me, &self->wait, 0);
    if (!wf_task_enqueue(t, &me))
        wf_wait_disarm(&self->wait);
    else if (wf_wait_suspend(&self->wait) == WF_WAIT_STOPPED && wf_task_dequeue(t, &me))
        return wf_wait_why_stopped();
    wf_task_ready(t, &result);
    return result;
}

bool weft_done(const weft_task *t)
{
    require_handle(t, "weft_done");
    return wf_load(&t->state, acquire) == WF_TASK_DONE;
}

void weft_cancel(weft_task *t)
{
    if (t == &no_memory)
        return;
    require_handle(t, "weft_cancel");
    if (wf_worker_is_of(t->scope->opener))
        wf_task_stop(t);
    else
        wf_errand_task(t);
}

/* ---- about oneself ---- */

void weft_set_name(const char *name)
{
    weft_task *t = wf_task_require("weft_set_name");
    strncpy(t->name, name, WF_TASK_NAME_MAX - 1);
    t->name[WF_TASK_NAME_MAX - 1] = 0;
    wf_store(&t->named, true, relaxed);
}

const char *weft_name(void)
{
    return wf_task_name(wf_task_require("weft_name"));
}

unsigned weft_worker(void)
{
    return wf_worker_require("weft_worker")->index;
}

void weft_pin(void)
{
    weft_task *t = wf_task_require("weft_pin");
    t->pins++;
    WF_REQUIRE(t->pins != 0, "a task is pinned 64 deep");
}

void weft_unpin(void)
{
    weft_task *t = wf_task_require("weft_unpin");
    WF_REQUIRE(t->pins != 0, "a task that is not pinned is unpinned");
    t->pins--;
}
