/* json.c - everything measured, for programs. The layout is part of the tool's promise: whoever changes the
 * meaning of a field or removes one raises the version. Times are milliseconds unless a name says
 * otherwise; runs are listed in the order in which they were made, so run i of every cell is of one round. */
#include "bench/contrast.d/contrast.h"

#include <stdlib.h>

#define SCHEMA "weft-contrast/1"

/* A text that may hold anything: quoted, with what JSON forbids left out or escaped. */
static void put_text(FILE *out, const char *key, const char *text, const char *end)
{
    fprintf(out, "\"%s\": \"", key);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if ((unsigned char)*text >= ' ')
            fputc(*text, out);
    }
    fprintf(out, "\"%s", end);
}

static void put_machine(FILE *out, const struct ct_machine *m, const struct ct_plan *p)
{
    fprintf(out, "  \"machine\": {\n    ");
    put_text(out, "cpu", m->cpu, ",\n    ");
    fprintf(out, "\"cores_online\": %u,\n    \"cores_usable\": %u,\n    ", m->online, p->cores);
    fprintf(out, "\"nice\": %d,\n    ", m->nice);
    put_text(out, "affinity", m->affinity, ",\n    ");
    put_text(out, "quota", m->quota, ",\n    ");
    put_text(out, "governor", m->governor, ",\n    ");
    put_text(out, "kernel", m->kernel, ",\n    ");
    put_text(out, "os", m->os, ",\n    ");
    put_text(out, "compiler", m->compiler, ",\n    ");
    put_text(out, "flags", m->flags, ",\n    ");
    put_text(out, "weft", m->weft, ",\n    ");
    put_text(out, "ring_mode", m->ring, ",\n    ");
    fprintf(out, "\"other_load_cores\": %.3f,\n    \"steal_cores\": %.3f\n  },\n", m->other_load, m->steal);
}

static void put_plan(FILE *out, const struct ct_plan *p)
{
    fprintf(out, "  \"plan\": {\n    \"size\": \"%s\", \"workers\": %u, ", p->size, p->workers);
    fprintf(out, "\"pool_threads\": %u, \"tasks\": %u, \"rounds\": %u,\n", p->workers, p->tasks, p->rounds);
    fprintf(out, "    \"requests\": {\"io\": %u, \"cpu\": %u, \"mixed\": %u},\n", p->requests[CT_IO],
            p->requests[CT_CPU], p->requests[CT_MIXED]);
    fprintf(out, "    \"wait_ms\": %.4f, \"compute_ms\": %.4f, \"compute_turns\": %llu, \"turn_ns\": %.5f,\n",
            ct_ms(p->wait_ns), ct_ms(p->compute_ns), (unsigned long long)p->compute_turns, p->turn_ns);
    fprintf(out, "    \"ping_rate_hz\": %u, \"ping_count\": %u, \"ping_connections\": %u, \"stall_count\": %u,\n",
            p->ping_rate, p->ping_count, p->ping_conns, p->stall_count);
    fprintf(out, "    \"job_ms\": %.4f, \"job_every_ms\": %.4f\n  },\n", ct_ms(p->job_ns),
            ct_ms(p->job_every_ns));
}

static void put_spread(FILE *out, const char *key, struct ct_spread s, const char *end)
{
    fprintf(out, "\"%s\": {\"median\": %.4f, \"min\": %.4f, \"max\": %.4f}%s", key, s.median, s.min, s.max,
            end);
}

static void put_cell(FILE *out, const struct ct_results *r, enum ct_work w, enum ct_mode m, bool last)
{
    const struct ct_cell *c = &r->cells[w][m];
    double ideal = ct_ms(ct_plan_ideal(&r->plan, w, m));
    struct ct_spread wall = ct_cell_wall(c);
    fprintf(out, "    {\"work\": \"%s\", \"mode\": \"%s\", \"ideal_ms\": %.4f, ", ct_work_names[w],
            ct_mode_names[m], ideal);
    fprintf(out, "\"median_ms\": %.4f, \"min_ms\": %.4f, \"max_ms\": %.4f, ", wall.median, wall.min,
            wall.max);
    fprintf(out, "\"efficiency\": %.4f,\n     ", ideal / wall.median);
    put_spread(out, "speedup", ct_cell_ratio(&r->cells[w][CT_SEQ], c), ", ");
    fprintf(out, "\"cpu_s\": %.6f, ", ct_cell_cpu(c).median / 1000);
    fprintf(out, "\"context_switches\": %.0f, \"runs\": %u,\n     \"runs_ms\": [", ct_cell_switches(c).median,
            c->count);
    for (unsigned i = 0; i < c->count; i++)
        fprintf(out, "%s%.4f", i ? ", " : "", ct_ms(c->runs[i].wall_ns));
    fprintf(out, "]}%s\n", last ? "" : ",");
}

static void put_cells(FILE *out, const struct ct_results *r)
{
    fprintf(out, "  \"cells\": [\n");
    for (int w = 0; w < CT_WORKS; w++) {
        for (int m = 0; m < CT_MODES; m++) {
            if (r->cells[w][m].count > 0)
                put_cell(out, r, (enum ct_work)w, (enum ct_mode)m, w == CT_MIXED && m == CT_PAR_OFFLOAD);
        }
    }
    fprintf(out, "  ],\n");
}

static void put_latency(FILE *out, const char *name, const struct ct_ping_cell *c, int64_t ideal_ns, bool last)
{
    static const double shown[] = {50, 75, 90, 95, 99, 99.9};
    unsigned sent = 0, lost = 0, n;
    double late[CT_ROUNDS_MAX];
    int64_t *all = ct_ping_merged(c, &n);
    for (unsigned i = 0; i < c->count; i++) {
        sent += c->runs[i].sent;
        lost += c->runs[i].lost;
        late[i] = ct_ms(c->runs[i].late_p99_ns);
    }
    fprintf(out, "    {\"mode\": \"%s\", \"sent\": %u, \"lost\": %u, \"runs\": %u,\n     \"latency_ms\": {",
            name, sent, lost, c->count);
    for (unsigned i = 0; i < sizeof shown / sizeof *shown; i++)
        fprintf(out, "\"p%g\": %.4f, ", shown[i], ct_ms(ct_percentile(all, n, shown[i])));
    fprintf(out, "\"max\": %.4f},\n     ", ct_ms(ct_percentile(all, n, 100)));
    fprintf(out, "\"ideal_p99_ms\": %.4f, ", ct_ms(ideal_ns));
    put_spread(out, "p99_by_round_ms", ct_ping_percentile(c, 99), ",\n     ");
    put_spread(out, "generator_late_p99_ms", ct_spread_of(late, c->count), "");
    fprintf(out, "}%s\n", last ? "" : ",");
    free(all);
}

void ct_json(FILE *out, const struct ct_results *r)
{
    fprintf(out, "{\n  \"schema\": \"%s\",\n  ", SCHEMA);
    put_text(out, "when", r->machine.when, ",\n");
    fprintf(out, "  \"seconds\": %.1f,\n", r->seconds);
    put_machine(out, &r->machine, &r->plan);
    put_plan(out, &r->plan);
    put_cells(out, r);
    fprintf(out, "  \"ping\": [\n");
    for (int m = 0; m < CT_PINGS; m++)
        put_latency(out, ct_ping_names[m], &r->pings[m], ct_plan_ping_ideal(&r->plan, (enum ct_ping)m, 99),
                    m == CT_PINGS - 1);
    fprintf(out, "  ],\n  \"stall\": [\n");
    for (int m = 0; m < CT_STALLS; m++)
        put_latency(out, ct_stall_names[m], &r->stalls[m], ct_plan_stall_ideal(&r->plan, (enum ct_stall)m, 99),
                    m == CT_STALLS - 1);
    fprintf(out, "  ]\n}\n");
}
