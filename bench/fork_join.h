/* fork_join.h - how programs about forks are measured: plain C, weft and its rivals, for several numbers of workers;
 * and what weft's figures are held against.
 *
 *     NAME_by_plain      weft on one worker by plain C: what forking costs where nobody else takes part
 *     NAME_by_1_worker   weft on n workers by weft on one: whether the others pay
 *     NAME_by_1_thread   plain C on n threads that share nothing by plain C on one: what the machine has for the others
 *     NAME_by_peer       weft by the best of the rivals that run the same algorithm on as many workers */
#ifndef BENCH_FORK_JOIN_H
#define BENCH_FORK_JOIN_H

#include "bench/peer.h"

enum { BENCH_RIVALS_MAX = 4, BENCH_FORK_JOIN_MAX = 1 + (2 + BENCH_RIVALS_MAX) * BENCH_COUNTS_MAX };

struct bench_rival {
    const char *program, *work; /* the command, before and behind the number of workers; NULL: there is no other */
    bool same;                  /* algorithm as weft's */
};

struct bench_fork_join {
    const char *bench, *version;
    const struct bench_metric *metric;
    unsigned metrics;
    void (*plain)(unsigned workers, double *value), (*weft)(unsigned workers, double *value);
    void (*threads)(unsigned workers, double *value); /* plain C on each; NULL: not asked */
    struct bench_rival rival[BENCH_RIVALS_MAX];
    double by_plain, by_1_worker; /* bars of the first metric, the second on two workers; 0: none */
};

static inline unsigned bench_rivals(const struct bench_fork_join *f)
{
    unsigned n = 0;
    while (n < BENCH_RIVALS_MAX && f->rival[n].program != NULL)
        n++;
    return n;
}

/* Plain C first; then, for each number of workers, weft and the rivals in their order; then plain C on threads. */
static inline unsigned bench_fork_join_entries(const struct bench_fork_join *f, const unsigned *count, unsigned counts,
                                               struct bench_entry *entry)
{
    unsigned n = 0;
    entry[n++] = (struct bench_entry){.who = "plain C", .version = "-", .workers = 1, .run = f->plain};
    for (unsigned i = 0; i < counts; i++) {
        entry[n++] = (struct bench_entry){.who = "weft", .version = f->version, .workers = count[i], .run = f->weft};
        for (unsigned r = 0; r < bench_rivals(f); r++)
            entry[n++] = (struct bench_entry){
                .workers = count[i],
                .command = bench_command("%s %u %s", f->rival[r].program, count[i], f->rival[r].work)};
    }
    for (unsigned i = 1; i < counts && f->threads != NULL; i++)
        entry[n++] = (struct bench_entry){.who = "plain C", .version = "-", .workers = count[i], .run = f->threads};
    return n;
}

static inline void bench_fork_join_ratio(const char *name, const char *by, double bar, const struct bench_entry *a,
                                         const struct bench_entry *b, unsigned m)
{
    char full[64];
    snprintf(full, sizeof full, "%s_by_%s", name, by);
    bench_report_ratio(full, bar, a, b, m);
}

/* The ratios of one metric. */
static inline void bench_fork_join_ratios(const struct bench_fork_join *f, const struct bench_entry *entry,
                                          unsigned counts, unsigned m)
{
    const char *name = f->metric[m].name;
    const struct bench_entry *one = &entry[1], *threads = one + counts * (1 + bench_rivals(f));
    bench_fork_join_ratio(name, "plain", m == 0 ? f->by_plain : 0, one, &entry[0], m);
    for (unsigned i = 0; i < counts; i++) {
        const struct bench_entry *weft = one + i * (1 + bench_rivals(f)), *best = NULL;
        for (unsigned r = 0; r < bench_rivals(f); r++)
            if (f->rival[r].same)
                best = bench_better(best, weft + 1 + r, m);
        if (i > 0)
            bench_fork_join_ratio(name, "1_worker", m == 0 && weft->workers == 2 ? f->by_1_worker : 0, weft, one, m);
        if (i > 0 && f->threads != NULL && threads[i - 1].figure[m].n > 0)
            bench_fork_join_ratio(name, "1_thread", 0, &threads[i - 1], &entry[0], m);
        bench_fork_join_ratio(name, "peer", weft->workers == 2 ? 1.0 : 0, weft, best, m);
    }
}

static inline void bench_fork_join(const struct bench_fork_join *f, const struct bench_options *o)
{
    static struct bench_entry entry[BENCH_FORK_JOIN_MAX];
    unsigned count[BENCH_COUNTS_MAX], counts = bench_worker_counts(o, count);
    unsigned entries = bench_fork_join_entries(f, count, counts, entry);
    bench_rounds(f->bench, o, entry, entries, f->metric, f->metrics);
    for (unsigned m = 0; m < f->metrics; m++)
        bench_fork_join_ratios(f, entry, counts, m);
}

#endif
