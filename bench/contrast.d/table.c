/* table.c - what a reader sees on the terminal: arithmetic first, then measurement. */
#include "bench/contrast.d/contrast.h"

#include <stdlib.h>

static void table_head(FILE *out, const struct ct_results *r)
{
    const struct ct_plan *p = &r->plan;
    const struct ct_machine *m = &r->machine;
    fprintf(out, "\nmachine   %s, %u of %u cores usable (CPUs %s, quota %s), %s, %s\n", m->cpu, p->cores,
            m->online, m->affinity, m->quota, m->kernel, m->os);
    fprintf(out, "built by  %s\n          %s\n", m->compiler, m->flags);
    fprintf(out, "weft      %s, ring mode %s; par: %u workers, pool: %u threads\n", m->weft, m->ring,
            p->workers, p->workers);
    fprintf(out, "others    kept %.2f cores busy meanwhile, the hypervisor took %.2f; this ran at nice %d\n",
            m->other_load, m->steal, m->nice);
    fprintf(out, "unit      one turn of the compute loop %.3f ns; %u tasks, %.1f ms waiting a request,\n",
            p->turn_ns, p->tasks, ct_ms(p->wait_ns));
    fprintf(out, "          %.1f ms computing a task; %u rounds, modes interleaved\n", ct_ms(p->compute_ns),
            p->rounds);
}

/* The bare arithmetic, so that the reader can predict before he sees. */
static void table_ideals(FILE *out, const struct ct_plan *p)
{
    fprintf(out, "\nideal, ms       seq      conc       par   offload   par+offload\n");
    for (int w = 0; w < CT_WORKS; w++) {
        fprintf(out, "  %-6s", ct_work_names[w]);
        for (int m = 0; m < CT_LIMIT; m++)
            fprintf(out, m == CT_PAR_OFFLOAD ? "    %10.1f" : "%10.1f",
                    ct_ms(ct_plan_ideal(p, (enum ct_work)w, (enum ct_mode)m)));
        fprintf(out, "\n");
    }
}

static void table_work(FILE *out, const struct ct_results *r, enum ct_work w)
{
    const struct ct_cell *seq = &r->cells[w][CT_SEQ];
    fprintf(out, "\n%-12s    ideal   median      min      max   ideal/    speed-   CPU s   switches\n",
            ct_work_names[w]);
    fprintf(out, "%-12s       ms       ms       ms       ms   measured  up\n", "");
    for (int m = 0; m < CT_MODES; m++) {
        const struct ct_cell *c = &r->cells[w][m];
        if (c->count == 0)
            continue;
        struct ct_spread wall = ct_cell_wall(c);
        double ideal = ct_ms(ct_plan_ideal(&r->plan, w, (enum ct_mode)m));
        fprintf(out, "  %-11s%8.1f %8.1f %8.1f %8.1f     %5.2f   %5.2fx  %6.3f   %8.0f\n", ct_mode_names[m],
                ideal, wall.median, wall.min, wall.max, ideal / wall.median, ct_cell_ratio(seq, c).median,
                ct_cell_cpu(c).median / 1000, ct_cell_switches(c).median);
    }
}

static void table_latency(FILE *out, const char *name, const struct ct_ping_cell *c, int64_t ideal_ns)
{
    unsigned sent = 0, lost = 0, n;
    int64_t *all = ct_ping_merged(c, &n);
    for (unsigned i = 0; i < c->count; i++) {
        sent += c->runs[i].sent;
        lost += c->runs[i].lost;
    }
    fprintf(out, "  %-11s%8.3f %8.3f %8.3f %8.3f %8.3f    %8.1f  %6u %6u\n", name,
            ct_ms(ct_percentile(all, n, 50)), ct_ms(ct_percentile(all, n, 90)), ct_ms(ct_percentile(all, n, 99)),
            ct_ms(ct_percentile(all, n, 99.9)), ct_ms(ct_percentile(all, n, 100)), ct_ms(ideal_ns), lost, sent);
    free(all);
}

static void table_stall(FILE *out, const struct ct_results *r)
{
    const struct ct_plan *p = &r->plan;
    fprintf(out, "\nstall         the same pings, but the jobs are requests, too, and are computed on the spot\n");
    fprintf(out, "                  p50      p90      p99    p99.9      max   ideal p99    lost   sent\n");
    for (int m = 0; m < CT_STALLS; m++)
        table_latency(out, ct_stall_names[m], &r->stalls[m], ct_plan_stall_ideal(p, (enum ct_stall)m, 99));
}

static void table_ping(FILE *out, const struct ct_results *r)
{
    const struct ct_plan *p = &r->plan;
    fprintf(out, "\nping          %u a second, open loop, latency from the intended send time, in ms\n",
            p->ping_rate);
    fprintf(
        out,
        "              beside jobs of %.0f ms computing, one every %.0f ms; the generator shares the cores\n",
        ct_ms(p->job_ns), ct_ms(p->job_every_ns));
    fprintf(out, "                  p50      p90      p99    p99.9      max   ideal p99    lost   sent\n");
    for (int m = 0; m < CT_PINGS; m++)
        table_latency(out, ct_ping_names[m], &r->pings[m], ct_plan_ping_ideal(p, (enum ct_ping)m, 99));
}

void ct_table(FILE *out, const struct ct_results *r)
{
    table_head(out, r);
    table_ideals(out, &r->plan);
    for (int w = 0; w < CT_WORKS; w++)
        table_work(out, r, (enum ct_work)w);
    fprintf(out, "  threads: plain threads, no runtime; what this machine has to give\n");
    table_ping(out, r);
    table_stall(out, r);
}
