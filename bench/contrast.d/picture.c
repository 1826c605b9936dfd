/* picture.c - contrast.svg: the whole page.
 *
 * Rows are works, columns are modes; below, the ping latencies across the page. What a reader should take
 * away stands on top, what he needs to doubt it (machine, sizes, rounds) at the bottom. */
#include "bench/contrast.d/svg.h"

#include <stdlib.h>

#define WIDTH    1120.0
#define HEIGHT   1044.0
#define MARGIN   28.0
#define LABELS   118.0 /* the column of row names */
#define COLUMNS  4
#define CELL_GAP 18.0
#define TOP      122.0
#define ROW      136.0
#define PING_TOP 540.0
#define STALL_TOP 792.0

static const enum ct_mode shown[COLUMNS] = {CT_SEQ, CT_CONC, CT_PAR, CT_OFFLOAD};

static double column_width(void)
{
    return (WIDTH - 2 * MARGIN - LABELS - (COLUMNS - 1) * CELL_GAP) / COLUMNS;
}

static double column_x(int column)
{
    return MARGIN + LABELS + column * (column_width() + CELL_GAP);
}

static void draw_title(FILE *out)
{
    svg_text(out, MARGIN, 42, (struct svg_font){25, true, SVG_INK, SVG_START},
             "Concurrency is not parallelism");
    svg_text(out, MARGIN, 66, (struct svg_font){14, false, SVG_INK, SVG_START},
             "Waiting overlaps on one thread; computing needs cores; mixing needs a border between them.");
    svg_gantt_legend(out, WIDTH - MARGIN, 41);
}

static void draw_columns(FILE *out, const struct ct_plan *p)
{
    static const char *const names[COLUMNS] = {"sequential", "concurrent", "parallel", "offload"};
    char what[COLUMNS][64] = {"one blocking thread", "1 worker"};
    snprintf(what[2], sizeof what[2], "%u worker%s", p->workers, p->workers == 1 ? "" : "s");
    snprintf(what[3], sizeof what[3], "1 worker + %u pool thread%s", p->workers, p->workers == 1 ? "" : "s");
    svg_text(out, MARGIN, 98, (struct svg_font){10.5, false, SVG_GREY, SVG_START}, "the same %u tasks;",
             p->tasks);
    svg_text(out, MARGIN, 112, (struct svg_font){10.5, false, SVG_GREY, SVG_START},
             "each row, one time scale");
    for (int i = 0; i < COLUMNS; i++) {
        double x = column_x(i) + 46;
        svg_text(out, x, 98, (struct svg_font){15, true, SVG_INK, SVG_START}, "%s", names[i]);
        svg_text(out, x, 112, (struct svg_font){10.5, false, SVG_GREY, SVG_START}, "%s", what[i]);
    }
    svg_line(out, MARGIN, TOP - 4, WIDTH - MARGIN, TOP - 4, SVG_INK, 1, NULL);
}

static void draw_row_name(FILE *out, double y, const struct ct_plan *p, enum ct_work w)
{
    struct svg_font font = {10.5, false, SVG_GREY, SVG_START};
    svg_text(out, MARGIN, y + 34, (struct svg_font){20, true, SVG_INK, SVG_START}, "%s", ct_work_names[w]);
    if (w == CT_IO) {
        svg_text(out, MARGIN, y + 52, font, "%u requests a task,", p->requests[w]);
        svg_text(out, MARGIN, y + 66, font, "answered after");
        svg_text(out, MARGIN, y + 80, font, "%g ms each", ct_ms(p->wait_ns));
    } else if (w == CT_CPU) {
        svg_text(out, MARGIN, y + 52, font, "%g ms of integer", ct_ms(p->compute_ns));
        svg_text(out, MARGIN, y + 66, font, "work a task,");
        svg_text(out, MARGIN, y + 80, font, "nothing shared");
    } else {
        svg_text(out, MARGIN, y + 52, font, "a request,");
        svg_text(out, MARGIN, y + 66, font, "then the");
        svg_text(out, MARGIN, y + 80, font, "integer work");
    }
}

/* The longest time of a row, ideal or measured, fills its plots. */
static int64_t row_scale(const struct ct_results *r, enum ct_work w)
{
    int64_t longest = 0;
    for (int i = 0; i < COLUMNS; i++) {
        const struct ct_run *run = ct_cell_typical(&r->cells[w][shown[i]]);
        int64_t ideal = ct_plan_ideal(&r->plan, w, shown[i]);
        longest = ideal > longest ? ideal : longest;
        longest = run != NULL && run->wall_ns > longest ? run->wall_ns : longest;
    }
    return longest;
}

static void draw_ping_curves(FILE *out, const struct ct_results *r)
{
    struct svg_curve curves[CT_PINGS] = {
        [CT_PING_IDLE] = {.name = "idle: no jobs", .stroke = SVG_GREY, .dash = "1.5 3", .width = 1.6},
        [CT_PING_INLINE] = {.name = "in line: one worker", .stroke = SVG_RED, .width = 2.6},
        [CT_PING_PAR] = {.name = "in line: all workers", .stroke = SVG_AMBER, .dash = "9 3", .width = 2},
        [CT_PING_OFFLOAD] = {.name = "offload: 1 worker + pool", .stroke = SVG_GREEN, .width = 2.6},
        [CT_PING_PAR_OFFLOAD] = {
            .name = "all workers + pool", .stroke = SVG_SOLID, .dash = "5 2 1.5 2", .width = 2}};
    int64_t *all[CT_PINGS];
    for (int i = 0; i < CT_PINGS; i++)
        curves[i].all = all[i] = ct_ping_merged(&r->pings[i], &curves[i].n);
    svg_curves(out, (struct svg_box){MARGIN, PING_TOP + 46, WIDTH - 2 * MARGIN, 152}, curves, CT_PINGS,
               r->plan.job_ns);
    for (int i = 0; i < CT_PINGS; i++)
        free(all[i]);
}

static void draw_ping(FILE *out, const struct ct_results *r)
{
    const struct ct_plan *p = &r->plan;
    unsigned bad_count, good_count;
    int64_t *bad_all = ct_ping_merged(&r->pings[CT_PING_INLINE], &bad_count);
    int64_t *good_all = ct_ping_merged(&r->pings[CT_PING_OFFLOAD], &good_count);
    double bad = ct_ms(ct_percentile(bad_all, bad_count, 99));
    double good = ct_ms(ct_percentile(good_all, good_count, 99));
    free(bad_all);
    free(good_all);
    svg_line(out, MARGIN, PING_TOP - 10, WIDTH - MARGIN, PING_TOP - 10, SVG_INK, 1, NULL);
    svg_text(out, MARGIN, PING_TOP + 14, (struct svg_font){20, true, SVG_INK, SVG_START}, "ping");
    svg_text(out, MARGIN + 58, PING_TOP + 6, (struct svg_font){10.5, false, SVG_GREY, SVG_START},
             "Latency of %u small requests a second, open loop, from the moment each was meant to be sent,",
             p->ping_rate);
    svg_text(out, MARGIN + 58, PING_TOP + 19, (struct svg_font){10.5, false, SVG_GREY, SVG_START},
             "while the same process computes: a job of %g ms begins every %g ms. Lower is better.",
             ct_ms(p->job_ns), ct_ms(p->job_every_ns));
    if (good > 0)
        svg_text(out, WIDTH - MARGIN, PING_TOP + 10, (struct svg_font){14, true, SVG_INK, SVG_END},
                 "99 %% within %.1f ms in line, %.*f ms offloaded", bad, good < 10 ? 2 : 1, good);
    draw_ping_curves(out, r);
}

static void draw_stall_curves(FILE *out, const struct ct_results *r)
{
    struct svg_curve curves[CT_STALLS] = {
        [CT_STALL_SEQ] = {.name = "sequential: one thread", .stroke = SVG_GREY, .dash = "1.5 3", .width = 2},
        [CT_STALL_CONC] = {.name = "concurrent: one worker", .stroke = SVG_RED, .width = 2.6},
        [CT_STALL_PAR] = {.name = "parallel: all workers", .stroke = SVG_GREEN, .width = 2.6},
        [CT_STALL_OFFLOAD] = {
            .name = "offload: 1 worker + pool", .stroke = SVG_SOLID, .dash = "5 2 1.5 2", .width = 2}};
    int64_t *all[CT_STALLS];
    for (int i = 0; i < CT_STALLS; i++)
        curves[i].all = all[i] = ct_ping_merged(&r->stalls[i], &curves[i].n);
    svg_curves(out, (struct svg_box){MARGIN, STALL_TOP + 46, WIDTH - 2 * MARGIN, 152}, curves, CT_STALLS,
               r->plan.job_ns);
    for (int i = 0; i < CT_STALLS; i++)
        free(all[i]);
}

static void draw_stall(FILE *out, const struct ct_results *r)
{
    const struct ct_plan *p = &r->plan;
    double bad = ct_ping_percentile(&r->stalls[CT_STALL_CONC], 99).median;
    double good = ct_ping_percentile(&r->stalls[CT_STALL_PAR], 99).median;
    svg_line(out, MARGIN, STALL_TOP - 10, WIDTH - MARGIN, STALL_TOP - 10, SVG_INK, 1, NULL);
    svg_text(out, MARGIN, STALL_TOP + 14, (struct svg_font){20, true, SVG_INK, SVG_START}, "stall");
    svg_text(out, MARGIN + 58, STALL_TOP + 6, (struct svg_font){10.5, false, SVG_GREY, SVG_START},
             "The same small requests, but now some requests of other clients compute on the spot: one of %g ms",
             ct_ms(p->job_ns));
    svg_text(out, MARGIN + 58, STALL_TOP + 19, (struct svg_font){10.5, false, SVG_GREY, SVG_START},
             "every %g ms. The innocent ones wait where there is one thread, and need not where there are more.",
             ct_ms(p->job_every_ns));
    if (good > 0)
        svg_text(out, WIDTH - MARGIN, STALL_TOP + 10, (struct svg_font){14, true, SVG_INK, SVG_END},
                 "99 %% within %.1f ms on one worker, %.*f ms on %u", bad, good < 10 ? 2 : 1, good, p->workers);
    draw_stall_curves(out, r);
}

static void draw_foot(FILE *out, const struct ct_results *r)
{
    const struct ct_machine *m = &r->machine;
    char busy[80] = "";
    if (m->other_load >= 0.1 || m->nice != 0)
        snprintf(busy, sizeof busy, " Others kept %.1f cores busy; this ran at nice %d.", m->other_load, m->nice);
    svg_text(out, MARGIN, HEIGHT - 14, (struct svg_font){9.5, false, SVG_GREY, SVG_START},
             "%.40s, %u cores, %.60s; %.24s; ring %.16s. Medians of %u interleaved rounds; peer and client share "
             "the cores.%s",
             m->cpu, r->plan.cores, m->kernel, m->compiler, m->ring, r->cells[CT_IO][CT_SEQ].count, busy);
}

void ct_picture(FILE *out, const struct ct_results *r)
{
    svg_open(out, WIDTH, HEIGHT, "Concurrency is not parallelism",
             "Waiting overlaps on one thread; computing needs cores; mixing needs a border between them.");
    draw_title(out);
    draw_columns(out, &r->plan);
    for (int w = 0; w < CT_WORKS; w++) {
        double y = TOP + w * ROW;
        int64_t scale = row_scale(r, (enum ct_work)w);
        draw_row_name(out, y, &r->plan, (enum ct_work)w);
        for (int i = 0; i < COLUMNS; i++)
            svg_gantt(out, (struct svg_box){column_x(i), y, column_width(), ROW}, r, (enum ct_work)w,
                      shown[i], scale);
    }
    draw_ping(out, r);
    draw_stall(out, r);
    draw_foot(out, r);
    svg_close(out);
}
