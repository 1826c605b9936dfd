/* A stop ended a task's wait; before the task ran again, the opener of its scope shielded the scope, which then said
 * nothing of a stop any more. A wait in a queue ended the process by a check; others returned 0, as if they had got
 * what they waited for. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <weft.h>

struct waits {
    weft_sem sem;
    weft_chan *chan;
    WF_ATOMIC(int) begun, ended; /* tasks count, and a worker that they share orders nothing */
};

static int wait_in_a_queue(void *arg)
{
    struct waits *w = arg;
    wf_add(&w->begun, 1, relaxed);
    CHECK_EQ(weft_sem_acquire(&w->sem, 1), -ECANCELED);
    wf_add(&w->ended, 1, relaxed);
    return 0;
}

static int wait_in_a_select(void *arg)
{
    struct waits *w = arg;
    int item;
    wf_add(&w->begun, 1, relaxed);
    weft_case cases[] = {weft_on_recv(w->chan, &item), weft_on_time(weft_after(60 * WEFT_SEC))};
    CHECK_EQ(weft_select(cases, 2), -ECANCELED);
    wf_add(&w->ended, 1, relaxed);
    return 0;
}

static int wait_for_the_clock(void *arg)
{
    struct waits *w = arg;
    wf_add(&w->begun, 1, relaxed);
    CHECK_EQ(weft_sleep(60 * WEFT_SEC), -ECANCELED);
    wf_add(&w->ended, 1, relaxed);
    return 0;
}

static int shield_after_a_stop(void *arg)
{
    struct waits *w = arg;
    w->chan = weft_chan_new(0, sizeof(int));
    CHECK(w->chan != NULL);
    WEFT_SCOPE(outer);
    WEFT_SCOPE(inner);
    weft_go(&inner, wait_in_a_queue, w);
    weft_go(&inner, wait_in_a_select, w);
    weft_go(&inner, wait_for_the_clock, w);
    while (wf_load(&w->begun, relaxed) < 3)
        CHECK_EQ(weft_yield(), 0);
    weft_scope_cancel(&outer);
    weft_scope_shield(&inner); /* before any of the three has run again: there is one worker */
    CHECK_EQ(weft_scope_close(&inner), 0);
    CHECK_EQ(wf_load(&w->ended, relaxed), 3);
    weft_scope_close(&outer);
    weft_chan_free(w->chan);
    return 0;
}

TEST(regress, a_shield_does_not_undo_the_end_of_a_wait)
{
    struct waits w = {.chan = NULL};
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, shield_after_a_stop, &w), 0);
    CHECK_EQ(wf_load(&w.ended, relaxed), 3);
}
