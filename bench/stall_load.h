/* stall_load.h - what stall_load.c has measured, for stall_report.c to say and stall_plot.c to draw. */
#ifndef BENCH_STALL_LOAD_H
#define BENCH_STALL_LOAD_H

#include "bench/server.h"
#include "bench/stall_schedule.h"

enum { STALL_SERVERS_MAX = 14, STALL_SCENES_MAX = 16, STALL_WORKERS = 2 };
#define STALL_WITHOUT_RESCUE "weft-no-rescue"

enum stall_metric {
    STALL_P50,
    STALL_P99,
    STALL_P999,
    STALL_MAX,
    STALL_ANSWERED,
    STALL_JOBS,
    STALL_LATE,
    STALL_CPU,
    STALL_METRICS
};

/* One server in one scene. */
struct stall_cell {
    struct bench_figure figure[STALL_METRICS];
    int64_t *all; /* what innocent requests took, of all rounds */
    unsigned n;
};

struct stall_contender {
    struct bench_server it;
    const char *command;
    struct bench_figure turn;
    struct stall_cell cell[STALL_SCENES_MAX];
};

struct stall_results {
    struct stall_scene scene[STALL_SCENES_MAX];
    unsigned scenes;
    struct stall_contender contender[STALL_SERVERS_MAX]; /* the first is weft */
    unsigned contenders;
};

static inline bool stall_is_peer(const struct stall_contender *c)
{
    return strncmp(c->command, "peers/", 6) == 0;
}

/* A limit is there for what is offloaded, and for nobody computing: on the spot it has nothing to offer. */
static inline bool stall_takes_part(const struct stall_contender *c, const struct stall_scene *s)
{
    return strncmp(c->command, "limits/", 7) != 0 || s->load <= 0 || s->away;
}

extern const struct bench_metric stall_metric[STALL_METRICS];

/* stall_report.c: every figure, the ratios that have bars, and a table of each scene. */
void stall_report(const struct stall_results *r);

/* stall_plot.c: the curves of all scenes, into an SVG file. Sorts what was measured. */
void stall_plot(struct stall_results *r, const char *path);

#endif
