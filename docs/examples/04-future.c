/* 04-future.c - a value that arrives once, from somebody else.
 *
 * The future lives in the waiter's frame. That is safe: the scope does not close before the setter is done,
 * even when the waiter leaves early. */
#include <stdio.h>

#include <weft.h>

static int setter(void *arg)
{
    weft_future *f = arg;
    int err = weft_sleep(100 * WEFT_MSEC);
    return err < 0 ? weft_future_fail(f, err) : weft_future_set(f, "hello");
}

static int waiter(void *arg)
{
    (void)arg;
    weft_future f = {0};
    WEFT_SCOPE(s);
    weft_go(&s, setter, &f);
    puts("waiting");

    void *text;
    int err = weft_future_await(&f, &text);
    if (err < 0)
        return err; /* leaving the block cancels the setter and waits for it */
    puts(text);
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, waiter, NULL) < 0;
}
