/* 10-to-thread.c - offloading: what blocks, or computes for long, goes to a thread of its own. */
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

static int block(void *arg)
{
    poll(NULL, 0, *(int *)arg);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    int ms = 400;
    WEFT_SCOPE(s);
    weft_go(&s, ticker, NULL);
    weft_yield();
    puts("blocking elsewhere");
    int err = weft_offload(block, &ms);
    if (err < 0)
        return err;
    puts("back");
    return weft_scope_close(&s);
}

int main(void)
{
    weft_config one_thread = {.workers = 1};
    return weft_run(&one_thread, app, NULL) < 0;
}
