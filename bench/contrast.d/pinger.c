/* pinger.c - the client of the ping and stall works: an open loop in a process of its own.
 *
 * Ping i is meant to be sent at start + i * period, whatever happened to the pings before it, and its
 * latency runs from that intended moment to the arrival of its echo. A client that waits for answers, or
 * counts from the moment it managed to send, would be quiet just while the server is stuck and would
 * report few bad pings where there were many.
 *
 * For stall it also asks for jobs, at fixed times as well and on one more connection, so that no ping waits
 * behind a job on a connection of its own. One at a time: a job that is not done when the next is due makes that
 * one wait for the next time, so that a slow machine gets late pings and not an endless queue of jobs.
 *
 * The pinger shares the machine's cores with the server, so its own lateness (it may wake late) is inside
 * every latency. It reports that lateness, so that a reader can tell how much of a figure it may be. */
#include "bench/contrast.d/contrast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CONNS_MAX  64
#define SETTLE_NS  (20 * CT_MSEC) /* from the last connect to the first ping */
#define JOB_ID     UINT32_MAX
#define PATIENCE_NS (5 * CT_SEC)  /* for the last echo after the last ping; then it counts as lost */

struct order {
    uint32_t port, conns, rate, count;
    int64_t job_every_ns; /* 0: no jobs */
};

struct summary {
    uint32_t sent, answered;
    int64_t late_p99_ns;
};

struct link {
    int fd;
    unsigned have;
    struct ct_message next;
};

struct pinger {
    struct order order;
    int epoll, timer;
    int64_t start_ns, period_ns;
    uint32_t sent, answered;
    uint32_t jobs;       /* times for a job that have passed */
    bool job_open;       /* asked for and not answered */
    int64_t *latency_ns; /* by ping number; -1 until its echo came */
    int64_t *late_ns;
    struct link links[CONNS_MAX + 1]; /* the last: for jobs */
};

static int64_t intended(const struct pinger *p, uint32_t i)
{
    return p->start_ns + (int64_t)i * p->period_ns;
}

/* The next job; INT64_MAX when there is none before the last ping, or the one before is not done. */
static int64_t job_due(const struct pinger *p)
{
    int64_t at = p->start_ns + p->jobs * p->order.job_every_ns;
    bool none = p->order.job_every_ns == 0 || p->job_open || at > intended(p, p->order.count);
    return none ? INT64_MAX : at;
}

static void job_done(struct pinger *p)
{
    p->job_open = false;
    while (job_due(p) < ct_now())
        p->jobs++;
}

static unsigned links(const struct pinger *p)
{
    return p->order.conns + (p->order.job_every_ns > 0);
}

static int link_open(struct link *l, uint32_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    to.sin_port = htons((uint16_t)port);
    *l = (struct link){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof to) < 0)
        return -errno;
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return 0;
}

/* A ping that cannot be sent stays unanswered, and so counts as lost. */
static void send_due(struct pinger *p)
{
    uint64_t fired;
    ssize_t ignored = read(p->timer, &fired, sizeof fired);
    (void)ignored;
    int64_t now = ct_now();
    while (p->sent < p->order.count && intended(p, p->sent) <= now) {
        struct ct_message m = {.id = p->sent};
        p->late_ns[p->sent] = ct_now() - intended(p, p->sent);
        ignored = send(p->links[p->sent % p->order.conns].fd, &m, sizeof m, MSG_DONTWAIT | MSG_NOSIGNAL);
        p->sent++;
    }
    if (job_due(p) <= now) {
        struct ct_message m = {.id = JOB_ID, .delay_us = 1};
        ignored = send(p->links[p->order.conns].fd, &m, sizeof m, MSG_DONTWAIT | MSG_NOSIGNAL);
        p->jobs++;
        p->job_open = true;
    }
}

static void receive(struct pinger *p, struct link *l)
{
    for (;;) {
        ssize_t got = recv(l->fd, (char *)&l->next + l->have, sizeof l->next - l->have, MSG_DONTWAIT);
        if (got <= 0)
            return;
        l->have += (unsigned)got;
        if (l->have < sizeof l->next)
            continue;
        l->have = 0;
        uint32_t i = l->next.id;
        if (i == JOB_ID)
            job_done(p);
        if (i < p->sent && p->latency_ns[i] < 0) {
            p->latency_ns[i] = ct_now() - intended(p, i);
            p->answered++;
        }
    }
}

static void arm(struct pinger *p)
{
    int64_t at = p->sent < p->order.count ? intended(p, p->sent) : intended(p, p->sent) + PATIENCE_NS;
    at = job_due(p) < at ? job_due(p) : at;
    struct itimerspec when = {.it_value = {.tv_sec = at / CT_SEC, .tv_nsec = at % CT_SEC}};
    timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void run(struct pinger *p)
{
    struct epoll_event events[CONNS_MAX + 2];
    p->start_ns = ct_now() + SETTLE_NS;
    while (p->answered < p->order.count) {
        if (p->sent == p->order.count && ct_now() > intended(p, p->sent) + PATIENCE_NS)
            return;
        arm(p);
        int n = epoll_wait(p->epoll, events, CONNS_MAX + 2, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL)
                receive(p, events[i].data.ptr);
        }
        send_due(p);
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Summary, then the latencies of the answered pings in rising order. */
static int report(struct pinger *p, int line)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->sent; i++) {
        if (p->latency_ns[i] >= 0)
            p->latency_ns[kept++] = p->latency_ns[i];
    }
    qsort(p->latency_ns, kept, sizeof *p->latency_ns, by_size);
    qsort(p->late_ns, p->sent, sizeof *p->late_ns, by_size);
    struct summary s = {.sent = p->sent, .answered = kept};
    s.late_p99_ns = ct_percentile(p->late_ns, p->sent, 99);
    int err = ct_write_all(line, &s, sizeof s);
    return err < 0 ? err : ct_write_all(line, p->latency_ns, kept * sizeof *p->latency_ns);
}

static int obey(struct pinger *p, int line)
{
    int err = 0;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    p->period_ns = CT_SEC / p->order.rate;
    p->latency_ns = malloc(p->order.count * sizeof *p->latency_ns);
    p->late_ns = calloc(p->order.count, sizeof *p->late_ns);
    if (p->epoll < 0 || p->timer < 0 || p->latency_ns == NULL || p->late_ns == NULL)
        return -ENOMEM;
    memset(p->latency_ns, 0xff, p->order.count * sizeof *p->latency_ns);
    struct epoll_event ev = {.events = EPOLLIN};
    epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->timer, &ev);
    for (uint32_t i = 0; i < links(p) && err == 0; i++) {
        err = link_open(&p->links[i], p->order.port);
        ev.data.ptr = &p->links[i];
        epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->links[i].fd, &ev);
    }
    if (err == 0)
        run(p);
    for (uint32_t i = 0; i < links(p); i++)
        close(p->links[i].fd);
    close(p->timer);
    close(p->epoll);
    return err < 0 ? err : report(p, line);
}

/* The process: an order, a run, a report, until the line closes. */
void ct_pinger_body(int line)
{
    for (;;) {
        struct pinger p = {0};
        if (ct_read_full(line, &p.order, sizeof p.order) < 0)
            return;
        if (p.order.conns == 0 || p.order.conns > CONNS_MAX || p.order.rate == 0)
            ct_die("pinger: an order out of range", 0);
        int err = obey(&p, line);
        if (err < 0)
            ct_die("pinger", err);
        free(p.latency_ns);
        free(p.late_ns);
    }
}

/* Let it connect to port and begin: so many connections, and one more when it asks for jobs. */
int ct_pinger_start(struct ct_child *pinger, int port, const struct ct_plan *p, bool asks_for_jobs)
{
    struct order o = {.port = (uint32_t)port, .conns = p->ping_conns, .rate = p->ping_rate};
    o.count = asks_for_jobs ? p->stall_count : p->ping_count;
    o.job_every_ns = asks_for_jobs ? p->job_every_ns : 0;
    return ct_write_all(pinger->line, &o, sizeof o);
}

/* Wait for its report. */
int ct_pinger_result(struct ct_child *pinger, struct ct_ping_run *ret)
{
    struct summary s;
    int err = ct_read_full(pinger->line, &s, sizeof s);
    if (err < 0)
        return err;
    int64_t *latency = calloc(s.answered + 1, sizeof *latency);
    if (latency == NULL)
        return -ENOMEM;
    err = ct_read_full(pinger->line, latency, s.answered * sizeof *latency);
    if (err < 0) {
        free(latency);
        return err;
    }
    *ret = (struct ct_ping_run){
        .sent = s.sent, .lost = s.sent - s.answered, .late_p99_ns = s.late_p99_ns, .latency_ns = latency};
    return 0;
}
