/* server.h - a server that is measured from outside: a peer (peer.h) that names a port, and whose CPU time is read.
 *
 * One of ours also tells, when it is asked on its standard input, how many system calls its driver has made: what
 * serve.h answers. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "bench/peer.h"

#include <errno.h>

struct bench_server {
    struct bench_peer peer;
    bool tells;      /* how many system calls it has made */
    clockid_t clock; /* counts the CPU time of all its threads, in nanoseconds */
};

/* On so many CPUs from the first on. label of NULL: the name that the server gives itself; else up to its equals
 * sign. */
static inline bool bench_server_start_on(struct bench_server *s, const char *label, const char *command, unsigned cpus)
{
    if (!bench_peer_start(&s->peer, command, 0, cpus))
        return false;
    if (s->peer.port == 0 || clock_getcpuclockid(s->peer.pid, &s->clock) != 0)
        bench_die("%s: named no port, or has died", command);
    s->tells = strcmp(s->peer.who, "weft") == 0;
    if (label != NULL)
        snprintf(s->peer.who, sizeof s->peer.who, "%.*s", (int)strcspn(label, "="), label);
    return true;
}

/* On the first CPU. */
static inline bool bench_server_start(struct bench_server *s, const char *label, const char *command)
{
    return bench_server_start_on(s, label, command, 1);
}

static inline int64_t bench_server_cpu_ns(const struct bench_server *s)
{
    struct timespec t;
    if (clock_gettime(s->clock, &t) != 0)
        bench_die("%s: it has died", s->peer.who);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* So far; 0 if it does not tell. */
static inline double bench_server_calls(struct bench_server *s)
{
    double calls = 0;
    if (s->tells)
        bench_peer_round(&s->peer, &calls, 1);
    return calls;
}

#endif
