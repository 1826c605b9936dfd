/* 01-lazy.c - a coroutine object does not run until it is awaited.
 *
 * weft_prepare() makes a task and starts nothing. The body runs when somebody awaits the task, and what it
 * returns is what weft_await() returns. */
#include <stdio.h>

#include <weft.h>

static int answer(void *arg)
{
    (void)arg;
    puts("running");
    return 42;
}

static int lazy(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_prepare(&s, answer, NULL);
    puts("created");
    printf("%d\n", weft_await(t));
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, lazy, NULL) < 0;
}
