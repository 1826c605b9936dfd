/* tbb_peer.cpp - what oneTBB does with bench/fork.c's work, written as its users would.
 *
 *     tbb_peer WORKERS [FIB]    fib, skynet, queens, sum: ns a call, then three times ms
 *
 * Says "oneTBB VERSION", then makes a round for each line it reads, as bench/peer.h wants it. */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_reduce.h>
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

int main(int argc, char **argv)
{
    int workers = argc > 1 ? std::atoi(argv[1]) : 1;
    if (argc > 2)
        fib_n = std::atoi(argv[2]);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism, (std::size_t)workers);
    tbb::task_arena arena(workers);
    std::printf("oneTBB %s\n", TBB_runtime_version());
    std::fflush(stdout);
    char line[64];
    while (std::fgets(line, sizeof line, stdin)) {
        double a = 0, b = 0, c = 0, d = 0;
        volatile long keep = 0;
        arena.execute([&] {
            a = ms([&] { keep = fib(fib_n); });
            b = ms([&] { keep = skynet(0, 1000000); });
            c = ms([&] { keep = queens(0, 0, 0, 0); });
            d = ms([&] { keep = (long)sum(); });
        });
        std::printf("%g %g %g %g\n", a * 1e6 / fib_calls(), b, c, d);
        std::fflush(stdout);
    }
    return 0;
}
