/* io.c - scenarios: descriptors, TCP, names, and a ring with more to do than it has room for. */
#include "io/ring.h"
#include "runtime/platform/fault.h"
#include "tests/fault/scenario.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_pair(int fd[2])
{
    close(fd[0]);
    close(fd[1]);
}

/* ---- A server and its clients --------------------------------------------------------------------- */

enum { CLIENTS = 4, ROUNDS = 3, LINE = 64 };

struct connection {
    struct server *server;
    int fd; /* -1 once its task has closed it: a task that found no stack never ran */
};

struct server {
    const char *host; /* where clients look for it */
    int listener, port;
    struct connection accepted[CLIENTS];
    int count;
    struct trouble trouble;
};

static int serve_one(void *arg)
{
    struct connection *c = arg;
    char buf[LINE];
    ssize_t n, put = 0;
    while ((n = weft_read(c->fd, buf, sizeof buf)) > 0)
        if ((put = weft_write_all(c->fd, buf, (size_t)n)) < 0)
            break;
    int err = fail(&c->server->trouble, n < 0 ? (int)n : (int)put); /* before the client sees it go */
    weft_close(c->fd);
    c->fd = -1;
    return err;
}

/* Short of descriptors, accept waits for some to be given back: which nobody will do here. */
static int accept_soon(struct server *server, weft_addr *peer)
{
    for (;;) {
        WEFT_SCOPE(s);
        weft_scope_set_deadline(&s, weft_after(WEFT_SEC / 2));
        int fd = weft_accept(server->listener, peer);
        bool late = weft_scope_close(&s) == -ETIMEDOUT;
        if (fd >= 0 || !late)
            return fd;
        if (wf_fault_failed() > 0)
            return -EMFILE; /* else nobody has come yet: the machine is busy */
    }
}

/* Accept so many and serve them; a client's errors are its own. */
static int serve(void *arg)
{
    struct server *server = arg;
    WEFT_SCOPE(s);
    int err = 0;
    while (err == 0 && server->count < CLIENTS) {
        weft_addr peer;
        int fd = accept_soon(server, &peer);
        err = fd < 0 ? fd : 0;
        if (fd >= 0) {
            CHECK(weft_addr_port(&peer) > 0);
            struct connection *c = &server->accepted[server->count++];
            *c = (struct connection){server, fd};
            err = fail(&server->trouble, weft_go(&s, serve_one, c));
        }
    }
    fail(&server->trouble, err);
    int closed = fail(&server->trouble, weft_scope_close(&s)); /* one that found no stack could not say so itself */
    for (int i = 0; i < server->count; i++)
        weft_closep(&server->accepted[i].fd);
    return cause(&server->trouble, err ? err : closed);
}

static int talk(struct server *server, int fd)
{
    char sent[LINE], back[LINE];
    int err = 0;
    memset(sent, 'a' + fd % 20, sizeof sent);
    for (int i = 0; i < ROUNDS && err == 0; i++) {
        err = weft_write_all(fd, sent, sizeof sent);
        if (err == 0)
            err = weft_read_full(fd, back, sizeof back);
        if (err == 0)
            CHECK_EQ(memcmp(sent, back, sizeof sent), 0);
    }
    int ready = err == 0 ? weft_poll(fd, POLLOUT) : 0;
    bool left = err == -EPIPE || err == -ECONNRESET; /* the server closed: it knows why */
    return fail(&server->trouble, left ? 0 : err < 0 ? err : ready < 0 ? ready : 0) < 0 ? -EIO : left ? -EPIPE : 0;
}

static int be_client(void *arg)
{
    struct server *server = arg;
    char to[40];
    snprintf(to, sizeof to, "%s:%d", server->host, server->port);
    int fd = weft_tcp_connect(to);
    if (fd < 0)
        return fail(&server->trouble, fd);
    int err = talk(server, fd);
    weft_shutdown_write(fd);
    int closed = fail(&server->trouble, weft_close(fd));
    return err ? err : closed;
}

static int echo_body(void *arg)
{
    struct server *server = arg;
    weft_addr local;
    server->listener = weft_tcp_listen("127.0.0.1:0", 0);
    if (server->listener < 0)
        return server->listener;
    CHECK_EQ(weft_addr_local(server->listener, &local), 0);
    server->port = weft_addr_port(&local);
    int err;
    {
        WEFT_SCOPE(s);
        weft_go(&s, serve, server);
        for (int i = 0; i < CLIENTS; i++)
            weft_go(&s, be_client, server);
        err = weft_scope_close(&s);
    }
    int closed = weft_close(server->listener);
    err = cause(&server->trouble, err);
    return err ? err : closed;
}

static int echo_with(const char *host, unsigned workers)
{
    struct server server = {.host = host};
    return run_with(workers, echo_body, &server);
}

static int echo_one(void)
{
    return echo_with("127.0.0.1", 1);
}

static int echo_three(void)
{
    return echo_with("127.0.0.1", 3);
}

static int echo_by_name(void)
{
    return echo_with("localhost", 2);
}

/* ---- Names ---------------------------------------------------------------------------------------- */

static int resolve_body(void *arg)
{
    weft_addr a[4];
    (void)arg;
    int number = weft_resolve("127.0.0.1:80", a, 4), every = weft_resolve(":80", a, 4);
    CHECK_EQ(number, 1);
    CHECK_EQ(every, 2);
    int name = weft_resolve("localhost:80", a, 4);
    CHECK(name != 0);
    return name < 0 ? name : 0;
}

static int resolve(void)
{
    return run_with(2, resolve_body, NULL);
}

/* ---- Files, pipes, closing ------------------------------------------------------------------------ */

static int file_body(void *arg)
{
    int *fd = arg;
    char buf[5] = "";
    ssize_t n = weft_pwrite(*fd, "hello", 5, 3);
    CHECK(n == 5 || n < 0);
    ssize_t got = n < 0 ? n : weft_pread(*fd, buf, 5, 3);
    if (got == 5)
        CHECK_EQ(memcmp(buf, "hello", 5), 0);
    int closed = weft_close(*fd);
    CHECK(fcntl(*fd, F_GETFD) < 0); /* gone, whatever it said */
    return got < 0 ? (int)got : closed;
}

static int file(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    int err = run_with(1, file_body, &fd);
    if (fcntl(fd, F_GETFD) >= 0)
        close(fd); /* the task never ran */
    return err;
}

enum { READERS = 100, CASES = 700 };

struct crowd {
    int pipe[2];
    struct trouble trouble;
};

static int wait_for_bytes(void *arg)
{
    struct crowd *c = arg;
    int ready = weft_poll(c->pipe[0], POLLIN);
    return ready < 0 ? fail(&c->trouble, ready == -EBADF ? 0 : ready) : 0;
}

/* More requests, and then more cancels, in one turn than a submission queue has places. */
static int crowd_body(void *arg)
{
    static weft_case on[CASES + 1];
    struct crowd *c = arg;
    for (int i = 0; i < CASES; i++)
        on[i] = weft_on_fd(c->pipe[0], POLLIN);
    on[CASES] = weft_on_time(weft_after(WEFT_MSEC));
    int k = weft_select(on, CASES + 1);
    if (k < 0)
        return k;
    CHECK(k == CASES || on[k].result < 0);
    int err = k < CASES ? on[k].result : weft_write_all(c->pipe[1], "x", 1);
    if (err < 0)
        return err;
    on[CASES] = weft_on_time(weft_never());
    k = weft_select(on, CASES + 1);
    return k < 0 ? k : on[k].result < 0 ? on[k].result : 0;
}

static int crowd(void)
{
    struct crowd c = {.pipe = {-1, -1}};
    CHECK_EQ(pipe2(c.pipe, O_CLOEXEC), 0);
    int err = run_with(1, crowd_body, &c);
    close_pair(c.pipe);
    return err;
}

/* The descriptor is closed under those who wait for it: -EBADF, or what came before. */
static int close_body(void *arg)
{
    struct crowd *c = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < READERS; i++)
        weft_go(&s, wait_for_bytes, c);
    for (int i = 0; i < 3; i++)
        weft_yield();
    int closed = weft_close(c->pipe[0]);
    CHECK(fcntl(c->pipe[0], F_GETFD) < 0);
    c->pipe[0] = -1;
    int err = weft_scope_close(&s);
    return closed ? closed : err ? err : wf_load(&c->trouble.first, acquire);
}

static int closing(void)
{
    struct crowd c = {.pipe = {-1, -1}};
    CHECK_EQ(pipe2(c.pipe, O_CLOEXEC), 0);
    int err = run_with(2, close_body, &c);
    if (c.pipe[0] >= 0)
        close(c.pipe[0]);
    close(c.pipe[1]);
    return err;
}

static int choose_descriptor(void *arg)
{
    int *pair = arg;
    weft_case on[] = {weft_on_fd(pair[0], POLLIN), weft_on_fd(pair[1], POLLIN), weft_on_time(weft_after(WEFT_MSEC))};
    int k = weft_select(on, 3);
    if (k < 0)
        return k;
    if (k < 2)
        return on[k].result < 0 ? on[k].result : -EIO; /* nothing has come yet */
    int err = weft_write_all(pair[1], "x", 1);
    weft_case again[] = {weft_on_fd(pair[0], POLLIN), weft_on_time(weft_after(20 * WEFT_SEC))};
    k = err ? err : weft_select(again, 2);
    if (k < 0)
        return k;
    CHECK_EQ(k, 0);
    return again[0].result < 0 ? again[0].result : 0;
}

static int select_descriptors(void)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int err = run_with(2, choose_descriptor, pair);
    close_pair(pair);
    return err;
}

/* Rings with the bell of kernels before 6.13, which is a descriptor. */
static int bell(void)
{
    wf_ring_force_eventfd = true;
    int err = echo_with("127.0.0.1", 3);
    wf_ring_force_eventfd = false;
    return err;
}

const struct scenario io_scenarios[] = {
    {"echo_one", echo_one}, {"echo_three", echo_three}, {"echo_by_name", echo_by_name},
    {"resolve", resolve},   {"file", file},             {"crowd", crowd},
    {"closing", closing},   {"bell", bell},             {"select_descriptors", select_descriptors},
    {NULL, NULL},
};
