/* stall_report.c - what stall_load has measured, for people and for scripts; and what is held against what. */
#include "bench/stall_load.h"

#include <weft.h>

/* Bars, of weft by the best peer at 64 %; by itself without the rescue at 0 %; while offloading, by itself at 0 %. */
static const double bar_load = 0.64, bar_p99 = 0.5, bar_p999 = 1.0, bar_without_rescue = 1.02, bar_ping = 2;
/* And of what the best peer has answered in time by what weft has: a few requests of the last milliseconds more or
 * less are nothing. */
static const double bar_answered = 1.001;

/* limits/stall_bare, with so many threads that compute; x2: and two that serve, as all others have */
static const char *const bare[] = {"bare-1", "bare-2", "bare-2x2"};

/* Of the peers, the one whose median is the lowest; or the highest, of what was answered. NULL for none. */
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
                                 .unit = "x", .workers = STALL_WORKERS, .bar = bar};
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
        snprintf(name, sizeof name, "%s_of_%s_by_weft", stall_metric[m].name, best->it.peer.who);
        report_ratio(name, bar, theirs, ours);
    } else {
        snprintf(name, sizeof name, "%s_by_best_%s", stall_metric[m].name, best->it.peer.who);
        report_ratio(name, bar, ours, theirs);
    }
}

static void report(const struct stall_results *r, unsigned scene)
{
    const struct stall_contender *without = find(r, STALL_WITHOUT_RESCUE), *weft = &r->contender[0];
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
    if (!r->scene[scene].away || !r->scene[scene].even)
        return;
    report_ratio("ping_p99_by_idle", bar_ping, &ours->figure[STALL_P99], &weft->cell[0].figure[STALL_P99]);
    for (unsigned i = 0; i < sizeof bare / sizeof *bare; i++) {
        const struct stall_contender *limit = find(r, bare[i]);
        char name[64];
        snprintf(name, sizeof name, "ping_p99_by_%s", bare[i]);
        if (limit != NULL)
            report_ratio(name, 0, &ours->figure[STALL_P99], &limit->cell[scene].figure[STALL_P99]);
    }
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
        if (!stall_takes_part(&r->contender[i], s))
            continue;
        printf("  %-20s %9.3f %9.3f %9.3f %9.3f %6.1f %% %5.0f %% %8.3f\n", r->contender[i].it.peer.who,
               bench_median(&f[STALL_P50]) / 1e3, bench_median(&f[STALL_P99]) / 1e3,
               bench_median(&f[STALL_P999]) / 1e3, bench_median(&f[STALL_MAX]) / 1e3,
               bench_median(&f[STALL_ANSWERED]), bench_median(&f[STALL_JOBS]),
               bench_median(&f[STALL_LATE]) / 1e3);
    }
}

void stall_report(const struct stall_results *r)
{
    for (unsigned i = 0; i < r->contenders; i++)
        bench_report(&r->contender[i].turn);
    for (unsigned k = 0; k < r->scenes; k++)
        report(r, k);
    for (unsigned k = 0; k < r->scenes; k++)
        table(r, k);
}
