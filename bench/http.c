/* http.c - the HTTP server that http_load measures: the least that a keep-alive client needs.
 *
 * Whatever is asked for, it says hello. Requests have no body and end with an empty line; several may come at once.
 * docs/examples/http.c is a server with what a public one needs: limits, deadlines, errors. */
#include "bench/serve.h"

#include <string.h>

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nhello, world\n";

/* Answer all that has come whole. How much of it that was, or why it cannot be. */
static ssize_t answer(int fd, const char *buf, size_t have)
{
    const char *at = buf, *end;
    while ((end = memmem(at, have - (size_t)(at - buf), "\r\n\r\n", 4)) != NULL) {
        if (memcmp(at, "GET ", 4) != 0)
            return -EINVAL;
        ssize_t err = weft_write_all(fd, reply, sizeof reply - 1);
        if (err < 0)
            return err;
        at = end + 4;
    }
    return at - buf;
}

static int talk(void *arg)
{
    struct bench_client *c = arg;
    char buf[4096];
    size_t have = 0;
    ssize_t n;
    while ((n = weft_read(c->fd, buf + have, sizeof buf - have)) > 0) {
        have += (size_t)n;
        ssize_t used = answer(c->fd, buf, have);
        if (used < 0)
            break;
        have -= (size_t)used;
        memmove(buf, buf + used, have);
    }
    weft_close(c->fd);
    return 0; /* a client's trouble is not the server's */
}

int main(void)
{
    return bench_serve(talk);
}
