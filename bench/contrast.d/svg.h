/* svg.h - the few shapes the picture is made of, written as text.
 *
 * Fonts are whatever the reader has: every text leaves room for a wide one, and no position depends on
 * how wide a text comes out. Colours differ in lightness too, and hatching and dashes carry the meaning,
 * so that the picture survives a black-and-white printer. */
#ifndef CONTRAST_SVG_H
#define CONTRAST_SVG_H

#include <stdio.h>

#include "bench/contrast.d/contrast.h"

#define SVG_INK    "#1b1f24"
#define SVG_GREY   "#5b6570"
#define SVG_LIGHT  "#c9d0d7"
#define SVG_TRACK  "#f0f2f4"
#define SVG_SOLID  "#1f4e79" /* computing */
#define SVG_AMBER  "#c98a1b" /* waiting, always hatched */
#define SVG_RED    "#b3372b" /* ready and not running; the mistake */
#define SVG_GREEN  "#2b7a53"

enum svg_anchor {
    SVG_START,
    SVG_MIDDLE,
    SVG_END
};

struct svg_font {
    double size;
    bool bold;
    const char *fill;
    enum svg_anchor anchor;
};

struct svg_box {
    double x, y, w, h;
};

/* One latency curve: all of n, in rising order, in nanoseconds. */
struct svg_curve {
    const char *name, *stroke, *dash; /* dash may be NULL */
    double width;
    const int64_t *all;
    unsigned n;
    double label_y; /* found by svg_curves() */
};

void svg_open(FILE *out, double w, double h, const char *title, const char *description);
void svg_close(FILE *out);
void svg_rect(FILE *out, struct svg_box b, const char *fill);
void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *stroke, double width,
              const char *dash);
void svg_text(FILE *out, double x, double y, struct svg_font font, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* gantt.c, curve.c: the two kinds of figures. svg_curves() puts the curves in another order. */
void svg_gantt(FILE *out, struct svg_box b, const struct ct_results *r, enum ct_work w, enum ct_mode m,
               int64_t scale_ns);
void svg_gantt_legend(FILE *out, double right, double y);
void svg_curves(FILE *out, struct svg_box b, struct svg_curve *curves, unsigned n, int64_t job_ns);

#endif
