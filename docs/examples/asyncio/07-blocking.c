/* 07-blocking.c - the mistake: a call that blocks the thread stops every task on it. */
#include <poll.h>
#include <stdio.h>

#include <weft.h>

static int ticker(void *arg)
{
    (void)arg;
    int err = 0;
    for (int i = 0; i < 3 && err == 0; i++) {
        printf("tick %d\n", i);
        err = weft_sleep(20 * WEFT_MSEC);
    }
    return err;
}

static int app(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, ticker, NULL);
    weft_yield();
    puts("blocking");
    poll(NULL, 0, 200); /* the mistake: the C library's wait, not ours */
    puts("back");
    return weft_scope_close(&s);
}

int main(void)
{
    weft_config one_thread = {.workers = 1};
    return weft_run(&one_thread, app, NULL) < 0;
}
