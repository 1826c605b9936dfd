/* 20-wait.c - the first of several tasks; the rest are told to stop. */
#include <stdio.h>

#include <weft.h>

static int mirror(void *arg)
{
    int err = weft_sleep(*(int64_t *)arg);
    if (err < 0)
        puts("loser: told to stop");
    return err;
}

static int app(void *arg)
{
    (void)arg;
    int64_t delay[] = {5 * WEFT_SEC, 50 * WEFT_MSEC};
    WEFT_SCOPE(s);
    weft_case first[] = {
        weft_on_task(weft_spawn(&s, mirror, &delay[0])),
        weft_on_task(weft_spawn(&s, mirror, &delay[1])),
    };
    printf("first: mirror %d\n", weft_select(first, 2));
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
