/* idle.c - a time in which nothing is due, and what it costs: nothing.
 *
 *     stress_idle [SECONDS]
 *
 * With a thousand timers and deadlines open, far away, no thread of weft's runs at all: none goes to sleep during that
 * time, since none has woken. Shared by runtimes of 1, 2, 3 and 8 workers, after half a second each to settle. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <dirent.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

/* Voluntary context switches of one thread, -1 if it is none of weft's: they have its name, but for worker 0, which
 * is the thread of main. */
static long sleeps_of_thread(const char *id)
{
    char path[300], line[256];
    long n, sleeps = -1;
    bool ours = atol(id) == getpid();
    snprintf(path, sizeof path, "/proc/self/task/%s/status", id);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        ours |= strncmp(line, "Name:\tweft-", 11) == 0;
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
            sleeps = n;
    }
    if (f)
        fclose(f);
    return ours ? sleeps : -1;
}

/* How often any thread went to sleep. */
static long sleeps_of_all_threads(unsigned *threads)
{
    long sum = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    *threads = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        long sleeps = e->d_name[0] == '.' ? -1 : sleeps_of_thread(e->d_name);
        *threads += sleeps >= 0;
        sum += sleeps >= 0 ? sleeps : 0;
    }
    closedir(dir);
    return sum;
}

enum { SLEEPERS = 1000 };

static int sleep_long(void *arg)
{
    return weft_sleep_until(*(weft_time *)arg);
}

static int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

struct idleness {
    double seconds;
    long before, after;
    unsigned threads;
};

static void *measure(void *arg)
{
    struct idleness *i = arg;
    pthread_setname_np(pthread_self(), "measure"); /* it has inherited a worker's */
    struct timespec settle = {0, 500000000}; /* until all sleep; too short only makes the count larger */
    struct timespec quiet = {(time_t)i->seconds, (long)((i->seconds - (double)(time_t)i->seconds) * 1e9)};
    nanosleep(&settle, NULL);
    i->before = sleeps_of_all_threads(&i->threads);
    nanosleep(&quiet, NULL);
    i->after = sleeps_of_all_threads(&i->threads);
    return NULL;
}

static int be_idle(void *arg)
{
    weft_time later[2] = {weft_after(3600 * WEFT_SEC), weft_never()};
    pthread_t id;
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(100 * WEFT_SEC));
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_EQ(weft_go(&s, sleep_long, &later[i % 2]), 0);
    CHECK_EQ(weft_offload(return_zero, NULL), 0); /* a thread of the pool is idle, too */
    CHECK_EQ(pthread_create(&id, NULL, measure, arg), 0);
    weft_blocking_begin();
    pthread_join(id, NULL);
    weft_blocking_end();
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

int main(int argc, char **argv)
{
    static const unsigned workers[] = {1, 2, 3, 8};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    for (int n = 0; n < 4; n++) {
        struct idleness i = {.seconds = seconds / 4};
        CHECK_EQ(weft_run(&(weft_config){.workers = workers[n]}, be_idle, &i), 0);
        printf("idle, %u workers: %ld wake-ups in %.1f s\n", workers[n], i.after - i.before, i.seconds);
        fflush(stdout);
        CHECK_EQ(i.threads, workers[n] + 1); /* the workers, and one of the pool */
        CHECK_EQ(i.after - i.before, 0);
    }
    return 0;
}
