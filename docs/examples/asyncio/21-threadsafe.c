/* 21-threadsafe.c - a plain thread talks to a task. */
#include <pthread.h>
#include <stdio.h>

#include <weft.h>

static void *outside(void *arg)
{
    weft_future_set(arg, "from a thread");
    return NULL;
}

static int app(void *arg)
{
    (void)arg;
    weft_future future = {0};
    pthread_t thread;
    int err = pthread_create(&thread, NULL, outside, &future);
    if (err != 0)
        return -err;
    void *text;
    err = weft_future_await(&future, &text);
    if (err == 0)
        puts(text);
    pthread_join(thread, NULL); /* blocks, but not for long: it has set the future */
    return err;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
