/* task.c - misuse of tasks: handles that are not good any more, starting, pinning, awaiting. */
#include "runtime/platform/atomic.h"
#include "tests/death/dies.h"

/* ---- A handle is good until its scope closes ---- */

/* Its scope is closed, and its memory is nobody's. */
static weft_task *stale_task(void)
{
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, do_nothing, NULL);
    weft_scope_close(&s);
    return t;
}

/* The same, and its memory is another task's now: the cache gives back first what it was given last. */
static weft_task *reused_task(weft_scope *s)
{
    weft_task *t = stale_task();
    weft_go(s, do_nothing, NULL);
    return t;
}

static int await_stale(void *arg)
{
    (void)arg;
    return weft_await(stale_task());
}

static int start_stale(void *arg)
{
    (void)arg;
    weft_start(stale_task());
    return 0;
}

static int cancel_stale(void *arg)
{
    (void)arg;
    weft_cancel(stale_task());
    return 0;
}

static int ask_stale(void *arg)
{
    (void)arg;
    while (!weft_done(stale_task()))
        weft_yield();
    return 0;
}

static int select_stale(void *arg)
{
    (void)arg;
    weft_case on[] = {weft_on_task(stale_task())};
    return weft_select(on, 1);
}

static int await_reused(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    return weft_await(reused_task(&s));
}

static int cancel_reused(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_cancel(reused_task(&s));
    return weft_scope_close(&s);
}

#define STALE "of a task whose scope has closed"

DIES(task, awaited_after_its_scope, await_stale, "waiting for the end " STALE)
DIES(task, started_after_its_scope, start_stale, "weft_start " STALE)
DIES(task, cancelled_after_its_scope, cancel_stale, "weft_cancel " STALE)
DIES(task, asked_after_its_scope, ask_stale, "weft_done " STALE)
DIES(task, selected_after_its_scope, select_stale, "waiting for the end " STALE)
DIES(task, awaited_though_it_is_another_by_now, await_reused, "waiting for the end " STALE)
DIES(task, cancelled_though_it_is_another_by_now, cancel_reused, "weft_cancel " STALE)

/* ---- Starting and awaiting ---- */

static int start_twice(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, do_nothing, NULL);
    weft_start(t);
    weft_start(t);
    return weft_scope_close(&s);
}

static int start_finished(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, do_nothing, NULL);
    weft_await(t);
    weft_start(t);
    return weft_scope_close(&s);
}

static int start_spawned(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_start(weft_spawn(&s, do_nothing, NULL));
    return weft_scope_close(&s);
}

DIES(task, started_twice, start_twice, "task do_nothing started twice")
DIES(task, started_after_its_end, start_finished, "task do_nothing started twice")
DIES(task, started_though_it_was_spawned, start_spawned, "task do_nothing started twice")

static int await_itself(void *arg)
{
    WF_ATOMIC(weft_task *) *self = arg;
    while (!wf_load(self, acquire))
        weft_yield();
    return weft_await(wf_load(self, acquire));
}

static int spawn_one_that_awaits_itself(void *arg)
{
    WF_ATOMIC(weft_task *) t = NULL;
    (void)arg;
    WEFT_SCOPE(s);
    wf_store(&t, weft_spawn(&s, await_itself, &t), release);
    return weft_scope_close(&s);
}

TEST_DIES(task, awaits_itself, "a task awaits itself", "in task await_itself (spawned at", "death/task.c:")
{
    weft_run(&(weft_config){.workers = 1}, spawn_one_that_awaits_itself, NULL);
}

/* ---- Pins ---- */

static int unpin_unpinned(void *arg)
{
    (void)arg;
    weft_unpin();
    return 0;
}

static int return_pinned(void *arg)
{
    (void)arg;
    weft_pin();
    return 0;
}

static int pin_too_deep(void *arg)
{
    (void)arg;
    for (int i = 0; i < 64; i++)
        weft_pin();
    return 0;
}

DIES(task, unpinned_without_a_pin, unpin_unpinned, "not pinned is unpinned")
DIES(task, returned_pinned, return_pinned, "a task returned pinned")
DIES(task, pinned_too_deep, pin_too_deep, "pinned 64 deep")

/* ---- Names ---- */

static int misbehave_by_name(void *arg)
{
    weft_set_name("the third of three bears");
    return unpin_unpinned(arg);
}

static int spawn_one_with_a_name(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, misbehave_by_name, arg);
    return weft_scope_close(&s);
}

TEST_DIES(task, is_blamed_by_its_own_name, "in task the third of three bears (spawned at", "death/task.c:")
{
    weft_run(&(weft_config){.workers = 1}, spawn_one_with_a_name, NULL);
}

TEST_DIES(task, that_is_the_first_is_blamed_too, "in task (first task) (spawned at weft_run)")
{
    weft_run(&(weft_config){.workers = 1}, unpin_unpinned, NULL);
}
