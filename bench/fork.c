/* fork.c - what does a fork cost, and does a second worker pay for it?
 *
 *     fib      fib(36), a fork per call: nothing but forks. Held against the same function that calls itself, neither
 *              inlined nor turned into a loop: the least that a call can cost; and two workers against two threads of
 *              that function, each for itself
 *     skynet   a tree of ten branches each, six deep, whose 1,000,000 leaves are added up: many forks at once
 *     queens   all ways to place 12 queens: a fork per safe square, uneven work
 *     sum      weft_reduce over 50,000,000 small additions: a loop that is cut on demand
 *
 * Beside weft, for each, the plain C program, oneTBB with its task_group and parallel_reduce, and rayon with its join()
 * and parallel iterator, as their manuals have them. A round measures each once, in a runtime that is up. */
#include "bench/fork_join.h"

#include <weft.h>

#include <pthread.h>

enum { WAYS = 4, LEAVES = 1000000, SUM = 50000000 };

static int fib_n = 36, queens_n = 12;

/* ---- plain ---- */

__attribute__((noinline)) static long plain_fib(int n)
{
    long sum = n;
    if (n >= 2)
        sum = plain_fib(n - 1) + plain_fib(n - 2);
    __asm__("" : "+r"(sum)); /* else compilers add up in a loop and save every other call */
    return sum;
}

static long plain_skynet(long from, long leaves)
{
    long sum = 0;
    if (leaves == 1)
        return from;
    for (int i = 0; i < 10; i++)
        sum += plain_skynet(from + i * (leaves / 10), leaves / 10);
    return sum;
}

/* Squares of this row that no queen above attacks, as bits. */
static unsigned safe_squares(unsigned columns, unsigned left, unsigned right)
{
    return ~(columns | left | right) & ((1u << queens_n) - 1);
}

static long plain_queens(int row, unsigned columns, unsigned left, unsigned right)
{
    long ways = 0;
    if (row == queens_n)
        return 1;
    for (unsigned safe = safe_squares(columns, left, right); safe; safe &= safe - 1) {
        unsigned bit = safe & -safe;
        ways += plain_queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return ways;
}

/* Cheap, and not to be guessed by a compiler. */
static inline uint64_t stir(uint64_t i)
{
    i ^= i >> 31;
    return i * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t plain_sum(int64_t from, int64_t to)
{
    uint64_t sum = 0;
    for (int64_t i = from; i < to; i++)
        sum += stir((uint64_t)i) >> 40;
    return sum;
}

/* ---- forked ---- */

static long fib(weft_forks *forks, int n);
WEFT_FORKABLE(long, fib, int)

static long fib(weft_forks *forks, int n)
{
    if (n < 2)
        return n;
    struct fib_fork left;
    fib_fork(forks, &left, n - 1);
    long right = fib(forks, n - 2);
    return fib_join(forks, &left) + right;
}

static long skynet(weft_forks *forks, long from, long leaves);
WEFT_FORKABLE(long, skynet, long, long)

static long skynet(weft_forks *forks, long from, long leaves)
{
    struct skynet_fork branch[10];
    long sum = 0;
    if (leaves == 1)
        return from;
    for (int i = 0; i < 10; i++)
        skynet_fork(forks, &branch[i], from + i * (leaves / 10), leaves / 10);
    for (int i = 9; i >= 0; i--)
        sum += skynet_join(forks, &branch[i]);
    return sum;
}

static long queens(weft_forks *forks, int row, unsigned columns, unsigned left, unsigned right);
WEFT_FORKABLE(long, queens, int, unsigned, unsigned, unsigned)

static long queens(weft_forks *forks, int row, unsigned columns, unsigned left, unsigned right)
{
    struct queens_fork branch[32];
    int n = 0;
    long ways = 0;
    if (row == queens_n)
        return 1;
    for (unsigned safe = safe_squares(columns, left, right); safe; safe &= safe - 1) {
        unsigned bit = safe & -safe;
        queens_fork(forks, &branch[n++], row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    while (n > 0)
        ways += queens_join(forks, &branch[--n]);
    return ways;
}

static void add_piece(weft_forks *forks, int64_t from, int64_t to, void *sum, void *ctx)
{
    (void)forks, (void)ctx;
    *(uint64_t *)sum += plain_sum(from, to);
}

static void add_sums(void *into, const void *right, void *ctx)
{
    (void)ctx;
    *(uint64_t *)into += *(const uint64_t *)right;
}

/* ---- measuring ---- */

static long want_fib, want_queens;
static uint64_t want_sum;

/* How often fib(fib_n) is called in all: 2 fib(fib_n + 1) - 1. */
static double fib_calls(void)
{
    double last = 0, this = 1;
    for (int i = 1; i <= fib_n; i++) {
        double next = last + this;
        last = this;
        this = next;
    }
    return 2 * this - 1;
}

static void check(bool right, const char *what)
{
    if (!right)
        bench_die("fork: %s has a wrong result", what);
}

static void run_plain(unsigned workers, double *value)
{
    (void)workers;
    int64_t at[WAYS + 1];
    at[0] = bench_now_ns();
    want_fib = plain_fib(fib_n);
    at[1] = bench_now_ns();
    check(plain_skynet(0, LEAVES) == 499999500000, "the plain skynet");
    at[2] = bench_now_ns();
    want_queens = plain_queens(0, 0, 0, 0);
    at[3] = bench_now_ns();
    int64_t to = SUM;
    __asm__("" : "+r"(to)); /* else the compiler, which knows how many there are, adds up several at once */
    want_sum = plain_sum(0, to);
    at[4] = bench_now_ns();
    for (int way = 0; way < WAYS; way++)
        value[way] = (double)(at[way + 1] - at[way]) / 1e6;
    value[0] *= 1e6 / fib_calls();
}

static void *call_plain_fib(void *ignored)
{
    (void)ignored;
    check(plain_fib(fib_n) == want_fib, "the plain fib of a thread");
    return NULL;
}

/* Each does it all. */
static void run_threads(unsigned threads, double *value)
{
    pthread_t thread[threads];
    int64_t began = bench_now_ns();
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, call_plain_fib, NULL) != 0)
            bench_die("fork: no thread");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    value[0] = (double)(bench_now_ns() - began) / threads / fib_calls();
    value[1] = value[2] = value[3] = BENCH_NOT_MEASURED;
}

static int measure(void *arg)
{
    double *value = arg;
    weft_forks *forks = weft_forks_self();
    uint64_t sum = 0;
    int64_t at[WAYS + 1];
    check(fib(forks, 25) == 75025, "fib"); /* the other worker is up */
    at[0] = bench_now_ns();
    check(fib(forks, fib_n) == want_fib, "fib");
    at[1] = bench_now_ns();
    check(skynet(forks, 0, LEAVES) == 499999500000, "skynet");
    at[2] = bench_now_ns();
    check(queens(forks, 0, 0, 0, 0) == want_queens, "queens");
    at[3] = bench_now_ns();
    weft_reduce(forks, 0, SUM, &sum, sizeof sum, add_piece, add_sums, NULL);
    at[4] = bench_now_ns();
    check(sum == want_sum, "sum");
    for (int way = 0; way < WAYS; way++)
        value[way] = (double)(at[way + 1] - at[way]) / 1e6;
    value[0] *= 1e6 / fib_calls();
    return 0;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("fork: %s", weft_strerror(err));
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric[WAYS] = {
        {"fib", "ns/call", 0}, {"skynet", "ms", 0}, {"queens", "ms", 0}, {"sum", "ms", 0}};
    struct bench_options o = bench_options(&argc, argv, 11, NULL);
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        fib_n = 30;
    const char *work = bench_command("fork %d", fib_n);
    struct bench_fork_join f = {
        .bench = "fork", .version = weft_version(), .metric = metric, .metrics = WAYS, .plain = run_plain, .weft = run,
        .threads = run_threads,
        .rival = {{"peers/tbb_peer", work, true}, {"peers/rayon_peer", work, true}},
        .by_plain = 1.2, .by_1_worker = 0.53};
    bench_fork_join(&f, &o);
    return 0;
}
