/* 03-await.c - await waits: one thing after the other. */
#include <stdio.h>

#include <weft.h>

static int fetch(const char *name, int64_t ns)
{
    int err = weft_sleep(ns);
    puts(name);
    return err;
}

static int app(void *arg)
{
    (void)arg;
    weft_time start = weft_now();
    fetch("slow", 200 * WEFT_MSEC); /* a call is an await */
    fetch("quick", 100 * WEFT_MSEC);
    printf("%.1f s\n", (double)weft_since(start) / WEFT_SEC);
    return 0;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
