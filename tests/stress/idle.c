/* idle.c - a time in which nothing is due, and what it costs: nothing.
 *
 *     stress_idle [SECONDS]
 *
 * With a thousand timers and deadlines open, far away, and a thousand connections on which nothing comes, no thread of
 * weft's runs at all, the watchdog's included: none goes to sleep during that time, since none has woken. Shared by
 * runtimes of 1, 2, 3 and 8 workers, each from when all of its threads sleep. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

/* What is seen of weft's threads. */
struct look {
    long sleeps;      /* how often any of them went to sleep: voluntary context switches */
    unsigned threads; /* how many there are */
    bool all_sleep;
};

/* They have its name, but for worker 0, which is the thread of main. */
static void look_at_thread(const char *id, struct look *ret)
{
    char path[300], line[256], state = 0;
    long sleeps = 0;
    bool ours = atol(id) == getpid();
    snprintf(path, sizeof path, "/proc/self/task/%s/status", id);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        ours |= strncmp(line, "Name:\tweft-", 11) == 0;
        (void)sscanf(line, "State: %c", &state);
        (void)sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps);
    }
    if (f)
        fclose(f);
    if (ours) {
        ret->threads++;
        ret->sleeps += sleeps;
        ret->all_sleep &= state == 'S';
    }
}

static struct look look(void)
{
    struct look seen = {.all_sleep = true};
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            look_at_thread(e->d_name, &seen);
    closedir(dir);
    return seen;
}

/* Workers sleep in slices of a few milliseconds while others are awake, and the watchdog in some of 50 until all do;
 * who has slept for more than that, together with all others, sleeps for good. Until then: two looks so far apart, all
 * asleep in both, and nobody awake in between. */
static struct look look_when_all_sleep(void)
{
    struct timespec some_slices = {0, 200000000};
    struct look before, now = look();
    do {
        nanosleep(&some_slices, NULL);
        before = now;
        now = look();
    } while (!before.all_sleep || !now.all_sleep || before.sleeps != now.sleeps || before.threads != now.threads);
    return now;
}

enum { SLEEPERS = 1000, CONNECTIONS = 1000 };

static int sleep_long(void *arg)
{
    return weft_sleep_until(*(weft_time *)arg);
}

static int read_one(void *arg)
{
    char byte;
    CHECK_EQ(weft_read(*(int *)arg, &byte, 1), -ECANCELED);
    return 0;
}

/* Both ends of each are ours; who reads at one waits for who would write at the other. */
static void connect_all(weft_scope *s, int (*pair)[2])
{
    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair[i]), 0);
        CHECK_EQ(weft_go(s, read_one, &pair[i][0]), 0);
    }
}

static void disconnect_all(int (*pair)[2])
{
    for (int i = 0; i < CONNECTIONS; i++) {
        close(pair[i][0]);
        close(pair[i][1]);
    }
}

static int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

struct idleness {
    double seconds;
    struct look before, after;
};

static void *measure(void *arg)
{
    struct idleness *i = arg;
    pthread_setname_np(pthread_self(), "measure"); /* it has inherited a worker's */
    struct timespec quiet = {(time_t)i->seconds, (long)((i->seconds - (double)(time_t)i->seconds) * 1e9)};
    i->before = look_when_all_sleep();
    nanosleep(&quiet, NULL); /* this is what is measured */
    i->after = look();
    return NULL;
}

static int be_idle(void *arg)
{
    weft_time later[2] = {weft_after(3600 * WEFT_SEC), weft_never()};
    static int pair[CONNECTIONS][2];
    pthread_t id;
    WEFT_SCOPE(s);
    connect_all(&s, pair);
    weft_scope_set_deadline(&s, weft_after(100 * WEFT_SEC));
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_EQ(weft_go(&s, sleep_long, &later[i % 2]), 0);
    CHECK_EQ(weft_offload(return_zero, NULL), 0); /* a thread of the pool is idle, too */
    CHECK_EQ(pthread_create(&id, NULL, measure, arg), 0);
    weft_blocking_begin();
    pthread_join(id, NULL);
    weft_blocking_end();
    weft_scope_cancel(&s);
    CHECK_EQ(weft_scope_close(&s), 0);
    disconnect_all(pair);
    return 0;
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(int argc, char **argv)
{
    static const unsigned workers[] = {1, 2, 3, 8};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    allow_descriptors();
    for (int n = 0; n < 4; n++) {
        struct idleness i = {.seconds = seconds / 4};
        CHECK_EQ(weft_run(&(weft_config){.workers = workers[n]}, be_idle, &i), 0);
        long woken = i.after.sleeps - i.before.sleeps;
        printf("idle, %u workers: %ld wake-ups in %.1f s\n", workers[n], woken, i.seconds);
        fflush(stdout);
        CHECK_EQ(i.after.threads, workers[n] + 2); /* the workers, one of the pool, and the watchdog */
        CHECK_EQ(woken, 0);
    }
    return 0;
}
