/* net.c - connections: what arrives is a prefix of what was sent, and every descriptor is closed once. */
#include "tests/scenario/scenario.h"

#include <poll.h>

/* ---- a server that echoes, in a scope of its own; cancel it to end it ---- */

struct server {
    char at[WEFT_ADDR_TEXT_MAX];
    int listener;
    size_t buf_max; /* how much one connection takes at once */
    WF_ATOMIC(unsigned) accepted, served;
};

struct connection {
    struct server *server;
    int fd;
};

static int serve_one(void *arg)
{
    struct connection *c = arg;
    char buf[1024];
    size_t max = c->server->buf_max < sizeof buf ? c->server->buf_max : sizeof buf;
    ssize_t n;
    while (WENT_OR_CUT(n = weft_read(c->fd, buf, max)) && n > 0)
        if (!WENT_OR_CUT(weft_write_all(c->fd, buf, (size_t)n)))
            break;
    scenario_close(c->fd);
    wf_add(&c->server->served, 1u, relaxed);
    scenario_count();
    return 0;
}

static int serve(void *arg)
{
    struct server *server = arg;
    WEFT_SCOPE(s);
    int fd;
    while (WENT(fd = weft_accept(server->listener, NULL))) {
        wf_add(&server->accepted, 1u, relaxed);
        if (weft_go_with(&s, serve_one, struct connection, .server = server, .fd = fd) < 0) {
            scenario_close(fd);
            wf_add(&server->served, 1u, relaxed);
        }
    }
    (void)WENT(weft_scope_close(&s));
    scenario_close(server->listener); /* whoever is still in the backlog learns that nobody will come */
    server->listener = -1;
    return 0;
}

/* [Ts-] Run clients(ctx) against a server that lives as long. */
static void with_server(struct server *server, int (*clients)(struct server *server))
{
    server->listener = scenario_listen(server->at);
    if (server->listener < 0)
        return;
    WEFT_SCOPE(s);
    if (weft_go(&s, serve, server) == 0) {
        HOLDS_EQ(clients(server), 0);
        weft_scope_cancel(&s);
    }
    (void)WENT(weft_scope_close(&s));
    weft_closep(&server->listener); /* there was no memory to serve */
    HOLDS_EQ(wf_load(&server->accepted, relaxed), wf_load(&server->served, relaxed));
}

/* ---- echo_storm: many clients that send and receive at once, in odd sizes, and shut down one way ---- */

struct client {
    struct server *server;
    unsigned lane, total, sent, received;
    int fd;
};

static int send_all(void *arg)
{
    struct client *c = arg;
    struct wf_random random = scenario_random(2 * c->lane);
    char buf[700];
    while (c->sent < c->total) {
        unsigned n = 1 + wf_random_below(&random, sizeof buf - 1);
        n = n < c->total - c->sent ? n : c->total - c->sent;
        scenario_fill(buf, n, c->lane, c->sent);
        if (one_in(&random, 2)) {
            if (!WENT(weft_write_all(c->fd, buf, n)))
                break;
            c->sent += n;
        } else {
            ssize_t put = weft_write(c->fd, buf, n);
            if (!WENT(put))
                break;
            HOLDS(put > 0 && (size_t)put <= n);
            c->sent += (unsigned)put;
        }
    }
    int err = weft_shutdown_write(c->fd);
    HOLDS(err == 0 || scenario_allowed(err));
    return 0;
}

static void receive_all(struct client *c)
{
    struct wf_random random = scenario_random(2 * c->lane + 1);
    unsigned char buf[700];
    ssize_t n;
    do {
        size_t max = 1 + wf_random_below(&random, sizeof buf - 1);
        n = weft_read(c->fd, buf, max);
        if (!WENT(n))
            return;
        HOLDS((size_t)n <= max);
        scenario_verify(buf, (size_t)n, c->lane, c->received);
        c->received += (unsigned)n;
        HOLDS(c->received <= c->total);
    } while (n > 0);
    HOLDS(c->received == c->total || scenario_env.faults);
}

static int be_client(void *arg)
{
    struct client *c = arg;
    c->fd = weft_tcp_connect(c->server->at);
    if (!WENT(c->fd))
        return 0;
    WEFT_SCOPE(s);
    weft_go(&s, send_all, c); /* if there is no memory for it, that stops this task too */
    receive_all(c);
    (void)WENT(weft_scope_close(&s));
    scenario_close(c->fd);
    return 0;
}

static int many_clients(struct server *server)
{
    struct wf_random random = scenario_random(9);
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < scenario_env.size; i++)
        weft_go_with(&s, be_client, struct client, .server = server, .lane = i,
                     .total = wf_random_below(&random, 6000));
    (void)WENT(weft_scope_close(&s));
    return 0;
}

static int echo_storm(void *env)
{
    (void)env;
    struct server server = {.buf_max = 333};
    with_server(&server, many_clients);
    HOLDS(wf_load(&server.accepted, relaxed) == scenario_env.size || scenario_env.faults);
    return 0;
}

const struct scenario scenario_echo_storm = {"echo_storm", echo_storm, 24, 0};

/* ---- reset: clients that leave in the middle, with bytes unread ---- */

static int be_rude(void *arg)
{
    struct client *c = arg;
    struct wf_random random = scenario_random(c->lane);
    unsigned char buf[500];
    int fd = weft_tcp_connect(c->server->at);
    if (!WENT(fd))
        return 0;
    unsigned sent = 0, got = 0;
    for (unsigned i = wf_random_below(&random, 6); i > 0; i--) {
        scenario_fill(buf, sizeof buf, c->lane, sent);
        if (!WENT(weft_write_all(fd, buf, sizeof buf)))
            break;
        sent += (unsigned)sizeof buf;
        if (one_in(&random, 3)) {
            ssize_t n = weft_read(fd, buf, 1 + wf_random_below(&random, 40));
            if (!WENT(n))
                break;
            HOLDS(n > 0 || scenario_env.faults);
            scenario_verify(buf, (size_t)n, c->lane, got);
            got += (unsigned)n;
            HOLDS(got <= sent);
        }
    }
    scenario_close(fd); /* what is unread makes it a reset */
    scenario_count();
    return 0;
}

static int rude_clients(struct server *server)
{
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < scenario_env.size; i++)
        weft_go_with(&s, be_rude, struct client, .server = server, .lane = i);
    (void)WENT(weft_scope_close(&s));
    return 0;
}

static int reset(void *env)
{
    (void)env;
    struct server server = {.buf_max = 100};
    with_server(&server, rude_clients);
    return 0;
}

const struct scenario scenario_reset = {"reset", reset, 24, 0};

/* ---- a pair of connected sockets ---- */

struct pair {
    char at[WEFT_ADDR_TEXT_MAX];
    int end[2];
};

static int connect_end(void *arg)
{
    struct pair *p = arg;
    p->end[0] = weft_tcp_connect(p->at);
    return p->end[0] < 0 && !WENT(p->end[0]) ? p->end[0] : 0; /* stops who accepts */
}

static bool open_pair(struct pair *p)
{
    p->end[0] = p->end[1] = -1;
    int listener = scenario_listen(p->at);
    if (listener < 0)
        return false;
    {
        WEFT_SCOPE(s);
        weft_go(&s, connect_end, p);
        p->end[1] = weft_accept(listener, NULL);
        if (!WENT(p->end[1]))
            weft_scope_cancel(&s);
        (void)WENT(weft_scope_close(&s));
    }
    scenario_close(listener);
    if (p->end[0] >= 0 && p->end[1] >= 0)
        return true;
    weft_closep(&p->end[0]);
    weft_closep(&p->end[1]);
    return false;
}

/* ---- close_under: a descriptor is closed while others are inside calls on it ---- */

enum { INSIDE = 9 };

struct inside {
    int fd, listener, how;
    WF_ATOMIC(unsigned) *ended;
};

static int64_t wait_inside(const struct inside *in, unsigned char *buf, size_t size)
{
    switch (in->how % 5) {
    case 0: return weft_read(in->fd, buf, 64);
    case 1: return weft_write(in->fd, buf, size);
    case 2: return weft_accept(in->listener, NULL);
    case 3: return weft_poll(in->fd, POLLPRI);
    default: {
        weft_case on[] = {weft_on_fd(in->fd, POLLPRI), weft_on_time(weft_after(3600 * WEFT_SEC))};
        int i = weft_select(on, 2);
        HOLDS(i <= 0);
        return i < 0 ? i : on[0].result;
    }
    }
}

/* Until it is told that the descriptor is gone. Afterwards that number may mean another one: nobody asks again. */
static int stay_inside(void *arg)
{
    struct inside *in = arg;
    unsigned char buf[16384] = {0};
    int64_t result;
    do {
        result = wait_inside(in, buf, sizeof buf);
        HOLDS(result >= 0 || result == -EBADF || !WENT(result));
    } while (result > 0 && in->how % 5 == 1); /* the one who writes fills the socket up */
    wf_add(in->ended, 1u, relaxed);
    return 0;
}

static int close_under(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    for (unsigned round = 0; round < env->size; round++) {
        struct pair p;
        char at[WEFT_ADDR_TEXT_MAX];
        if (!open_pair(&p))
            continue;
        int listener = scenario_listen(at);
        if (listener >= 0) {
            WF_ATOMIC(unsigned) ended = 0;
            struct inside in[INSIDE];
            WEFT_SCOPE(s);
            for (int i = 0; i < INSIDE; i++) {
                in[i] = (struct inside){p.end[1], listener, i, &ended};
                weft_go(&s, stay_inside, &in[i]);
            }
            (void)WENT(weft_sleep(some_usec(&random, 300)));
            scenario_close(p.end[1]);
            scenario_close(listener);
            (void)WENT(weft_scope_close(&s)); /* nobody cancels it: they all leave by themselves */
            HOLDS(wf_load(&ended, relaxed) == INSIDE || env->faults);
        } else {
            scenario_close(p.end[1]);
        }
        scenario_close(p.end[0]);
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_close_under = {"close_under", close_under, 4, 0};

/* ---- readiness: weft_poll, and a case of a select ---- */

static int send_byte(void *arg)
{
    int fd = *(int *)arg;
    if (WENT(weft_sleep(100 * WEFT_USEC)) && !WENT(weft_write_all(fd, "x", 1)))
        return -ENOMEM; /* wakes who waits for it */
    return 0;
}

static void wait_for_byte(struct pair *p, bool by_select)
{
    char byte = 0;
    int events;
    WEFT_SCOPE(s);
    weft_go(&s, send_byte, &p->end[0]);
    if (by_select) {
        weft_case on[] = {weft_on_fd(p->end[1], POLLIN), weft_on_time(weft_after(3600 * WEFT_SEC))};
        int i = weft_select(on, 2);
        HOLDS(i <= 0);
        events = i < 0 ? i : on[0].result;
    } else {
        events = weft_poll(p->end[1], POLLIN);
    }
    if (WENT(events)) {
        HOLDS(events & POLLIN);
        ssize_t n = weft_read(p->end[1], &byte, 1);
        HOLDS(!WENT(n) || n == 0 || byte == 'x');
        HOLDS(n != 0 || scenario_env.faults);
    }
    (void)WENT(weft_scope_close(&s));
}

/* Nothing comes: the clock wins, and the byte that comes later is still there. */
static void wait_in_vain(struct pair *p, struct wf_random *random)
{
    for (int i = 0; i < 5; i++) {
        weft_time end = weft_after(some_usec(random, 50));
        weft_case on[] = {weft_on_time(end), weft_on_fd(p->end[1], POLLIN)};
        int which = weft_select(on, 2);
        if (WENT(which) && which == 0)
            HOLDS(weft_since(end) >= 0);
        HOLDS(which != 1 || scenario_env.faults);
    }
}

static int readiness(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    struct pair p;
    if (!open_pair(&p))
        return 0;
    for (unsigned i = 0; i < env->size; i++) {
        int events = weft_poll(p.end[0], POLLOUT);
        if (WENT(events))
            HOLDS(events & POLLOUT);
        wait_in_vain(&p, &random);
        wait_for_byte(&p, i % 2);
        scenario_count();
    }
    scenario_close(p.end[0]);
    scenario_close(p.end[1]);
    return 0;
}

const struct scenario scenario_readiness = {"readiness", readiness, 4, 0};

/* ---- cancel_net: calls that are stopped at any moment: what moved has moved, what was opened is closed ---- */

struct stream {
    int fd;
    unsigned lane;
    uint64_t moved; /* for certain */
};

static int write_some(void *arg)
{
    struct stream *out = arg;
    unsigned char buf[900];
    scenario_fill(buf, sizeof buf, out->lane, out->moved);
    ssize_t n = weft_write(out->fd, buf, sizeof buf);
    if (n > 0)
        out->moved += (uint64_t)n;
    return n < 0 ? (int)n : 1;
}

static int read_some(void *arg)
{
    struct stream *in = arg;
    unsigned char buf[700];
    ssize_t n = weft_read(in->fd, buf, sizeof buf);
    if (n > 0) {
        scenario_verify(buf, (size_t)n, in->lane, in->moved);
        in->moved += (uint64_t)n;
    }
    return n < 0 ? (int)n : n > 0;
}

/* Each call under a deadline so short that it often comes in the middle. A result or a stop, never both: so the
 * stream has neither a gap nor a repetition. */
static int stream_out(void *arg)
{
    struct stream *out = arg;
    struct wf_random random = scenario_random(out->lane);
    for (unsigned i = 0; i < 20; i++) {
        int err = weft_within(some_usec(&random, 60), write_some, out);
        if (err != -ETIMEDOUT && !WENT(err))
            break;
    }
    int err = weft_shutdown_write(out->fd);
    HOLDS(err == 0 || scenario_allowed(err));
    return 0;
}

static void stream_in(struct stream *in)
{
    struct wf_random random = scenario_random(in->lane + 50);
    for (;;) {
        int result = weft_within(some_usec(&random, 60), read_some, in);
        if (result == 0 || (result != -ETIMEDOUT && !WENT(result)))
            return;
        if (weft_checkpoint() < 0)
            return;
    }
}

/* Accept and connect under deadlines: what was not returned is not open; the runner counts descriptors. */
static int accept_it(void *arg)
{
    int fd = weft_accept(*(int *)arg, NULL);
    return fd < 0 ? fd : weft_close(fd) == 0 ? 1 : -EPROTO;
}

static int connect_it(void *arg)
{
    int fd = weft_tcp_connect(arg);
    return fd < 0 ? fd : weft_close(fd) == 0 ? 1 : -EPROTO;
}

static int accept_often(void *arg)
{
    struct wf_random random = scenario_random(31);
    for (int i = 0; i < 40; i++) {
        int err = weft_within(some_usec(&random, 60), accept_it, arg);
        if (err != -ETIMEDOUT && !WENT_OR_CUT(err) && scenario_is_stop(err))
            break;
    }
    return 0;
}

static void open_often(struct wf_random *random)
{
    char at[WEFT_ADDR_TEXT_MAX];
    int listener = scenario_listen(at);
    if (listener < 0)
        return;
    WEFT_SCOPE(s);
    weft_go(&s, accept_often, &listener);
    for (int i = 0; i < 25; i++) {
        int err = weft_within(some_usec(random, 80), connect_it, at);
        if (err != -ETIMEDOUT && !WENT_OR_CUT(err) && scenario_is_stop(err))
            break;
        scenario_count();
    }
    (void)WENT(weft_scope_close(&s));
    scenario_close(listener);
}

static int cancel_net(void *arg)
{
    struct scenario_env *env = arg;
    struct wf_random random = scenario_random(0);
    for (unsigned round = 0; round < env->size; round++) {
        struct pair p;
        if (open_pair(&p)) {
            struct stream out = {p.end[0], round, 0}, in = {p.end[1], round, 0};
            WEFT_SCOPE(s);
            weft_go(&s, stream_out, &out);
            stream_in(&in);
            bool all = WENT(weft_scope_close(&s));
            HOLDS(in.moved == out.moved || (env->faults && (!all || in.moved <= out.moved)));
            scenario_close(p.end[0]);
            scenario_close(p.end[1]);
        }
        open_often(&random);
    }
    return 0;
}

const struct scenario scenario_cancel_net = {"cancel_net", cancel_net, 3, 0};

/* ---- shortage: out of descriptors, accept waits, and goes on once there are some ---- */

enum { WAITING = 4, HOARD_MAX = 64 };

static int ask_byte(void *arg)
{
    struct client *c = arg;
    unsigned char byte = scenario_byte(c->lane, 0);
    if (WENT(weft_write_all(c->fd, &byte, 1)) && WENT(weft_read_full(c->fd, &byte, 1)))
        scenario_verify(&byte, 1, c->lane, 0);
    scenario_close(c->fd);
    c->fd = -1;
    return 0;
}

/* Open all that may be opened; how many. */
static int hoard(int fds[HOARD_MAX])
{
    int n = 0;
    while (n < HOARD_MAX) {
        fds[n] = weft_tcp_listen("127.0.0.1:0", 1);
        if (fds[n] < 0) {
            HOLDS(fds[n] == -EMFILE || !WENT(fds[n]));
            break;
        }
        n++;
    }
    return n;
}

static int in_need(struct server *server)
{
    int fds[HOARD_MAX];
    struct client clients[WAITING];
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < WAITING; i++) /* in the backlog, or accepted already */
        clients[i] = (struct client){.server = server, .lane = i, .fd = weft_tcp_connect(server->at)};
    int n = hoard(fds);
    for (unsigned i = 0; i < WAITING; i++)
        if (WENT(clients[i].fd))
            weft_go(&s, ask_byte, &clients[i]);
    (void)WENT(weft_sleep(WEFT_MSEC));
    while (n > 0)
        scenario_close(fds[--n]);
    (void)WENT(weft_scope_close(&s));
    for (unsigned i = 0; i < WAITING; i++)
        weft_closep(&clients[i].fd); /* there was no memory to ask */
    return 0;
}

static int shortage(void *arg)
{
    struct scenario_env *env = arg;
    struct server server = {.buf_max = 16};
    if (env->limit_fds)
        env->limit_fds(WAITING + 8); /* the listener, the clients, some of their other ends */
    with_server(&server, in_need);
    if (env->limit_fds)
        env->limit_fds(-1);
    HOLDS(wf_load(&server.accepted, relaxed) == WAITING || env->faults);
    return 0;
}

const struct scenario scenario_shortage = {"shortage", shortage, 1, 0};
