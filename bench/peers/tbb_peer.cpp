/* tbb_peer.cpp - what oneTBB does with the work of bench/fork.c, matmul.c and sort.c, written as its users would.
 *
 *     tbb_peer WORKERS fork FIB      fib, skynet, queens, sum: ns a call, then three times ms
 *     tbb_peer WORKERS matmul N      N times N doubles: ms
 *     tbb_peer WORKERS sort N        N numbers, bench/sort.c's algorithm: ms
 *     tbb_peer WORKERS sort_own N    the same by tbb::parallel_sort
 *
 * Says "oneTBB VERSION", then makes a round for each line it reads, as bench/peer.h wants it. */
#include "bench/kernel.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_invoke.h>
#include <tbb/parallel_reduce.h>
#include <tbb/parallel_sort.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/version.h>

static int fib_n = 36;
static const int queens_n = 12;
static const std::int64_t sum_n = 50000000;

static long fib(int n)
{
    if (n < 2)
        return n;
    long left;
    tbb::task_group g;
    g.run([&left, n] { left = fib(n - 1); });
    long right = fib(n - 2);
    g.wait();
    return left + right;
}

static long skynet(long from, long leaves)
{
    if (leaves == 1)
        return from;
    long part[10], sum = 0;
    tbb::task_group g;
    for (int i = 0; i < 10; i++)
        g.run([&part, i, from, leaves] { part[i] = skynet(from + i * (leaves / 10), leaves / 10); });
    g.wait();
    for (long p : part)
        sum += p;
    return sum;
}

static long queens(int row, unsigned columns, unsigned left, unsigned right)
{
    if (row == queens_n)
        return 1;
    long part[32], ways = 0;
    int n = 0;
    tbb::task_group g;
    for (unsigned safe = ~(columns | left | right) & ((1u << queens_n) - 1); safe; safe &= safe - 1, n++) {
        unsigned bit = safe & -safe;
        g.run([&part, n, row, columns, left, right, bit] {
            part[n] = queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
        });
    }
    g.wait();
    while (n > 0)
        ways += part[--n];
    return ways;
}

static std::uint64_t sum()
{
    return tbb::parallel_reduce(
        tbb::blocked_range<std::int64_t>(0, sum_n), std::uint64_t{0},
        [](const tbb::blocked_range<std::int64_t> &r, std::uint64_t sum) {
            for (std::int64_t i = r.begin(); i < r.end(); i++) {
                std::uint64_t x = (std::uint64_t)i;
                x ^= x >> 31;
                sum += x * UINT64_C(0x9e3779b97f4a7c15) >> 40;
            }
            return sum;
        },
        [](std::uint64_t a, std::uint64_t b) { return a + b; });
}

template <class F> static double ms(F f)
{
    auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

static double fib_calls()
{
    double last = 0, now = 1;
    for (int i = 1; i <= fib_n; i++) {
        double next = last + now;
        last = now;
        now = next;
    }
    return 2 * now - 1;
}

static std::string fork_round()
{
    char text[128];
    volatile long keep = 0;
    double a = ms([&] { keep = fib(fib_n); });
    double b = ms([&] { keep = skynet(0, 1000000); });
    double c = ms([&] { keep = queens(0, 0, 0, 0); });
    double d = ms([&] { keep = (long)sum(); });
    std::snprintf(text, sizeof text, "%g %g %g %g", a * 1e6 / fib_calls(), b, c, d);
    return text;
}

static std::size_t stride;

static void multiply(const double *a, const double *b, double *c, std::size_t n)
{
    if (n == KERNEL_MATMUL_LEAF) {
        kernel_matmul_leaf(a, b, c, stride);
        return;
    }
    std::size_t half = n / 2, down = half * stride;
    for (int turn = 0; turn < 2; turn++, a += half, b += down)
        tbb::parallel_invoke([=] { multiply(a, b, c, half); }, [=] { multiply(a, b + half, c + half, half); },
                             [=] { multiply(a + down, b, c + down, half); },
                             [=] { multiply(a + down, b + half, c + down + half, half); });
}

static void merge(const std::int32_t *a, std::size_t na, const std::int32_t *b, std::size_t nb, std::int32_t *to)
{
    if (na + nb <= KERNEL_MERGE_LEAF) {
        kernel_merge_leaf(a, na, b, nb, to);
    } else if (na < nb) {
        merge(b, nb, a, na, to);
    } else {
        std::size_t i, k;
        kernel_merge_cut(a, na, b, nb, &i, &k);
        tbb::parallel_invoke([=] { merge(a, i, b, k, to); }, [=] { merge(a + i, na - i, b + k, nb - k, to + i + k); });
    }
}

/* Into `other` if `over`, else where they are. */
static void sort(std::int32_t *v, std::int32_t *other, std::size_t n, bool over)
{
    if (n <= KERNEL_SORT_LEAF) {
        kernel_sort_leaf(v, other, n);
        if (over)
            std::memcpy(other, v, n * sizeof *v);
        return;
    }
    std::size_t half = n / 2;
    tbb::parallel_invoke([=] { sort(v, other, half, !over); }, [=] { sort(v + half, other + half, n - half, !over); });
    const std::int32_t *from = over ? v : other;
    merge(from, half, from + half, n - half, over ? other : v);
}

static void check(bool right, const char *what)
{
    if (!right) {
        std::fprintf(stderr, "tbb_peer: %s has a wrong result\n", what);
        std::exit(1);
    }
}

template <class T> static T *numbers(std::size_t n)
{
    return static_cast<T *>(kernel_memory(n * sizeof(T)));
}

static std::string matmul_round()
{
    static double *a = numbers<double>(stride * stride), *b = numbers<double>(stride * stride),
                  *c = numbers<double>(stride * stride);
    kernel_matmul_fill(a, b, stride);
    std::memset(c, 0, stride * stride * sizeof *c);
    double took = ms([] { multiply(a, b, c, stride); });
    check(kernel_matmul_check(a, b, c, stride), "matmul");
    return std::to_string(took);
}

static std::string sort_round(std::size_t n, bool own)
{
    static std::int32_t *v = numbers<std::int32_t>(n), *spare = numbers<std::int32_t>(n);
    kernel_sort_fill(v, n);
    double took = ms([=] { own ? tbb::parallel_sort(v, v + n) : sort(v, spare, n, false); });
    check(kernel_sort_check(v, n), "sort");
    return std::to_string(took);
}

int main(int argc, char **argv)
{
    std::string kind = argc == 4 ? argv[2] : "";
    if (kind != "fork" && kind != "matmul" && kind != "sort" && kind != "sort_own") {
        std::fprintf(stderr, "usage: tbb_peer WORKERS fork|matmul|sort|sort_own N\n");
        return 2;
    }
    int workers = std::atoi(argv[1]);
    fib_n = std::atoi(argv[3]);
    stride = (std::size_t)fib_n;
    tbb::global_control control(tbb::global_control::max_allowed_parallelism, (std::size_t)workers);
    tbb::task_arena arena(workers);
    std::printf("oneTBB%s %s\n", kind == "sort_own" ? "-parallel_sort" : "", TBB_runtime_version());
    std::fflush(stdout);
    char line[64];
    while (std::fgets(line, sizeof line, stdin)) {
        std::string said;
        arena.execute([&] {
            said = kind == "fork" ? fork_round() : kind == "matmul" ? matmul_round() : sort_round(stride, kind != "sort");
        });
        std::puts(said.c_str());
        std::fflush(stdout);
    }
    return 0;
}
