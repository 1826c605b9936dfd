/* echo_load.c - what does an echo server pay for a request?
 *
 * Servers run on the first CPU, one at a time busy, and this program asks from the second: `conns` connections, one
 * 64-byte request in flight on each, sent again as soon as it came back. What is compared is the CPU time the
 * server's process used, user and system, per request; the rate depends on the client as well. In each round
 * every server is measured once, with 1, 64 and 1,000 connections. The limit, limits/echo_uring, is one of them, and
 * the ratio to it is taken round by round. With one connection the time is compared, too: the client does not sleep
 * then, so that it is the server's wake that is seen. weft also says how many system calls its driver makes, and is
 * measured once more with workers that look on before they sleep (weft_config.spin_ns).
 *
 * A server says "NAME VERSION PORT" on its first line, and has chosen the port itself: an io_uring server's port
 * stays taken for some milliseconds after its death. Everything is bounded: a measurement ends after its time or
 * after REQUESTS_MAX requests, and a server that does not answer for STUCK_MS ends the program with an error.
 *
 *     echo_load [--conns N] [--seconds S] [--server LABEL=COMMAND]...
 *
 * --server measures one more under that name: any command that behaves as above and begins with an absolute path, as
 * "defer=/usr/bin/env WEFT_RING=defer /path/to/echo". */
#include "bench/bench.h"
#include "bench/server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    SIZE = 64,
    CONNS_MAX = 4096,
    EVENTS = 256,
    REQUESTS_MAX = 4000000,
    STUCK_MS = 5000,
    SERVERS_MAX = 16,
    LOADS_MAX = 3,
    METRICS = 6,
    CPU = 0, /* the first metric: the one that is held against the limit */
    P50 = 3,
    CALLS = 5,
};

static const char *const metric_name[METRICS] = {"server_cpu", "server_busy", "rate", "p50", "p99", "calls"};
static const char *const metric_unit[METRICS] = {"us/request", "%", "requests/s", "us", "us", "calls/request"};
#define SPINNING "weft-spinning"
static const double bar_calls = 0.1; /* with many connections */
static const double bar_spinning_us = 20; /* with one */

/* Of server CPU to the limit's. */
static double bar_ratio(unsigned conns)
{
    return conns >= 1000 ? 1.08 : conns >= 64 ? 1.05 : 0;
}

struct conn {
    int fd;
    unsigned got;    /* bytes of the answer so far */
    int64_t sent_ns;
};

struct load {
    struct conn conn[CONNS_MAX];
    unsigned conns;
    int epoll;
    unsigned done;   /* requests answered since the measurement began */
    uint32_t *taken; /* nanoseconds each of them took */
};

struct server {
    struct bench_server it;
    struct bench_figure figure[LOADS_MAX][METRICS];
};

static void load_connect(struct load *l, const struct bench_peer *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < l->conns; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
            bench_die("%s: connection %u: %s", server->who, i, strerror(errno));
        if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            bench_die("epoll_ctl: %s", strerror(errno));
        l->conn[i] = (struct conn){.fd = fd};
    }
}

static void load_close(struct load *l)
{
    for (unsigned i = 0; i < l->conns; i++)
        close(l->conn[i].fd);
    close(l->epoll);
}

static void ask(struct conn *c)
{
    static const char request[SIZE] = "weft asks, and whoever listens says the same";
    c->got = 0;
    c->sent_ns = bench_now_ns();
    if (send(c->fd, request, SIZE, MSG_NOSIGNAL) != SIZE)
        bench_die("send: %s", strerror(errno));
}

/* Take what came, and ask again once the answer is complete. */
static void hear(struct load *l, struct conn *c)
{
    char answer[SIZE];
    ssize_t n = recv(c->fd, answer, SIZE - c->got, MSG_DONTWAIT);
    if (n <= 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        bench_die("the server closed a connection");
    c->got += (unsigned)n;
    if (c->got < SIZE)
        return;
    if (l->done < REQUESTS_MAX)
        l->taken[l->done++] = (uint32_t)(bench_now_ns() - c->sent_ns);
    ask(c);
}

/* Ping-pong until `until_ns`; the time it ended. */
static int64_t load_run(struct load *l, int64_t until_ns)
{
    struct epoll_event event[EVENTS];
    int64_t now;
    int wait_ms = l->conns == 1 ? 0 : STUCK_MS;
    while ((now = bench_now_ns()) < until_ns && l->done < REQUESTS_MAX) {
        int n = epoll_wait(l->epoll, event, EVENTS, wait_ms);
        if (n == 0 && wait_ms > 0)
            bench_die("the server does not answer");
        for (int i = 0; i < n; i++)
            hear(l, &l->conn[event[i].data.u32]);
    }
    return now;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void measure(struct load *l, struct bench_server *s, double seconds, double *value)
{
    load_connect(l, &s->peer);
    l->done = 0;
    for (unsigned i = 0; i < l->conns; i++)
        ask(&l->conn[i]);
    load_run(l, bench_now_ns() + (int64_t)(seconds * 0.2e9));
    l->done = 0;
    double calls = bench_server_calls(s);
    int64_t cpu = bench_server_cpu_ns(s), start = bench_now_ns();
    int64_t took = load_run(l, start + (int64_t)(seconds * 1e9)) - start;
    cpu = bench_server_cpu_ns(s) - cpu;
    calls = bench_server_calls(s) - calls;
    load_close(l);
    if (l->done == 0)
        bench_die("%s: no request was answered", s->peer.who);
    qsort(l->taken, l->done, sizeof *l->taken, compare_u32);
    value[CPU] = (double)cpu / 1e3 / l->done;
    value[1] = 100.0 * (double)cpu / (double)took;
    value[2] = (double)l->done * 1e9 / (double)took;
    value[P50] = l->taken[l->done / 2] / 1e3;
    value[4] = l->taken[(uint64_t)l->done * 99 / 100] / 1e3;
    value[CALLS] = calls / l->done;
}

struct plan {
    struct bench_options o;
    double seconds;
    unsigned conns[LOADS_MAX], loads;
    const char *label[SERVERS_MAX], *command[SERVERS_MAX];
    unsigned commands;
};

/* weft once more, with workers that look on for 20 us before they sleep. */
static bool is_spinning(const struct server *s)
{
    return strcmp(s->it.peer.who, SPINNING) == 0;
}

static bool server_start(struct server *s, const char *label, const char *command, const struct plan *p,
                         char bench[][16])
{
    if (!bench_server_start(&s->it, label, command))
        return false;
    for (unsigned i = 0; i < p->loads; i++)
        for (int m = 0; m < METRICS; m++)
            s->figure[i][m] = (struct bench_figure){.bench = bench[i], .who = s->it.peer.who,
                                                    .version = s->it.peer.version, .metric = metric_name[m],
                                                    .unit = metric_unit[m], .workers = 1,
                                                    .bar = m == CALLS && p->conns[i] >= 64 ? bar_calls : 0};
    for (unsigned i = 0; i < p->loads; i++)
        if (p->conns[i] == 1 && is_spinning(s))
            s->figure[i][P50].bar = bar_spinning_us;
    return true;
}

/* weft's, which is server 1, by another's. */
static void report_ratio(struct server *server, unsigned other, unsigned load, int metric, double bar)
{
    char name[128];
    struct bench_figure *ours = &server[1].figure[load][metric];
    snprintf(name, sizeof name, "%s_by_%s", metric_name[metric], other == 0 ? "limit" : server[other].it.peer.who);
    struct bench_figure ratio = {.bench = ours->bench, .who = "weft", .version = ours->version, .metric = name,
                                 .unit = "x", .workers = 1, .bar = bar};
    bench_ratio(&ratio, ours, &server[other].figure[load][metric]);
    bench_report(&ratio);
}

static void report(struct server *server, unsigned servers, const struct plan *p, unsigned load)
{
    for (int m = 0; m < METRICS; m++)
        for (unsigned i = 0; i < servers; i++)
            bench_report(&server[i].figure[load][m]);
    for (unsigned i = 0; i < servers; i++)
        if (i != 1 && !is_spinning(&server[i]))
            report_ratio(server, i, load, CPU, i == 0 ? bar_ratio(p->conns[load]) : 1.0);
    for (unsigned i = 0; i < servers && p->conns[load] == 1; i++)
        if (i != 1 && !is_spinning(&server[i]))
            report_ratio(server, i, load, P50, i == 0 ? 0 : 1.0);
}

static struct plan read_plan(int argc, char **argv)
{
    static const char more[] = "[--conns N] [--seconds S] [--server LABEL=COMMAND]...";
    struct plan p = {.seconds = 0, .conns = {1, 64, 1000}, .loads = 3,
                     .command = {"limits/echo_uring", "echo", "peers/uv_peer echo", "peers/tokio_peer echo 0",
                                 "peers/tokio_peer echo 1", "peers/go_echo 1", "peers/boost_echo",
                                 "peers/asyncio_echo.py", "peers/asyncio_echo.py uvloop"},
                     .commands = 9};
    static char spinning[4200];
    p.o = bench_options(&argc, argv, 7, more);
    if (!p.o.peers)
        p.commands = 2;
    snprintf(spinning, sizeof spinning, "/usr/bin/env WEFT_SPIN_US=20 %s/echo", bench_folder());
    p.label[p.commands] = SPINNING;
    p.command[p.commands++] = spinning;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            bench_usage(argv[0], more);
        if (strcmp(argv[i], "--conns") == 0) {
            p.conns[0] = (unsigned)strtoul(argv[i + 1], NULL, 10);
            p.loads = 1;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            p.seconds = strtod(argv[i + 1], NULL);
        } else if (strcmp(argv[i], "--server") == 0 && strstr(argv[i + 1], "=/") != NULL && p.commands < SERVERS_MAX) {
            p.label[p.commands] = argv[i + 1];
            p.command[p.commands++] = strstr(argv[i + 1], "=/") + 1;
        } else {
            bench_usage(argv[0], more);
        }
    }
    if (p.conns[0] == 0 || p.conns[0] > CONNS_MAX)
        bench_die("--conns takes 1 to %d", CONNS_MAX);
    if (p.o.quick && p.o.rounds > 2)
        p.o.rounds = 2; /* there are many servers */
    if (p.seconds <= 0)
        p.seconds = p.o.quick ? 0.1 : 0.6;
    return p;
}

int main(int argc, char **argv)
{
    static struct load load;
    static struct server server[SERVERS_MAX];
    static char bench[LOADS_MAX][16];
    struct rlimit files = {.rlim_cur = 2 * CONNS_MAX, .rlim_max = 2 * CONNS_MAX};
    struct plan p = read_plan(argc, argv);
    unsigned servers = 0;
    setrlimit(RLIMIT_NOFILE, &files); /* the servers inherit it; where it is refused, connect() will say so */
    setenv("WEFT_WORKERS", "1", 1);
    bench_machine(stdout);
    if (bench_pin(1, 1) == 0)
        bench_die("echo: two CPUs are needed, one for the server and one for the client");
    for (unsigned i = 0; i < p.loads; i++)
        snprintf(bench[i], sizeof bench[i], "echo_%u", p.conns[i]);
    for (unsigned i = 0; i < p.commands; i++) {
        bool there = server_start(&server[servers], p.label[i], p.command[i], &p, bench);
        if (!there && i < 2)
            bench_die("echo: %s is not built, and nothing can be compared without it", p.command[i]);
        servers += there;
    }
    load.taken = calloc(REQUESTS_MAX, sizeof *load.taken);
    if (load.taken == NULL)
        bench_die("no memory");
    for (unsigned round = 0; round <= p.o.rounds; round++)
        for (unsigned i = 0; i < p.loads * servers; i++) {
            double value[METRICS];
            load.conns = p.conns[i / servers];
            measure(&load, &server[i % servers].it, p.seconds, value);
            for (int m = 0; m < METRICS && round > 0; m++)
                if (m != CALLS || server[i % servers].it.tells)
                    bench_add(&server[i % servers].figure[i / servers][m], value[m]);
        }
    for (unsigned i = 0; i < p.loads; i++)
        report(server, servers, &p, i);
    for (unsigned k = 0; k < servers; k++)
        bench_peer_stop(&server[k].it.peer);
    free(load.taken);
    return 0;
}
