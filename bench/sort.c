/* sort.c - a sort by forks: many small leaves, and memory that all workers share.
 *
 * 10,000,000 random numbers are sorted by merging: halves are sorted at once, and a merge is cut in two that may run at
 * once, at the middle of the longer half. Up to 1,024 numbers are sorted and up to 4,096 merged by bench/kernel.c.
 *
 * Beside weft the plain C program that divides in the same way, and the same sort by oneTBB's task_group and rayon's
 * join(). What the two have for users to sort with, another algorithm, is there for comparison. */
#include "bench/fork_join.h"
#include "bench/kernel.h"

#include <weft.h>

enum { N = 10000000, N_QUICK = 1000000 };

typedef const int32_t *input;
typedef int32_t *output;

static size_t numbers = N;
static int32_t *random_numbers, *sorted, *spare;

/* ---- plain ---- */

static void plain_merge(input a, size_t na, input b, size_t nb, output to)
{
    if (na + nb <= KERNEL_MERGE_LEAF) {
        kernel_merge_leaf(a, na, b, nb, to);
    } else if (na < nb) {
        plain_merge(b, nb, a, na, to);
    } else {
        size_t cut_a, cut_b;
        kernel_merge_cut(a, na, b, nb, &cut_a, &cut_b);
        plain_merge(a, cut_a, b, cut_b, to);
        plain_merge(a + cut_a, na - cut_a, b + cut_b, nb - cut_b, to + cut_a + cut_b);
    }
}

/* Sort n numbers at v, into `other` if `over`, else where they are. */
static void plain_sort(output v, output other, size_t n, bool over)
{
    if (n <= KERNEL_SORT_LEAF) {
        kernel_sort_leaf(v, other, n);
        if (over)
            memcpy(other, v, n * sizeof *v);
        return;
    }
    size_t half = n / 2;
    plain_sort(v, other, half, !over);
    plain_sort(v + half, other + half, n - half, !over);
    input from = over ? v : other;
    plain_merge(from, half, from + half, n - half, over ? other : v);
}

/* ---- forked ---- */

static void merge(weft_forks *forks, input a, size_t na, input b, size_t nb, output to);
WEFT_FORKABLE_VOID(merge, input, size_t, input, size_t, output)

static void merge(weft_forks *forks, input a, size_t na, input b, size_t nb, output to)
{
    if (na + nb <= KERNEL_MERGE_LEAF) {
        kernel_merge_leaf(a, na, b, nb, to);
    } else if (na < nb) {
        merge(forks, b, nb, a, na, to);
    } else {
        size_t cut_a, cut_b;
        struct merge_fork high;
        kernel_merge_cut(a, na, b, nb, &cut_a, &cut_b);
        merge_fork(forks, &high, a + cut_a, na - cut_a, b + cut_b, nb - cut_b, to + cut_a + cut_b);
        merge(forks, a, cut_a, b, cut_b, to);
        merge_join(forks, &high);
    }
}

static void sort(weft_forks *forks, output v, output other, size_t n, bool over);
WEFT_FORKABLE_VOID(sort, output, output, size_t, bool)

static void sort(weft_forks *forks, output v, output other, size_t n, bool over)
{
    if (n <= KERNEL_SORT_LEAF) {
        kernel_sort_leaf(v, other, n);
        if (over)
            memcpy(other, v, n * sizeof *v);
        return;
    }
    size_t half = n / 2;
    struct sort_fork high;
    sort_fork(forks, &high, v + half, other + half, n - half, !over);
    sort(forks, v, other, half, !over);
    sort_join(forks, &high);
    input from = over ? v : other;
    merge(forks, from, half, from + half, n - half, over ? other : v);
}

/* ---- measuring ---- */

static void check(void)
{
    if (!kernel_sort_check(sorted, numbers))
        bench_die("sort: not sorted");
}

static void run_plain(unsigned workers, double *value)
{
    (void)workers;
    memcpy(sorted, random_numbers, numbers * sizeof *sorted);
    int64_t start = bench_now_ns();
    plain_sort(sorted, spare, numbers, false);
    *value = (double)(bench_now_ns() - start) / 1e6;
    check();
}

static int measure(void *arg)
{
    double *value = arg;
    weft_forks *forks = weft_forks_self();
    sort(forks, sorted, spare, numbers / 16, false); /* the other workers are up */
    memcpy(sorted, random_numbers, numbers * sizeof *sorted);
    int64_t start = bench_now_ns();
    sort(forks, sorted, spare, numbers, false);
    *value = (double)(bench_now_ns() - start) / 1e6;
    check();
    return 0;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("sort: %s", weft_strerror(err));
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric = {"sort", "ms", 0};
    struct bench_options o = bench_options(&argc, argv, 7, NULL);
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        numbers = N_QUICK;
    const char *work = bench_command("sort %zu", numbers), *own = bench_command("sort_own %zu", numbers);
    struct bench_fork_join f = {
        .bench = "sort", .version = weft_version(), .metric = &metric, .metrics = 1, .plain = run_plain, .weft = run,
        .rival = {{"peers/tbb_peer", work, true}, {"peers/rayon_peer", work, true},
                  {"peers/tbb_peer", own, false}, {"peers/rayon_peer", own, false}}};
    random_numbers = kernel_memory(numbers * sizeof *random_numbers);
    sorted = kernel_memory(numbers * sizeof *sorted);
    spare = kernel_memory(numbers * sizeof *spare);
    kernel_sort_fill(random_numbers, numbers);
    bench_fork_join(&f, &o);
    return 0;
}
