/* 19-event.c - one signal for all who wait. */
#include <stdio.h>

#include <weft.h>

static int runner(void *arg)
{
    int err = weft_event_wait(arg);
    if (err == 0)
        puts("running");
    return err;
}

static int app(void *arg)
{
    (void)arg;
    weft_event gun = {0};
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        weft_go(&s, runner, &gun);
    weft_sleep(10 * WEFT_MSEC);
    puts("go");
    weft_event_set(&gun);
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
