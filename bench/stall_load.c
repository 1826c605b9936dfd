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
 *     away_10ms_64        the same jobs, offloaded: weft_offload(), spawn_blocking(), a thread_pool, uv_queue_work();
 *                         Go has nothing of the kind, and computes as before
 *     away_10ms_100_even  one core's worth of jobs, offloaded: a ping beside it is held against one of stall_0
 *
 * 64 connections if nothing else is said, and 4,000 innocent requests a second: work for a fifth of a core, of server
 * and client together. In each round every server goes through every scene, with the same schedule; each round has
 * another. A server that is not measured waits. All servers compute the same turns of the same loop, as many as take
 * the time here; `turn` says what one takes each of them.
 *
 * The servers have the first two CPUs. With more than two, the client has the rest; with just two it shares theirs, and
 * then computing takes a CPU from the client as well, which has to wait for the system to give it another. That is in
 * every latency of everybody. `late_p99` says how late the client sent: a p99 of that size is the client's, not the
 * server's.
 *
 *     stall_load [--conns N] [--rate N] [--ms MS] [--load PERCENT] [--even] [--away] [--seconds S] [--plot FILE]
 *                [--server LABEL=COMMAND]...
 *
 * --conns, --ms, --load, --even and --away ask for one scene, beside stall_0. --server measures one more under that
 * name, as in echo_load. The curves go to FILE, or to stall.svg beside this program. */
#include "bench/contrast.d/contrast.h"
#include "bench/stall_client.h"
#include "bench/stall_load.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <weft.h>

enum { WORKERS = 2, CONNS = 64, RATE = 4000, TURNS_MEASURED = 1000000 };
#define LEAD 0.2 /* of the time that is measured goes before it */
#define WITHOUT_RESCUE "weft-no-rescue"

static const struct bench_metric metric[STALL_METRICS] = {
    {"p50", "us", 0}, {"p99", "us", 0}, {"p99.9", "us", 0}, {"max", "us", 0}, {"answered", "%", 0},
    {"jobs_done", "%", 0}, {"late_p99", "us", 0}, {"server_cpu", "us/request", 0}};

/* Bars, of weft by the best peer at 64 %; by itself without the rescue at 0 %; while offloading, by itself at 0 %. */
static const double bar_load = 0.64, bar_p99 = 0.5, bar_p999 = 1.0, bar_without_rescue = 1.02, bar_ping = 2;
/* And of what the best peer has answered in time by what weft has: a few requests of the last milliseconds more or
 * less are nothing. */
static const double bar_answered = 1.001;

struct plan {
    struct bench_options o;
    double seconds;
    double turn_ns;
    bool first; /* the client goes before everybody else */
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
    if (!stall_schedule_make(&s, of, p->seconds * (1 + LEAD), round * 1000 + scene + 1))
        bench_die("no memory");
    client.scene = of;
    client.schedule = &s;
    client.turns = (uint64_t)(of->job_ms * 1e6 / p->turn_ns);
    client.result = of->load > 0 ? stall_compute(client.turns) : 0;
    for (unsigned i = 0; i < r->contenders; i++) {
        struct stall_contender *c = &r->contender[(i + round) % r->contenders];
        measure(c, of, round > 0 ? &c->cell[scene] : NULL, &client, p);
    }
    free(s.request);
}

/* Reporting. */

/* The first that has it is weft; of the peers, the one whose median is the lowest, or of what was answered the highest. */
static const struct stall_contender *best_peer(const struct stall_results *r, unsigned scene, enum stall_metric m)
{
    const struct stall_contender *best = NULL;
    for (unsigned i = 1; i < r->contenders; i++) {
        const struct stall_contender *c = &r->contender[i];
        if (!stall_is_peer(c) || c->cell[scene].figure[m].n == 0)
            continue;
        double it = bench_median(&c->cell[scene].figure[m]);
        double so_far = best != NULL ? bench_median(&best->cell[scene].figure[m]) : 0;
        if (best == NULL || (m == STALL_ANSWERED ? it > so_far : it < so_far))
            best = c;
    }
    return best;
}

static const struct stall_contender *find(const struct stall_results *r, const char *who)
{
    for (unsigned i = 0; i < r->contenders; i++)
        if (strcmp(r->contender[i].it.peer.who, who) == 0)
            return &r->contender[i];
    return NULL;
}

static void report_ratio(const char *name, double bar, const struct bench_figure *above,
                         const struct bench_figure *below)
{
    struct bench_figure ratio = {.bench = above->bench, .who = "weft", .version = weft_version(), .metric = name,
                                 .unit = "x", .workers = WORKERS, .bar = bar};
    bench_ratio(&ratio, above, below);
    bench_report(&ratio);
}

/* weft by the best peer; what was answered the other way round, so that less is better there, too. */
static void report_best(const struct stall_results *r, unsigned scene, enum stall_metric m, double bar)
{
    char name[128];
    const struct stall_contender *best = best_peer(r, scene, m);
    const struct stall_scene *s = &r->scene[scene];
    if (best == NULL)
        return;
    const struct bench_figure *ours = &r->contender[0].cell[scene].figure[m], *theirs = &best->cell[scene].figure[m];
    bar = fabs(s->load - bar_load) < 1e-6 && !s->away ? bar : 0;
    if (m == STALL_ANSWERED) {
        snprintf(name, sizeof name, "%s_of_%s_by_weft", metric[m].name, best->it.peer.who);
        report_ratio(name, bar, theirs, ours);
    } else {
        snprintf(name, sizeof name, "%s_by_best_%s", metric[m].name, best->it.peer.who);
        report_ratio(name, bar, ours, theirs);
    }
}

static void report(const struct stall_results *r, unsigned scene)
{
    const struct stall_contender *without = find(r, WITHOUT_RESCUE), *weft = &r->contender[0];
    const struct stall_cell *ours = &weft->cell[scene];
    for (int m = 0; m < STALL_METRICS; m++)
        for (unsigned i = 0; i < r->contenders; i++)
            bench_report(&r->contender[i].cell[scene].figure[m]);
    report_best(r, scene, STALL_P99, bar_p99);
    report_best(r, scene, STALL_P999, bar_p999);
    report_best(r, scene, STALL_ANSWERED, bar_answered);
    if (without != NULL && r->scene[scene].load <= 0) {
        report_ratio("server_cpu_by_no_rescue", bar_without_rescue, &ours->figure[STALL_CPU],
                     &without->cell[scene].figure[STALL_CPU]);
        report_ratio("p50_by_no_rescue", bar_without_rescue, &ours->figure[STALL_P50],
                     &without->cell[scene].figure[STALL_P50]);
    }
    if (r->scene[scene].away && r->scene[scene].even)
        report_ratio("ping_p99_by_idle", bar_ping, &ours->figure[STALL_P99], &weft->cell[0].figure[STALL_P99]);
}

static void table(const struct stall_results *r, unsigned scene)
{
    const struct stall_scene *s = &r->scene[scene];
    printf("\n%s: %u connections, %u innocent requests a second", s->name, s->conns, s->rate);
    if (s->load > 0)
        printf(", and computing of %g ms%s%s, %.0f %% of a worker", s->job_ms, s->even ? " at even intervals" : "",
               s->away ? ", offloaded" : "", s->load * 100);
    printf("\n  %-20s %9s %9s %9s %9s %8s %7s %8s\n", "latency, ms", "p50", "p99", "p99.9", "max", "answered", "jobs",
           "late p99");
    for (unsigned i = 0; i < r->contenders; i++) {
        const struct bench_figure *f = r->contender[i].cell[scene].figure;
        printf("  %-20s %9.3f %9.3f %9.3f %9.3f %6.1f %% %5.0f %% %8.3f\n", r->contender[i].it.peer.who,
               bench_median(&f[STALL_P50]) / 1e3, bench_median(&f[STALL_P99]) / 1e3,
               bench_median(&f[STALL_P999]) / 1e3, bench_median(&f[STALL_MAX]) / 1e3,
               bench_median(&f[STALL_ANSWERED]), bench_median(&f[STALL_JOBS]),
               bench_median(&f[STALL_LATE]) / 1e3);
    }
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

static void read_own(int argc, char **argv, const char *more, struct plan *p, struct stall_scene *s, bool *one)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = argv[i + 1];
        bool *flag = strcmp(word, "--even") == 0    ? &s->even
                     : strcmp(word, "--away") == 0  ? &s->away
                     : strcmp(word, "--first") == 0 ? &p->first
                                                    : NULL;
        bool alone = flag != NULL;
        if (!alone && value == NULL)
            bench_usage(argv[0], more);
        *one |= (alone && flag != &p->first) || strcmp(word, "--conns") == 0 || strcmp(word, "--ms") == 0 || strcmp(word, "--load") == 0;
        i += !alone;
        if (alone)
            *flag = true;
        else if (strcmp(word, "--conns") == 0)
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
            bench_usage(argv[0], more);
    }
    if (s->conns == 1 || s->conns > STALL_CONNS_MAX || s->job_ms <= 0 || s->load < 0 || s->load > 16)
        bench_die("stall: --conns takes 2 to %d, --ms more than 0, --load 0 to 1600", STALL_CONNS_MAX);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Does this weft have a rescue that can be switched off? Where the variable is read, a word like this is refused. */
static bool has_rescue(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL || setenv("WEFT_RESCUE", "?", 1) != 0)
            _exit(1);
        _exit(weft_run(NULL, nothing, NULL) == -EINVAL ? 0 : 1);
    }
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static struct plan read_plan(int argc, char **argv, struct stall_results *r)
{
    static const char more[] = "[--conns N] [--rate N] [--ms MS] [--load PERCENT] [--even] [--away] [--seconds S]"
                               " [--first] [--plot FILE] [--server LABEL=COMMAND]...";
    static char without[4200], plot[4200];
    struct plan p = {.command = {"stall"}, .commands = 1, .plot = plot};
    struct stall_scene s = {.job_ms = 10, .load = 0.64};
    bool one = false;
    p.o = bench_options(&argc, argv, 5, more);
    snprintf(without, sizeof without, "/usr/bin/env WEFT_RESCUE=off %s/stall", bench_folder());
    snprintf(plot, sizeof plot, "%s/stall.svg", bench_folder());
    if (has_rescue())
        add_server(&p, WITHOUT_RESCUE, without);
    else
        printf("%s: this weft has none that could be left out\n", WITHOUT_RESCUE);
    for (unsigned i = 0; i < 4 && p.o.peers; i++)
        add_server(&p, NULL, (const char *const[]){"peers/tokio_peer stall 2", "peers/go_stall 2",
                                                   "peers/boost_stall 2", "peers/uv_stall 2"}[i]);
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
        p.seconds = p.o.quick ? 0.15 : 1;
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
            f.metric = metric[m].name;
            f.unit = metric[m].unit;
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
    if (p.first && sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) != 0)
        bench_die("stall: --first is not allowed: %s", strerror(errno));
    p.turn_ns = calibrate();
    printf("a turn of the loop takes %.3f ns; the client %s\n", p.turn_ns,
           shares ? "shares its CPUs with the servers" : "has CPUs of its own");
    for (unsigned round = p.o.quick ? 1 : 0; round <= p.o.rounds; round++) {
        for (unsigned i = 0; i < r.contenders && round > 0; i++)
            bench_add(&r.contender[i].turn, stall_turn_ns(&r.contender[i].it.peer, TURNS_MEASURED, 5));
        for (unsigned k = 0; k < r.scenes; k++)
            measure_all(&r, k, round, &p);
    }
    for (unsigned i = 0; i < r.contenders; i++)
        bench_report(&r.contender[i].turn);
    for (unsigned k = 0; k < r.scenes; k++)
        report(&r, k);
    for (unsigned k = 0; k < r.scenes; k++)
        table(&r, k);
    stall_plot(&r, p.plot);
    for (unsigned i = 0; i < r.contenders; i++)
        bench_peer_stop(&r.contender[i].it.peer);
    return 0;
}
