/* 11-future.c - a value that somebody else will provide. */
#include <stdio.h>

#include <weft.h>

static int set_later(void *arg)
{
    int err = weft_sleep(50 * WEFT_MSEC);
    return err < 0 ? weft_future_fail(arg, err) : weft_future_set(arg, "hello");
}

static int app(void *arg)
{
    (void)arg;
    weft_future future = {0};
    WEFT_SCOPE(s);
    weft_go(&s, set_later, &future);
    puts("waiting");
    void *text;
    if (weft_future_await(&future, &text) == 0)
        puts(text);
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
