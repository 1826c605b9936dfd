/* slope.c - what a process holds does not grow: memory, descriptors, threads, mappings.
 *
 *     stress_slope [SECONDS] [WORKERS]
 *     stress_slope SECONDS WORKERS leak      with a descriptor lost in each round: must be noticed
 *
 * Two loads, each in rounds of equal work after which the process looks at itself: runtimes that are started and
 * stopped, and one runtime with TCP connections (half of them broken off), timers, calls on the pool and stops. How
 * the rounds are judged is in series.h. What may be found:
 *
 *     descriptors, threads   less than one more over all these rounds
 *     mappings               fewer than eight more: the allocator cuts and joins some
 *     resident memory        4 KiB per runtime that was started and stopped; of the mixed load 5 % or 2 MiB, whatever
 *                            is more. Neither is judged under a sanitizer, which keeps what was freed.
 *
 * Time decides how many rounds there are, at least 40, and nothing else; but at least 160 runtimes are started and
 * stopped where their memory is judged. A cache that fills late, as when more threads than ever before are there at
 * once, adds some 100 KiB in one round, which is more than 4 KiB for each of 20 that count, and less than for 80. */
#include "tests/stress/series.h"
#include "tests/stress/stress.h"

#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS_MIN = 40, STARTS_MIN = TEST_SLOWNESS == 1 ? 160 : ROUNDS_MIN };
enum { CLIENTS = 12, SLEEPERS = 20, JOBS = 6, ENDPOINT_MAX = 32, POOL_MAX = 4 };

/* ---- what a process holds ---- */

enum { MEMORY, DESCRIPTORS, THREADS, MAPPINGS, FIGURES };

static const char *const figure_name[FIGURES] = {"memory (KiB)", "descriptors", "threads", "mappings"};

static double lines_of(const char *file)
{
    double n = 0;
    FILE *f = fopen(file, "re");
    CHECK(f != NULL);
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static double resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f != NULL);
    CHECK_EQ(fscanf(f, "%*d %ld", &pages), 1);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static struct series seen[FIGURES];
static bool leaks;

static void look(void)
{
    series_add(&seen[MEMORY], resident_kib());
    series_add(&seen[DESCRIPTORS], series_entries("/proc/self/fd"));
    series_add(&seen[THREADS], series_entries("/proc/self/task"));
    series_add(&seen[MAPPINGS], lines_of("/proc/self/maps"));
    if (leaks)
        CHECK(dup(STDERR_FILENO) >= 0);
    stress_count();
}

static unsigned rounds(void)
{
    return seen[MEMORY].count;
}

static bool more_rounds(unsigned min)
{
    return rounds() < min || (!stress_over() && rounds() < SERIES_MAX);
}

static void forget_rounds(void)
{
    for (int i = 0; i < FIGURES; i++)
        seen[i].count = 0;
}

static void judge(const char *load, double memory_per_round)
{
    unsigned n = series_judged(&seen[MEMORY]);
    double limit[FIGURES] = {series_memory_slack(&seen[MEMORY]), 1, 1 + POOL_MAX,
                             8 + 4 * POOL_MAX}; /* the pool fills up when it likes */
    if (memory_per_round > 0) {
        limit[MEMORY] = memory_per_round * n;
        limit[THREADS] = 1;
        limit[MAPPINGS] = 8;
    }
    printf("slope, %u workers, %s, %u rounds:", stress_workers, load, n);
    for (int i = 0; i < FIGURES; i++) {
        double grown = series_growth(&seen[i]);
        printf(" %s %.0f %+.1f", figure_name[i], seen[i].value[rounds() - 1], grown);
        fflush(stdout);
        if (TEST_SLOWNESS == 1 || i == DESCRIPTORS || i == THREADS)
            CHECK(grown < limit[i]);
    }
    printf("\n");
}

/* ---- the load ---- */

struct place {
    int listener;
    char at[ENDPOINT_MAX];
};

/* What the other side may have done to a connection: gone, politely or not; or we are told to stop. */
static bool is_over(ssize_t result)
{
    return result == 0 || result == -ECONNRESET || result == -EPIPE || is_stop((int)result);
}

static int echo(void *arg)
{
    int fd = *(int *)arg;
    char text[512];
    ssize_t n;
    do {
        n = weft_read(fd, text, sizeof text);
        if (n > 0)
            n = weft_write_all(fd, text, (size_t)n) == 0 ? n : -EPIPE;
    } while (n > 0);
    CHECK(is_over(n));
    CHECK_EQ(weft_close(fd), 0);
    return 0;
}

static int serve(void *arg)
{
    struct place *p = arg;
    WEFT_SCOPE(s);
    int fd;
    while ((fd = weft_accept(p->listener, NULL)) >= 0)
        CHECK_EQ(weft_go_copy(&s, echo, &fd, sizeof fd), 0);
    CHECK_EQ(fd, -EBADF); /* closed under us, which is how it ends */
    return weft_scope_close(&s);
}

static int talk(void *arg)
{
    char text[300] = {0}, back[300];
    struct wf_random r = stress_random();
    for (int i = 0; i < 5; i++) {
        size_t n = 1 + wf_random_below(&r, sizeof text);
        memset(text, 'a' + i, n);
        int err = weft_write_all(*(int *)arg, text, n);
        if (err == 0)
            err = weft_read_full(*(int *)arg, back, n);
        if (err)
            return err;
        CHECK(memcmp(text, back, n) == 0);
    }
    return 0;
}

/* Half of the clients have little time. All leave by a reset: what waits for the other side's last word would keep the
 * kernel's ports in use for a minute. */
static int be_client(void *arg)
{
    struct place *p = arg;
    struct wf_random r = stress_random();
    int fd = weft_tcp_connect(p->at);
    CHECK(fd >= 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)), 0);
    bool hasty = one_in(&r, 2);
    int err = hasty ? weft_within(wf_random_below(&r, 300) * WEFT_USEC, talk, &fd) : talk(&fd);
    CHECK(err == 0 || (hasty && err == -ETIMEDOUT));
    CHECK_EQ(weft_close(fd), 0);
    return 0;
}

static int sleep_a_little(void *arg)
{
    struct wf_random r = stress_random();
    (void)arg;
    return weft_sleep(wf_random_below(&r, 200) * WEFT_USEC);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(weft_never());
}

static int job(void *arg)
{
    free(malloc(1 + (uintptr_t)arg));
    return 0;
}

static int offload(void *arg)
{
    int result = weft_offload(job, arg);
    weft_blocking_begin();
    job(arg);
    weft_blocking_end();
    return result;
}

static void open_place(struct place *p)
{
    weft_addr a;
    p->listener = weft_tcp_listen("127.0.0.1:0", 0);
    CHECK(p->listener >= 0);
    CHECK_EQ(weft_addr_local(p->listener, &a), 0);
    snprintf(p->at, sizeof p->at, "127.0.0.1:%d", weft_addr_port(&a));
}

static int one_round(void *arg)
{
    struct place p;
    (void)arg;
    open_place(&p);
    WEFT_SCOPE(server);
    CHECK_EQ(weft_go(&server, serve, &p), 0);
    {
        WEFT_SCOPE(s);
        for (int i = 0; i < CLIENTS; i++)
            CHECK_EQ(weft_go(&s, be_client, &p), 0);
        for (int i = 0; i < SLEEPERS; i++)
            CHECK_EQ(weft_go(&s, sleep_a_little, NULL), 0);
        for (uintptr_t i = 0; i < JOBS; i++)
            CHECK_EQ(weft_go(&s, offload, (void *)(i * 1000)), 0);
        weft_task *never = weft_spawn(&s, sleep_for_ever, NULL);
        CHECK_EQ(weft_yield(), 0);
        weft_cancel(never);
        CHECK(is_stop(weft_await(never)));
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    CHECK_EQ(weft_close(p.listener), 0);
    return weft_scope_close(&server);
}

static int many_rounds(void *arg)
{
    while (more_rounds(ROUNDS_MIN)) {
        for (int i = 0; i < 4; i++)
            CHECK_EQ(one_round(arg), 0);
        look();
    }
    return 0;
}

/* ---- both ---- */

static void measure(unsigned workers, double seconds)
{
    weft_config config = {.workers = workers, .offload_max = POOL_MAX};
    stress_workers = workers;
    wf_store(&stress_steps, 0, relaxed);
    forget_rounds();
    stress_end = weft_after((int64_t)(seconds / 2 * 1e9));
    while (more_rounds(STARTS_MIN)) {
        CHECK_EQ(weft_run(&config, one_round, NULL), 0);
        look();
    }
    judge("start and stop", 4);
    forget_rounds();
    stress_end = weft_after((int64_t)(seconds / 2 * 1e9));
    CHECK_EQ(weft_run(&config, many_rounds, NULL), 0);
    judge("mixed load", 0);
}

static void leak(void)
{
    leaks = true;
    measure(1, 0);
}

/* A leak must be noticed, or the rest proves nothing. 0: it was. */
static int expect_leak(void)
{
    static char text[65536];
    test_in_child(leak, 60, text, sizeof text);
    bool noticed = strstr(text, "CHECK failed: grown < limit") != NULL;
    printf("a leak is %s\n", noticed ? "noticed" : "not noticed");
    return noticed ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const unsigned each[] = {1, 2, 3, 8};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    if (argc > 3)
        return expect_leak();
    if (argc > 2)
        measure((unsigned)atoi(argv[2]), seconds);
    else
        for (size_t i = 0; i < 4; i++)
            measure(each[i], seconds / 4);
    return 0;
}
