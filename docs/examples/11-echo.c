/* 11-echo.c - a TCP echo server.
 *
 *     11-echo 127.0.0.1:7000    serve there until SIGINT or SIGTERM; port 0 means any free port
 *     11-echo                   the same on a free port, with one client of our own that then ends it
 *
 * One task per connection, on all cores. The scope owns them: stopping it makes accept and every read
 * return, so the server needs no list of its clients to end cleanly. */
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <weft.h>

struct server {
    const char *endpoint; /* NULL: serve our own client */
    int signals;          /* becomes readable when we should stop */
    weft_scope *scope;
};

static int echo(void *arg)
{
    int fd = *(int *)arg;
    char buf[4096];
    ssize_t n;
    while ((n = weft_read(fd, buf, sizeof buf)) > 0)
        if (weft_write_all(fd, buf, (size_t)n) < 0)
            break;
    weft_close(fd);
    return 0; /* a client's trouble is not the server's */
}

static int stop_on_signal(void *arg)
{
    struct server *server = arg;
    struct signalfd_siginfo info;
    int err = weft_read_full(server->signals, &info, sizeof info);
    weft_scope_cancel(server->scope);
    return err;
}

/* The client of a demonstration: say hello to the port, and end the server as a terminal would. */
static int say_hello(void *arg)
{
    char to[32], back[5];
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(5 * WEFT_SEC)); /* whoever waits for an answer should know how long */
    snprintf(to, sizeof to, "127.0.0.1:%d", *(int *)arg);
    int fd = weft_tcp_connect(to);
    int err = fd < 0 ? fd : weft_write_all(fd, "hello", sizeof back);
    if (err == 0)
        err = weft_read_full(fd, back, sizeof back);
    if (err == 0)
        printf("came back: %.5s\n", back);
    weft_closep(&fd);
    kill(getpid(), SIGTERM);
    return err;
}

static int serve(struct server *server, int listener, int port)
{
    WEFT_SCOPE(s);
    server->scope = &s;
    weft_go(&s, stop_on_signal, server);
    if (!server->endpoint)
        weft_go(&s, say_hello, &port);
    int fd;
    while ((fd = weft_accept(listener, NULL)) >= 0)
        if (weft_go_copy(&s, echo, &fd, sizeof fd) < 0) /* each task gets its own copy of fd */
            weft_close(fd);
    int err = weft_scope_close(&s); /* 0: stopping the scope ourselves is no failure */
    return fd == -ECANCELED ? err : fd;
}

static int app(void *arg)
{
    struct server *server = arg;
    int listener = weft_tcp_listen(server->endpoint ? server->endpoint : "127.0.0.1:0", 0);
    if (listener < 0)
        return listener;
    weft_addr addr = {0};
    weft_addr_local(listener, &addr);
    printf("listening on port %d\n", weft_addr_port(&addr));
    fflush(stdout); /* whoever started us waits for this line */
    int err = serve(server, listener, weft_addr_port(&addr));
    weft_close(listener);
    puts(err == 0 ? "stopped" : weft_strerror(err));
    return err;
}

int main(int argc, char **argv)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* before any thread starts: they all inherit it */
    struct server server = {argc > 1 ? argv[1] : NULL, signalfd(-1, &stop, SFD_CLOEXEC), NULL};
    return server.signals < 0 || weft_run(NULL, app, &server) < 0;
}
