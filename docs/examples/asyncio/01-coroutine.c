/* 01-coroutine.c - a coroutine object does not run by itself. */
#include <stdio.h>

#include <weft.h>

static int answer(void *arg)
{
    (void)arg;
    puts("running");
    return 42;
}

static int app(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *coroutine = weft_prepare(&s, answer, NULL);
    weft_prepare(&s, answer, NULL); /* forgotten: one line on stderr as the scope closes */
    puts("created");
    printf("%d\n", weft_await(coroutine));
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
