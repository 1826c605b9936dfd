/* 15-shield.c - what must be finished, is finished before its owner leaves. */
#include <stdio.h>

#include <weft.h>

static int save(void)
{
    WEFT_SCOPE(s);
    weft_scope_shield(&s);
    if (weft_sleep(50 * WEFT_MSEC) == 0)
        puts("saved");
    return weft_scope_close(&s);
}

static int request(void *arg)
{
    weft_event_set(arg);
    int err = save();
    return err < 0 ? err : weft_checkpoint(); /* out of the shield: are we to stop? */
}

static int app(void *arg)
{
    (void)arg;
    weft_event begun = {0};
    WEFT_SCOPE(s);
    weft_task *task = weft_spawn(&s, request, &begun);
    weft_event_wait(&begun);
    weft_cancel(task);
    if (weft_await(task) == -ECANCELED)
        puts("request: cancelled");
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
