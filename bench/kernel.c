/* kernel.c - see kernel.h. */
#include "bench/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20 };

void *kernel_memory(size_t bytes)
{
    void *p = aligned_alloc(LARGE_PAGE, (bytes / LARGE_PAGE + 1) * LARGE_PAGE);
    if (p == NULL)
        abort();
    madvise(p, bytes, MADV_HUGEPAGE); /* a wish */
    return memset(p, 0, bytes);
}

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static const uint64_t SEED = UINT64_C(88172645463325252);

/* ---- multiplication ---- */

void kernel_matmul_leaf(const double *restrict a, const double *restrict b, double *restrict c, size_t stride)
{
    for (size_t i = 0; i < KERNEL_MATMUL_LEAF; i++)
        for (size_t k = 0; k < KERNEL_MATMUL_LEAF; k++)
            for (size_t j = 0; j < KERNEL_MATMUL_LEAF; j++)
                c[i * stride + j] += a[i * stride + k] * b[k * stride + j];
}

void kernel_matmul_fill(double *a, double *b, size_t n)
{
    uint64_t x = SEED;
    for (size_t i = 0; i < n * n; i++) {
        a[i] = (double)(draw(&x) >> 40) / (1 << 24);
        b[i] = (double)(draw(&x) >> 40) / (1 << 24);
    }
}

/* A row times a vector. Some rows of the product are looked at: (a b) y is a (b y). */
static double times_row(const double *row, size_t n, double (*y)(size_t))
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += row[j] * y(j);
    return sum;
}

static double weight(size_t j)
{
    return (double)(1 + j % 7);
}

bool kernel_matmul_check(const double *a, const double *b, const double *c, size_t n)
{
    for (size_t i = 0; i < n; i += n / 8) {
        double want = 0, got = times_row(c + i * n, n, weight);
        for (size_t k = 0; k < n; k++)
            want += a[i * n + k] * times_row(b + k * n, n, weight);
        if (!(fabs(got - want) <= 1e-9 * want))
            return false;
    }
    return true;
}

/* ---- sorting ---- */

static void insert_all(int32_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        int32_t x = v[i];
        size_t k = i;
        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
}

void kernel_sort_leaf(int32_t *v, int32_t *spare, size_t n)
{
    if (n <= 16) {
        insert_all(v, n);
        return;
    }
    size_t half = n / 2;
    kernel_sort_leaf(v, spare, half);
    kernel_sort_leaf(v + half, spare + half, n - half);
    memcpy(spare, v, n * sizeof *v);
    kernel_merge_leaf(spare, half, spare + half, n - half, v);
}

void kernel_merge_leaf(const int32_t *restrict a, size_t na, const int32_t *restrict b, size_t nb, int32_t *restrict to)
{
    const int32_t *a_end = a + na, *b_end = b + nb;
    while (a < a_end && b < b_end) {
        bool from_b = *b < *a; /* not a branch: half of them would be guessed wrong */
        *to++ = from_b ? *b : *a;
        b += from_b;
        a += !from_b;
    }
    memcpy(to, a, (size_t)(a_end - a) * sizeof *a);
    memcpy(to + (a_end - a), b, (size_t)(b_end - b) * sizeof *b);
}

void kernel_merge_cut(const int32_t *a, size_t na, const int32_t *b, size_t nb, size_t *cut_a, size_t *cut_b)
{
    size_t low = 0, high = nb;
    *cut_a = na / 2;
    while (low < high) { /* the first of b that is not below the middle of a */
        size_t middle = (low + high) / 2;
        if (b[middle] < a[*cut_a])
            low = middle + 1;
        else
            high = middle;
    }
    *cut_b = low;
}

void kernel_sort_fill(int32_t *v, size_t n)
{
    uint64_t x = SEED;
    for (size_t i = 0; i < n; i++)
        v[i] = (int32_t)(uint32_t)(draw(&x) >> 32);
}

bool kernel_sort_check(const int32_t *v, size_t n)
{
    uint64_t x = SEED, sum = 0, want = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (uint32_t)v[i] * UINT64_C(0x9e3779b97f4a7c15) >> 16;
        want += (draw(&x) >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 16;
        if (i > 0 && v[i - 1] > v[i])
            return false;
    }
    return sum == want;
}
