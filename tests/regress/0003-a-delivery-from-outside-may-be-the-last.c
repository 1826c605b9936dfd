/* A thread that made a task run from outside (by submitting it, by setting what it waited for, or as a thread of the
 * offload pool) woke a worker afterwards. But that task may have been the last one, and the runtime gone by then.
 *
 * The thread has to lose its core between the two steps. So the second one is wrapped (the program is linked with
 * --wrap=wf_driver_wake): on such a thread it waits for the runtime to end, which must not happen, and gives it
 * HOLD_NS to do so. The worker needs no wake, since another task keeps it looking. */
#include "runtime/driver.h"
#include "runtime/platform/atomic.h"
#include "runtime/platform/local.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <weft.h>

static const int64_t HOLD_NS = 50 * WEFT_MSEC;

static struct {
    WF_ATOMIC(bool) armed, held, returned, looking, ended;
    WF_ATOMIC(weft_runtime *) rt;
    weft_future f;
} shared;

void __real_wf_driver_wake(struct wf_driver *d);
void __wrap_wf_driver_wake(struct wf_driver *d);

void __wrap_wf_driver_wake(struct wf_driver *d)
{
    if (wf_load(&shared.armed, acquire) && !wf_worker_self()) {
        weft_time until = weft_after(HOLD_NS);
        while (weft_since(until) < 0 && !wf_load(&shared.returned, acquire))
            sched_yield();
        CHECK(!wf_load(&shared.returned, acquire));
        wf_store(&shared.held, true, release);
    }
    __real_wf_driver_wake(d);
}

/* Keeps its worker looking outside until the last task but this one has come. */
static int look_around(void *arg)
{
    (void)arg;
    wf_store(&shared.looking, true, release);
    while (!wf_load(&shared.ended, acquire))
        CHECK_EQ(weft_yield(), 0);
    return 0;
}

static int end(void *arg)
{
    (void)arg;
    wf_store(&shared.ended, true, release);
    return 0;
}

static void *submit_the_end(void *arg)
{
    CHECK_EQ(weft_submit(arg, end, NULL), 0);
    return NULL;
}

/* There is one worker: once look_around runs, the first task waits. */
static void until_it_waits(void)
{
    while (!wf_load(&shared.looking, acquire))
        sched_yield();
}

static void *set_future(void *arg)
{
    (void)arg;
    until_it_waits();
    CHECK_EQ(weft_future_set(&shared.f, NULL), 0);
    return NULL;
}

static pthread_t thread;

static int with_submit(void *arg)
{
    wf_store(&shared.armed, true, release);
    CHECK_EQ(pthread_create(&thread, NULL, submit_the_end, weft_runtime_self()), 0);
    return look_around(arg);
}

static int with_future(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, look_around, arg);
    wf_store(&shared.armed, true, release);
    CHECK_EQ(pthread_create(&thread, NULL, set_future, NULL), 0);
    CHECK_EQ(weft_future_await(&shared.f, NULL), 0);
    end(NULL);
    return weft_scope_close(&s);
}

static int seven(void *arg)
{
    (void)arg;
    until_it_waits();
    return 7;
}

static int with_offload(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, look_around, arg);
    wf_store(&shared.armed, true, release);
    CHECK_EQ(weft_offload(seven, NULL), 7);
    end(NULL);
    return weft_scope_close(&s);
}

static int with_blocking(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, look_around, arg);
    wf_store(&shared.armed, true, release);
    weft_blocking_begin();
    weft_blocking_end();
    end(NULL);
    return weft_scope_close(&s);
}

static void run(weft_fn fn, bool joins)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, fn, NULL), 0);
    wf_store(&shared.returned, true, release);
    if (joins)
        CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(wf_load(&shared.held, acquire));
}

TEST(regress, runtime_outlives_the_thread_that_submits_its_last_task)
{
    run(with_submit, true);
}

TEST(regress, runtime_outlives_the_thread_that_sets_what_its_last_task_waits_for)
{
    run(with_future, true);
}

TEST(regress, runtime_outlives_the_pool_thread_that_answers_its_last_task)
{
    run(with_offload, false);
}

TEST(regress, runtime_outlives_the_pool_thread_that_returns_its_last_task)
{
    run(with_blocking, false);
}
