/* 04-create-task.c - concurrency: two waits overlap, on one thread. */
#include <stdio.h>

#include <weft.h>

struct fetch {
    const char *name;
    int64_t ns;
};

static int fetch(void *arg)
{
    struct fetch *f = arg;
    int err = weft_sleep(f->ns);
    puts(f->name);
    return err;
}

static int app(void *arg)
{
    (void)arg;
    weft_time start = weft_now();
    WEFT_SCOPE(s);
    weft_task *slow = weft_spawn_with(&s, fetch, struct fetch, "slow", 200 * WEFT_MSEC);
    weft_task *quick = weft_spawn_with(&s, fetch, struct fetch, "quick", 100 * WEFT_MSEC);
    weft_await(slow);
    weft_await(quick);
    printf("%.1f s\n", (double)weft_since(start) / WEFT_SEC);
    return weft_scope_close(&s);
}

int main(void)
{
    weft_config one_thread = {.workers = 1};
    return weft_run(&one_thread, app, NULL) < 0;
}
