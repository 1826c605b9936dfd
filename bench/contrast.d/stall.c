/* stall.c - the servers of the stall work, and one run of it.
 *
 * An echo server in which some requests compute before they are answered, in four modes: one thread that polls and
 * blocks (seq), one worker (conc), all workers (par), and one worker that has it done on the pool (offload). The
 * handlers differ in nothing but whose calls they use and where they compute. The pinger sends both kinds and
 * measures the innocent ones. In seq and conc these wait for a job; in par another worker reads them, whichever worker
 * the connection belongs to. */
#include "bench/contrast.d/contrast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

#define CONNS_MAX 65

struct server {
    const struct ct_plan *plan;
    struct ct_child *pinger;
    enum ct_stall mode;
    uint64_t sink;
};

struct client {
    struct server *server;
    int fd;
};

static int compute(void *arg)
{
    struct server *s = arg;
    uint64_t got = ct_burn(1, s->plan->job_turns);
    __atomic_store_n(&s->sink, got, __ATOMIC_RELAXED); /* two jobs may overlap; nobody reads it */
    return 0;
}

/* One blocking thread. */

static int seq_listen(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, CONNS_MAX) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        return -errno;
    *port = ntohs(at.sin_port);
    return fd;
}

/* One request of a client that has sent something; false once it has gone. */
static bool seq_answer(struct server *s, int fd)
{
    struct ct_message m;
    if (ct_read_full(fd, &m, sizeof m) < 0)
        return false;
    if (m.delay_us != 0)
        compute(s);
    return ct_write_all(fd, &m, sizeof m) == 0;
}

static int seq_serve(struct server *s, int listener)
{
    struct pollfd fds[CONNS_MAX];
    unsigned conns = s->plan->ping_conns + 1, left = conns;
    for (unsigned i = 0; i < conns; i++) {
        fds[i] = (struct pollfd){.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), .events = POLLIN};
        if (fds[i].fd < 0)
            return -errno;
    }
    while (left > 0) {
        if (poll(fds, conns, -1) < 0)
            return -errno;
        for (unsigned i = 0; i < conns; i++) {
            if (fds[i].revents == 0 || seq_answer(s, fds[i].fd))
                continue;
            close(fds[i].fd);
            fds[i] = (struct pollfd){.fd = -1};
            left--;
        }
    }
    return 0;
}

static int run_seq(struct server *s)
{
    int port = 0, listener = seq_listen(&port);
    if (listener < 0)
        return listener;
    int err = ct_pinger_start(s->pinger, port, s->plan, true);
    if (err == 0)
        err = seq_serve(s, listener);
    close(listener);
    return err;
}

/* Workers. */

static int answer(void *arg)
{
    struct client *c = arg;
    struct ct_message m;
    while (weft_read_full(c->fd, &m, sizeof m) == 0) {
        if (m.delay_us != 0 && c->server->mode == CT_STALL_OFFLOAD) {
            if (weft_offload(compute, c->server) < 0)
                break;
        } else if (m.delay_us != 0) {
            compute(c->server);
        }
        if (weft_write_all(c->fd, &m, sizeof m) < 0)
            break;
    }
    weft_close(c->fd);
    return 0;
}

static int serve(struct server *s, int listener)
{
    WEFT_SCOPE(clients);
    for (unsigned i = 0; i <= s->plan->ping_conns; i++) {
        int fd = weft_accept(listener, NULL);
        if (fd < 0)
            return fd;
        weft_go_with(&clients, answer, struct client, .server = s, .fd = fd);
    }
    return weft_scope_close(&clients);
}

static int server_body(void *arg)
{
    struct server *s = arg;
    weft_addr at;
    int listener = weft_tcp_listen("127.0.0.1:0", 0);
    if (listener < 0)
        return listener;
    int err = weft_addr_local(listener, &at);
    if (err == 0)
        err = ct_pinger_start(s->pinger, weft_addr_port(&at), s->plan, true);
    if (err == 0)
        err = serve(s, listener);
    weft_close(listener);
    return err;
}

int ct_run_stall(const struct ct_plan *p, enum ct_stall mode, struct ct_child *pinger, struct ct_ping_run *ret)
{
    struct server s = {.plan = p, .pinger = pinger, .mode = mode};
    weft_config config = {.workers = mode == CT_STALL_PAR ? p->workers : 1, .offload_max = p->workers};
    int err = mode == CT_STALL_SEQ ? run_seq(&s) : weft_run(&config, server_body, &s);
    return err < 0 ? err : ct_pinger_result(pinger, ret);
}
