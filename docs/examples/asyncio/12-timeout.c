/* 12-timeout.c - a limit round one call, and round a block. */
#include <stdio.h>

#include <weft.h>

static int nap(void *arg)
{
    int err = weft_sleep(*(int64_t *)arg);
    return err < 0 ? err : 7;
}

static int app(void *arg)
{
    (void)arg;
    int64_t brief = 10 * WEFT_MSEC, lengthy = 5 * WEFT_SEC;
    printf("%d\n", weft_within(5 * WEFT_SEC, nap, &brief));

    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(50 * WEFT_MSEC));
    if (nap(&lengthy) > 0)
        puts("not reached");
    if (weft_scope_close(&s) == -ETIMEDOUT)
        puts("too slow");
    return 0;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
