/* stall_client.h - the client of the stall benchmark: an open loop over many connections.
 *
 * A request is sent when its schedule says so, whatever happened to those before it, and what it took runs from that
 * moment until its answer was read. A client that waited for its answers, or counted from the moment when it came
 * round to sending, would go quiet just while a server is stuck, and report few slow answers where there were many.
 *
 * The client may share its CPUs with the server, so that it is late itself at times, to send and to read. How late it
 * sent is measured, request by request, and is to be held against what is reported. One thread; dies when a server
 * closes a connection, answers what was not asked, computes something else, or does not answer at all. */
#ifndef BENCH_STALL_CLIENT_H
#define BENCH_STALL_CLIENT_H

#include "bench/server.h"
#include "bench/stall.h"
#include "bench/stall_schedule.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define STALL_SETTLE_NS INT64_C(2000000)      /* from the last greeting to the start */
#define STALL_PATIENCE_NS INT64_C(5000000000) /* for another answer */
enum { STALL_EVENTS = 256, STALL_GREETING = UINT32_MAX };

struct stall_conn {
    int fd;
    unsigned got; /* bytes of the next message */
    struct stall_message next;
};

struct stall_client {
    const char *who;
    int epoll;
    unsigned conns;
    struct stall_conn conn[STALL_CONNS_MAX];
    const struct stall_scene *scene;
    struct stall_schedule *schedule;
    uint64_t turns, result; /* of a request that computes */
    int64_t start_ns, heard_ns;
    unsigned sent, answered, greeted;
};

static inline int stall_connect(const struct bench_peer *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        bench_die("%s: no connection: %s", server->who, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static inline void stall_send(const struct stall_client *c, unsigned conn, const struct stall_message *m)
{
    if (send(c->conn[conn].fd, m, sizeof *m, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof *m)
        bench_die("%s: send: %s", c->who, strerror(errno));
}

static inline void stall_answered(struct stall_client *c, const struct stall_message *m)
{
    if (m->number == STALL_GREETING) {
        c->greeted++;
        return;
    }
    if (m->number >= c->sent || c->schedule->request[m->number].taken_ns >= 0)
        bench_die("%s: an answer that nobody asked for", c->who);
    if (m->turns != 0 && m->result != c->result)
        bench_die("%s: it has computed something else", c->who);
    struct stall_request *r = &c->schedule->request[m->number];
    r->taken_ns = c->heard_ns - c->start_ns - r->due_ns;
    c->answered++;
}

static inline void stall_hear(struct stall_client *c, struct stall_conn *from)
{
    ssize_t n = recv(from->fd, (char *)&from->next + from->got, sizeof from->next - from->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        bench_die("%s: it has closed a connection", c->who);
    from->got += (unsigned)n;
    if (from->got < sizeof from->next)
        return;
    from->got = 0;
    c->heard_ns = bench_now_ns();
    stall_answered(c, &from->next);
}

/* Take the answers that are there, or come within so long. */
static inline void stall_wait(struct stall_client *c, int64_t ns)
{
    struct epoll_event event[STALL_EVENTS];
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    int n = epoll_pwait2(c->epoll, event, STALL_EVENTS, ns > 0 ? &t : &(struct timespec){0}, NULL);
    for (int i = 0; i < n; i++)
        stall_hear(c, &c->conn[event[i].data.u32]);
    if (n == 0 && bench_now_ns() > c->heard_ns + STALL_PATIENCE_NS)
        bench_die("%s: it does not answer", c->who);
}

/* Every connection is open and was answered once: the server has a task, or what it has, for each. */
static inline void stall_open(struct stall_client *c, const struct bench_peer *server)
{
    struct stall_message greeting = {.number = STALL_GREETING};
    c->who = server->who;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < c->conns; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        c->conn[i] = (struct stall_conn){.fd = stall_connect(server)};
        if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->conn[i].fd, &event) != 0)
            bench_die("epoll_ctl: %s", strerror(errno));
        stall_send(c, i, &greeting);
    }
    c->heard_ns = bench_now_ns();
    while (c->greeted < c->conns)
        stall_wait(c, STALL_PATIENCE_NS);
}

static inline void stall_close(struct stall_client *c)
{
    for (unsigned i = 0; i < c->conns; i++)
        close(c->conn[i].fd);
    close(c->epoll);
}

/* Whatever is due; returns when the next one is, 0 when there is none. */
static inline int64_t stall_send_due(struct stall_client *c)
{
    for (; c->sent < c->schedule->n; c->sent++) {
        struct stall_request *r = &c->schedule->request[c->sent];
        int64_t now = bench_now_ns();
        if (c->start_ns + r->due_ns > now)
            return c->start_ns + r->due_ns;
        struct stall_message m = {.number = c->sent, .turns = r->computes ? c->turns : 0, .away = c->scene->away};
        r->late_ns = now - c->start_ns - r->due_ns;
        stall_send(c, r->conn, &m);
    }
    return 0;
}

/* Send what the schedule has, and wait until all of it was answered. */
static inline void stall_run(struct stall_client *c)
{
    c->start_ns = c->heard_ns = bench_now_ns() + STALL_SETTLE_NS;
    c->sent = c->answered = 0;
    while (c->answered < c->schedule->n) {
        int64_t next_ns = stall_send_due(c);
        stall_wait(c, next_ns != 0 ? next_ns - bench_now_ns() : STALL_PATIENCE_NS);
    }
}

/* Nanoseconds that a turn of the loop takes on an idle server, with the way there and back, as the least of `times`. */
static inline double stall_turn_ns(const struct bench_peer *server, uint64_t turns, unsigned times)
{
    struct stall_message m;
    double least = 0;
    int fd = stall_connect(server);
    for (unsigned i = 0; i <= times; i++) { /* the first is innocent */
        m = (struct stall_message){.turns = i == 0 ? 0 : turns};
        int64_t start = bench_now_ns();
        if (send(fd, &m, sizeof m, MSG_NOSIGNAL) != (ssize_t)sizeof m ||
            recv(fd, &m, sizeof m, MSG_WAITALL) != (ssize_t)sizeof m)
            bench_die("%s: it does not compute: %s", server->who, strerror(errno));
        double ns = (double)(bench_now_ns() - start) / (double)turns;
        if (i > 0 && (least <= 0 || ns < least))
            least = ns;
    }
    close(fd);
    return least;
}

#endif
