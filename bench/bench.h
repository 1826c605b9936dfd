/* bench.h - what every measuring program shares: options, figures, the clock, the machine's name.
 *
 * A figure is one number measured several times. A program makes its rounds: in each, everything that is to be
 * compared is measured once, in turn, so that a machine that drifts drifts under all of them alike; the first
 * round is the warm-up and is thrown away. Then each figure is reported as its median, with the median's 95 %
 * interval (stats.h), the least and the greatest, on a line for a person and on a JSON line for a script. Where one
 * thing is held against another, the ratio is a figure of its own, taken round by round: it is steadier than the ratio
 * of two medians.
 *
 * Knows nothing of weft, so that limits and load generators can use it. Not thread-safe; no function here returns
 * failure: a benchmark that cannot measure says why and exits with 1. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#error "compile with -D_GNU_SOURCE, as CMakeLists.txt does"
#endif

#include "bench/stats.h"

#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define BENCH_COUNTS_MAX 16

struct bench_options {
    bool quick;      /* a smoke test: the same work, less of it */
    bool peers;      /* measure those that are installed, too */
    bool scale;      /* with 1, 2, 4 ... workers, up to a worker for each CPU */
    unsigned rounds; /* after the warm-up */
};

/* What bench_options() found that concerns everybody: peer.h looks at the first, bench_report() at the second. */
struct bench_common {
    const char *peers; /* a comma list; NULL: all */
    FILE *json;        /* NULL: beside the other lines */
};

__attribute__((weak)) struct bench_common bench_common_one; /* of the program, whatever files it is made of */

static inline struct bench_common *bench_common(void)
{
    return &bench_common_one;
}

struct bench_figure {
    const char *bench, *who, *version, *metric, *unit;
    unsigned workers;
    double bar; /* at most this much is wanted; 0: no bar */
    unsigned n;
    double value[BENCH_ROUNDS_MAX];
};

__attribute__((format(printf, 1, 2))) _Noreturn static inline void bench_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fflush(stdout);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

static inline int64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What all threads of this process have used, in user and system mode. */
static inline int64_t bench_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The number after `key` in /proc/self/status: sizes are in KiB. */
static inline long bench_status(const char *key)
{
    char line[256];
    long value = -1;
    FILE *f = fopen("/proc/self/status", "re");
    if (f == NULL)
        bench_die("/proc/self/status cannot be read");
    while (value < 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            value = strtol(line + strlen(key) + 1, NULL, 10);
    fclose(f);
    if (value < 0)
        bench_die("/proc/self/status has no %s", key);
    return value;
}

/* Keep to the first n of the CPUs this process may use; threads and programs started later inherit it. n beyond what
 * there is means all. Returns how many they are. The CPUs are those of the first call, so they can grow again. */
static inline unsigned bench_pin(unsigned first, unsigned n)
{
    static cpu_set_t all;
    cpu_set_t set;
    unsigned seen = 0, taken = 0;
    if (CPU_COUNT(&all) == 0 && sched_getaffinity(0, sizeof all, &all) != 0)
        bench_die("sched_getaffinity failed");
    CPU_ZERO(&set);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && taken < n; cpu++) {
        if (!CPU_ISSET(cpu, &all) || seen++ < first)
            continue;
        CPU_SET(cpu, &set);
        taken++;
    }
    if (taken > 0 && sched_setaffinity(0, sizeof set, &set) != 0)
        bench_die("sched_setaffinity failed");
    return taken;
}

/* The numbers of workers to measure with, into `count`: 1 and 2, or all powers of two and the number of CPUs. Returns
 * how many. */
static inline unsigned bench_worker_counts(const struct bench_options *o, unsigned *count)
{
    unsigned n = 0, cpus = bench_pin(0, CPU_SETSIZE);
    for (unsigned w = 1; w <= 2 || (o->scale && w < cpus && n < BENCH_COUNTS_MAX - 1); w *= 2)
        count[n++] = w;
    if (o->scale && cpus > 2)
        count[n++] = cpus;
    return n;
}

static inline void bench_machine(FILE *out)
{
    char line[256], cpu[200] = "unknown CPU";
    struct utsname name;
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "model name : %199[^\n]", cpu) == 1)
            break;
    if (f != NULL)
        fclose(f);
    uname(&name);
    fprintf(out, "%s, %ld CPUs, %ld MiB, %s %s\n", cpu, sysconf(_SC_NPROCESSORS_ONLN),
            sysconf(_SC_PHYS_PAGES) / 256 * (sysconf(_SC_PAGESIZE) / 4096), name.sysname, name.release);
}

/* What the CPUs of this machine have done altogether, in seconds: for all programs, and for nothing. */
static inline void bench_machine_time(double *busy, double *idle)
{
    unsigned long long user = 0, nice = 0, system = 0, none = 0, wait = 0, irq = 0, soft = 0, stolen = 0;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    FILE *f = fopen("/proc/stat", "re");
    if (f == NULL || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &none, &wait,
                            &irq, &soft, &stolen) < 4)
        bench_die("/proc/stat cannot be read");
    fclose(f);
    *busy = (double)(user + nice + system + irq + soft + stolen) * tick;
    *idle = (double)(none + wait) * tick;
}

/* Called twice, by bench_options() and at the end: how much of the machine others used in between. */
static inline void bench_others(void)
{
    static double busy, idle;
    double busy_now, idle_now, own = 0;
    struct rusage u;
    bench_machine_time(&busy_now, &idle_now);
    if (busy > 0) {
        for (int who = 0; who < 2; who++)
            if (getrusage(who == 0 ? RUSAGE_SELF : RUSAGE_CHILDREN, &u) == 0)
                own += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
        double all = busy_now - busy + idle_now - idle, others = busy_now - busy - own;
        printf("others, and the host, used %.0f %% of this machine meanwhile%s\n",
               all > 0 && others > 0 ? 100 * others / all : 0,
               all > 0 && others > all / 10 ? ": do not rely on these figures" : "");
    }
    busy = busy_now;
    idle = idle_now;
}

static inline void bench_usage(const char *program, const char *more)
{
    fprintf(stderr, "usage: %s [--quick] [--rounds N] [--peers LIST | --no-peers] [--scale] [--json] [--machine]%s%s\n",
            program, more != NULL ? " " : "", more != NULL ? more : "");
    exit(2);
}

/* From here on standard output has the JSON lines only, and whatever else is printed goes to standard error. */
static inline void bench_json_only(void)
{
    int out = dup(STDOUT_FILENO);
    bench_common()->json = out < 0 ? NULL : fdopen(out, "w");
    if (bench_common()->json == NULL || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        bench_die("no descriptor for the JSON lines");
}

/* What peers are called, in --peers and in the reports. */
static inline bool bench_is_peer_name(const char *name, size_t length)
{
    static const char *const known[] = {"tokio", "rayon", "go", "tbb", "libuv", "boost", "asyncio", "uvloop", "none"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == length && memcmp(name, known[i], length) == 0)
            return true;
    return false;
}

/* Is `name` a word of the comma list? */
static inline bool bench_listed(const char *list, const char *name)
{
    for (size_t length; *list != '\0'; list += length + (list[length] == ',')) {
        length = strcspn(list, ",");
        if (length == strlen(name) && memcmp(list, name, length) == 0)
            return true;
    }
    return false;
}

static inline void bench_choose_peers(const char *list)
{
    const char *word = list;
    for (size_t length; *word != '\0'; word += length + (word[length] == ',')) {
        length = strcspn(word, ",");
        if (!bench_is_peer_name(word, length)) {
            fprintf(stderr, "no peer is called %.*s\n", (int)length, word);
            exit(2);
        }
    }
    bench_common()->peers = list;
}

/* Read the common options and take them out of argv; what is left is the program's own. `more` names these for
 * the usage line, and is NULL when there are none. */
static inline struct bench_options bench_options(int *argc, char **argv, unsigned rounds, const char *more)
{
    struct bench_options o = {.peers = true, .rounds = 0};
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            o.quick = true;
        } else if (strcmp(argv[i], "--no-peers") == 0) {
            o.peers = false;
        } else if (strcmp(argv[i], "--peers") == 0 && i + 1 < *argc) {
            bench_choose_peers(argv[++i]);
        } else if (strcmp(argv[i], "--scale") == 0) {
            o.scale = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            bench_json_only();
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < *argc) {
            o.rounds = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--machine") == 0) {
            bench_machine(stdout);
            exit(0);
        } else if (more == NULL || strcmp(argv[i], "--help") == 0) {
            bench_usage(argv[0], more);
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    if (o.rounds == 0)
        o.rounds = o.quick ? 3 : rounds;
    if (o.rounds > BENCH_ROUNDS_MAX)
        o.rounds = BENCH_ROUNDS_MAX;
    bench_others();
    atexit(bench_others);
    return o;
}

static inline void bench_add(struct bench_figure *f, double value)
{
    if (f->n < BENCH_ROUNDS_MAX)
        f->value[f->n++] = value;
}

static inline double bench_median(const struct bench_figure *f)
{
    return bench_median_of(f->value, f->n);
}

/* Fill `ratio` with a / b, round by round. */
static inline void bench_ratio(struct bench_figure *ratio, const struct bench_figure *a, const struct bench_figure *b)
{
    for (unsigned i = 0; i < a->n && i < b->n; i++)
        if (b->value[i] > 0)
            bench_add(ratio, a->value[i] / b->value[i]);
}

/* What a bar says to a median whose interval begins at low. */
static inline const char *bench_verdict(double bar, double median, double low)
{
    return median <= bar ? "met" : low <= bar ? "missed, within the interval" : "MISSED";
}

/* Print both lines. A figure that nobody added to prints nothing. */
static inline void bench_report(const struct bench_figure *f)
{
    double median = bench_median(f), min = median, max = median, low, high;
    FILE *json = bench_common()->json != NULL ? bench_common()->json : stdout;
    for (unsigned i = 0; i < f->n; i++) {
        min = f->value[i] < min ? f->value[i] : min;
        max = f->value[i] > max ? f->value[i] : max;
    }
    if (f->n == 0)
        return;
    bench_interval(f->value, f->n, &low, &high);
    printf("%-11s %-23s %-27s %2u w  %11.4g  [%.4g .. %.4g] (%.4g .. %.4g, %u runs) %s", f->bench, f->who, f->metric,
           f->workers, median, low, high, min, max, f->n, f->unit);
    if (f->bar > 0)
        printf("; bar %g: %s", f->bar, bench_verdict(f->bar, median, low));
    printf("\n");
    fprintf(json,
            "{\"bench\":\"%s\",\"who\":\"%s\",\"version\":\"%s\",\"workers\":%u,\"metric\":\"%s\",\"unit\":\"%s\","
            "\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,\"low\":%.6g,\"high\":%.6g,\"runs\":%u",
            f->bench, f->who, f->version, f->workers, f->metric, f->unit, median, min, max, low, high, f->n);
    if (f->bar > 0)
        fprintf(json, ",\"bar\":%g", f->bar);
    fprintf(json, "}\n");
    fflush(stdout);
    fflush(json);
}

#endif
