/* stats.c - tests of bench/stats.h and of what bench/bench.h reports. */
#include "bench/bench.h"
#include "tests/test.h"

#include <math.h>
#include <sys/mman.h>

static bool same(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

TEST(bench, a_median_is_the_middle_or_between_the_middle_two)
{
    CHECK(same(bench_median_of((double[]){9, 1, 5}, 3), 5));
    CHECK(same(bench_median_of((double[]){9, 1, 5, 2}, 4), 3.5));
    CHECK(same(bench_median_of((double[]){7}, 1), 7));
    CHECK(same(bench_median_of(NULL, 0), 0));
}

/* What chance makes of n values is known: the median of those drawn is at most the i-th with the probability that more
 * than half of n draws are. 0.025 lies between two of the sums, so there is one answer. */
static void expect_interval(unsigned n, unsigned low_rank, unsigned high_rank)
{
    double value[BENCH_ROUNDS_MAX], low, high;
    for (unsigned i = 0; i < n; i++)
        value[i] = (double)((i * 5) % n); /* each number below n once, in no order */
    bench_interval(value, n, &low, &high);
    CHECK(same(low, low_rank));
    CHECK(same(high, high_rank));
}

TEST(bench, an_interval_has_the_ranks_that_a_bootstrap_has_in_the_limit)
{
    expect_interval(1, 0, 0);
    expect_interval(3, 0, 2);
    expect_interval(7, 1, 5);
    expect_interval(9, 1, 7);
    expect_interval(11, 2, 8);
}

TEST(bench, an_interval_of_an_even_number_lies_between_and_holds_the_median)
{
    double value[] = {4, 1, 3, 2, 100, 5, 7, 6}, low, high;
    bench_interval(value, 8, &low, &high);
    CHECK(low >= 1 && low < 4.5);
    CHECK(high > 4.5 && high < 100); /* one outlier does not reach it */
}

TEST(bench, an_interval_is_the_same_each_time_and_grows_with_its_values)
{
    double value[101], low[2], high[2];
    for (unsigned i = 0; i < 101; i++)
        value[i] = (double)(i * i % 101);
    for (unsigned k = 0; k < 2; k++)
        bench_interval(value, 101, &low[k], &high[k]);
    CHECK(same(low[0], low[1]) && same(high[0], high[1]));
    CHECK(low[0] < high[0]);
    for (unsigned i = 0; i < 101; i++)
        value[i] *= 1000;
    bench_interval(value, 101, &low[1], &high[1]);
    CHECK(same(low[0] * 1000, low[1]) && same(high[0] * 1000, high[1]));
}

TEST(bench, no_values_have_an_empty_interval)
{
    double low = 1, high = 1;
    bench_interval(NULL, 0, &low, &high);
    CHECK(same(low, 0) && same(high, 0));
}

TEST(bench, json_alone_leaves_everything_else_to_standard_error)
{
    char text[1000] = "";
    struct bench_figure f = {.bench = "b", .who = "w", .version = "1", .metric = "m", .unit = "ms", .workers = 2,
                             .bar = 2.5, .n = 3, .value = {3, 1, 2}};
    int file = memfd_create("stdout", 0);
    CHECK_EQ(dup2(file, STDOUT_FILENO), STDOUT_FILENO);
    bench_json_only();
    printf("a line for a person\n");
    bench_report(&f);
    CHECK(pread(file, text, sizeof text - 1, 0) > 0);
    CHECK_STR(text, "{\"bench\":\"b\",\"who\":\"w\",\"version\":\"1\",\"workers\":2,\"metric\":\"m\",\"unit\":\"ms\","
                    "\"median\":2,\"min\":1,\"max\":3,\"low\":1,\"high\":3,\"runs\":3,\"bar\":2.5}\n");
}

TEST(bench, a_bar_is_met_missed_or_missed_within_the_interval)
{
    CHECK_STR(bench_verdict(1.0, 1.0, 0.9), "met");
    CHECK_STR(bench_verdict(1.0, 1.1, 0.9), "missed, within the interval");
    CHECK_STR(bench_verdict(1.0, 1.1, 1.05), "MISSED");
}

TEST(bench, workers_are_one_and_two_or_all_powers_of_two_and_every_cpu)
{
    struct bench_options o = {0};
    unsigned count[BENCH_COUNTS_MAX], cpus = bench_pin(0, CPU_SETSIZE);
    CHECK_EQ(bench_worker_counts(&o, count), 2);
    CHECK_EQ(count[0], 1);
    CHECK_EQ(count[1], 2);
    o.scale = true;
    unsigned n = bench_worker_counts(&o, count);
    CHECK_EQ(count[n - 1], cpus > 2 ? cpus : 2);
    for (unsigned i = 1; i + 1 < n; i++)
        CHECK_EQ(count[i], 2 * count[i - 1]);
}
