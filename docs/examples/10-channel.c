/* 10-channel.c - a producer and a consumer, and a queue between them.
 *
 * The channel holds two items. A producer that is ahead waits, so memory is bounded by the capacity, however
 * slow the consumer is. Closing the channel ends the consumer's loop after the last item. */
#include <stdio.h>

#include <weft.h>

static int produce(void *arg)
{
    weft_chan *c = arg;
    int err = 0;
    for (int i = 0; i < 5 && err == 0; i++)
        err = weft_chan_send(c, &i);
    weft_chan_close(c);
    return err;
}

static int consume(void *arg)
{
    weft_chan *c = arg;
    WEFT_SCOPE(s);
    weft_go(&s, produce, c);
    int item, err;
    while ((err = weft_chan_recv(c, &item)) == 0)
        printf("%d\n", item);
    puts(err == -EPIPE ? "closed and drained" : weft_strerror(err));
    return weft_scope_close(&s);
}

int main(void)
{
    weft_chan *c = weft_chan_new(2, sizeof(int));
    if (!c)
        return 1;
    int err = weft_run(NULL, consume, c);
    weft_chan_free(c);
    return err < 0;
}
