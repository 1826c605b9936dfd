/* 02-eager.c - a spawned task runs without being awaited.
 *
 * weft_spawn() puts the task in a queue. It runs when the caller next suspends, or earlier when another
 * worker takes it. Here the caller suspends in weft_event_wait(): "running" appears before anybody awaits. */
#include <stdio.h>

#include <weft.h>

static int answer(void *arg)
{
    weft_event *ran = arg;
    puts("running");
    weft_event_set(ran);
    return 42;
}

static int eager(void *arg)
{
    (void)arg;
    weft_event ran = {0};
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, answer, &ran);
    weft_event_wait(&ran);
    puts("not awaited yet");
    printf("%d\n", weft_await(t));
    return weft_scope_close(&s);
}

int main(void)
{
    return weft_run(NULL, eager, NULL) < 0;
}
