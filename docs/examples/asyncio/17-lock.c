/* 17-lock.c - tasks run in parallel, so whatever they share needs a lock, await or not. */
#include <stdio.h>

#include <weft.h>

struct shared {
    weft_mutex lock;
    int total;
};

static int add(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 1000; i++) {
        weft_mutex_lock(&shared->lock);
        shared->total++;
        weft_mutex_unlock(&shared->lock);
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct shared shared = {0};
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++)
        weft_go(&s, add, &shared);
    int err = weft_scope_close(&s);
    printf("%d\n", shared.total);
    return err;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
