/* sim_net.c - see sim_net.h.
 *
 * As Linux does it over loopback: a connection is there once the listener's backlog has taken it, before anybody
 * accepts; what was sent before a close can still be read; to close with bytes unread resets the connection, and so
 * does to send to somebody who has gone, once. The room between sender and receiver is small where bytes may come in
 * pieces. What is not loopback cannot be reached, and says so only after a long time. */
#include "io/sim_sock.h"

#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/sim.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FDS_MAX = 1 << 16, PORT_FIRST = 32768, PORTS = 28000, ROOM = 64 << 10 };

static const int64_t LOST_NS = 127 * INT64_C(1000000000); /* as long as Linux repeats a SYN */

static struct wf_sim_sock *table[FDS_MAX];
static unsigned open_count, next_port;
static int fd_end; /* all of them are below */

struct wf_sim_sock *wf_sim_sock_of(int fd)
{
    return table[fd];
}

bool wf_sim_net_has(int fd)
{
    return fd >= 0 && fd < FDS_MAX && table[fd];
}

/* ---- birth and end ---- */

static struct wf_sim_sock *sock_new(int family)
{
    wf_sim_hold();
    struct wf_sim_sock *s = wf_alloc(sizeof *s);
    wf_sim_release();
    WF_CHECK(s);
    s->fd = -1;
    s->family = family;
    return s;
}

/* A number for s. */
static int give_fd(struct wf_sim_sock *s)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0 || fd >= FDS_MAX) {
        int err = fd < 0 ? -errno : -EMFILE;
        if (fd >= 0)
            close(fd);
        return err;
    }
    if (table[fd])
        wf_sim_broke(-EPROTO, "descriptor %d was closed behind weft's back", fd);
    table[fd] = s;
    fd_end = fd >= fd_end ? fd + 1 : fd_end;
    s->fd = fd;
    open_count++;
    return fd;
}

int wf_sim_net_socket(int family, int type)
{
    if ((family != AF_INET && family != AF_INET6 && family != AF_UNIX) || (type & 0xf) != SOCK_STREAM)
        return -EAFNOSUPPORT;
    struct wf_sim_sock *s = sock_new(family);
    int fd = give_fd(s);
    if (fd < 0)
        wf_free(s, sizeof *s);
    return fd;
}

static void sock_free(struct wf_sim_sock *s)
{
    wf_free(s->bytes, s->room);
    wf_free(s, sizeof *s);
}

/* The other side hears that s has gone, in order, or by a reset. */
void wf_sim_sock_part(struct wf_sim_sock *s, bool reset)
{
    struct wf_sim_sock *p = s->peer;
    if (!p)
        return;
    s->peer = p->peer = NULL;
    p->no_more = true;
    if (reset)
        p->error = ECONNRESET;
    wf_sim_sock_changed(p);
}

static void close_queue(struct wf_sim_sock *listener)
{
    while (listener->first) {
        struct wf_sim_sock *s = listener->first;
        listener->first = s->next;
        wf_sim_sock_part(s, true);
        sock_free(s);
    }
}

/* Those that wait for room in a backlog look again. */
static void retry_connecting(void)
{
    for (int fd = 0; fd < fd_end; fd++)
        if (table[fd] && table[fd]->kind == CONNECTING)
            wf_sim_sock_changed(table[fd]);
}

int wf_sim_net_close(int fd)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    wf_sim_requests_forget(fd);
    table[fd] = NULL;
    open_count--;
    if (s->kind == LISTENING) {
        close_queue(s);
        retry_connecting();
    }
    wf_sim_sock_part(s, s->used > 0);
    sock_free(s);
    return close(fd) < 0 ? -errno : 0;
}

unsigned wf_sim_net_open(void)
{
    return open_count;
}

void wf_sim_net_end(void)
{
    for (int fd = 0; fd < fd_end; fd++)
        if (table[fd])
            wf_sim_net_close(fd);
    next_port = 0;
}

/* ---- addresses ---- */

static unsigned port_of(const struct sockaddr_storage *a)
{
    struct sockaddr_in in;
    memcpy(&in, a, sizeof in); /* an IPv6 address has it at the same place */
    return ntohs(in.sin_port);
}

static void set_port(struct sockaddr_storage *a, unsigned port)
{
    struct sockaddr_in in;
    memcpy(&in, a, sizeof in);
    in.sin_port = htons((uint16_t)port);
    memcpy(a, &in, sizeof in);
}

/* 0 for every address, 1 for this machine, 2 for another. */
static int reach(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) {
        uint32_t address = ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr);
        return address == 0 ? 0 : address >> 24 == 127 ? 1 : 2;
    }
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)a)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(in6))
        return in6->s6_addr[12] == 127 ? 1 : 2;
    return IN6_IS_ADDR_UNSPECIFIED(in6) ? 0 : IN6_IS_ADDR_LOOPBACK(in6) ? 1 : 2;
}

/* Does a listener there answer to this address? */
static bool answers(const struct wf_sim_sock *l, const struct sockaddr_storage *to, socklen_t len)
{
    if (l->family == AF_UNIX || to->ss_family == AF_UNIX)
        return l->family == to->ss_family && l->own_len == len && !memcmp(&l->own, to, len);
    if (port_of(&l->own) != port_of(to))
        return false;
    bool every = reach(&l->own) == 0;
    return every ? l->family == AF_INET6 || to->ss_family == AF_INET : l->family == to->ss_family;
}

static struct wf_sim_sock *find_listener(const struct sockaddr_storage *to, socklen_t len)
{
    for (int fd = 0; fd < fd_end; fd++)
        if (table[fd] && table[fd]->kind == LISTENING && answers(table[fd], to, len))
            return table[fd];
    return NULL;
}

static bool port_is_taken(const struct wf_sim_sock *but, const struct sockaddr_storage *a)
{
    for (int fd = 0; fd < fd_end; fd++) {
        const struct wf_sim_sock *s = table[fd];
        if (s && s != but && s->kind != CONNECTED && s->own_len && s->family != AF_UNIX &&
            port_of(&s->own) == port_of(a) && (s->family == a->ss_family || s->family == AF_INET6))
            return true;
    }
    return false;
}

static void choose_port(struct wf_sim_sock *s)
{
    do
        set_port(&s->own, PORT_FIRST + next_port++ % PORTS);
    while (port_is_taken(s, &s->own));
}

int wf_sim_net_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    struct sockaddr_storage at = {0};
    if (len > sizeof at || len < sizeof(sa_family_t) || s->own_len)
        return -EINVAL;
    memcpy(&at, address, len);
    if (at.ss_family != s->family)
        return -EAFNOSUPPORT;
    bool has_port = s->family != AF_UNIX;
    if (has_port && reach(&at) == 2)
        return -EADDRNOTAVAIL;
    if (has_port ? port_of(&at) && port_is_taken(s, &at) : find_listener(&at, len) != NULL)
        return -EADDRINUSE;
    s->own = at;
    s->own_len = len;
    if (has_port && port_of(&at) == 0)
        choose_port(s);
    return 0;
}

static int tell_address(const struct sockaddr_storage *from, socklen_t from_len, struct sockaddr *to, socklen_t *len)
{
    if (!to || !len)
        return 0;
    memcpy(to, from, *len < from_len ? *len : from_len);
    *len = from_len;
    return 0;
}

int wf_sim_net_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
    return tell_address(&wf_sim_sock_of(fd)->own, wf_sim_sock_of(fd)->own_len, address, len);
}

int wf_sim_net_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    int told = level == SOL_SOCKET && name == SO_ERROR ? s->error : 0;
    if (*len < sizeof told)
        return -EINVAL;
    if (told)
        s->error = 0;
    memcpy(value, &told, sizeof told);
    *len = sizeof told;
    return 0;
}

int wf_sim_net_setsockopt(int fd)
{
    (void)fd;
    return 0;
}

/* ---- connections ---- */

int wf_sim_net_listen(int fd, int backlog)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    if (s->kind != FRESH && s->kind != LISTENING)
        return -EINVAL;
    if (!s->own_len) {
        s->own.ss_family = (sa_family_t)s->family;
        s->own_len = s->family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        choose_port(s);
    }
    s->kind = LISTENING;
    s->backlog = backlog > 0 ? (unsigned)backlog : 1;
    return 0;
}

static void give_room(struct wf_sim_sock *s)
{
    static const size_t rooms[] = {6000, 20000, ROOM}; /* Linux has at least some thousand bytes */
    bool vary = wf_sim_faults_on() & WEFT_SIM_SHORT;
    s->room = vary ? rooms[wf_sim_below(WF_SIM_KERNEL, sizeof rooms / sizeof *rooms)] : ROOM;
    wf_sim_hold();
    s->bytes = wf_alloc(s->room);
    wf_sim_release();
    WF_CHECK(s->bytes);
}

static void join(struct wf_sim_sock *client, struct wf_sim_sock *listener)
{
    struct wf_sim_sock *server = sock_new(listener->family), **last = &listener->first;
    if (!client->own_len) {
        client->own = client->other;
        client->own_len = client->other_len;
        if (client->family != AF_UNIX)
            choose_port(client);
    }
    server->own = client->other;
    server->own_len = client->other_len;
    server->other = client->own;
    server->other_len = client->own_len;
    server->kind = client->kind = CONNECTED;
    server->peer = client;
    client->peer = server;
    give_room(server);
    give_room(client);
    while (*last)
        last = &(*last)->next;
    *last = server;
    listener->queued++;
    wf_sim_sock_changed(listener);
    wf_sim_sock_changed(client);
}

/* 0, or why not, or -EINPROGRESS. */
static int try_to_join(struct wf_sim_sock *s)
{
    struct wf_sim_sock *listener = find_listener(&s->other, s->other_len);
    if (!listener || (wf_sim_fault(WEFT_SIM_RESET))) {
        s->kind = FRESH;
        return -ECONNREFUSED;
    }
    s->kind = CONNECTING;
    if (listener->queued <= listener->backlog) {
        join(s, listener);
        return 0;
    }
    return -EINPROGRESS;
}

int wf_sim_net_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    if (s->kind == CONNECTED)
        return -EISCONN;
    if (s->kind == LISTENING || len > sizeof s->other)
        return -EINVAL;
    if (s->kind == CONNECTING) {
        int err = try_to_join(s);
        return err ? err : -EISCONN;
    }
    if (s->kind == LOST)
        return wf_sim_now() < s->lost_until ? -EINPROGRESS : -ETIMEDOUT;
    memset(&s->other, 0, sizeof s->other);
    memcpy(&s->other, address, len);
    s->other_len = len;
    if (s->family != AF_UNIX && reach(&s->other) == 2) {
        s->kind = LOST;
        s->lost_until = wf_sim_now() + LOST_NS;
        return -EINPROGRESS;
    }
    int err = try_to_join(s);
    return err ? err : -EINPROGRESS; /* it is there already, but says so only when asked again, as a real one */
}

int wf_sim_net_accept(int fd, struct sockaddr *address, socklen_t *len)
{
    struct wf_sim_sock *l = wf_sim_sock_of(fd), *s = l->first;
    if (l->kind != LISTENING)
        return -EINVAL;
    if (!s)
        return -EAGAIN;
    int got = give_fd(s);
    if (got < 0)
        return got;
    l->first = s->next;
    l->queued--;
    s->next = NULL;
    tell_address(&s->other, s->other_len, address, len);
    retry_connecting();
    return got;
}

void wf_sim_net_reset(int fd)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    if (s->kind != CONNECTED || !s->peer)
        return;
    wf_sim_sock_part(s, true);
    s->no_more = true;
    s->error = ECONNRESET;
    wf_sim_sock_changed(s);
}

int wf_sim_net_shutdown(int fd, int how)
{
    struct wf_sim_sock *s = wf_sim_sock_of(fd);
    if (s->kind != CONNECTED && s->kind != LISTENING)
        return -ENOTCONN;
    if (how == SHUT_RD || how == SHUT_RDWR)
        s->shut_read = true;
    if ((how == SHUT_WR || how == SHUT_RDWR) && !s->shut_write) {
        s->shut_write = true;
        if (s->peer)
            s->peer->no_more = true;
        wf_sim_sock_changed(s->peer);
    }
    wf_sim_sock_changed(s);
    return 0;
}
