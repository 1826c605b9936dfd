/* 14-cancel.c - stopping is a state: every further wait fails, not only the first. */
#include <stdio.h>

#include <weft.h>

static int stubborn(void *arg)
{
    weft_event_set(arg);
    if (weft_sleep(5 * WEFT_SEC) == -ECANCELED)
        puts("first wait: cancelled");
    int err = weft_sleep(10 * WEFT_MSEC);
    puts(err == -ECANCELED ? "next wait: cancelled too" : "next wait: worked");
    return err;
}

static int app(void *arg)
{
    (void)arg;
    weft_event begun = {0};
    WEFT_SCOPE(s);
    weft_task *task = weft_spawn(&s, stubborn, &begun);
    weft_event_wait(&begun);
    weft_cancel(task);
    if (weft_await(task) == -ECANCELED)
        puts("task: cancelled");
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
