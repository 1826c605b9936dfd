/* 05-stall.c - a blocking call is noticed and named.
 *
 * poll(2) with nothing to poll blocks the whole thread, and with it the worker. Nothing forces the task off;
 * the watchdog says who it is and where it came from. weft_sleep() would have let others run. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <weft.h>

/* Called on the watchdog's thread, while the task still holds the worker. */
static void report(const weft_stall *stall, void *ctx)
{
    (void)ctx;
    const char *slash = strrchr(stall->where, '/');
    printf("%s, spawned at %s, has held worker %u for %lld ms\n", stall->task,
           slash ? slash + 1 : stall->where, stall->worker, (long long)(stall->held_ns / WEFT_MSEC));
}

static int rude(void *arg)
{
    (void)arg;
    poll(NULL, 0, 300); /* the C library's wait, not ours */
    puts("done");
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, rude, NULL);
    return weft_scope_close(&s);
}

int main(void)
{
    weft_config config = {.stall_ns = 100 * WEFT_MSEC, .on_stall = report};
    return weft_run(&config, app, NULL) < 0;
}
