/* 07-offload.c - a call that blocks, moved out of the way.
 *
 * There is one worker. read(2) on an empty pipe blocks the thread that calls it, so it is offloaded: the
 * first task keeps ticking meanwhile. It also ends the blocking call; had the call held the worker, this program
 * would never end. */
#include <stdio.h>
#include <unistd.h>

#include <weft.h>

struct blocking_read {
    int fd;
    char byte;
};

/* Stands for any library that knows nothing of weft. Runs on a pool thread. */
static int read_one(void *arg)
{
    struct blocking_read *r = arg;
    ssize_t n = read(r->fd, &r->byte, 1);
    return n < 0 ? -errno : (int)n;
}

/* It waits for the pool as for anything else. */
static int reader(void *arg)
{
    struct blocking_read *r = arg;
    int n = weft_offload(read_one, r);
    if (n > 0)
        printf("read %d byte: %c\n", n, r->byte);
    return n < 0 ? n : 0;
}

static int app(void *arg)
{
    int *ends = arg, err = 0;
    struct blocking_read r = {.fd = ends[0]};
    WEFT_SCOPE(s);
    weft_go(&s, reader, &r);
    for (int i = 1; i <= 3 && err == 0; i++) {
        printf("tick %d\n", i);
        err = weft_sleep(50 * WEFT_MSEC);
    }
    if (err == 0)
        err = weft_write_all(ends[1], "!", 1);
    weft_close(ends[1]); /* whatever happened: nothing else would end the blocking call */
    int closed = weft_scope_close(&s);
    return closed < 0 ? closed : err;
}

int main(void)
{
    int ends[2];
    if (pipe(ends) < 0)
        return 1;
    weft_config config = {.workers = 1};
    int err = weft_run(&config, app, ends);
    close(ends[0]); /* app has closed the other one */
    return err < 0;
}
