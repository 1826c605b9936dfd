/* stats.h - what a few measured values say: their median, and how far it is to be trusted.
 *
 * The interval is a bootstrap's: rounds are drawn from those that were made, as many as there were and each as often
 * as chance wants, and their median is taken; again and again. The middle 95 % of these medians are the interval. It
 * assumes nothing about how the values are spread, which is just as well: times have a long tail on one side. With
 * five rounds or fewer it is all there is, from the least to the greatest. Chance is the same in every program, so the
 * same values always give the same interval. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_ROUNDS_MAX 101
#define BENCH_RESAMPLES 4000

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of n values in order, at least one. */
static inline double bench_middle(const double *sorted, unsigned n)
{
    return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Sorted copies, as `value` is in the order of the rounds. 0 for no values. */
static inline double bench_median_of(const double *value, unsigned n)
{
    double sorted[BENCH_ROUNDS_MAX];
    if (n == 0)
        return 0;
    memcpy(sorted, value, n * sizeof *value);
    qsort(sorted, n, sizeof *sorted, bench_compare);
    return bench_middle(sorted, n);
}

/* splitmix64: the next of a series, below n. */
static inline unsigned bench_draw(uint64_t *series, unsigned n)
{
    uint64_t x = *series += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)(((x ^ x >> 31) >> 32) * n >> 32);
}

/* The median of n values drawn from `sorted`: counting how often each is drawn keeps them in order. */
static inline double bench_resample(const double *sorted, unsigned n, uint64_t *series)
{
    unsigned times[BENCH_ROUNDS_MAX] = {0}, passed = 0, i = 0;
    for (unsigned k = 0; k < n; k++)
        times[bench_draw(series, n)]++;
    while ((passed += times[i]) < (n + 1) / 2)
        i++;
    double lower = sorted[i];
    while (passed < n / 2 + 1)
        passed += times[++i];
    return (lower + sorted[i]) / 2;
}

/* The 95 % interval of the median of n values, at most BENCH_ROUNDS_MAX; zeros for none. */
static inline void bench_interval(const double *value, unsigned n, double *low, double *high)
{
    static double median[BENCH_RESAMPLES];
    double sorted[BENCH_ROUNDS_MAX];
    uint64_t series = 1;
    *low = *high = 0;
    if (n == 0)
        return;
    memcpy(sorted, value, n * sizeof *value);
    qsort(sorted, n, sizeof *sorted, bench_compare);
    for (unsigned i = 0; i < BENCH_RESAMPLES; i++)
        median[i] = bench_resample(sorted, n, &series);
    qsort(median, BENCH_RESAMPLES, sizeof *median, bench_compare);
    *low = median[BENCH_RESAMPLES / 40];
    *high = median[BENCH_RESAMPLES - 1 - BENCH_RESAMPLES / 40];
}

#endif
