/* peer.h - another runtime, or a limit, measured beside ours by a program of its own.
 *
 * The program is started once and stays: it says who it is on its first line ("tokio 1.24.2", and the port if it is
 * a server), then makes one round for every line it reads and answers with one line of numbers. In between it sits
 * in read(2) and uses no CPU. It dies with its parent.
 *
 * Programs are looked for beside the running one: limits/... and peers/... One that is not there is skipped, and
 * one line says so: bench/peers/install builds them. One whose peer --peers does not name is skipped without a word. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "bench/bench.h"

#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define BENCH_METRICS_MAX 16
#define BENCH_NOT_MEASURED (-1.0) /* a value that an entry has not for this metric: no figure */

struct bench_peer {
    pid_t pid; /* 0: absent */
    FILE *in, *out;
    char who[64], version[32];
    unsigned port; /* of a server */
};

/* Where the running program lies. */
static inline const char *bench_folder(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        bench_die("/proc/self/exe cannot be read");
    path[n] = '\0';
    return dirname(path);
}

/* Does the first word of the command name a program? */
static inline bool bench_peer_exists(const char *command)
{
    char program[4096];
    return sscanf(command, "%4095s", program) == 1 && access(program, X_OK) == 0;
}

/* Which peer a command measures, into `name`; false when it is none: a limit, or a server of ours. A program is called
 * PEER_WORK, but for libuv's, and but for uvloop's, which are asyncio's with another word behind. */
static inline bool bench_peer_name(const char *command, char *name, size_t size)
{
    char program[4096];
    if (sscanf(command, "%4095s", program) != 1 || strncmp(program, "peers/", 6) != 0)
        return false;
    const char *base = program + 6;
    const char *word = strstr(command, " uvloop");
    if (word != NULL && (word[7] == ' ' || word[7] == '\0'))
        base = "uvloop";
    else if (strncmp(base, "uv_", 3) == 0)
        base = "libuv";
    snprintf(name, size, "%.*s", (int)strcspn(base, "_"), base);
    return true;
}

static inline bool bench_peer_wanted(const char *command)
{
    char name[64];
    const char *list = bench_common()->peers;
    return list == NULL || !bench_peer_name(command, name, sizeof name) || bench_listed(list, name);
}

_Noreturn static inline void bench_peer_child(const char *command, const int *in, const int *out, unsigned cpu_first,
                                              unsigned cpus)
{
    char line[4200];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(cpu_first, cpus);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    snprintf(line, sizeof line, "exec %s", command);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

/* Start `command`, relative to the running program's folder unless absolute, on `cpus` CPUs from the first-th on.
 * False when it is not wanted or not there; exits when it is and does not answer. */
static inline bool bench_peer_start(struct bench_peer *p, const char *command, unsigned cpu_first, unsigned cpus)
{
    char full[4096], hello[256];
    int in[2], out[2];
    *p = (struct bench_peer){0};
    if (!bench_peer_wanted(command))
        return false;
    snprintf(full, sizeof full, "%s%s%s", command[0] == '/' ? "" : bench_folder(), command[0] == '/' ? "" : "/",
             command);
    if (!bench_peer_exists(full)) {
        printf("%s: absent, skipped (bench/peers/install builds the peers)\n", command);
        return false;
    }
    fflush(stdout);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        bench_die("%s: no pipe", command);
    p->pid = fork();
    if (p->pid < 0)
        bench_die("%s: no process", command);
    if (p->pid == 0)
        bench_peer_child(full, in, out, cpu_first, cpus);
    close(in[0]);
    close(out[1]);
    p->in = fdopen(in[1], "w");
    p->out = fdopen(out[0], "r");
    if (p->in == NULL || p->out == NULL || fgets(hello, sizeof hello, p->out) == NULL ||
        sscanf(hello, "%63s %31s %u", p->who, p->version, &p->port) < 2)
        bench_die("%s: did not say who it is", command);
    return true;
}

/* One round: n numbers. */
static inline void bench_peer_round(struct bench_peer *p, double *value, unsigned n)
{
    char line[512], *at = line, *end;
    fputs("go\n", p->in);
    fflush(p->in);
    if (fgets(line, sizeof line, p->out) == NULL)
        bench_die("%s: ended in the middle of a round", p->who);
    for (unsigned i = 0; i < n; i++, at = end) {
        value[i] = strtod(at, &end);
        if (end == at)
            bench_die("%s: answered '%s', %u numbers were expected", p->who, line, n);
    }
}

static inline void bench_peer_stop(struct bench_peer *p)
{
    if (p->pid == 0)
        return;
    fclose(p->in);
    fclose(p->out);
    kill(p->pid, SIGTERM);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

struct bench_metric {
    const char *name, *unit;
    double bar; /* for the first entry; 0: none */
};

/* One who is measured: by run(), here, or else by the program `command`. Either gives a number per metric. */
struct bench_entry {
    const char *who, *version;
    unsigned workers, cpus; /* cpus of 0: one for each worker */
    void (*run)(unsigned workers, double *value);
    const char *command;
    struct bench_peer peer;
    struct bench_figure figure[BENCH_METRICS_MAX];
};

static inline unsigned bench_entry_cpus(const struct bench_entry *e)
{
    return e->cpus != 0 ? e->cpus : e->workers;
}

static inline void bench_entry_start(struct bench_entry *e, const char *bench, const struct bench_metric *metric,
                                     unsigned metrics, bool first)
{
    if (e->run == NULL && bench_peer_start(&e->peer, e->command, 0, bench_entry_cpus(e))) {
        e->who = e->peer.who;
        e->version = e->peer.version;
    }
    for (unsigned m = 0; m < metrics; m++)
        e->figure[m] = (struct bench_figure){.bench = bench, .who = e->who, .version = e->version,
                                             .metric = metric[m].name, .unit = metric[m].unit,
                                             .workers = e->workers, .bar = first ? metric[m].bar : 0};
}

static inline void bench_entry_round(struct bench_entry *e, unsigned metrics, bool counts)
{
    double value[BENCH_METRICS_MAX];
    if (e->run != NULL) {
        bench_pin(0, bench_entry_cpus(e));
        e->run(e->workers, value);
    } else if (e->peer.pid != 0) {
        bench_peer_round(&e->peer, value, metrics);
    } else {
        return;
    }
    for (unsigned m = 0; m < metrics && counts; m++)
        if (value[m] >= 0)
            bench_add(&e->figure[m], value[m]);
}

/* Warm up, make the rounds, report every metric for every entry. Programs are stopped at the end; the figures
 * stay in the entries. */
static inline void bench_rounds(const char *bench, const struct bench_options *o, struct bench_entry *entry,
                                unsigned entries, const struct bench_metric *metric, unsigned metrics)
{
    bench_machine(stdout);
    for (unsigned i = 0; i < entries; i++)
        if (entry[i].run != NULL || o->peers)
            bench_entry_start(&entry[i], bench, metric, metrics, i == 0);
    for (unsigned round = 0; round <= o->rounds; round++)
        for (unsigned i = 0; i < entries; i++)
            bench_entry_round(&entry[i], metrics, round > 0);
    for (unsigned m = 0; m < metrics; m++)
        for (unsigned i = 0; i < entries; i++)
            bench_report(&entry[i].figure[m]);
    for (unsigned i = 0; i < entries; i++)
        bench_peer_stop(&entry[i].peer);
}

/* A command of an entry, kept for good. */
__attribute__((format(printf, 1, 2))) static inline const char *bench_command(const char *format, ...)
{
    char *command;
    va_list list;
    va_start(list, format);
    if (vasprintf(&command, format, list) < 0)
        bench_die("no memory");
    va_end(list);
    return command;
}

/* Which of two entries has the lower median of this metric; NULL when neither was measured. */
static inline const struct bench_entry *bench_better(const struct bench_entry *a, const struct bench_entry *b,
                                                     unsigned metric)
{
    if (a == NULL || a->figure[metric].n == 0)
        return b != NULL && b->figure[metric].n > 0 ? b : NULL;
    if (b == NULL || b->figure[metric].n == 0)
        return a;
    return bench_median(&b->figure[metric]) < bench_median(&a->figure[metric]) ? b : a;
}

/* Report a's metric by b's as a figure of its own, `name`. Nothing when b is NULL. */
static inline void bench_report_ratio(const char *name, double bar, const struct bench_entry *a,
                                      const struct bench_entry *b, unsigned metric)
{
    if (b == NULL)
        return;
    struct bench_figure f = {.bench = a->figure[metric].bench, .who = a->who, .version = a->version, .metric = name,
                             .unit = "x", .workers = a->workers, .bar = bar};
    bench_ratio(&f, &a->figure[metric], &b->figure[metric]);
    bench_report(&f);
}

#endif
