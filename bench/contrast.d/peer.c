/* peer.c - the other side of every request: a process that answers each message after the delay it asks for.
 *
 * One thread, one epoll, one timerfd. It sleeps unless a message arrives or an answer is due, so it costs
 * little beside what is measured, and it is the same peer for every mode. Answers wait in a ring sorted by
 * due time; since all requests of a run ask for the same delay, sorting means appending.
 *
 * The answer carries the moment it was sent. Tasks note it, so that the picture can tell waiting for the
 * peer from being ready and not running. */
#include "bench/contrast.d/contrast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define DUE_MAX    1024u /* answers that may wait at once; a power of two */
#define EVENTS_MAX 64

struct conn {
    int fd;
    unsigned have; /* bytes of the next message that came already */
    struct ct_message next;
};

struct due {
    int64_t at_ns;
    struct conn *conn;
    struct ct_message answer;
};

struct peer {
    int epoll, timer, listener;
    unsigned first, count;
    struct due queue[DUE_MAX];
};

static void peer_watch(struct peer *p, int fd, void *tag)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = tag};
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        ct_die("peer: epoll_ctl", -errno);
}

/* Absolute, so that time spent between two calls does not add up; at 0 disarms. */
static void peer_arm(struct peer *p)
{
    int64_t at = p->count == 0 ? 0 : p->queue[p->first % DUE_MAX].at_ns;
    struct itimerspec when = {.it_value = {.tv_sec = at / CT_SEC, .tv_nsec = at % CT_SEC}};
    if (timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        ct_die("peer: timerfd_settime", -errno);
}

static void peer_enqueue(struct peer *p, struct conn *c)
{
    if (p->count == DUE_MAX)
        ct_die("peer: more requests than it can hold", 0);
    int64_t at = ct_now() + (int64_t)c->next.delay_us * 1000;
    unsigned slot = p->first + p->count++;
    while (slot != p->first && p->queue[(slot - 1) % DUE_MAX].at_ns > at) {
        p->queue[slot % DUE_MAX] = p->queue[(slot - 1) % DUE_MAX];
        slot--;
    }
    p->queue[slot % DUE_MAX] = (struct due){.at_ns = at, .conn = c, .answer = c->next};
}

/* Take what came on c. A connection that ends is closed; its owner has no request open then. */
static void peer_receive(struct peer *p, struct conn *c)
{
    ssize_t got = recv(c->fd, (char *)&c->next + c->have, sizeof c->next - c->have, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close(c->fd);
        free(c);
        return;
    }
    c->have += (unsigned)got;
    if (c->have == sizeof c->next) {
        c->have = 0;
        peer_enqueue(p, c);
        peer_arm(p);
    }
}

static void peer_answer_due(struct peer *p)
{
    uint64_t fired;
    ssize_t ignored = read(p->timer, &fired, sizeof fired); /* non-blocking: it may have been re-armed */
    (void)ignored;
    while (p->count > 0 && p->queue[p->first % DUE_MAX].at_ns <= ct_now()) {
        struct due *d = &p->queue[p->first++ % DUE_MAX];
        p->count--;
        d->answer.answered_ns = ct_now();
        if (send(d->conn->fd, &d->answer, sizeof d->answer, MSG_NOSIGNAL) != (ssize_t)sizeof d->answer)
            ct_die("peer: an answer could not be sent", 0);
    }
    peer_arm(p);
}

static void peer_accept(struct peer *p)
{
    struct conn *c = calloc(1, sizeof *c);
    int one = 1;
    if (c == NULL)
        ct_die("peer", -ENOMEM);
    c->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    if (c->fd < 0)
        ct_die("peer: accept", -errno);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer_watch(p, c->fd, c);
}

static void peer_open(struct peer *p, int line)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->epoll < 0 || p->timer < 0 || p->listener < 0)
        ct_die("peer: no descriptor", -errno);
    if (bind(p->listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(p->listener, CT_TASKS_MAX) < 0 ||
        getsockname(p->listener, (struct sockaddr *)&at, &len) < 0)
        ct_die("peer: listen", -errno);
    peer_watch(p, p->timer, &p->timer);
    peer_watch(p, p->listener, &p->listener);
    peer_watch(p, line, &p->epoll);
    uint32_t port = ntohs(at.sin_port);
    if (ct_write_all(line, &port, sizeof port) < 0)
        _exit(1);
}

/* The process: tell our port, then serve until the line closes. */
void ct_peer_body(int line)
{
    static struct peer p;
    struct epoll_event events[EVENTS_MAX];
    peer_open(&p, line);
    for (;;) {
        int n = epoll_wait(p.epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            void *tag = events[i].data.ptr;
            if (tag == &p.timer) {
                peer_answer_due(&p);
            } else if (tag == &p.listener) {
                peer_accept(&p);
            } else if (tag == &p.epoll) {
                return;
            } else {
                peer_receive(&p, tag);
            }
        }
    }
}

/* The port the peer listens on; asked once. */
int ct_peer_port(struct ct_child *peer)
{
    uint32_t port;
    int err = ct_read_full(peer->line, &port, sizeof port);
    return err < 0 ? err : (int)port;
}
