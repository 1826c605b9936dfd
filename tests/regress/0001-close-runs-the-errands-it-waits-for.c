/* A plain thread's weft_scope_cancel() leaves a note for a worker. The scope's close waited for that note to be
 * worked off while it kept the only worker that could do so. */
#include "tests/test.h"

#include <pthread.h>
#include <weft.h>

static void *cancel_scope(void *scope)
{
    weft_scope_cancel(scope);
    return NULL;
}

static void *cancel_task(void *task)
{
    weft_cancel(task);
    return NULL;
}

static void on_a_thread(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    CHECK_EQ(pthread_create(&id, NULL, fn, arg), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int close_a_cancelled_scope(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    on_a_thread(cancel_scope, &s);
    return weft_scope_close(&s);
}

static int close_with_a_cancelled_task(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, nothing, NULL);
    CHECK_EQ(weft_await(t), 0);
    on_a_thread(cancel_task, t);
    return weft_scope_close(&s);
}

TEST_WITHIN(regress, close_on_the_only_worker_ends_after_a_thread_cancelled_the_scope, 5)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, close_a_cancelled_scope, NULL), 0);
}

TEST_WITHIN(regress, close_on_the_only_worker_ends_after_a_thread_cancelled_a_task, 5)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, close_with_a_cancelled_task, NULL), 0);
}
