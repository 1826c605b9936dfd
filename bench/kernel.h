/* kernel.h - what the leaves of bench/matmul.c and bench/sort.c do, for weft, for plain C and for every peer.
 *
 * It is compiled once for all of them, by the same compiler, and their memory comes from here, so what they are
 * compared by is how the leaves are forked and joined and nothing else. Knows nothing of threads. C and C++ include it,
 * Rust declares it once more. */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KERNEL_MATMUL_LEAF = 32,  /* rows and columns of a block that is not divided */
    KERNEL_SORT_LEAF = 1024,  /* as many numbers, or fewer, are sorted without dividing them */
    KERNEL_MERGE_LEAF = 4096, /* and merged */
};

/* Memory that is there already, at the start of a large page, as large pages where the machine has them: an allocator's
 * choice of addresses is worth more than ten per cent. Never given back. */
void *kernel_memory(size_t bytes);

/* c += a b for one block of each; all three have rows of `stride` numbers. */
void kernel_matmul_leaf(const double *a, const double *b, double *c, size_t stride);

/* Two matrices of n times n, always the same; and whether c is their product, within rounding. */
void kernel_matmul_fill(double *a, double *b, size_t n);
bool kernel_matmul_check(const double *a, const double *b, const double *c, size_t n);

/* Sort n numbers with the help of as many at `spare`. At most KERNEL_SORT_LEAF. */
void kernel_sort_leaf(int32_t *v, int32_t *spare, size_t n);

void kernel_merge_leaf(const int32_t *a, size_t na, const int32_t *b, size_t nb, int32_t *to);

/* Where to cut a merge in two: everything before cut_a and cut_b belongs before everything from there on. na is at
 * least nb. */
void kernel_merge_cut(const int32_t *a, size_t na, const int32_t *b, size_t nb, size_t *cut_a, size_t *cut_b);

/* n numbers, always the same; and whether v has the same n numbers in order. */
void kernel_sort_fill(int32_t *v, size_t n);
bool kernel_sort_check(const int32_t *v, size_t n);

#ifdef __cplusplus
}
#endif

#endif
