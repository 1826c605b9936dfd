/* main.c - options, rounds, results.
 *
 * The order of things matters. Helpers are forked first, while there is one thread. The compute unit is
 * calibrated once, so that every mode gets the same number of turns. One round is run and thrown away.
 * Then come the rounds that count: in each, every cell once, beginning with another mode each time. */
#include "bench/contrast.d/contrast.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKERS_AUTO_MAX 16 /* more lanes than this nobody can read; --workers goes beyond */

struct options {
    bool quick, check;
    unsigned workers;
    const char *out;
};

struct stage {
    struct ct_child peer, pinger;
    int fds[CT_TASKS_MAX];
};

static void usage(FILE *out)
{
    fputs("usage: bench/contrast [--quick] [--check] [--workers N] [--out DIR]\n"
          "\n"
          "Runs the same work sequentially, concurrently on one worker, in parallel on all workers, and with\n"
          "an offload pool; prints what arithmetic says beside what was measured, and writes contrast.svg\n"
          "and contrast.json.\n"
          "\n"
          "  --quick      small sizes, less than 20 s in all\n"
          "  --check      small sizes, more rounds; fails unless the expected shapes show\n"
          "  --workers N  in the parallel modes, and threads in the pool (default: usable cores, at most 16)\n"
          "  --out DIR    where the two files go (default: the current directory)\n"
          "  --help       this text\n"
          "\n"
          "docs/contrast.md explains the works, the modes, the arithmetic and the picture.\n",
          out);
}

static unsigned number_of(const char *text)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || n == 0 || n > CT_WORKERS_MAX)
        ct_die("--workers takes a number from 1 to 256", 0);
    return (unsigned)n;
}

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {{"quick", no_argument, NULL, 'q'},
                                          {"check", no_argument, NULL, 'c'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"out", required_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;
    *o = (struct options){.out = "."};
    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 'q': o->quick = true; break;
        case 'c': o->check = true; break;
        case 'w': o->workers = number_of(optarg); break;
        case 'o': o->out = optarg; break;
        case 'h': usage(stdout); exit(0);
        default: usage(stderr); exit(2);
        }
    }
    if (optind < argc) {
        usage(stderr);
        exit(2);
    }
}

static void plan_make(struct ct_plan *p, const struct options *o)
{
    unsigned cores = ct_default_workers();
    unsigned workers = o->workers != 0 ? o->workers : cores < WORKERS_AUTO_MAX ? cores : WORKERS_AUTO_MAX;
    if (o->check) {
        ct_plan_check(p, cores, workers);
    } else if (o->quick) {
        ct_plan_quick(p, cores, workers);
    } else {
        ct_plan_full(p, cores, workers);
    }
    printf("calibrating the compute unit ...");
    fflush(stdout);
    ct_plan_calibrated(p, ct_calibrate());
    printf(" %.3f ns a turn; %u cores usable, %u workers, %u tasks, %u rounds\n", p->turn_ns, cores, workers,
           p->tasks, p->rounds);
}

/* The i-th of n in this round: each round begins with another one, and the odd ones go backwards. */
static unsigned in_turn(unsigned i, unsigned n, unsigned turn)
{
    return ((turn % 2 ? n - 1 - i : i) + turn / 2) % n;
}

/* One work in every mode, beginning with another one each round; shown in the usual order. */
static void round_of_work(struct ct_results *r, struct stage *s, enum ct_work w, unsigned turn, bool keep)
{
    /* What is compared with each other is run next to each other, and every other round goes backwards: so
     * none of them is always the first. */
    static const enum ct_mode order[] = {CT_SEQ, CT_CONC, CT_LIMIT, CT_PAR, CT_OFFLOAD, CT_PAR_OFFLOAD};
    struct ct_run runs[CT_MODES] = {0};
    for (unsigned i = 0; i < CT_MODES; i++) {
        enum ct_mode m = order[in_turn(i, CT_MODES, turn)];
        int err = ct_plan_has(w, m) ? ct_run_cell(&r->plan, w, m, s->fds, &runs[m]) : 0;
        if (err < 0)
            ct_die(ct_mode_names[m], err);
    }
    printf("  %-5s  ", ct_work_names[w]);
    for (unsigned m = 0; m < CT_MODES; m++) {
        struct ct_cell *c = &r->cells[w][m];
        if (runs[m].tasks == NULL)
            continue;
        printf(" %s %.1f ", ct_mode_names[m], ct_ms(runs[m].wall_ns));
        if (keep) {
            c->runs[c->count++] = runs[m];
        } else {
            free(runs[m].tasks);
        }
    }
    printf("ms\n");
}

/* Of the last run. */
static void show_p99(const char *name, const struct ct_ping_cell *c)
{
    const struct ct_ping_run *run = &c->runs[c->count - 1];
    printf(" %s %.2f ", name, ct_ms(ct_percentile(run->latency_ns, run->sent - run->lost, 99)));
}

static void round_of_pings(struct ct_results *r, struct stage *s, unsigned turn)
{
    for (unsigned i = 0; i < CT_PINGS; i++) {
        enum ct_ping m = (enum ct_ping)in_turn(i, CT_PINGS, turn);
        int err = ct_run_ping(&r->plan, m, &s->pinger, &r->pings[m].runs[r->pings[m].count]);
        if (err < 0)
            ct_die(ct_ping_names[m], err);
        r->pings[m].count++;
    }
    printf("  ping p99");
    for (unsigned m = 0; m < CT_PINGS; m++)
        show_p99(ct_ping_names[m], &r->pings[m]);
    printf("ms\n");
}

static void round_of_stalls(struct ct_results *r, struct stage *s, unsigned turn)
{
    for (unsigned i = 0; i < CT_STALLS; i++) {
        enum ct_stall m = (enum ct_stall)in_turn(i, CT_STALLS, turn);
        int err = ct_run_stall(&r->plan, m, &s->pinger, &r->stalls[m].runs[r->stalls[m].count]);
        if (err < 0)
            ct_die(ct_stall_names[m], err);
        r->stalls[m].count++;
    }
    printf("  stall p99");
    for (unsigned m = 0; m < CT_STALLS; m++)
        show_p99(ct_stall_names[m], &r->stalls[m]);
    printf("ms\n");
}

static void measure(struct ct_results *r, struct stage *s)
{
    const struct ct_plan *p = &r->plan;
    setvbuf(stdout, NULL, _IOLBF, 0); /* so that a pipe shows progress, too */
    for (unsigned round = 0; round <= p->rounds; round++) {
        if (round == 0) {
            printf("warm-up round, not counted\n");
        } else {
            printf("round %u of %u\n", round, p->rounds);
        }
        for (int w = 0; w < CT_WORKS; w++)
            round_of_work(r, s, (enum ct_work)w, round, round > 0);
        if (round > 0)
            round_of_pings(r, s, round);
        if (round > 0)
            round_of_stalls(r, s, round);
    }
    for (unsigned extra = 1; extra <= p->extra_rounds && !ct_check_is_steady(r); extra++) {
        printf("neighbours blur computing; round %u more of at most %u\n", extra, p->extra_rounds);
        round_of_work(r, s, CT_CPU, p->rounds + extra, true);
    }
}

/* Before the work, not after it: is there a place for the results? */
static void prepare(const char *dir)
{
    if (mkdir(dir, 0777) < 0 && errno != EEXIST)
        ct_die(dir, -errno);
    if (access(dir, W_OK) < 0)
        ct_die(dir, -errno);
}

static void save(const struct ct_results *r, const char *dir, const char *name,
                 void (*write)(FILE *, const struct ct_results *))
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (f == NULL)
        ct_die(path, -errno);
    write(f, r);
    if (fclose(f) != 0)
        ct_die(path, -errno);
    printf("wrote %s\n", path);
}

static void results_free(struct ct_results *r)
{
    for (int w = 0; w < CT_WORKS; w++) {
        for (int m = 0; m < CT_MODES; m++) {
            for (unsigned i = 0; i < r->cells[w][m].count; i++)
                free(r->cells[w][m].runs[i].tasks);
        }
    }
    for (int m = 0; m < CT_PINGS; m++) {
        for (unsigned i = 0; i < r->pings[m].count; i++)
            free(r->pings[m].runs[i].latency_ns);
    }
    for (int m = 0; m < CT_STALLS; m++) {
        for (unsigned i = 0; i < r->stalls[m].count; i++)
            free(r->stalls[m].runs[i].latency_ns);
    }
}

int main(int argc, char **argv)
{
    static struct ct_results r;
    static struct stage s;
    struct options o;
    parse(argc, argv, &o);
    prepare(o.out);
    int64_t from = ct_now();
    unsetenv("WEFT_WORKERS"); /* it would outrank the worker count of every mode */
    ct_child_start(&s.peer, ct_peer_body);
    ct_child_start(&s.pinger, ct_pinger_body);
    int port = ct_peer_port(&s.peer);
    if (port < 0)
        ct_die("the peer does not start", port);
    plan_make(&r.plan, &o);
    int err = ct_connect(port, s.fds, r.plan.tasks);
    if (err < 0)
        ct_die("no connection to the peer", err);
    ct_machine_read(&r.machine);
    ct_machine_watch_begin();
    measure(&r, &s);
    ct_child_stop(&s.pinger);
    ct_child_stop(&s.peer);
    ct_machine_watch_end(&r.machine);
    r.seconds = (double)(ct_now() - from) / (double)CT_SEC;
    ct_table(stdout, &r);
    int failed = o.check ? ct_check(stdout, &r) : 0;
    save(&r, o.out, "contrast.svg", ct_picture);
    save(&r, o.out, "contrast.json", ct_json);
    results_free(&r);
    return failed > 0;
}
