/* stats.c - medians, spreads, percentiles.
 *
 * Everything is a median over rounds. A ratio is taken inside each round first, between two runs that were
 * neighbours in time, and only then is the median taken: what slowed the whole round cancels out. */
#include "bench/contrast.d/contrast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Zeros for no values. */
struct ct_spread ct_spread_of(const double *values, unsigned n)
{
    double sorted[CT_ROUNDS_MAX];
    if (n == 0)
        return (struct ct_spread){0};
    memcpy(sorted, values, n * sizeof *values);
    qsort(sorted, n, sizeof *sorted, by_value);
    double median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    return (struct ct_spread){.median = median, .min = sorted[0], .max = sorted[n - 1]};
}

/* How far the median may be from the true one, as a share of it: half the width of its 95 % interval by
 * ranks, which assumes nothing about how the values are spread. At least six values. */
double ct_median_doubt(const double *values, unsigned n)
{
    double sorted[CT_ROUNDS_MAX];
    unsigned below = (unsigned)fmax(0, n / 2.0 - 0.98 * sqrt(n));
    memcpy(sorted, values, n * sizeof *values);
    qsort(sorted, n, sizeof *sorted, by_value);
    return (sorted[n - 1 - below] - sorted[below]) / 2 / ct_spread_of(values, n).median;
}

double ct_ms(int64_t ns)
{
    return (double)ns / (double)CT_MSEC;
}

struct ct_spread ct_cell_wall(const struct ct_cell *c)
{
    double v[CT_ROUNDS_MAX];
    for (unsigned i = 0; i < c->count; i++)
        v[i] = ct_ms(c->runs[i].wall_ns);
    return ct_spread_of(v, c->count);
}

struct ct_spread ct_cell_cpu(const struct ct_cell *c)
{
    double v[CT_ROUNDS_MAX];
    for (unsigned i = 0; i < c->count; i++)
        v[i] = ct_ms(c->runs[i].cpu_ns);
    return ct_spread_of(v, c->count);
}

struct ct_spread ct_cell_switches(const struct ct_cell *c)
{
    double v[CT_ROUNDS_MAX];
    for (unsigned i = 0; i < c->count; i++)
        v[i] = (double)c->runs[i].switches;
    return ct_spread_of(v, c->count);
}

/* Wall time of one cell over that of another, round by round: how many there are. */
unsigned ct_cell_ratios(const struct ct_cell *above, const struct ct_cell *below, double *ret)
{
    unsigned n = above->count < below->count ? above->count : below->count;
    for (unsigned i = 0; i < n; i++)
        ret[i] = (double)above->runs[i].wall_ns / (double)below->runs[i].wall_ns;
    return n;
}

struct ct_spread ct_cell_ratio(const struct ct_cell *above, const struct ct_cell *below)
{
    double v[CT_ROUNDS_MAX];
    unsigned n = ct_cell_ratios(above, below, v);
    return ct_spread_of(v, n);
}

/* The run whose wall time is nearest to the median: the one worth drawing. NULL when there is none. */
const struct ct_run *ct_cell_typical(const struct ct_cell *c)
{
    double median = ct_cell_wall(c).median;
    const struct ct_run *best = NULL;
    for (unsigned i = 0; i < c->count; i++) {
        const struct ct_run *r = &c->runs[i];
        if (best == NULL || fabs(ct_ms(r->wall_ns) - median) < fabs(ct_ms(best->wall_ns) - median))
            best = r;
    }
    return best;
}

/* Nearest rank: the smallest value that at least that share of all values does not exceed. */
int64_t ct_percentile(const int64_t *sorted, unsigned n, double percentile)
{
    if (n == 0)
        return 0;
    double rank = ceil(percentile / 100 * n - 1e-9);
    unsigned i = rank < 1 ? 0 : (unsigned)rank - 1;
    return sorted[i < n ? i : n - 1];
}

static double ping_ms(const struct ct_ping_run *r, double percentile)
{
    return ct_ms(ct_percentile(r->latency_ns, r->sent - r->lost, percentile));
}

/* That percentile of each round, then the median and spread of these. */
struct ct_spread ct_ping_percentile(const struct ct_ping_cell *c, double percentile)
{
    double v[CT_ROUNDS_MAX];
    for (unsigned i = 0; i < c->count; i++)
        v[i] = ping_ms(&c->runs[i], percentile);
    return ct_spread_of(v, c->count);
}

struct ct_spread ct_ping_ratio(const struct ct_ping_cell *above, const struct ct_ping_cell *below,
                               double percentile)
{
    double v[CT_ROUNDS_MAX];
    unsigned n = above->count < below->count ? above->count : below->count;
    for (unsigned i = 0; i < n; i++) {
        double under = ping_ms(&below->runs[i], percentile);
        v[i] = under > 0 ? ping_ms(&above->runs[i], percentile) / under : HUGE_VAL;
    }
    return ct_spread_of(v, n);
}

/* The latencies of all rounds in rising order; to be freed. NULL for none or when memory is out. */
int64_t *ct_ping_merged(const struct ct_ping_cell *c, unsigned *count)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->count; i++)
        n += c->runs[i].sent - c->runs[i].lost;
    int64_t *all = n > 0 ? malloc(n * sizeof *all) : NULL;
    *count = all == NULL ? 0 : n;
    n = 0;
    for (unsigned i = 0; i < c->count && all != NULL; i++) {
        unsigned kept = c->runs[i].sent - c->runs[i].lost;
        memcpy(all + n, c->runs[i].latency_ns, kept * sizeof *all);
        n += kept;
    }
    if (all != NULL)
        qsort(all, n, sizeof *all, by_time);
    return all;
}
