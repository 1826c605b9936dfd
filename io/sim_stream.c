/* sim_stream.c - bytes between two simulated sockets, and what poll(2) says of one. */
#include "io/sim_sock.h"

#include "runtime/platform/sim.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif

static int take_error(struct wf_sim_sock *s)
{
    int err = s->error;
    s->error = 0;
    return -err;
}

int64_t wf_sim_net_recv(int fd, void *buf, size_t n, int flags)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    if (s->kind != CONNECTED)
        return s->error ? take_error(s) : -ENOTCONN;
    if (s->used == 0) {
        if (s->error)
            return take_error(s);
        return s->no_more || s->shut_read || n == 0 ? 0 : -EAGAIN;
    }
    size_t count = n < s->used ? n : s->used, at = s->start;
    for (size_t i = 0; i < count; i++) {
        ((unsigned char *)buf)[i] = s->bytes[at];
        at = at + 1 == s->room ? 0 : at + 1;
    }
    if (flags & MSG_PEEK)
        return (int64_t)count;
    s->start = at;
    s->used -= count;
    wf_sim_sock_changed(s->peer);
    return (int64_t)count;
}

int64_t wf_sim_net_send(int fd, const void *buf, size_t n)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd), *p = s->peer;
    if (s->kind != CONNECTED)
        return s->error ? take_error(s) : -ENOTCONN;
    if (s->error)
        return take_error(s);
    if (s->shut_write || (!p && s->told_gone))
        return -EPIPE;
    if (!p) { /* it has gone; its machine answers with a reset, which comes after this */
        s->told_gone = true;
        s->error = ECONNRESET;
        wf_sim_sock_changed(s);
        return (int64_t)n;
    }
    if (p->shut_read)
        return (int64_t)n; /* nobody will ever see it */
    size_t free = p->room - p->used, count = n < free ? n : free, at = (p->start + p->used) % p->room;
    if (count == 0 && n > 0)
        return -EAGAIN;
    for (size_t i = 0; i < count; i++) {
        p->bytes[at] = ((const unsigned char *)buf)[i];
        at = at + 1 == p->room ? 0 : at + 1;
    }
    p->used += count;
    wf_sim_sock_changed(p);
    return (int64_t)count;
}

/* The first piece will do: a stream may give and take less than it is asked to. */
int64_t wf_sim_net_readv(int fd, const struct iovec *v, int n)
{
    return n > 0 ? wf_sim_net_recv(fd, v->iov_base, v->iov_len, 0) : 0;
}

int64_t wf_sim_net_writev(int fd, const struct iovec *v, int n)
{
    return n > 0 ? wf_sim_net_send(fd, v->iov_base, v->iov_len) : 0;
}

static unsigned stream_events(const struct wf_sim_sock *s)
{
    unsigned events = s->error ? POLLERR | POLLIN | POLLOUT : 0;
    bool read_ends = s->no_more || s->shut_read;
    if (s->used || read_ends)
        events |= POLLIN | POLLRDNORM;
    if (read_ends)
        events |= POLLRDHUP;
    if (read_ends && (s->shut_write || !s->peer))
        events |= POLLHUP;
    if (!s->peer || s->shut_write || s->peer->used < s->peer->room)
        events |= POLLOUT | POLLWRNORM;
    return events;
}

int wf_sim_net_poll(int fd, unsigned wanted)
{
    const struct wf_sim_sock *s = wf_sim_sock_of(fd);
    unsigned events = 0;
    switch (s->kind) {
    case FRESH:
        events = POLLOUT | POLLHUP | (s->error ? POLLERR : 0);
        break;
    case LISTENING:
        events = s->first ? POLLIN | POLLRDNORM : 0;
        break;
    case CONNECTING:
        break;
    case LOST:
        events = wf_sim_now() < s->lost_until ? 0 : POLLOUT | POLLERR | POLLHUP;
        break;
    case CONNECTED:
        events = stream_events(s);
        break;
    }
    return (int)(events & (wanted | POLLERR | POLLHUP));
}
