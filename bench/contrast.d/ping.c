/* ping.c - the server of the ping work, and one run of it.
 *
 * An echo server on weft, with a job of fixed integer work begun at fixed times beside it: on the worker
 * that serves (in line, one worker), on any worker (par), or on the pool (offload). The pinger measures
 * from outside. The server neither knows nor cares which ping comes when; it reads and writes. */
#include "bench/contrast.d/contrast.h"

#include <weft.h>

struct server {
    const struct ct_plan *plan;
    struct ct_child *pinger;
    enum ct_ping mode;
    uint64_t sink;
};

static int echo(void *arg)
{
    int fd = *(int *)arg;
    char buf[4096];
    ssize_t n;
    while ((n = weft_read(fd, buf, sizeof buf)) > 0) {
        if (weft_write_all(fd, buf, (size_t)n) < 0)
            break;
    }
    weft_close(fd);
    return 0;
}

static int burn_job(void *arg)
{
    struct server *s = arg;
    uint64_t got = ct_burn(1, s->plan->job_turns);
    __atomic_store_n(&s->sink, got, __ATOMIC_RELAXED); /* two jobs may overlap; nobody reads it */
    return 0;
}

static int job(void *arg)
{
    struct server *s = arg;
    if (s->mode == CT_PING_INLINE || s->mode == CT_PING_PAR)
        return burn_job(s);
    int err = weft_offload(burn_job, s);
    return err == -ECANCELED ? 0 : err;
}

/* A job every so often, at fixed times, until the scope around is stopped. One at a time: a job that is
 * still not done when the next is due makes that one wait for the next time, so that a slow machine gets
 * late pings and not an endless queue of jobs. */
static int begin_jobs(void *arg)
{
    struct server *s = arg;
    weft_time next = weft_now();
    for (;;) {
        do
            next.ns += s->plan->job_every_ns;
        while (weft_since(next) > 0);
        if (weft_sleep_until(next) < 0)
            return 0;
        WEFT_SCOPE(alone);
        weft_go(&alone, job, s);
        int err = weft_scope_close(&alone);
        if (err < 0)
            return err == -ECANCELED ? 0 : err;
    }
}

/* Serve the connections of one pinger until it closes them all. */
static int serve(struct server *s, int listener)
{
    int fds[64];
    unsigned conns = s->plan->ping_conns;
    WEFT_SCOPE(beside);
    if (s->mode != CT_PING_IDLE)
        weft_go(&beside, begin_jobs, s);
    WEFT_SCOPE(clients);
    for (unsigned i = 0; i < conns; i++) {
        fds[i] = weft_accept(listener, NULL);
        if (fds[i] < 0)
            return fds[i];
        weft_go(&clients, echo, &fds[i]);
    }
    int err = weft_scope_close(&clients);
    weft_scope_cancel(&beside);
    int err2 = weft_scope_close(&beside);
    return err < 0 ? err : err2;
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
        err = ct_pinger_start(s->pinger, weft_addr_port(&at), s->plan, false);
    if (err == 0)
        err = serve(s, listener);
    weft_close(listener);
    return err;
}

int ct_run_ping(const struct ct_plan *p, enum ct_ping mode, struct ct_child *pinger, struct ct_ping_run *ret)
{
    struct server s = {.plan = p, .pinger = pinger, .mode = mode};
    bool all = mode == CT_PING_PAR || mode == CT_PING_PAR_OFFLOAD;
    weft_config config = {.workers = all ? p->workers : 1, .offload_max = p->workers};
    int err = weft_run(&config, server_body, &s);
    return err < 0 ? err : ct_pinger_result(pinger, ret);
}
