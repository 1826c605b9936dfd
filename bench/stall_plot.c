/* stall_plot.c - the curves of stall_load, a panel for each scene. */
#include "bench/contrast.d/svg.h"
#include "bench/stall_load.h"

#define WIDTH  1000.0
#define MARGIN 28.0
#define TOP    64.0
#define HEAD   36.0 /* a panel's title */
#define PLOT   180.0
#define PANEL  (HEAD + PLOT + 44)

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* weft is the widest, and its own variants are dashed. */
static struct svg_curve curve_of(const struct stall_contender *c, const struct stall_cell *cell, unsigned i)
{
    static const char *const strokes[] = {SVG_RED, SVG_AMBER, SVG_GREY, SVG_SOLID};
    struct svg_curve curve = {.name = c->it.peer.who, .all = cell->all, .n = cell->n, .stroke = SVG_GREEN,
                              .width = i == 0 ? 2.8 : 1.7, .dash = i == 0 ? NULL : "5 3"};
    if (stall_is_peer(c)) {
        curve.stroke = strokes[i % 4];
        curve.dash = NULL;
    }
    return curve;
}

static void draw_scene(FILE *out, const struct stall_results *r, unsigned scene, double y)
{
    struct svg_curve curves[STALL_SERVERS_MAX];
    const struct stall_scene *s = &r->scene[scene];
    char what[128] = "nobody computes";
    if (s->load > 0)
        snprintf(what, sizeof what, "%.0f %% of a worker computes %g ms at a time%s%s", s->load * 100, s->job_ms,
                 s->even ? ", at even intervals" : "", s->away ? ", offloaded" : "");
    svg_text(out, MARGIN, y + 16, (struct svg_font){14, true, SVG_INK, SVG_START}, "%s", s->name);
    svg_text(out, MARGIN + 190, y + 16, (struct svg_font){11, false, SVG_GREY, SVG_START}, "%s; %u connections", what,
             s->conns);
    unsigned n = 0;
    for (unsigned i = 0; i < r->contenders; i++) {
        const struct stall_cell *cell = &r->contender[i].cell[scene];
        if (!stall_takes_part(&r->contender[i], s))
            continue;
        qsort(cell->all, cell->n, sizeof *cell->all, compare_ns);
        curves[n++] = curve_of(&r->contender[i], cell, i);
    }
    svg_curves(out, (struct svg_box){MARGIN, y + HEAD, WIDTH - 2 * MARGIN, PLOT}, curves, n,
               s->load > 0 ? (int64_t)(s->job_ms * 1e6) : 0);
}

void stall_plot(struct stall_results *r, const char *path)
{
    FILE *out = fopen(path, "we");
    if (out == NULL)
        bench_die("%s: %s", path, strerror(errno));
    svg_open(out, WIDTH, TOP + PANEL * r->scenes, "Innocent requests beside computing ones",
             "Latency by percentile of requests that do not compute, while others do.");
    svg_text(out, MARGIN, 38, (struct svg_font){20, true, SVG_INK, SVG_START},
             "Innocent requests while others compute");
    svg_text(out, MARGIN, 56, (struct svg_font){11, false, SVG_GREY, SVG_START},
             "%u a second, open loop, from the moment each was meant to be sent; two workers. Lower is better.",
             r->scene[0].rate);
    for (unsigned i = 0; i < r->scenes; i++)
        draw_scene(out, r, i, TOP + PANEL * i);
    svg_close(out);
    if (fclose(out) != 0)
        bench_die("%s: %s", path, strerror(errno));
    const char *name = strrchr(path, '/'); /* what is printed is kept, and not only read on this machine */
    printf("the curves are in %s\n", name ? name + 1 : path);
}
