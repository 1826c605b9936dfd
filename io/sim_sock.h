/* sim_sock.h - one simulated socket: between sim_net.c, which connects them, and sim_stream.c, which moves bytes. */
#ifndef WF_SIM_SOCK_H
#define WF_SIM_SOCK_H

#include "io/sim_net.h"

#include <stddef.h>

enum wf_sim_sock_kind { FRESH, LISTENING, CONNECTING, LOST, CONNECTED }; /* LOST: it connects to where nobody is */

struct wf_sim_sock {
    int fd; /* -1: nobody has accepted it yet */
    int family;
    enum wf_sim_sock_kind kind;
    struct sockaddr_storage own, other;  /* addresses */
    socklen_t own_len, other_len;
    int64_t lost_until;                  /* when who connects to nowhere gives up */
    struct wf_sim_sock *peer;            /* NULL: it has gone */
    struct wf_sim_sock *first, *next;    /* a listener's queue; the next in one */
    unsigned queued, backlog;
    unsigned char *bytes;                /* what came and was not read: a circle */
    size_t room, start, used;
    bool no_more, shut_read, shut_write; /* no_more: the other side sends nothing any more */
    bool told_gone;                      /* the other side has gone, and this one knows */
    int error;                           /* to be told once */
};

struct wf_sim_sock *wf_sim_sock_of(int fd);

/* Whoever waits for s looks again; NULL is fine. */
static inline void wf_sim_sock_changed(const struct wf_sim_sock *s)
{
    if (s && s->fd >= 0)
        wf_sim_requests_retry(s->fd);
}

/* s and its other side part, in order or by a reset. */
void wf_sim_sock_part(struct wf_sim_sock *s, bool reset);

#endif
