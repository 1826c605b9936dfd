/* serve.h - what our servers share that are measured: they listen, and run a task per connection.
 *
 * They say "weft VERSION PORT" on their first line and serve until they are killed. For every line on their standard
 * input they say how many system calls the driver has made so far. WEFT_WORKERS, WEFT_RING and the like apply. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include <stdio.h>
#include <unistd.h>
#include <weft.h>

enum { BENCH_BACKLOG = 4096 };

struct bench_client {
    int fd; /* closed by whoever talks to it */
};

static inline int bench_count(void *arg)
{
    char line[64];
    weft_stats s;
    (void)arg;
    while (weft_read(STDIN_FILENO, line, sizeof line) > 0) {
        weft_stats_read(weft_runtime_self(), &s);
        printf("%llu\n", (unsigned long long)(s.submits + s.parks));
        fflush(stdout);
    }
    return 0;
}

static inline int bench_listen(void *talk)
{
    weft_addr addr;
    int fd, listener = weft_tcp_listen("127.0.0.1:0", BENCH_BACKLOG);
    if (listener < 0)
        return listener;
    int err = weft_addr_local(listener, &addr);
    if (err < 0)
        return err;
    printf("weft %s %d\n", weft_version(), weft_addr_port(&addr));
    fflush(stdout);
    WEFT_SCOPE(s);
    weft_go(&s, bench_count, NULL);
    while ((fd = weft_accept(listener, NULL)) >= 0)
        weft_go_with(&s, *(weft_fn *)talk, struct bench_client, .fd = fd);
    weft_close(listener);
    return fd;
}

/* talk runs once per connection, as a task, with a struct bench_client. config may be NULL. For main() to return. */
static inline int bench_serve_with(const weft_config *config, weft_fn talk)
{
    int err = weft_run(config, bench_listen, &talk);
    if (err < 0)
        fprintf(stderr, "weft: %s\n", weft_strerror(err));
    return err < 0;
}

static inline int bench_serve(weft_fn talk)
{
    return bench_serve_with(NULL, talk);
}

#endif
