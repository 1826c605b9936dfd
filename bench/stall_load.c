/* stall_load.c - what becomes of innocent requests while others compute on the spot?
 *
 * An echo server on two workers. Some requests compute for 1, 10 or 100 ms, inside the handler that has read them and
 * without a yield; together they keep 0 to 160 % of one worker busy. The others, which compute nothing, are what is
 * looked at: p50, p99, p99.9 and the greatest of their latencies, and how many of them were answered in time. Nobody
 * waits for an answer before he asks again: stall_schedule.h has when each request is to be sent, and stall_client.h
 * measures from that moment. The scenes:
 *
 *     stall_0             nobody computes
 *     stall_10ms_64       requests of 10 ms come by chance, and are 64 % of a worker; others accordingly
 *     stall_10ms_64_even  the same at even intervals: one job at a time, so that a worker of two is always free
 *     stall_10ms_64_1000  the same as stall_10ms_64 over 1,000 connections
 *     away_10ms_64        the same jobs, offloaded: to lane cpu, spawn_blocking(), a thread_pool, uv_queue_work();
 *                         Go has nothing of the kind, and computes as before
 *     away_10ms_100_even  one core's worth of jobs, offloaded: a ping beside it is held against one of stall_0, and
 *                         against limits/stall_bare, where a plain thread answers pings while one, or two, compute;
 *                         and where two answer, as there are two workers here and in all peers
 *
 * 64 connections if nothing else is said, and 4,000 innocent requests a second: work for a fifth of a core, of server
 * and client together. In each round every server goes through every scene, with the same schedule; each round has
 * another. A server that is not measured waits. All servers compute the same turns of the same loop, as many as take
 * the time here; `turn` says what one takes each of them.
 *
 * weft is there three times: as it is by default; with WEFT_RESCUE=off, so that nobody does for a worker that computes
 * what it cannot; and with weft_config.pin, so that the system does not put a worker that is awake behind one that
 * computes, on the same CPU.
 *
 * The servers have the first two CPUs. With more than two, the client has the rest. With just two it shares them, and
 * what computes there would hold it up, too: by a turn of the system's, 3 to 4 ms, which is more than what is to be
 * seen. So the client goes first (SCHED_FIFO) where that is allowed, as if it were the network: it takes a CPU from the
 * servers when a request is due or an answer has come, a tenth of one altogether, and never waits for them. With
 * --fair it has no priority. `late_p99` says how late it sent: a p99 of that size is the client's, not the server's.
 *
 *     stall_load [--conns N] [--rate N] [--ms MS] [--load PERCENT] [--even] [--away] [--seconds S] [--fair]
 *                [--plot FILE] [--server LABEL=COMMAND]...
 *
 * --conns, --ms, --load, --even and --away ask for one scene, beside stall_0. --server measures one more under that
 * name, as in echo_load. The curves go to FILE, or to stall.svg beside this program. */
#include "bench/contrast.d/contrast.h"
#include "bench/stall_client.h"
#include "bench/stall_load.h"

enum { WORKERS = STALL_WORKERS, CONNS = 64, RATE = 4000, TURNS_MEASURED = 1000000 };
#define LEAD 0.2 /* of the time that is measured goes before it */

const struct bench_metric stall_metric[STALL_METRICS] = {
    {"p50", "us", 0}, {"p99", "us", 0}, {"p99.9", "us", 0}, {"max", "us", 0}, {"answered", "%", 0},
    {"jobs_done", "%", 0}, {"late_p99", "us", 0}, {"server_cpu", "us/request", 0}};

struct plan {
    struct bench_options o;
    double seconds;
    double turn_ns;
    bool fair; /* the client has no priority */
    const char *label[STALL_SERVERS_MAX], *command[STALL_SERVERS_MAX], *plot;
    unsigned commands;
};

/* Measuring. */

/* What `share` of the sorted values does not exceed, in microseconds. */
static double us_at(const int64_t *sorted, unsigned n, double percent)
{
    return (double)ct_percentile(sorted, n, percent) / 1e3;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* What came due in the time that counts. taken: of the innocent, sorted; room for all. Returns how many. */
static unsigned judge(const struct stall_schedule *s, double seconds, int64_t *taken, double *value)
{
    int64_t from = (int64_t)(seconds * LEAD * 1e9), to = (int64_t)(seconds * (1 + LEAD) * 1e9);
    unsigned n = 0, lates = 0, in_time = 0, jobs = 0, jobs_done = 0;
    int64_t *late = calloc(s->n + 1, sizeof *late);
    if (late == NULL)
        bench_die("no memory");
    for (unsigned i = 0; i < s->n; i++) {
        const struct stall_request *r = &s->request[i];
        bool is_in_time = r->due_ns + r->taken_ns < to;
        if (r->due_ns < from)
            continue;
        late[lates++] = r->late_ns;
        jobs += r->computes;
        jobs_done += r->computes && is_in_time;
        in_time += !r->computes && is_in_time;
        if (!r->computes)
            taken[n++] = r->taken_ns;
    }
    qsort(taken, n, sizeof *taken, compare_ns);
    qsort(late, lates, sizeof *late, compare_ns);
    value[STALL_P50] = us_at(taken, n, 50);
    value[STALL_P99] = us_at(taken, n, 99);
    value[STALL_P999] = us_at(taken, n, 99.9);
    value[STALL_MAX] = us_at(taken, n, 100);
    value[STALL_ANSWERED] = n > 0 ? 100.0 * in_time / n : 0;
    value[STALL_JOBS] = jobs > 0 ? 100.0 * jobs_done / jobs : BENCH_NOT_MEASURED;
    value[STALL_LATE] = us_at(late, lates, 99);
    free(late);
    return n;
}

static void keep(struct stall_cell *cell, const int64_t *taken, unsigned n, const double *value)
{
    for (int m = 0; m < STALL_METRICS; m++)
        if (value[m] >= 0)
            bench_add(&cell->figure[m], value[m]);
    int64_t *all = realloc(cell->all, (cell->n + n) * sizeof *all);
    if (all == NULL)
        bench_die("no memory");
    memcpy(all + cell->n, taken, n * sizeof *all);
    cell->all = all;
    cell->n += n;
}

static void measure(struct stall_contender *c, const struct stall_scene *scene, struct stall_cell *cell,
                    struct stall_client *client, const struct plan *p)
{
    double value[STALL_METRICS];
    struct stall_schedule *s = client->schedule;
    int64_t *taken = calloc(s->n + 1, sizeof *taken);
    if (taken == NULL)
        bench_die("no memory");
    client->conns = scene->conns;
    client->greeted = 0;
    for (unsigned i = 0; i < s->n; i++)
        s->request[i].taken_ns = -1;
    stall_open(client, &c->it.peer);
    int64_t cpu = bench_server_cpu_ns(&c->it);
    stall_run(client);
    cpu = bench_server_cpu_ns(&c->it) - cpu;
    stall_close(client);
    unsigned n = judge(s, p->seconds, taken, value);
    value[STALL_CPU] = scene->load > 0 ? BENCH_NOT_MEASURED : (double)cpu / 1e3 / s->n;
    if (cell != NULL)
        keep(cell, taken, n, value);
    free(taken);
}

/* Everybody in this scene. round of 0: nothing is kept. */
static void measure_all(struct stall_results *r, unsigned scene, unsigned round, const struct plan *p)
{
    static struct stall_client client;
    struct stall_scene *of = &r->scene[scene];
    struct stall_schedule s;
    double seconds = p->seconds * (1 + LEAD) * (round > 0 ? 1 : 0.25);
    if (!stall_schedule_make(&s, of, seconds, round * 1000 + scene + 1))
        bench_die("no memory");
    client.scene = of;
    client.schedule = &s;
    client.turns = (uint64_t)(of->job_ms * 1e6 / p->turn_ns);
    client.result = of->load > 0 ? stall_compute(client.turns) : 0;
    for (unsigned i = 0; i < r->contenders; i++) {
        struct stall_contender *c = &r->contender[(i + round) % r->contenders];
        if (stall_takes_part(c, of))
            measure(c, of, round > 0 ? &c->cell[scene] : NULL, &client, p);
    }
    free(s.request);
}

/* Planning. */

static void name_scene(struct stall_scene *s)
{
    char many[16] = "";
    if (s->conns != CONNS)
        snprintf(many, sizeof many, "_%u", s->conns);
    if (s->load > 0)
        snprintf(s->name, sizeof s->name, "%s_%gms_%.0f%s%s", s->away ? "away" : "stall", s->job_ms, s->load * 100,
                 s->even ? "_even" : "", many);
    else
        snprintf(s->name, sizeof s->name, "stall_0%s", many);
}

static void add_scene(struct stall_results *r, struct stall_scene s)
{
    s.rate = s.rate != 0 ? s.rate : RATE;
    s.conns = s.conns != 0 ? s.conns : CONNS;
    name_scene(&s);
    r->scene[r->scenes++] = s;
}

static void usual_scenes(struct stall_results *r, bool quick)
{
    if (quick) {
        add_scene(r, (struct stall_scene){.load = 0.64, .job_ms = 10});
        add_scene(r, (struct stall_scene){.load = 1, .job_ms = 10, .away = true, .even = true});
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        add_scene(r, (struct stall_scene){.load = (const double[]){0.32, 0.64, 0.96, 1.6}[i], .job_ms = 10});
    add_scene(r, (struct stall_scene){.load = 0.64, .job_ms = 10, .even = true});
    add_scene(r, (struct stall_scene){.load = 0.64, .job_ms = 1});
    add_scene(r, (struct stall_scene){.load = 0.64, .job_ms = 100});
    add_scene(r, (struct stall_scene){.load = 0.64, .job_ms = 10, .conns = 1000});
    add_scene(r, (struct stall_scene){.load = 0.64, .job_ms = 10, .away = true});
    add_scene(r, (struct stall_scene){.load = 1, .job_ms = 10, .away = true, .even = true});
}

static void add_server(struct plan *p, const char *label, const char *command)
{
    p->label[p->commands] = label;
    p->command[p->commands++] = command;
}

/* False when there is no such option. */
static bool read_flag(const char *word, struct plan *p, struct stall_scene *s)
{
    bool *flag = strcmp(word, "--even") == 0   ? &s->even
                 : strcmp(word, "--away") == 0 ? &s->away
                 : strcmp(word, "--fair") == 0 ? &p->fair
                                               : NULL;
    if (flag != NULL)
        *flag = true;
    return flag != NULL;
}

static bool read_value(const char *word, const char *value, struct plan *p, struct stall_scene *s)
{
    if (value == NULL)
        return false;
    if (strcmp(word, "--conns") == 0)
        s->conns = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(word, "--rate") == 0)
        s->rate = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(word, "--ms") == 0)
        s->job_ms = strtod(value, NULL);
    else if (strcmp(word, "--load") == 0)
        s->load = strtod(value, NULL) / 100;
    else if (strcmp(word, "--seconds") == 0)
        p->seconds = strtod(value, NULL);
    else if (strcmp(word, "--plot") == 0)
        p->plot = value;
    else if (strcmp(word, "--server") == 0 && strstr(value, "=/") != NULL && p->commands < STALL_SERVERS_MAX)
        add_server(p, value, strstr(value, "=/") + 1);
    else
        return false;
    return true;
}

/* Sets `one` when one scene is described. */
static void read_own(int argc, char **argv, const char *more, struct plan *p, struct stall_scene *s, bool *one)
{
    static const char *const of_scene[] = {"--conns", "--ms", "--load", "--even", "--away"};
    for (int i = 1; i < argc; i++) {
        for (unsigned k = 0; k < sizeof of_scene / sizeof *of_scene; k++)
            *one |= strcmp(argv[i], of_scene[k]) == 0;
        if (read_flag(argv[i], p, s))
            continue;
        if (!read_value(argv[i], argv[i + 1], p, s))
            bench_usage(argv[0], more);
        i++;
    }
    if (s->conns == 1 || s->conns > STALL_CONNS_MAX || s->job_ms <= 0 || s->load < 0 || s->load > 16)
        bench_die("stall: --conns takes 2 to %d, --ms more than 0, --load 0 to 1600", STALL_CONNS_MAX);
}

static struct plan read_plan(int argc, char **argv, struct stall_results *r)
{
    static const char more[] = "[--conns N] [--rate N] [--ms MS] [--load PERCENT] [--even] [--away] [--seconds S]"
                               " [--fair] [--plot FILE] [--server LABEL=COMMAND]...";
    static char without[4200], plot[4200];
    struct plan p = {.command = {"stall"}, .commands = 1, .plot = plot};
    struct stall_scene s = {.job_ms = 10, .load = 0.64};
    bool one = false;
    p.o = bench_options(&argc, argv, 5, more);
    snprintf(without, sizeof without, "/usr/bin/env WEFT_RESCUE=off %s/stall", bench_folder());
    snprintf(plot, sizeof plot, "%s/stall.svg", bench_folder());
    add_server(&p, STALL_WITHOUT_RESCUE, without);
    add_server(&p, "weft-pin", "stall pin");
    static const char *const others[] = {"limits/stall_bare 1 5", "limits/stall_bare 2 5", "limits/stall_bare 2 5 2",
                                         "peers/tokio_peer stall 2", "peers/go_stall 2", "peers/boost_stall 2",
                                         "peers/uv_stall 2"};
    for (unsigned i = 0; i < sizeof others / sizeof *others && p.o.peers; i++)
        add_server(&p, NULL, others[i]);
    read_own(argc, argv, more, &p, &s, &one);
    add_scene(r, (struct stall_scene){.rate = s.rate, .conns = one ? s.conns : 0});
    if (!one)
        usual_scenes(r, p.o.quick);
    else if (s.load > 0)
        add_scene(r, s);
    for (unsigned i = 0; s.rate != 0 && i < r->scenes; i++)
        r->scene[i].rate = s.rate;
    if (p.o.quick)
        p.o.rounds = 1; /* there are many servers */
    if (p.seconds <= 0)
        p.seconds = p.o.quick ? 0.12 : 0.8;
    return p;
}

static void start(struct stall_results *r, const struct plan *p, unsigned i)
{
    struct stall_contender *c = &r->contender[r->contenders];
    c->command = p->command[i];
    if (!bench_server_start_on(&c->it, p->label[i], c->command, WORKERS)) {
        if (i == 0)
            bench_die("stall: %s is not built, and nothing can be compared without it", c->command);
        return;
    }
    struct bench_figure f = {.bench = "stall", .who = c->it.peer.who, .version = c->it.peer.version, .metric = "turn",
                             .unit = "ns", .workers = WORKERS};
    c->turn = f;
    for (unsigned k = 0; k < r->scenes; k++)
        for (int m = 0; m < STALL_METRICS; m++) {
            f.bench = r->scene[k].name;
            f.metric = stall_metric[m].name;
            f.unit = stall_metric[m].unit;
            c->cell[k].figure[m] = f;
        }
    r->contenders++;
}

/* What a turn takes here, undisturbed: whatever disturbs can only make it longer. */
static double calibrate(void)
{
    volatile uint64_t sink;
    double least = 0;
    for (int i = 0; i < 20; i++) {
        int64_t began = bench_now_ns();
        sink = stall_compute(TURNS_MEASURED);
        double ns = (double)(bench_now_ns() - began) / TURNS_MEASURED;
        if (least <= 0 || ns < least)
            least = ns;
    }
    (void)sink;
    return least;
}

int main(int argc, char **argv)
{
    static struct stall_results r;
    static char workers[16];
    struct rlimit files = {.rlim_cur = 2 * STALL_CONNS_MAX, .rlim_max = 2 * STALL_CONNS_MAX};
    struct plan p = read_plan(argc, argv, &r);
    setrlimit(RLIMIT_NOFILE, &files); /* the servers inherit it; where it is refused, connect() will say so */
    prctl(PR_SET_TIMERSLACK, 1UL);    /* wake when it is time, not up to 50 us later */
    snprintf(workers, sizeof workers, "%d", WORKERS);
    setenv("WEFT_WORKERS", workers, 1);
    bench_machine(stdout);
    if (bench_pin(0, CPU_SETSIZE) < WORKERS)
        bench_die("stall: %d CPUs are needed, one for each worker", WORKERS);
    for (unsigned i = 0; i < p.commands; i++)
        start(&r, &p, i);
    bool shares = bench_pin(WORKERS, CPU_SETSIZE) == 0;
    bool first = !p.fair && sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) == 0;
    p.turn_ns = calibrate();
    printf("a turn of the loop takes %.3f ns; the client %s, %s\n", p.turn_ns,
           shares ? "shares the servers' CPUs" : "has CPUs of its own",
           first ? "and goes first there" : "and waits for its turn there like everybody");
    for (unsigned round = p.o.quick ? 1 : 0; round <= p.o.rounds; round++) {
        for (unsigned i = 0; i < r.contenders && round > 0; i++)
            bench_add(&r.contender[i].turn, stall_turn_ns(&r.contender[i].it.peer, TURNS_MEASURED, 5));
        for (unsigned k = 0; k < r.scenes; k++)
            measure_all(&r, k, round, &p);
    }
    stall_report(&r);
    stall_plot(&r, p.plot);
    for (unsigned i = 0; i < r.contenders; i++)
        bench_peer_stop(&r.contender[i].it.peer);
    return 0;
}
