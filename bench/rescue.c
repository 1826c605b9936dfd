/* rescue.c - one of two workers stands still: how late is what waits meanwhile?
 *
 *   compute_*   a task computes all the time: 2 s, --stall SECONDS changes it
 *   sleep_*     it sits in nanosleep(2) for so long
 *   faults_*    it touches 64 MiB page after page, and gives them back, again and again
 *   often_*     it computes for 5 ms, sleeps for one, and so on: each is a worker that stands still anew, with whatever
 *               has come to it meanwhile
 *   idle_cpu    what the other worker uses of a CPU while one computes and there is nothing else to be done
 *   echo        CPU time of a round trip over a socket pair while nobody stands still; with the rescue against without,
 *               the ratio is the figure. In five times as many rounds, by themselves, every other one backwards: it is
 *               a matter of percents
 *
 * Meanwhile, every millisecond: eight tasks wake from a sleep; four read eight bytes that a plain thread writes to a
 * socket of theirs; four receive from a channel what another sends after a sleep. All began before it stood still, on
 * both workers, so about half of them wait at that one's timers and ring. Lateness is from when it was meant to happen,
 * by a schedule that nobody can move, to when the task runs: whoever is held for a second is late a thousand times. The
 * median, p99, p99.9 and the latest of all of them, in milliseconds.
 *
 * "weft" is what one gets: completions are kept for their thread, which is knocked at. "silent" the same without
 * knocking; "eager": the kernel interrupts at every completion; "defer": rings are bound to their worker, so others can
 * fire timers but collect little; "alone": no rescue at all. docs/design/fan-in.md has what followed from it. Without
 * peers (--no-peers) only the first and the last. */
#include "bench/bench.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <weft.h>

enum { SLEEPERS = 8, READERS = 4, RECEIVERS = 4, PERCENTILES = 4 };
enum { ECHOES = 50000, ECHOES_QUICK = 2000, ECHO_PAIRS = 16, ECHO_ROUNDS = 5 };

static const size_t STORM_SIZE = (size_t)64 << 20;
static const int64_t PERIOD = WEFT_MSEC, OFTEN = 5 * WEFT_MSEC, BEFORE = 20 * WEFT_MSEC;

static int64_t stall_ns = 2 * WEFT_SEC;
static unsigned echoes = ECHOES;

/* ---- lateness, as many times as it was meant to happen ---- */

struct late {
    double *ms;
    size_t count, room;
};

static struct scene {
    void (*stand_still)(void);
    weft_time begin, end; /* of the schedule */
    struct late late[SLEEPERS + READERS + RECEIVERS];
    unsigned next;
    int pair[READERS][2];
    weft_chan *chan[RECEIVERS];
} scene;

static void add(struct late *l, int64_t late_ns)
{
    if (l->count == l->room)
        bench_die("rescue: more came than was meant to");
    l->ms[l->count++] = (double)late_ns / 1e6;
}

static struct late *one_more(void)
{
    return &scene.late[__atomic_fetch_add(&scene.next, 1, __ATOMIC_RELAXED)];
}

static int sleep_by_schedule(void *arg)
{
    struct late *l = one_more();
    (void)arg;
    for (weft_time meant = scene.begin; meant.ns < scene.end.ns; meant.ns += PERIOD) {
        weft_sleep_until(meant);
        add(l, weft_since(meant));
    }
    return 0;
}

static int read_by_schedule(void *arg)
{
    struct late *l = one_more();
    weft_time meant;
    while (weft_read_full(*(int *)arg, &meant, sizeof meant) == 0)
        add(l, weft_since(meant));
    return 0;
}

static void *write_by_schedule(void *arg)
{
    (void)arg;
    for (weft_time meant = scene.begin; meant.ns < scene.end.ns; meant.ns += PERIOD) {
        struct timespec until = {meant.ns / WEFT_SEC, meant.ns % WEFT_SEC};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
            continue;
        for (int i = 0; i < READERS; i++)
            if (write(scene.pair[i][1], &meant, sizeof meant) != sizeof meant)
                bench_die("rescue: a socket is full");
    }
    for (int i = 0; i < READERS; i++)
        shutdown(scene.pair[i][1], SHUT_WR);
    return NULL;
}

static int receive_by_schedule(void *arg)
{
    struct late *l = one_more();
    weft_time meant;
    while (weft_chan_recv(arg, &meant) == 0)
        add(l, weft_since(meant));
    return 0;
}

static int send_by_schedule(void *arg)
{
    for (weft_time meant = scene.begin; meant.ns < scene.end.ns; meant.ns += PERIOD) {
        weft_sleep_until(meant);
        weft_chan_send(arg, &meant);
    }
    weft_chan_close(arg);
    return 0;
}

/* ---- ways to stand still ---- */

static void compute_for(int64_t ns)
{
    weft_time start = weft_now();
    while (weft_since(start) < ns)
        continue;
}

static void compute(void)
{
    compute_for(stall_ns);
}

static void sleep_in_kernel(void)
{
    struct timespec left = {stall_ns / WEFT_SEC, stall_ns % WEFT_SEC};
    while (nanosleep(&left, &left) != 0)
        continue;
}

static void fault(void)
{
    weft_time start = weft_now();
    char *p = mmap(NULL, STORM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        bench_die("rescue: no memory");
    madvise(p, STORM_SIZE, MADV_NOHUGEPAGE);
    while (weft_since(start) < stall_ns) {
        for (size_t at = 0; at < STORM_SIZE && weft_since(start) < stall_ns; at += 4096)
            p[at] = 1;
        madvise(p, STORM_SIZE, MADV_DONTNEED);
    }
    munmap(p, STORM_SIZE);
}

static void compute_often(void)
{
    weft_time start = weft_now();
    while (weft_since(start) < stall_ns) {
        compute_for(OFTEN);
        weft_sleep(PERIOD);
    }
}

/* ---- a run ---- */

static int begin_to_stand_still(void *arg)
{
    (void)arg;
    weft_sleep_until((weft_time){scene.begin.ns + BEFORE});
    scene.stand_still();
    return 0;
}

static void open_scene(void)
{
    size_t room = (size_t)((2 * BEFORE + stall_ns) / PERIOD) + 2;
    scene.next = 0;
    for (size_t i = 0; i < sizeof scene.late / sizeof scene.late[0]; i++) {
        scene.late[i] = (struct late){malloc(room * sizeof(double)), 0, room};
        if (scene.late[i].ms == NULL)
            bench_die("rescue: no memory");
        memset(scene.late[i].ms, 0, room * sizeof(double)); /* no page is to be had for the first time later */
    }
    for (int i = 0; i < READERS; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scene.pair[i]) != 0)
            bench_die("rescue: no sockets");
    for (int i = 0; i < RECEIVERS; i++)
        scene.chan[i] = weft_chan_new(1, sizeof(weft_time));
    scene.begin = weft_after(PERIOD);
    scene.end.ns = scene.begin.ns + 2 * BEFORE + stall_ns;
}

static void close_scene(void)
{
    for (int i = 0; i < READERS; i++) {
        weft_close(scene.pair[i][0]);
        weft_close(scene.pair[i][1]);
    }
    for (int i = 0; i < RECEIVERS; i++)
        weft_chan_free(scene.chan[i]);
}

static int run_scene(void *arg)
{
    pthread_t writer;
    (void)arg;
    open_scene();
    WEFT_SCOPE(s);
    for (int i = 0; i < SLEEPERS; i++)
        weft_go(&s, sleep_by_schedule, NULL);
    for (int i = 0; i < READERS; i++)
        weft_go(&s, read_by_schedule, &scene.pair[i][0]);
    for (int i = 0; i < RECEIVERS; i++) {
        weft_go(&s, receive_by_schedule, scene.chan[i]);
        weft_go(&s, send_by_schedule, scene.chan[i]);
    }
    weft_go(&s, begin_to_stand_still, NULL);
    if (pthread_create(&writer, NULL, write_by_schedule, NULL) != 0)
        bench_die("rescue: no thread");
    int err = weft_scope_close(&s);
    pthread_join(writer, NULL);
    close_scene();
    return err;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Of all of them together. */
static void percentiles(double *value)
{
    static const double share[PERCENTILES] = {0.5, 0.99, 0.999, 1};
    size_t count = 0;
    for (size_t i = 0; i < scene.next; i++)
        count += scene.late[i].count;
    double *all = malloc(count * sizeof *all), *at = all;
    if (all == NULL || count == 0)
        bench_die("rescue: nothing happened");
    for (size_t i = 0; i < sizeof scene.late / sizeof scene.late[0]; i++) {
        memcpy(at, scene.late[i].ms, scene.late[i].count * sizeof *at);
        at += scene.late[i].count;
        free(scene.late[i].ms);
    }
    qsort(all, count, sizeof *all, compare);
    for (int i = 0; i < PERCENTILES; i++)
        value[i] = all[(size_t)((double)(count - 1) * share[i])];
    free(all);
}

static void say_nothing(const weft_stall *stall, void *ctx)
{
    (void)stall, (void)ctx;
}

static void run(weft_ring_mode ring, bool no_rescue, weft_fn fn, void *arg)
{
    weft_config c = {.workers = 2, .ring = ring, .no_rescue = no_rescue, .on_stall = say_nothing};
    int err = weft_run(&c, fn, arg);
    if (err < 0)
        bench_die("rescue: %s", weft_strerror(err));
}

/* ---- what it costs ---- */

static int compute_alone(void *arg)
{
    double *percent = arg;
    struct timespec before, after;
    weft_sleep(BEFORE);
    int64_t start = bench_now_ns(), cpu = bench_cpu_ns();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    compute_for(stall_ns);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    cpu = bench_cpu_ns() - cpu - (after.tv_sec - before.tv_sec) * WEFT_SEC - (after.tv_nsec - before.tv_nsec);
    *percent = 100.0 * (double)cpu / (double)(bench_now_ns() - start);
    return 0;
}

static int answer(void *arg)
{
    char byte;
    while (weft_read(*(int *)arg, &byte, 1) == 1)
        weft_write_all(*(int *)arg, &byte, 1);
    return 0;
}

static int ask(void *arg)
{
    int pair[2];
    char byte = 'x';
    (void)arg;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        bench_die("rescue: no sockets");
    WEFT_SCOPE(s);
    weft_go(&s, answer, &pair[1]);
    for (unsigned i = 0; i < echoes / ECHO_PAIRS; i++) {
        weft_write_all(pair[0], &byte, 1);
        weft_read_full(pair[0], &byte, 1);
    }
    weft_shutdown_write(pair[0]);
    int err = weft_scope_close(&s);
    weft_close(pair[0]);
    weft_close(pair[1]);
    return err;
}

static int echo(void *arg)
{
    double *us = arg;
    int64_t cpu = bench_cpu_ns();
    WEFT_SCOPE(s);
    for (int i = 0; i < ECHO_PAIRS; i++)
        weft_go(&s, ask, NULL);
    int err = weft_scope_close(&s);
    *us = (double)(bench_cpu_ns() - cpu) / echoes / 1e3;
    return err;
}

/* ---- all of it ---- */

enum { MODES = 5, WAYS = 4 };

static const struct {
    const char *who;
    weft_ring_mode ring;
    bool no_rescue;
} modes[MODES] = {{"weft", WEFT_RING_SHARED, false},
                  {"weft-silent", WEFT_RING_SILENT, false},
                  {"weft-eager", WEFT_RING_EAGER, false},
                  {"weft-defer", WEFT_RING_DEFER, false},
                  {"weft-alone", WEFT_RING_SHARED, true}};

static const struct {
    const char *name[PERCENTILES];
    void (*stand_still)(void);
} ways[WAYS] = {{{"compute_p50", "compute_p99", "compute_p999", "compute_max"}, compute},
                {{"sleep_p50", "sleep_p99", "sleep_p999", "sleep_max"}, sleep_in_kernel},
                {{"faults_p50", "faults_p99", "faults_p999", "faults_max"}, fault},
                {{"often_p50", "often_p99", "often_p999", "often_max"}, compute_often}};

static struct bench_figure late[MODES][WAYS][PERCENTILES], idle_cpu[MODES], echo_us[MODES], echo_ratio;

static void name_figures(void)
{
    const double bar_ms = 5, bar_echo = 1.02;
    for (int m = 0; m < MODES; m++) {
        struct bench_figure f = {.bench = "rescue", .who = modes[m].who, .version = weft_version(), .workers = 2};
        idle_cpu[m] = echo_us[m] = f;
        idle_cpu[m].metric = "idle_cpu", idle_cpu[m].unit = "% of a CPU";
        echo_us[m].metric = "echo", echo_us[m].unit = "us";
        for (int w = 0; w < WAYS; w++)
            for (int p = 0; p < PERCENTILES; p++) {
                late[m][w][p] = f;
                late[m][w][p].metric = ways[w].name[p], late[m][w][p].unit = "ms";
                late[m][w][p].bar = m == 0 && p == 2 ? bar_ms : 0;
            }
    }
    echo_ratio = (struct bench_figure){.bench = "rescue", .who = "weft / weft-alone", .version = weft_version(),
                                       .workers = 2, .metric = "echo", .unit = "x", .bar = bar_echo};
}

static void measure(int m, bool keep)
{
    double value[PERCENTILES], percent = 0;
    for (int w = 0; w < WAYS; w++) {
        scene.stand_still = ways[w].stand_still;
        run(modes[m].ring, modes[m].no_rescue, run_scene, NULL);
        percentiles(value);
        for (int p = 0; keep && p < PERCENTILES; p++)
            bench_add(&late[m][w][p], value[p]);
    }
    run(modes[m].ring, modes[m].no_rescue, compute_alone, &percent);
    if (keep)
        bench_add(&idle_cpu[m], percent);
}

static void measure_echo(int m, bool keep)
{
    double us = 0;
    run(modes[m].ring, modes[m].no_rescue, echo, &us);
    if (keep)
        bench_add(&echo_us[m], us);
}

static void report(void)
{
    for (int w = 0; w < WAYS; w++)
        for (int p = 0; p < PERCENTILES; p++)
            for (int m = 0; m < MODES; m++)
                bench_report(&late[m][w][p]);
    for (int m = 0; m < MODES; m++)
        bench_report(&idle_cpu[m]);
    for (int m = 0; m < MODES; m++)
        bench_report(&echo_us[m]);
    bench_ratio(&echo_ratio, &echo_us[0], &echo_us[MODES - 1]);
    bench_report(&echo_ratio);
}

int main(int argc, char **argv)
{
    struct bench_options o = bench_options(&argc, argv, 5, "[--stall SECONDS]");
    double seconds = o.quick ? 0.3 : 2;
    if (argc == 3 && strcmp(argv[1], "--stall") == 0)
        seconds = strtod(argv[2], NULL);
    else if (argc > 1)
        bench_usage(argv[0], "[--stall SECONDS]");
    if (seconds < 0.1 || seconds > 60)
        bench_die("rescue: --stall 0.1 to 60");
    stall_ns = (int64_t)(seconds * 1e9);
    if (o.quick)
        echoes = ECHOES_QUICK;
    name_figures();
    for (unsigned round = 0; round <= o.rounds; round++)
        for (int m = 0; m < MODES; m += o.peers ? 1 : MODES - 1)
            measure(m, round > 0);
    for (unsigned round = 0; round <= o.rounds * ECHO_ROUNDS; round++)
        for (int i = 0; i < MODES; i += o.peers ? 1 : MODES - 1)
            measure_echo(round % 2 ? MODES - 1 - i : i, round > 0);
    report();
    return 0;
}
