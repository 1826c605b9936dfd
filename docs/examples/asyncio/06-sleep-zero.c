/* 06-sleep-zero.c - let others run: two tasks take turns on one thread. */
#include <stdio.h>

#include <weft.h>

static int child(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        printf("child %d\n", i);
        weft_yield();
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, child, NULL);
    for (int i = 0; i < 3; i++) {
        printf("main %d\n", i);
        weft_yield();
    }
    return weft_scope_close(&s);
}

int main(void)
{
    weft_config one_thread = {.workers = 1};
    return weft_run(&one_thread, app, NULL) < 0;
}
