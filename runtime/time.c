/* time.c - the clock for users, and sleeping. */
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/task.h"
#include "runtime/timer.h"

#include <weft/time.h>

weft_time weft_now(void)
{
    return (weft_time){wf_clock_now()};
}

weft_time weft_after(int64_t ns)
{
    int64_t now = wf_clock_now(), at;
    if (__builtin_add_overflow(now, ns, &at))
        return ns > 0 ? weft_never() : (weft_time){INT64_MIN};
    return (weft_time){at};
}

weft_time weft_never(void)
{
    return (weft_time){INT64_MAX};
}

int64_t weft_since(weft_time t)
{
    int64_t since, now = wf_clock_now();
    if (__builtin_sub_overflow(now, t.ns, &since))
        return t.ns > 0 ? INT64_MIN : INT64_MAX;
    return since;
}

int weft_sleep_until(weft_time until)
{
    weft_task *t = wf_task_require("weft_sleep");
    int reason = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE);
    if (reason)
        return reason;
    if (until.ns <= wf_clock_now()) {
        wf_wait_disarm(&t->wait);
        return 0;
    }
    weft_waiter me;
    struct wf_timer timer = {0};
    wf_waiter_init(&me, &t->wait, 0);
    if (until.ns != INT64_MAX)
        wf_timer_wait(&timer, &me, until.ns);
    if (wf_wait_suspend(&t->wait) != WF_WAIT_STOPPED)
        return 0;
    wf_timer_cancel(&timer);
    return wf_wait_why_stopped();
}

int weft_sleep(int64_t ns)
{
    return weft_sleep_until(weft_after(ns));
}
