/* 16-queue.c - a bounded queue between two tasks. */
#include <stdio.h>

#include <weft.h>

static int produce(void *arg)
{
    weft_chan *queue = arg;
    int err = 0;
    for (int i = 0; i < 5 && err == 0; i++)
        err = weft_chan_send(queue, &i);
    weft_chan_close(queue);
    return err;
}

static int app(void *arg)
{
    weft_chan *queue = arg;
    WEFT_SCOPE(s);
    weft_go(&s, produce, queue);
    for (int item; weft_chan_recv(queue, &item) == 0;)
        printf("%d\n", item);
    return weft_scope_close(&s);
}

int main(void)
{
    weft_chan *queue = weft_chan_new(2, sizeof(int));
    int err = queue ? weft_run(NULL, app, queue) : -ENOMEM;
    weft_chan_free(queue);
    return err < 0;
}
