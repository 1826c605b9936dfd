/* 08-cpu.c - a loop that computes stops the others too, unless it lets them run. */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

static atomic_int ticks;

static int ticker(void *arg)
{
    (void)arg;
    while (weft_sleep(5 * WEFT_MSEC) == 0)
        ticks++;
    return 0;
}

static unsigned compute(bool polite)
{
    int before = ticks;
    weft_time start = weft_now();
    for (volatile unsigned i = 0; weft_since(start) < 200 * WEFT_MSEC; i++)
        if (polite && i % 1000 == 0)
            weft_yield();
    return (unsigned)(ticks - before);
}

static int app(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, ticker, NULL);
    weft_sleep(20 * WEFT_MSEC);
    printf("rude: %s ticks meanwhile\n", compute(false) ? "some" : "no");
    printf("polite: %s ticks meanwhile\n", compute(true) ? "some" : "no");
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

int main(void)
{
    weft_config one_thread = {.workers = 1};
    return weft_run(&one_thread, app, NULL) < 0;
}
