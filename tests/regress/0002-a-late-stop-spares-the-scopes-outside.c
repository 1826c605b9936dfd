/* A stop that passed through a scope while its opener was closing it did not find that scope in the opener's
 * chain any more, walked the chain to its end, and stopped every scope outside. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <weft.h>

enum { ROUNDS = 5000 };

static struct {
    WF_ATOMIC(weft_scope *) victim;
    WF_ATOMIC(bool) over;
} shared;

static void *cancel_each(void *arg)
{
    (void)arg;
    while (!wf_load(&shared.over, acquire)) {
        weft_scope *s = wf_load(&shared.victim, acquire);
        if (!s) {
            sched_yield();
            continue;
        }
        weft_scope_cancel(s);
        wf_store(&shared.victim, NULL, release);
    }
    return NULL;
}

static void hand_over(weft_scope *s)
{
    wf_store(&shared.victim, s, release);
    while (wf_load(&shared.victim, acquire))
        sched_yield();
}

/* Two of these keep the other worker from looking outside its queue most of the time. */
static int be_busy(void *arg)
{
    (void)arg;
    while (!wf_load(&shared.over, acquire))
        CHECK_EQ(weft_yield(), 0);
    return 0;
}

static int close_while_a_thread_cancels(void *arg)
{
    (void)arg;
    pthread_t id;
    WEFT_SCOPE(busy);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_go(&busy, be_busy, NULL), 0);
    CHECK_EQ(pthread_create(&id, NULL, cancel_each, NULL), 0);
    for (int i = 0; i < TEST_TIMES(ROUNDS); i++) {
        WEFT_SCOPE(outer);
        WEFT_SCOPE(inner);
        hand_over(&inner);
        CHECK_EQ(weft_scope_close(&inner), 0);
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(weft_scope_close(&outer), 0);
    }
    wf_store(&shared.over, true, release);
    CHECK_EQ(pthread_join(id, NULL), 0);
    return weft_scope_close(&busy);
}

TEST_WITHIN(regress, scopes_outside_of_a_closing_one_are_not_stopped_with_it, 60)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, close_while_a_thread_cancels, NULL), 0);
}

/* The same between two workers: `middle` is stopped by its own task while `inner` is closed. */
static int cancel_middle(void *scope)
{
    weft_scope_cancel(scope);
    wf_store(&shared.over, true, release);
    return 0;
}

static int close_while_a_task_cancels(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(ROUNDS); i++) {
        WEFT_SCOPE(outer);
        WEFT_SCOPE(middle);
        wf_store(&shared.over, false, relaxed);
        CHECK_EQ(weft_go(&middle, cancel_middle, &middle), 0);
        while (!wf_load(&shared.over, acquire)) {
            WEFT_SCOPE(inner);
            int closed = weft_scope_close(&inner);
            CHECK(closed == 0 || closed == -ECANCELED);
        }
        CHECK_EQ(weft_scope_close(&middle), 0);
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(weft_scope_close(&outer), 0);
    }
    return 0;
}

TEST_WITHIN(regress, scopes_outside_of_a_stopped_one_are_not_stopped_while_an_inner_one_closes, 60)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 3}, close_while_a_task_cancels, NULL), 0);
}
