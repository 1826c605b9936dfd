/* startstop.c - does a runtime leave anything behind?
 *
 * A thousand runtimes are started and stopped, one after another, each with a task that sleeps a moment, writes
 * through a pipe and offloads a job, so that the ring, the timers and the pool have been used. Descriptors,
 * mappings, threads and resident memory are looked at every hundred. After a warm-up, what is counted must be
 * where it was; memory must not climb. The figures are the differences between the end and the beginning of
 * the counted part, the slope of the resident memory, and the time for one start and stop.
 *
 * One round only: the thousand are the repetition. */
#include "bench/bench.h"

#include <dirent.h>
#include <weft.h>

enum { RUNTIMES = 1000, RUNTIMES_QUICK = 100, SAMPLES = 10, WARM_UP = 20 };

struct census {
    long fds, mappings, threads, rss_kib;
};

static long count_entries(const char *folder)
{
    long n = 0;
    DIR *d = opendir(folder);
    if (d == NULL)
        bench_die("startstop: %s cannot be read", folder);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static long count_lines(const char *path)
{
    long n = 0;
    int c;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        bench_die("startstop: %s cannot be read", path);
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static struct census take_census(void)
{
    return (struct census){.fds = count_entries("/proc/self/fd"), .mappings = count_lines("/proc/self/maps"),
                           .threads = bench_status("Threads"), .rss_kib = bench_status("VmRSS")};
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* A bit of everything a runtime has. */
static int use(void *arg)
{
    int fd[2], err;
    char c = 'w';
    (void)arg;
    if (pipe(fd) != 0)
        return -EMFILE;
    WEFT_SCOPE(s);
    weft_go(&s, nothing, NULL);
    if ((err = weft_scope_close(&s)) == 0 && (err = weft_sleep(50 * WEFT_USEC)) == 0 &&
        (err = weft_write_all(fd[1], &c, 1)) == 0 && (err = weft_read_full(fd[0], &c, 1)) == 0)
        err = weft_offload(nothing, NULL);
    weft_close(fd[0]);
    weft_close(fd[1]);
    return err;
}

static void start_and_stop(unsigned workers)
{
    int err = weft_run(&(weft_config){.workers = workers}, use, NULL);
    if (err < 0)
        bench_die("startstop: %s", weft_strerror(err));
}

/* KiB for each runtime: the line of least squares through the samples. */
static double slope(const struct census *c, unsigned n, unsigned runtimes_between)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (unsigned i = 0; i < n; i++) {
        double x = (double)i * runtimes_between, y = (double)c[i].rss_kib;
        sx += x, sy += y, sxx += x * x, sxy += x * y;
    }
    return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

static void report(unsigned workers, const char *metric, const char *unit, double value, double bar)
{
    struct bench_figure f = {.bench = "startstop", .who = "weft", .version = weft_version(), .workers = workers,
                             .metric = metric, .unit = unit, .bar = bar};
    bench_add(&f, value);
    bench_report(&f);
}

static void measure(unsigned workers, unsigned runtimes)
{
    struct census c[SAMPLES + 1];
    int64_t took = 0;
    bench_pin(0, workers);
    for (unsigned i = 0; i < WARM_UP; i++)
        start_and_stop(workers);
    c[0] = take_census();
    for (unsigned sample = 1; sample <= SAMPLES; sample++) {
        int64_t start = bench_now_ns();
        for (unsigned i = 0; i < runtimes / SAMPLES; i++)
            start_and_stop(workers);
        took += bench_now_ns() - start;
        c[sample] = take_census();
    }
    bool clean = c[SAMPLES].fds <= c[0].fds && c[SAMPLES].mappings <= c[0].mappings &&
                 c[SAMPLES].threads <= c[0].threads;
    report(workers, "start_use_stop", "us", (double)took / 1e3 / runtimes, 0);
    report(workers, "fds_left", "fds", (double)(c[SAMPLES].fds - c[0].fds), 0);
    report(workers, "mappings_left", "mappings", (double)(c[SAMPLES].mappings - c[0].mappings), 0);
    report(workers, "threads_left", "threads", (double)(c[SAMPLES].threads - c[0].threads), 0);
    report(workers, "rss_left", "KiB", (double)(c[SAMPLES].rss_kib - c[0].rss_kib), 0);
    report(workers, "rss_slope", "KiB/runtime", slope(c, SAMPLES + 1, runtimes / SAMPLES), 1);
    printf("startstop: descriptors, mappings and threads of %u runtimes of %u workers: %s\n", runtimes, workers,
           clean ? "all back" : "NOT all back");
}

int main(int argc, char **argv)
{
    struct bench_options o = bench_options(&argc, argv, 1, NULL);
    unsetenv("WEFT_WORKERS");
    bench_machine(stdout);
    for (unsigned workers = 1; workers <= 2; workers++)
        measure(workers, o.quick ? RUNTIMES_QUICK : RUNTIMES);
    return 0;
}
