/* time.c - the clock for users, and sleeping. */
#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/worker.h"

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

static int sleep_with(weft_task *t, struct wf_timer *timer, weft_time until, unsigned spillable)
{
    int reason = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE | spillable);
    if (reason)
        return reason;
    if (until.ns <= wf_clock_now()) {
        wf_wait_disarm(&t->wait);
        return 0;
    }
    if (until.ns != INT64_MAX)
        wf_timer_wake(timer, t, until.ns);
    if (wf_wait_suspend(&t->wait) != WF_WAIT_STOPPED)
        return 0;
    wf_timer_cancel(timer);
    return wf_wait_why_stopped();
}

/* For who can be spilled before that: a timer that is not on the stack. NULL: not so, or no memory; then it is, and the
 * stack stays. */
static struct wf_timer *timer_apart(weft_task *t, weft_time until)
{
    int64_t long_ns = wf_load(&t->home, relaxed)->rt->config.spill_ns, now = wf_clock_now();
    bool pays = until.ns > now && until.ns - now >= long_ns && wf_spills_kind(t, NULL, NULL);
    return pays ? wf_alloc(sizeof(struct wf_timer)) : NULL;
}

int weft_sleep_until(weft_time until)
{
    weft_task *t = wf_task_require("weft_sleep");
    struct wf_timer *apart = WF_UNLIKELY(wf_spills_on(t)) ? timer_apart(t, until) : NULL;
    if (!apart)
        return sleep_with(t, &(struct wf_timer){0}, until, 0);
    int err = sleep_with(t, apart, until, WF_WAIT_SPILLABLE);
    wf_free(apart, sizeof *apart);
    return err;
}

int weft_sleep(int64_t ns)
{
    return weft_sleep_until(weft_after(ns));
}
