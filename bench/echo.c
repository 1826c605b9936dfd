/* echo.c - the TCP echo server that echo_load measures: what anybody would write. */
#include "bench/serve.h"

static int echo(void *arg)
{
    struct bench_client *c = arg;
    char buf[4096];
    ssize_t n;
    while ((n = weft_read(c->fd, buf, sizeof buf)) > 0)
        if (weft_write_all(c->fd, buf, (size_t)n) < 0)
            break;
    weft_close(c->fd);
    return 0; /* a client's trouble is not the server's */
}

int main(void)
{
    return bench_serve(echo);
}
