/* stall_schedule.h - when which request is meant to be sent, and on which connection.
 *
 * The schedule is made before anything is sent, from a seed alone, so that everybody who is compared gets the same
 * requests at the same moments, and nothing that a server does can move them. Innocent requests come by chance (a
 * Poisson process), which is what many independent clients are together; those that compute come by chance as well, or
 * at even intervals, one job after another. An eighth of the connections, drawn by lot, is for requests that compute,
 * and the others are for innocent ones: an innocent request behind a computing one on its own connection would wait for
 * it on any server, and that is not the question. */
#ifndef BENCH_STALL_SCHEDULE_H
#define BENCH_STALL_SCHEDULE_H

#include "bench/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { STALL_CONNS_MAX = 4096, STALL_INNOCENT_TO_ONE = 7 };

/* What is offered. */
struct stall_scene {
    char name[32];
    unsigned conns;
    unsigned rate; /* of innocent requests, a second */
    double load;   /* of one worker, by computing: 0.64 */
    double job_ms; /* that one request computes */
    bool even;     /* those that compute at even intervals */
    bool away;     /* computing is offloaded */
};

struct stall_request {
    int64_t due_ns;   /* after the start */
    int64_t late_ns;  /* that the client sent it */
    int64_t taken_ns; /* from due_ns to its answer; -1: not answered yet */
    uint32_t conn;
    bool computes;
};

struct stall_schedule {
    struct stall_request *request; /* in order of due_ns */
    unsigned n;
};

/* Above 0, at most 1. */
static inline double stall_chance(uint64_t *series)
{
    return (bench_draw(series, 1u << 24) + 1.0) / (1u << 24);
}

/* From one event to the next; 1e18 for never. */
static inline double stall_gap_ns(uint64_t *series, double per_second, bool even)
{
    if (per_second <= 0)
        return 1e18;
    return (even ? 1 : -log(stall_chance(series))) * 1e9 / per_second;
}

static inline unsigned stall_computing_conns(unsigned conns)
{
    unsigned n = conns / (STALL_INNOCENT_TO_ONE + 1);
    return n > 0 ? n : 1;
}

/* The numbers of the connections by lot: those that compute come first. */
static inline void stall_draw_conns(uint64_t *series, unsigned conns, uint32_t *conn)
{
    for (unsigned i = 0; i < conns; i++)
        conn[i] = i;
    for (unsigned i = conns; i > 1; i--) {
        unsigned k = bench_draw(series, i);
        uint32_t other = conn[k];
        conn[k] = conn[i - 1];
        conn[i - 1] = other;
    }
}

/* Everything that is due in so many seconds. At least two connections. False when memory is out. */
static inline bool stall_schedule_make(struct stall_schedule *s, const struct stall_scene *scene, double seconds,
                                       uint64_t seed)
{
    uint32_t conn[STALL_CONNS_MAX];
    uint64_t series = seed;
    double jobs_per_second = scene->load > 0 ? scene->load * 1e3 / scene->job_ms : 0, end_ns = seconds * 1e9;
    double mean = (scene->rate + jobs_per_second) * seconds;
    unsigned capacity = (unsigned)(mean + 10 * sqrt(mean)) + 16; /* ten deviations: more never come */
    unsigned computing = stall_computing_conns(scene->conns);
    stall_draw_conns(&series, scene->conns, conn);
    double innocent = stall_gap_ns(&series, scene->rate, false);
    double job = stall_gap_ns(&series, jobs_per_second, false); /* so that even jobs begin anywhere, too */
    *s = (struct stall_schedule){.request = calloc(capacity, sizeof *s->request)};
    if (s->request == NULL)
        return false;
    while (fmin(innocent, job) < end_ns && s->n < capacity) {
        struct stall_request *r = &s->request[s->n++];
        *r = (struct stall_request){.computes = job < innocent, .taken_ns = -1};
        r->due_ns = (int64_t)(r->computes ? job : innocent);
        r->conn = conn[r->computes ? bench_draw(&series, computing)
                                   : computing + bench_draw(&series, scene->conns - computing)];
        if (r->computes)
            job += stall_gap_ns(&series, jobs_per_second, scene->even);
        else
            innocent += stall_gap_ns(&series, scene->rate, false);
    }
    return true;
}

#endif
