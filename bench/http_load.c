/* http_load.c - what does an HTTP server pay for a request?
 *
 * wrk asks from the second CPU, over 64 connections that are kept alive; servers run on the first, one at a time busy.
 * The CPU time of the server's process, user and system, is divided by the requests that wrk has counted. All servers
 * do the same: find the empty line, write the reply; Go's is net/http, as anybody would use it. The limit is
 * limits/echo_uring with another answer.
 *
 *     http_load [--conns N]       a second for each measurement: wrk knows nothing shorter */
#include "bench/bench.h"
#include "bench/server.h"

#include <arpa/inet.h>

enum { SERVERS_MAX = 8, METRICS = 5, CPU = 0, CALLS = METRICS - 1 };

static const struct bench_metric metric[METRICS] = {{"server_cpu", "us/request", 0}, {"rate", "requests/s", 0},
                                                    {"p50", "us", 0}, {"p99", "us", 0},
                                                    {"calls", "calls/request", 0}};
static const char *const command[] = {"limits/echo_uring http", "http", "peers/tokio_peer http 0",
                                      "peers/tokio_peer http 1", "peers/go_http 1"};

struct server {
    struct bench_server it;
    struct bench_figure figure[METRICS];
};

/* "  50%  403.00us", also in ms and s; the line ends there. */
static bool read_latency(const char *line, const char *which, double *us)
{
    char label[16], unit[16];
    double value;
    if (sscanf(line, " %15s %lf%15s", label, &value, unit) != 3 || strcmp(label, which) != 0)
        return false;
    *us = value * (strcmp(unit, "us") == 0 ? 1 : strcmp(unit, "ms") == 0 ? 1e3 : 1e6);
    return true;
}

static void ask(struct server *s, unsigned conns, double *value)
{
    char line[256];
    unsigned long long requests = 0;
    int64_t cpu = bench_server_cpu_ns(&s->it);
    double calls = bench_server_calls(&s->it);
    snprintf(line, sizeof line, "timeout 20 wrk -t1 -c%u -d1s --latency http://127.0.0.1:%u/ 2>&1", conns,
             s->it.peer.port);
    FILE *wrk = popen(line, "r");
    while (wrk != NULL && fgets(line, sizeof line, wrk) != NULL) {
        if (strstr(line, "Socket errors") != NULL || strstr(line, "Non-2xx") != NULL)
            bench_die("%s: %s", s->it.peer.who, line);
        sscanf(line, " %llu requests in ", &requests);
        sscanf(line, "Requests/sec: %lf", &value[1]);
        read_latency(line, "50%", &value[2]);
        read_latency(line, "99%", &value[3]);
    }
    if (wrk == NULL || pclose(wrk) != 0 || requests == 0)
        bench_die("%s: wrk has failed", s->it.peer.who);
    value[CPU] = (double)(bench_server_cpu_ns(&s->it) - cpu) / 1e3 / (double)requests;
    value[CALLS] = (bench_server_calls(&s->it) - calls) / (double)requests;
}

/* weft, which is server 1, to all others. */
static void report_ratios(struct server *server, unsigned servers)
{
    for (unsigned i = 0; i < servers; i++) {
        char name[128];
        if (i == 1)
            continue;
        snprintf(name, sizeof name, "server_cpu_by_%s", server[i].it.peer.who);
        struct bench_figure ratio = {.bench = server[1].figure[CPU].bench, .who = "weft",
                                     .version = server[1].it.peer.version, .metric = name, .unit = "x", .workers = 1,
                                     .bar = i == 0 ? 0 : 1.0};
        bench_ratio(&ratio, &server[1].figure[CPU], &server[i].figure[CPU]);
        bench_report(&ratio);
    }
}

static unsigned start_all(struct server *server, const char *bench, unsigned count)
{
    unsigned servers = 0;
    for (unsigned i = 0; i < count; i++) {
        struct server *s = &server[servers];
        bool there = bench_server_start(&s->it, NULL, command[i]);
        if (!there && i < 2)
            bench_die("http: %s is not built, and nothing can be compared without it", command[i]);
        if (!there)
            continue;
        for (int m = 0; m < METRICS; m++)
            s->figure[m] = (struct bench_figure){.bench = bench, .who = s->it.peer.who, .version = s->it.peer.version,
                                                 .metric = metric[m].name, .unit = metric[m].unit, .workers = 1,
                                                 .bar = metric[m].bar};
        servers++;
    }
    return servers;
}

int main(int argc, char **argv)
{
    static const char more[] = "[--conns N]";
    static struct server server[SERVERS_MAX];
    struct bench_options o = bench_options(&argc, argv, 5, more);
    unsigned conns = 64;
    char bench[32];
    if (argc == 3 && strcmp(argv[1], "--conns") == 0 && (conns = (unsigned)strtoul(argv[2], NULL, 10)) > 0)
        argc = 1;
    if (argc != 1)
        bench_usage(argv[0], more);
    if (system("command -v wrk >/dev/null") != 0) {
        printf("wrk: absent, nothing is measured (.install/packages bench)\n");
        return 0;
    }
    if (o.quick)
        o.rounds = 1;
    setenv("WEFT_WORKERS", "1", 1);
    bench_machine(stdout);
    if (bench_pin(1, 1) == 0)
        bench_die("http: two CPUs are needed, one for the server and one for wrk");
    snprintf(bench, sizeof bench, "http_%u", conns);
    unsigned servers = start_all(server, bench, o.peers ? sizeof command / sizeof *command : 2);
    for (unsigned round = 0; round <= o.rounds; round++)
        for (unsigned i = 0; i < servers; i++) {
            double value[METRICS] = {0};
            ask(&server[i], conns, value);
            for (int m = 0; m < METRICS && round > 0; m++)
                if (m != CALLS || server[i].it.tells)
                    bench_add(&server[i].figure[m], value[m]);
        }
    for (int m = 0; m < METRICS; m++)
        for (unsigned i = 0; i < servers; i++)
            bench_report(&server[i].figure[m]);
    report_ratios(server, servers);
    for (unsigned i = 0; i < servers; i++)
        bench_peer_stop(&server[i].it.peer);
    return 0;
}
