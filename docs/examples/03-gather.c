/* 03-gather.c - three one-second sleeps take one second.
 *
 * weft_go() starts a task that nobody holds. Closing the scope waits for all of them. */
#include <stdio.h>

#include <weft.h>

static int nap(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_SEC);
}

static int gather(void *arg)
{
    (void)arg;
    weft_time start = weft_now();
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        weft_go(&s, nap, NULL);
    int err = weft_scope_close(&s);
    printf("%.1f s\n", (double)weft_since(start) / WEFT_SEC);
    return err;
}

int main(void)
{
    return weft_run(NULL, gather, NULL) < 0;
}
