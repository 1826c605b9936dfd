/* series.h - a figure that is looked at again and again, and whether it grows.
 *
 * The first half does not count, as caches fill. Judged is the slope of the rest after Theil and Sen: the median of the
 * slopes between all pairs of looks, on which no single look has influence, nor a quarter of them. */
#ifndef SERIES_H
#define SERIES_H

#include "tests/test.h"

#include <dirent.h>

enum { SERIES_MAX = 400 };

struct series {
    unsigned count;
    double value[SERIES_MAX];
};

/* A figure that both who use this look at: how many entries a folder of /proc has. */
static inline unsigned series_entries(const char *folder)
{
    unsigned n = 0;
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static inline void series_add(struct series *s, double value)
{
    CHECK(s->count < SERIES_MAX);
    s->value[s->count++] = value;
}

/* Drop every second value, so that there is room for more, taken half as often. */
static inline void series_thin(struct series *s)
{
    s->count /= 2;
    for (unsigned i = 0; i < s->count; i++)
        s->value[i] = s->value[2 * i + 1];
}

static inline int series_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double series_median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, series_compare);
    return v[n / 2];
}

/* How many values count. */
static inline unsigned series_judged(const struct series *s)
{
    return s->count - s->count / 2;
}

/* What is usual for those that count. */
static inline double series_usual(const struct series *s)
{
    double rest[SERIES_MAX];
    unsigned n = series_judged(s);
    memcpy(rest, s->value + s->count / 2, n * sizeof *rest);
    return series_median(rest, n);
}

/* By how much it has grown over all that count. */
static inline double series_growth(const struct series *s)
{
    static double slopes[SERIES_MAX * SERIES_MAX / 2];
    unsigned n = series_judged(s);
    const double *y = s->value + s->count / 2;
    size_t pairs = 0;
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = i + 1; j < n; j++)
            slopes[pairs++] = (y[j] - y[i]) / (double)(j - i);
    return series_median(slopes, pairs) * n;
}

/* How much the memory of a process, in KiB, may seem to have grown under a mixed load: 5 % or 2 MiB, what is more. */
static inline double series_memory_slack(const struct series *s)
{
    double percent = series_usual(s) / 20;
    return percent > 2048 ? percent : 2048;
}

#endif
