/* curve.c - latency by percentile, both axes logarithmic.
 *
 * The horizontal axis gives each further nine the same room, because the tail is the point: a service is
 * as slow as its slow answers. Curves carry their names at their ends; there is no legend to look up. */
#include "bench/contrast.d/svg.h"

#include <math.h>
#include <stdlib.h>

#define FIRST     50.0
#define LAST      99.9
#define STEPS     240
#define LABEL_GAP 15.5 /* between the baselines of two names */

struct axes {
    FILE *out;
    struct svg_box plot;
    double low, high; /* ms, of the vertical axis */
};

static double nines(double percentile)
{
    return -log10(1 - percentile / 100);
}

static double x_of(const struct axes *a, double percentile)
{
    return a->plot.x + a->plot.w * (nines(percentile) - nines(FIRST)) / (nines(LAST) - nines(FIRST));
}

static double y_of(const struct axes *a, double ms)
{
    double at = log10(fmax(ms, a->low) / a->low) / log10(a->high / a->low);
    return a->plot.y + a->plot.h * (1 - at);
}

static double at(const struct svg_curve *c, double percentile)
{
    return ct_ms(ct_percentile(c->all, c->n, percentile));
}

/* The largest (up: smallest) of 1, 2, 5 times a power of ten that is not above (below) ms. */
static double nice(double ms, bool up)
{
    static const double steps[] = {1, 2, 5, 10};
    double base = pow(10, floor(log10(ms)));
    double best = up ? base * 10 : base;
    for (int i = 0; i < 4; i++) {
        if (!up && base * steps[i] <= ms)
            best = base * steps[i];
        if (up && base * steps[3 - i] >= ms)
            best = base * steps[3 - i];
    }
    return best;
}

static void draw_grid(const struct axes *a)
{
    static const double shown[] = {50, 75, 90, 95, 99, 99.5, 99.9};
    struct svg_font font = {10, false, SVG_GREY, SVG_END};
    double right = a->plot.x + a->plot.w, bottom = a->plot.y + a->plot.h;
    for (double decade = pow(10, floor(log10(a->low))); decade <= a->high; decade *= 10) {
        for (int i = 1; i < 10; i++) {
            double ms = decade * i;
            if (ms < a->low * 0.999 || ms > a->high * 1.001)
                continue;
            svg_line(a->out, a->plot.x, y_of(a, ms), right, y_of(a, ms), i == 1 ? SVG_LIGHT : SVG_TRACK, 1,
                     NULL);
            if (i == 1)
                svg_text(a->out, a->plot.x - 7, y_of(a, ms) + 3.5, font, "%g ms", ms);
        }
    }
    font.anchor = SVG_MIDDLE;
    for (unsigned i = 0; i < sizeof shown / sizeof *shown; i++) {
        double x = x_of(a, shown[i]);
        svg_line(a->out, x, a->plot.y, x, bottom, SVG_LIGHT, 1, NULL);
        svg_text(a->out, x, bottom + 14, font, i == 0 ? "median" : "%g %%", shown[i]);
    }
    svg_line(a->out, a->plot.x, bottom, right, bottom, SVG_GREY, 1, NULL);
}

static void draw_curve(const struct axes *a, const struct svg_curve *c)
{
    fprintf(a->out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%.1f\" stroke-linejoin=\"round\"",
            c->stroke, c->width);
    if (c->dash != NULL)
        fprintf(a->out, " stroke-dasharray=\"%s\"", c->dash);
    fputs(" points=\"", a->out);
    for (int i = 0; i <= STEPS; i++) {
        double share = nines(FIRST) + (nines(LAST) - nines(FIRST)) * i / STEPS;
        double percentile = 100 * (1 - pow(10, -share));
        fprintf(a->out, "%s%.1f,%.1f", i ? " " : "", x_of(a, percentile), y_of(a, at(c, percentile)));
    }
    fputs("\"/>\n", a->out);
}

static int by_end(const void *x, const void *y)
{
    double a = at(x, LAST), b = at(y, LAST);
    return (a < b) - (a > b);
}

/* From the top down, each at its curve's end or just below the one before; then up again from the bottom,
 * so that none leaves the plot. */
static void place_labels(const struct axes *a, struct svg_curve *curves, unsigned n)
{
    double limit = a->plot.y + a->plot.h + 4;
    for (unsigned i = 0; i < n; i++) {
        curves[i].label_y = y_of(a, at(&curves[i], LAST)) + 4;
        if (i > 0)
            curves[i].label_y = fmax(curves[i].label_y, curves[i - 1].label_y + LABEL_GAP);
    }
    for (unsigned i = n; i-- > 0; limit = curves[i].label_y - LABEL_GAP)
        curves[i].label_y = fmin(curves[i].label_y, limit);
}

static void draw_label(const struct axes *a, const struct svg_curve *c)
{
    double right = a->plot.x + a->plot.w;
    svg_line(a->out, right, y_of(a, at(c, LAST)), right + 16, c->label_y - 4, c->stroke, c->width * 0.7,
             NULL);
    svg_text(a->out, right + 21, c->label_y, (struct svg_font){11, true, c->stroke, SVG_START}, "%s",
             c->name);
    double p99 = at(c, 99);
    svg_text(a->out, right + 236, c->label_y, (struct svg_font){11, false, SVG_INK, SVG_END}, "%.*f",
             p99 < 10 ? 2 : 1, p99);
}

static void draw_job(const struct axes *a, double job_ms)
{
    double y = y_of(a, job_ms);
    if (job_ms <= a->low || job_ms >= a->high)
        return;
    svg_line(a->out, a->plot.x, y, a->plot.x + a->plot.w, y, SVG_GREY, 1, "2 3");
    svg_text(a->out, a->plot.x + 6, y - 4, (struct svg_font){10, false, SVG_GREY, SVG_START},
             "length of one job");
}

/* Those that have nothing in them go to the end. */
static unsigned drop_empty(struct svg_curve *curves, unsigned n)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        if (curves[i].n > 0) {
            struct svg_curve c = curves[i];
            curves[i] = curves[kept];
            curves[kept++] = c;
        }
    }
    return kept;
}

void svg_curves(FILE *out, struct svg_box b, struct svg_curve *curves, unsigned n, int64_t job_ns)
{
    struct axes a = {.out = out, .plot = {b.x + 52, b.y, b.w - 52 - 240, b.h}, .low = HUGE_VAL};
    n = drop_empty(curves, n);
    if (n == 0)
        return;
    for (unsigned i = 0; i < n; i++) {
        a.low = fmin(a.low, at(&curves[i], FIRST));
        a.high = fmax(a.high, at(&curves[i], LAST));
    }
    a.low = nice(fmax(a.low, 1e-3) * 0.9, false);
    a.high = nice(fmax(a.high, a.low) * 1.1, true);
    draw_grid(&a);
    draw_job(&a, ct_ms(job_ns));
    qsort(curves, n, sizeof *curves, by_end);
    place_labels(&a, curves, n);
    svg_text(out, b.x + b.w - 4, fmin(curves[0].label_y - LABEL_GAP, b.y - 1),
             (struct svg_font){10, false, SVG_GREY, SVG_END}, "99 %% within, ms");
    for (unsigned i = n; i-- > 0;) {
        draw_curve(&a, &curves[i]);
        draw_label(&a, &curves[i]);
    }
}
