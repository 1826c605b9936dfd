/* stall.c - tests of bench/stall_schedule.h: what is offered is what was asked for, and the same for everybody. */
#include "bench/stall_schedule.h"
#include "tests/test.h"

#include <string.h>

static const struct stall_scene busy = {.conns = 64, .rate = 4000, .load = 0.64, .job_ms = 10};

static struct stall_schedule make(const struct stall_scene *scene, double seconds, uint64_t seed)
{
    struct stall_schedule s;
    CHECK(stall_schedule_make(&s, scene, seconds, seed));
    return s;
}

static unsigned jobs(const struct stall_schedule *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->n; i++)
        n += s->request[i].computes;
    return n;
}

TEST(bench, a_seed_is_a_schedule)
{
    struct stall_schedule a = make(&busy, 1, 7), b = make(&busy, 1, 7), other = make(&busy, 1, 8);
    CHECK(a.n == b.n);
    CHECK(memcmp(a.request, b.request, a.n * sizeof *a.request) == 0);
    CHECK(a.n != other.n || memcmp(a.request, other.request, a.n * sizeof *a.request) != 0);
    free(a.request);
    free(b.request);
    free(other.request);
}

TEST(bench, requests_come_in_order_within_the_time_and_as_often_as_wanted)
{
    struct stall_schedule s = make(&busy, 10, 1);
    for (unsigned i = 0; i < s.n; i++) {
        CHECK(s.request[i].due_ns >= (i > 0 ? s.request[i - 1].due_ns : 0));
        CHECK(s.request[i].due_ns < INT64_C(10000000000));
        CHECK(s.request[i].taken_ns == -1);
    }
    /* 40,000 innocent ones and 640 jobs are the means; five deviations to either side. */
    CHECK(jobs(&s) > 640 - 127 && jobs(&s) < 640 + 127);
    CHECK(s.n - jobs(&s) > 39000 && s.n - jobs(&s) < 41000);
    free(s.request);
}

TEST(bench, no_innocent_request_goes_over_a_connection_that_computes)
{
    enum { INNOCENT = 1, COMPUTES = 2 };
    struct stall_schedule s = make(&busy, 10, 3);
    int seen[64] = {0};
    unsigned used = 0, computing = 0;
    for (unsigned i = 0; i < s.n; i++) {
        CHECK(s.request[i].conn < 64);
        seen[s.request[i].conn] |= s.request[i].computes ? COMPUTES : INNOCENT;
    }
    for (unsigned i = 0; i < 64; i++) {
        CHECK(seen[i] != (INNOCENT | COMPUTES));
        used += seen[i] != 0;
        computing += seen[i] == COMPUTES;
    }
    CHECK(used == 64);
    CHECK(computing == 8 && computing == stall_computing_conns(64));
    free(s.request);
}

TEST(bench, even_jobs_are_apart_by_as_much_as_one_another)
{
    struct stall_scene even = busy;
    int64_t before = -1;
    even.even = true;
    struct stall_schedule s = make(&even, 2, 5);
    for (unsigned i = 0; i < s.n; i++) {
        int64_t at = s.request[i].due_ns;
        if (!s.request[i].computes)
            continue;
        CHECK(before < 0 || llabs(at - before - 15625000) <= 1); /* 10 ms are 64 % of it */
        before = at;
    }
    CHECK(jobs(&s) >= 120 && jobs(&s) <= 128);
    free(s.request);
}

TEST(bench, without_load_nobody_computes_and_two_connections_do)
{
    struct stall_schedule s = make(&(struct stall_scene){.conns = 2, .rate = 1000}, 1, 9);
    CHECK(s.n > 800);
    CHECK(jobs(&s) == 0);
    for (unsigned i = 1; i < s.n; i++)
        CHECK(s.request[i].conn == s.request[0].conn);
    CHECK(stall_computing_conns(2) == 1);
    free(s.request);
}
