/* svg.c - shapes as text; see svg.h. */
#include "bench/contrast.d/svg.h"

#include <stdarg.h>

/* Text as it may stand in XML. */
static void put_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        default: fputc(*text, out);
        }
    }
}

/* Waiting is hatched by a pattern: thin strokes, so that stacked rows stay apart. */
void svg_open(FILE *out, double w, double h, const char *title, const char *description)
{
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\"\n", w, h);
    fprintf(out, "     width=\"%.0f\" height=\"%.0f\" role=\"img\"\n", w, h);
    fputs("     font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n<title>", out);
    put_escaped(out, title);
    fputs("</title>\n<desc>", out);
    put_escaped(out, description);
    fputs("</desc>\n<defs>\n<pattern id=\"wait\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\"", out);
    fputs(" patternTransform=\"rotate(45)\">\n<rect width=\"4\" height=\"4\" fill=\"#fbf1da\"/>", out);
    fputs("<rect width=\"1.5\" height=\"4\" fill=\"" SVG_AMBER "\"/>\n</pattern>\n</defs>\n", out);
    svg_rect(out, (struct svg_box){0, 0, w, h}, "#ffffff");
}

void svg_close(FILE *out)
{
    fputs("</svg>\n", out);
}

void svg_rect(FILE *out, struct svg_box b, const char *fill)
{
    fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", b.x, b.y, b.w,
            b.h, fill);
}

/* dash may be NULL. */
void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *stroke, double width,
              const char *dash)
{
    fprintf(out, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" stroke=\"%s\" stroke-width=\"%.2f\"",
            x1, y1, x2, y2, stroke, width);
    if (dash != NULL)
        fprintf(out, " stroke-dasharray=\"%s\"", dash);
    fputs("/>\n", out);
}

/* y is the baseline. */
void svg_text(FILE *out, double x, double y, struct svg_font font, const char *format, ...)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(out, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%.1f\" fill=\"%s\" text-anchor=\"%s\"%s>", x, y,
            font.size, font.fill, anchors[font.anchor], font.bold ? " font-weight=\"bold\"" : "");
    put_escaped(out, text);
    fputs("</text>\n", out);
}
