/* matmul.c - what does divide and conquer cost when its leaves do some work?
 *
 * Two matrices of 1024 times 1024 doubles are multiplied: each is divided into quarters, four products of quarters are
 * added at once, then the four others, down to blocks of 32 times 32, which bench/kernel.c multiplies, some ten
 * microseconds each. So nearly all the time is work, and what is seen is whether all workers have their share of it.
 *
 * Beside weft the plain C program that divides in the same way, oneTBB's task_group and rayon's join(). */
#include "bench/fork_join.h"
#include "bench/kernel.h"

#include <weft.h>

enum { N = 1024, N_QUICK = 256 };

typedef const double *input;
typedef double *output;

static size_t stride = N; /* of all three */
static double *left_one, *right_one, *product;

static void plain(input a, input b, output c, size_t n)
{
    if (n == KERNEL_MATMUL_LEAF) {
        kernel_matmul_leaf(a, b, c, stride);
        return;
    }
    size_t half = n / 2, down = half * stride;
    plain(a, b, c, half);
    plain(a, b + half, c + half, half);
    plain(a + down, b, c + down, half);
    plain(a + down, b + half, c + down + half, half);
    plain(a + half, b + down, c, half);
    plain(a + half, b + down + half, c + half, half);
    plain(a + down + half, b + down, c + down, half);
    plain(a + down + half, b + down + half, c + down + half, half);
}

static void multiply(weft_forks *forks, input a, input b, output c, size_t n);
WEFT_FORKABLE_VOID(multiply, input, input, output, size_t)

/* The quarters of c are different, so the four products may run at once. What is forked last is joined first: alone, a
 * worker so takes them in the order of the plain program, and of memory. */
static void add_four(weft_forks *forks, input left, input right, output c, size_t half)
{
    size_t down = half * stride;
    struct multiply_fork one, two, three;
    multiply_fork(forks, &one, left + down, right + half, c + down + half, half);
    multiply_fork(forks, &two, left + down, right, c + down, half);
    multiply_fork(forks, &three, left, right + half, c + half, half);
    multiply(forks, left, right, c, half);
    multiply_join(forks, &three);
    multiply_join(forks, &two);
    multiply_join(forks, &one);
}

static void multiply(weft_forks *forks, input a, input b, output c, size_t n)
{
    if (n == KERNEL_MATMUL_LEAF) {
        kernel_matmul_leaf(a, b, c, stride);
        return;
    }
    add_four(forks, a, b, c, n / 2);
    add_four(forks, a + n / 2, b + n / 2 * stride, c, n / 2);
}

/* Written just before they are read, as the peers have it: that says how much of them is in a cache. */
static void prepare(void)
{
    kernel_matmul_fill(left_one, right_one, stride);
    memset(product, 0, stride * stride * sizeof *product);
}

static void check(void)
{
    if (!kernel_matmul_check(left_one, right_one, product, stride))
        bench_die("matmul: a wrong product");
}

static void run_plain(unsigned workers, double *value)
{
    (void)workers;
    prepare();
    int64_t start = bench_now_ns();
    plain(left_one, right_one, product, stride);
    *value = (double)(bench_now_ns() - start) / 1e6;
    check();
}

static int measure(void *arg)
{
    double *value = arg;
    weft_forks *forks = weft_forks_self();
    multiply(forks, left_one, right_one, product, stride / 4); /* the other workers are up */
    prepare();
    int64_t start = bench_now_ns();
    multiply(forks, left_one, right_one, product, stride);
    *value = (double)(bench_now_ns() - start) / 1e6;
    check();
    return 0;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("matmul: %s", weft_strerror(err));
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric = {"matmul", "ms", 0};
    struct bench_options o = bench_options(&argc, argv, 7, NULL);
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        stride = N_QUICK;
    const char *work = bench_command("matmul %zu", stride);
    struct bench_fork_join f = {
        .bench = "matmul", .version = weft_version(), .metric = &metric, .metrics = 1, .plain = run_plain, .weft = run,
        .rival = {{"peers/tbb_peer", work, true}, {"peers/rayon_peer", work, true}}};
    left_one = kernel_memory(stride * stride * sizeof *left_one);
    right_one = kernel_memory(stride * stride * sizeof *right_one);
    product = kernel_memory(stride * stride * sizeof *product);
    bench_fork_join(&f, &o);
    return 0;
}
