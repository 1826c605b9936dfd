/* gantt.c - one cell of the picture: what each task went through, and which thread computed when.
 *
 * Two zones over one time axis. Above, a thin row per task: hatched while it waits for the peer, a thin
 * line while it is ready but nobody runs it, solid while it computes; overlap is what stands above each
 * other. Below, a lane per thread, solid while that thread computes. A thread that blocks is hatched too:
 * only the sequential one ever is, and that is the whole difference between waiting and blocking.
 *
 * All cells of a row of the picture share their time scale, so a shorter figure is a faster mode. */
#include "bench/contrast.d/svg.h"

#include <math.h>

#define GUTTER    46.0 /* lane names, left of the plot */
#define HEAD      21.0
#define TASK_ZONE 54.0
#define ZONE_GAP  5.0
#define LANE_ZONE 27.0
#define LANE_MAX  12.0 /* height of a lane when there are few */
#define SLIVER    0.7  /* nothing is drawn narrower, or it would vanish */

struct cell {
    FILE *out;
    struct svg_box plot;
    const struct ct_run *run;
    double per_ns; /* pixels */
    unsigned workers, pool;
    bool blocking;
};

static double x_of(const struct cell *c, int64_t at_ns)
{
    return c->plot.x + (double)(at_ns - c->run->began_ns) * c->per_ns;
}

static struct svg_box bar(const struct cell *c, const struct ct_span *s, double y, double h)
{
    double x = x_of(c, s->from), w = x_of(c, s->to) - x;
    return (struct svg_box){x, y, w < SLIVER ? SLIVER : w, h};
}

static void draw_task(const struct cell *c, const struct ct_task *t, double y, double h)
{
    double thick = h > 2 ? h - 1.5 : h * 0.8;
    for (unsigned i = 0; i < t->span_count; i++) {
        const struct ct_span *s = &t->spans[i];
        if (s->kind == CT_READY && (double)(s->to - s->from) * c->per_ns < SLIVER)
            continue;
        if (s->kind == CT_READY) {
            double line = thick < 1.4 ? thick : 1.4;
            svg_rect(c->out, bar(c, s, y + (thick - line) / 2, line), SVG_RED);
        } else {
            svg_rect(c->out, bar(c, s, y, thick), s->kind == CT_WAIT ? "url(#wait)" : SVG_SOLID);
        }
    }
}

static void draw_tasks(const struct cell *c)
{
    double h = TASK_ZONE / c->run->task_count;
    for (unsigned i = 0; i < c->run->task_count; i++)
        draw_task(c, &c->run->tasks[i], c->plot.y + i * h, h);
}

/* The group's name where single lanes are too thin for theirs. */
static void name_lanes(const struct cell *c, unsigned first, unsigned count, double y, double h,
                       const char *name)
{
    struct svg_font font = {9, false, SVG_GREY, SVG_END};
    for (unsigned i = 0; i < count && h >= 8; i++)
        svg_text(c->out, c->plot.x - 5, y + (first + i) * h + h / 2 + 3, font, count > 1 ? "%s %u" : "%s",
                 name, i);
    if (h < 8 && count > 0)
        svg_text(c->out, c->plot.x - 5, y + (first + count / 2.0) * h + 3, font,
                 first > 0 ? "pool: %u" : "%u %s%s", count, name, count > 1 ? "s" : "");
}

static void draw_lanes(const struct cell *c)
{
    unsigned lanes = c->workers + c->pool;
    double y = c->plot.y + TASK_ZONE + ZONE_GAP;
    double h = fmin(LANE_MAX, LANE_ZONE / lanes);
    double thick = h > 3 ? h - 1.5 : h * 0.8;
    name_lanes(c, 0, c->workers, y, h, c->blocking ? "thread" : "worker");
    name_lanes(c, c->workers, c->pool, y, h, "pool");
    for (unsigned i = 0; i < lanes; i++)
        svg_rect(c->out, (struct svg_box){c->plot.x, y + i * h, c->plot.w, thick}, SVG_TRACK);
    for (unsigned i = 0; i < c->run->task_count; i++) {
        const struct ct_task *t = &c->run->tasks[i];
        for (unsigned k = 0; k < t->span_count; k++) {
            const struct ct_span *s = &t->spans[k];
            if (s->kind == CT_COMPUTE && s->lane >= 0 && s->lane < (int)lanes)
                svg_rect(c->out, bar(c, s, y + s->lane * h, thick), SVG_SOLID);
            if (s->kind == CT_WAIT && c->blocking)
                svg_rect(c->out, bar(c, s, y, thick), "url(#wait)");
        }
    }
}

/* The least of 1, 2, 5 times a power of ten of which five steps cover whole: labels need their room. */
static double nice_step(double whole)
{
    double base = pow(10, floor(log10(whole / 5)));
    double share = whole / 5 / base;
    return base * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

static void draw_axis(const struct cell *c, int64_t scale_ns)
{
    double bottom = c->plot.y + c->plot.h, whole = ct_ms(scale_ns), step = nice_step(whole);
    svg_line(c->out, c->plot.x, bottom, c->plot.x + c->plot.w, bottom, SVG_LIGHT, 1, NULL);
    for (double ms = 0; ms <= whole; ms += step) {
        double x = c->plot.x + ms * CT_MSEC * c->per_ns;
        svg_line(c->out, x, bottom, x, bottom + 3, SVG_LIGHT, 1, NULL);
        bool last = ms + step > whole, edge = last && x + 19 > c->plot.x + c->plot.w;
        svg_text(c->out, edge ? c->plot.x + c->plot.w + 4 : x, bottom + 12,
                 (struct svg_font){9, false, SVG_GREY, edge ? SVG_END : SVG_MIDDLE}, last ? "%g ms" : "%g",
                 ms);
    }
}

/* Measured time, ideal, speed-up; and where in the plot the ideal lies. */
static void draw_head(const struct cell *c, double right, double wall, double ideal, double speedup)
{
    double x = c->plot.x + ideal * CT_MSEC * c->per_ns, y = c->plot.y - 8;
    svg_text(c->out, c->plot.x, y, (struct svg_font){15, true, SVG_INK, SVG_START}, "%.*f ms",
             wall < 99.5 ? 1 : 0, wall);
    svg_text(c->out, c->plot.x + 78, y, (struct svg_font){10, false, SVG_GREY, SVG_START}, "ideal %g",
             round(ideal * 10) / 10);
    svg_text(c->out, right, y, (struct svg_font){15, true, SVG_INK, SVG_END}, "%.1f\xc3\x97", speedup);
    svg_line(c->out, x, c->plot.y - 3, x, c->plot.y + c->plot.h, SVG_INK, 0.9, "3 2");
}

void svg_gantt(FILE *out, struct svg_box b, const struct ct_results *r, enum ct_work w, enum ct_mode m,
               int64_t scale_ns)
{
    const struct ct_cell *cell = &r->cells[w][m];
    struct cell c = {.out = out, .run = ct_cell_typical(cell), .blocking = m == CT_SEQ};
    c.plot = (struct svg_box){b.x + GUTTER, b.y + HEAD, b.w - GUTTER, TASK_ZONE + ZONE_GAP + LANE_ZONE + 2};
    c.per_ns = c.plot.w / (double)scale_ns;
    c.workers = m == CT_PAR || m == CT_PAR_OFFLOAD ? r->plan.workers : 1;
    c.pool = m == CT_OFFLOAD || m == CT_PAR_OFFLOAD ? r->plan.workers : 0;
    if (c.run == NULL)
        return;
    svg_text(out, c.plot.x - 5, c.plot.y + TASK_ZONE / 2 + 3, (struct svg_font){9, false, SVG_GREY, SVG_END},
             "%u tasks", c.run->task_count);
    draw_tasks(&c);
    draw_lanes(&c);
    draw_axis(&c, scale_ns);
    draw_head(&c, b.x + b.w, ct_cell_wall(cell).median, ct_ms(ct_plan_ideal(&r->plan, w, m)),
              ct_cell_ratio(&r->cells[w][CT_SEQ], cell).median);
}

/* Four samples in a line that ends at right. */
void svg_gantt_legend(FILE *out, double right, double y)
{
    static const char *const words[] = {"computing", "waiting for an answer", "ready, not running", "ideal"};
    static const double widths[] = {92, 154, 136, 48};
    struct svg_font font = {11, false, SVG_INK, SVG_START};
    double x = right - (92 + 154 + 136 + 48);
    for (int i = 0; i < 4; i++) {
        if (i < 2)
            svg_rect(out, (struct svg_box){x, y - 8.5, 20, 9}, i == 0 ? SVG_SOLID : "url(#wait)");
        if (i == 2)
            svg_rect(out, (struct svg_box){x, y - 4.7, 20, 1.4}, SVG_RED);
        if (i == 3)
            svg_line(out, x + 12, y - 10, x + 12, y + 2, SVG_INK, 0.9, "3 2");
        svg_text(out, x + (i == 3 ? 18 : 25), y, font, "%s", words[i]);
        x += widths[i];
    }
}
