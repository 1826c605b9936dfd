/* check.c - the shapes that make the point, as pass or fail.
 *
 * Shapes, not times: each is a ratio between runs of one round, and its median over the rounds is judged.
 * A shape that this machine cannot show is skipped with a word, never passed. Where neighbours blur the
 * ratios of computing, more rounds of it are run until their medians are known to within a few per cent, or
 * a bound is reached; that decision looks at the scatter only. */
#include "bench/contrast.d/contrast.h"

#define IO_SHARE_MIN  0.8   /* of the ideal speed-up, conc over seq */
#define CPU_RATIO_MIN 0.9   /* conc against seq: neither gain nor loss */
#define CPU_RATIO_MAX 1.1
#define PAR_SHARE_MIN 0.8   /* of the cores there are to use */
#define CORES_MIN     1.25  /* below this, nothing parallel can be shown */
#define PING_MAX      0.25  /* p99 offloaded, of p99 in line */
#define STUCK_MIN     0.5   /* p99 on one worker that computes on the spot, of what arithmetic says */
#define RESCUED_MAX   0.25  /* p99 on all workers, of p99 on one */

#define DOUBT_MAX 0.04 /* of the median of a ratio, before it is judged */

enum verdict {
    PASS,
    FAIL,
    SKIP
};

static enum verdict say(FILE *out, enum verdict v, const char *shape)
{
    static const char *const words[] = {"pass", "FAIL", "skip"};
    fprintf(out, "  %s  %s", words[v], shape);
    return v;
}

static enum verdict check_io(FILE *out, const struct ct_results *r)
{
    const struct ct_plan *p = &r->plan;
    double ideal = (double)ct_plan_ideal(p, CT_IO, CT_SEQ) / (double)ct_plan_ideal(p, CT_IO, CT_CONC);
    double got = ct_cell_ratio(&r->cells[CT_IO][CT_SEQ], &r->cells[CT_IO][CT_CONC]).median;
    enum verdict v =
        say(out, got >= IO_SHARE_MIN * ideal ? PASS : FAIL, "waiting overlaps on one thread:     ");
    fprintf(out, "conc io %.2fx of seq; ideal %.2fx, wanted %.2fx\n", got, ideal, IO_SHARE_MIN * ideal);
    return v;
}

static enum verdict check_cpu_conc(FILE *out, const struct ct_results *r)
{
    double got = ct_cell_ratio(&r->cells[CT_CPU][CT_CONC], &r->cells[CT_CPU][CT_SEQ]).median;
    enum verdict v = say(out, got >= CPU_RATIO_MIN && got <= CPU_RATIO_MAX ? PASS : FAIL,
                         "computing gains nothing from it:    ");
    fprintf(out, "conc cpu takes %.3f of seq; wanted %.1f to %.1f\n", got, CPU_RATIO_MIN, CPU_RATIO_MAX);
    return v;
}

/* The cores to hold par against are those that plain threads could use in the same round: on a machine
 * with busy neighbours that is less than their number. */
static unsigned par_shares(const struct ct_results *r, double *ret)
{
    const struct ct_cell *cells = r->cells[CT_CPU];
    double cores = ct_plan_degree(&r->plan, CT_PAR), plain[CT_ROUNDS_MAX];
    unsigned n = ct_cell_ratios(&cells[CT_SEQ], &cells[CT_LIMIT], plain);
    ct_cell_ratios(&cells[CT_SEQ], &cells[CT_PAR], ret);
    for (unsigned i = 0; i < n; i++)
        ret[i] /= plain[i] < cores ? plain[i] : cores;
    return n;
}

static enum verdict check_cpu_par(FILE *out, const struct ct_results *r)
{
    const struct ct_cell *cells = r->cells[CT_CPU];
    unsigned cores = ct_plan_degree(&r->plan, CT_PAR);
    double shares[CT_ROUNDS_MAX];
    unsigned rounds = par_shares(r, shares);
    double plain = ct_cell_ratio(&cells[CT_SEQ], &cells[CT_LIMIT]).median;
    double share = ct_spread_of(shares, rounds).median;
    bool shown = cores > 1 && plain >= CORES_MIN;
    enum verdict v = !shown ? SKIP : share >= PAR_SHARE_MIN ? PASS : FAIL;
    say(out, v, "cores shorten computing:            ");
    if (!shown) {
        fprintf(out, "parallel cannot be shown here: %u core%s, of which plain threads got %.2f\n", cores,
                cores == 1 ? "" : "s", plain);
        return v;
    }
    fprintf(out, "par cpu %.2fx of seq; %u cores, plain threads got %.2fx; share %.2f, wanted %.2f\n",
            ct_cell_ratio(&cells[CT_SEQ], &cells[CT_PAR]).median, cores, plain, share, PAR_SHARE_MIN);
    return v;
}

static enum verdict check_ping(FILE *out, const struct ct_results *r)
{
    double got = ct_ping_ratio(&r->pings[CT_PING_OFFLOAD], &r->pings[CT_PING_INLINE], 99).median;
    enum verdict v = say(out, got <= PING_MAX ? PASS : FAIL, "mixing needs a border between them: ");
    fprintf(out, "ping p99 offloaded %.2f ms, in line %.2f ms: %.3f of it; wanted at most %.2f\n",
            ct_ping_percentile(&r->pings[CT_PING_OFFLOAD], 99).median,
            ct_ping_percentile(&r->pings[CT_PING_INLINE], 99).median, got, PING_MAX);
    return v;
}

static enum verdict check_stall_conc(FILE *out, const struct ct_results *r)
{
    double ideal = ct_ms(ct_plan_stall_ideal(&r->plan, CT_STALL_CONC, 99));
    double got = ct_ping_percentile(&r->stalls[CT_STALL_CONC], 99).median;
    enum verdict v =
        say(out, got >= STUCK_MIN * ideal ? PASS : FAIL, "who computes holds up one thread:   ");
    fprintf(out, "innocent p99 on one worker %.2f ms; ideal %.2f ms, wanted at least %.2f\n", got, ideal,
            STUCK_MIN * ideal);
    return v;
}

/* A worker that is free answers what a worker that computes cannot; there must be a core for it. */
static enum verdict check_stall_par(FILE *out, const struct ct_results *r)
{
    unsigned cores = ct_plan_degree(&r->plan, CT_PAR);
    double plain = ct_cell_ratio(&r->cells[CT_CPU][CT_SEQ], &r->cells[CT_CPU][CT_LIMIT]).median;
    double got = ct_ping_ratio(&r->stalls[CT_STALL_PAR], &r->stalls[CT_STALL_CONC], 99).median;
    bool shown = cores > 1 && plain >= CORES_MIN;
    enum verdict v = !shown ? SKIP : got <= RESCUED_MAX ? PASS : FAIL;
    say(out, v, "but not those who have others:      ");
    if (!shown) {
        fprintf(out, "no other core is free here: %u core%s, of which plain threads got %.2f\n", cores,
                cores == 1 ? "" : "s", plain);
        return v;
    }
    fprintf(out, "innocent p99 on all workers %.2f ms: %.3f of one worker's; wanted at most %.2f\n",
            ct_ping_percentile(&r->stalls[CT_STALL_PAR], 99).median, got, RESCUED_MAX);
    return v;
}

/* Lost pings are worse than late ones and hide from every percentile. */
static enum verdict check_lost(FILE *out, const struct ct_results *r)
{
    unsigned lost = 0;
    for (int m = 0; m < CT_PINGS; m++) {
        for (unsigned i = 0; i < r->pings[m].count; i++)
            lost += r->pings[m].runs[i].lost;
    }
    for (int m = 0; m < CT_STALLS; m++) {
        for (unsigned i = 0; i < r->stalls[m].count; i++)
            lost += r->stalls[m].runs[i].lost;
    }
    enum verdict v = say(out, lost == 0 ? PASS : FAIL, "every ping was answered:            ");
    fprintf(out, "%u lost\n", lost);
    return v;
}

/* Are the ratios of computing known well enough to be judged? They are the ones that busy neighbours blur.
 * This asks how wide they scatter, never on which side of a bound they lie. */
bool ct_check_is_steady(const struct ct_results *r)
{
    const struct ct_cell *cells = r->cells[CT_CPU];
    double v[CT_ROUNDS_MAX];
    unsigned n = ct_cell_ratios(&cells[CT_CONC], &cells[CT_SEQ], v);
    if (ct_median_doubt(v, n) > DOUBT_MAX)
        return false;
    n = par_shares(r, v);
    return ct_median_doubt(v, n) <= DOUBT_MAX;
}

/* How many shapes failed. */
int ct_check(FILE *out, const struct ct_results *r)
{
    fprintf(out, "\nshapes, median of %u rounds, of cpu %u\n", r->cells[CT_IO][CT_SEQ].count,
            r->cells[CT_CPU][CT_SEQ].count);
    int failed = 0;
    failed += check_io(out, r) == FAIL;
    failed += check_cpu_conc(out, r) == FAIL;
    failed += check_cpu_par(out, r) == FAIL;
    failed += check_ping(out, r) == FAIL;
    failed += check_stall_conc(out, r) == FAIL;
    failed += check_stall_par(out, r) == FAIL;
    failed += check_lost(out, r) == FAIL;
    fprintf(out, failed == 0 ? "all shapes hold\n" : "%d of the shapes do not hold\n", failed);
    return failed;
}
