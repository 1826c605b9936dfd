/* echo.c - the TCP echo server that echo_load measures: what anybody would write.
 *
 * Says "weft VERSION PORT" on its first line and serves until it is killed. WEFT_WORKERS and WEFT_RING apply. */
#include <stdio.h>
#include <weft.h>

enum { BACKLOG = 4096 };

struct client {
    int fd;
};

static int echo(void *arg)
{
    struct client *c = arg;
    char buf[4096];
    ssize_t n;
    while ((n = weft_read(c->fd, buf, sizeof buf)) > 0)
        if (weft_write_all(c->fd, buf, (size_t)n) < 0)
            break;
    weft_close(c->fd);
    return 0; /* a client's trouble is not the server's */
}

static int serve(void *arg)
{
    weft_addr addr;
    int fd, listener = weft_tcp_listen("127.0.0.1:0", BACKLOG);
    (void)arg;
    if (listener < 0)
        return listener;
    int err = weft_addr_local(listener, &addr);
    if (err < 0)
        return err;
    printf("weft %s %d\n", weft_version(), weft_addr_port(&addr));
    fflush(stdout);
    WEFT_SCOPE(s);
    while ((fd = weft_accept(listener, NULL)) >= 0)
        weft_go_with(&s, echo, struct client, .fd = fd);
    weft_close(listener);
    return fd;
}

int main(void)
{
    int err = weft_run(NULL, serve, NULL);
    if (err < 0)
        fprintf(stderr, "echo: %s\n", weft_strerror(err));
    return err < 0;
}
