/* explore.c - which executions there are.
 *
 * Whatever is undetermined asks for a choice: who runs, which store a load returns, whether a weak exchange fails for
 * nothing. At random; by priorities (PCT: a bug that needs d steps to be in one order is found with probability
 * 1 / (n k^(d-1)) per execution of n threads and k steps); depth first, with bounds on preemptions and on outdated
 * loads, until there is nothing left; or as a string says, which repeats one execution.
 *
 * Choices other than the usual are kept, as the number of the point and what was chosen. The usual is: who runs goes
 * on, else the first who can; the last store; success. So a string is short, and says what was special. */
#include "tests/model/core/core.h"

#include <stdio.h>
#include <stdlib.h>

enum mode { MODE_RANDOM, MODE_PCT, MODE_DEPTH, MODE_REPEAT };
enum { PICKS_MAX = OPS_LIMIT, DEPTH_MAX = 1 << 16 };

struct pick {
    uint32_t point;
    uint8_t kind, what;
};

static struct {
    enum mode mode;
    uint64_t random;
    /* what was chosen */
    struct pick picks[PICKS_MAX];
    unsigned pick_count, next; /* next: to be repeated */
    /* depth first */
    struct { uint8_t pick, n; } stack[DEPTH_MAX];
    unsigned depth, height;
    int bound, preemptions;
    int outdated, outdated_max; /* loads that return an older store */
    /* at random, by priorities */
    unsigned keep; /* of 256: to go on with who runs */
    unsigned depth_wanted, changes, steps;
    unsigned change_at[16];
    int priority[MODEL_THREADS_MAX], lowest;
} explore = {.random = 1};

static uint64_t random_next(void)
{
    uint64_t z = explore.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned random_below(unsigned n)
{
    return (unsigned)((random_next() >> 32) * n >> 32);
}

/* ---- picks ---- */

static void keep_pick(enum choice kind, unsigned what)
{
    if (explore.pick_count == PICKS_MAX)
        abort();
    explore.picks[explore.pick_count++] = (struct pick){run.points, (uint8_t)kind, (uint8_t)what};
}

/* What the string says for this point, or `usual`. */
static unsigned repeat(enum choice kind, unsigned usual)
{
    struct pick *p = &explore.picks[explore.next];
    if (explore.next == explore.pick_count || p->point != run.points || p->kind != kind)
        return usual;
    explore.next++;
    return p->what;
}

static unsigned descend(unsigned n)
{
    if (explore.depth == explore.height) {
        if (explore.height == DEPTH_MAX)
            model_fail("an execution has more than %d choices", DEPTH_MAX);
        explore.stack[explore.height].n = (uint8_t)n;
        explore.stack[explore.height++].pick = 0;
    }
    if (explore.stack[explore.depth].n != n)
        model_fail("this model does not do the same when it is given the same choices");
    return explore.stack[explore.depth++].pick;
}

/* The next path; false: that was all. */
static bool next_path(void)
{
    explore.height = explore.depth;
    while (explore.height && explore.stack[explore.height - 1].pick + 1 == explore.stack[explore.height - 1].n)
        explore.height--;
    if (!explore.height)
        return false;
    explore.stack[explore.height - 1].pick++;
    return true;
}

/* ---- choosing ---- */

static unsigned choose(enum choice kind, unsigned n)
{
    if (n < 2)
        return 0;
    run.points++;
    unsigned pick = 0;
    switch (explore.mode) {
    case MODE_REPEAT:
        pick = repeat(kind, 0);
        return pick < n ? pick : 0;
    case MODE_DEPTH:
        if (kind == CHOICE_STORE && explore.outdated == explore.outdated_max)
            return 0;
        pick = descend(n);
        explore.outdated += kind == CHOICE_STORE && pick;
        break;
    default:
        if (kind == CHOICE_WEAK || (kind == CHOICE_STORE && (random_next() & 1)))
            pick = kind == CHOICE_WEAK && random_below(8) == 0;
        else
            pick = random_below(n);
    }
    if (pick)
        keep_pick(kind, pick);
    return pick;
}

static unsigned nth(unsigned set, unsigned n)
{
    while (n--)
        set &= set - 1;
    return (unsigned)__builtin_ctz(set);
}

static unsigned by_priority(unsigned candidates, bool forced)
{
    if (!forced)
        candidates |= 1u << run.self;
    else
        explore.priority[run.self] = --explore.lowest; /* it waits: others first */
    for (unsigned i = 0; i < explore.changes; i++)
        if (explore.change_at[i] == run.points)
            explore.priority[run.self] = --explore.lowest;
    unsigned best = (unsigned)__builtin_ctz(candidates);
    for (unsigned left = candidates; left; left &= left - 1) {
        unsigned t = (unsigned)__builtin_ctz(left);
        if (explore.priority[t] > explore.priority[best])
            best = t;
    }
    return best;
}

static unsigned at_random(unsigned candidates, bool forced)
{
    if (!forced && (random_next() & 255) < explore.keep)
        return run.self;
    return nth(candidates, random_below((unsigned)__builtin_popcount(candidates)));
}

/* Threads that have not begun and do the same are one as good as the other: the first will do. */
static unsigned without_twins(unsigned candidates)
{
    for (unsigned left = candidates; left; left &= left - 1) {
        unsigned t = (unsigned)__builtin_ctz(left);
        const struct thread *a = &run.thread[t];
        for (unsigned more = left & (left - 1); more && !a->begun && a->body; more &= more - 1) {
            unsigned u = (unsigned)__builtin_ctz(more);
            if (!run.thread[u].begun && run.thread[u].body == a->body)
                left &= ~(1u << u), candidates &= ~(1u << u);
        }
    }
    return candidates;
}

/* Whoever is preempted before an operation lies dormant until somebody has done something that the operation has to do
 * with: as long as nobody has, the execution is one that is explored with the preemption after the operation, for which
 * no more preemptions are needed. If only dormant ones could go on, this execution is left. */
static unsigned depth_first(unsigned candidates, bool forced)
{
    unsigned awake = without_twins(candidates & ~run.dormant), n = (unsigned)__builtin_popcount(awake);
    if (forced) {
        if (!n) {
            run.pruned = true;
            wf_context_switch_last(&self()->context, &run.explorer);
        }
        return nth(awake, n > 1 ? descend(n) : 0);
    }
    if (explore.preemptions >= explore.bound || !n)
        return run.self;
    unsigned pick = descend(n + 1);
    if (pick == 0)
        return run.self;
    explore.preemptions++;
    run.dormant |= 1u << run.self;
    return nth(awake, pick - 1);
}

static unsigned choose_thread(unsigned candidates, bool forced)
{
    unsigned usual = forced ? (unsigned)__builtin_ctz(candidates) : run.self, t = usual;
    switch (explore.mode) {
    case MODE_RANDOM:
        t = at_random(candidates, forced);
        break;
    case MODE_PCT:
        t = by_priority(candidates, forced);
        break;
    case MODE_DEPTH:
        t = depth_first(candidates, forced);
        break;
    case MODE_REPEAT:
        t = repeat(CHOICE_THREAD, usual);
        return t == usual || (candidates >> t & 1) ? t : usual;
    }
    if (t != usual)
        keep_pick(CHOICE_THREAD, t);
    return t;
}

unsigned model_choose(unsigned n)
{
    return choose(CHOICE_OTHER, n);
}

/* ---- an execution of each kind ---- */

static void prepare_pct(void)
{
    unsigned order[MODEL_THREADS_MAX];
    for (unsigned i = 0; i < MODEL_THREADS_MAX; i++) {
        unsigned j = random_below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (unsigned i = 0; i < MODEL_THREADS_MAX; i++)
        explore.priority[i] = (int)order[i] + 1;
    explore.lowest = 0;
    explore.changes = explore.depth_wanted ? explore.depth_wanted - 1 : 0;
    for (unsigned i = 0; i < explore.changes; i++)
        explore.change_at[i] = 1 + random_below(explore.steps ? explore.steps : 64);
}

static void execute_one(const struct model *m)
{
    explore.depth = 0;
    explore.preemptions = explore.outdated = 0;
    explore.outdated_max = m->outdated ? m->outdated : 2;
    explore.next = 0;
    if (explore.mode != MODE_REPEAT)
        explore.pick_count = 0;
    if (explore.mode == MODE_RANDOM)
        explore.keep = 256 - (256u >> (1 + random_below(5)));
    if (explore.mode == MODE_PCT)
        prepare_pct();
    execute(m);
    explore.steps = run.points > explore.steps ? run.points : explore.steps;
}

/* ---- strings ---- */

static void print_picks(FILE *to)
{
    for (unsigned i = 0; i < explore.pick_count; i++)
        fprintf(to, "%s%u%c%u", i ? "." : "", explore.picks[i].point, "trwo"[explore.picks[i].kind],
                explore.picks[i].what);
    if (!explore.pick_count)
        fputs("-", to);
}

static bool parse_picks(const char *text)
{
    explore.pick_count = 0;
    if (strcmp(text, "-") == 0)
        return true;
    for (unsigned point, what; *text; text += *text == '.') {
        char kind;
        int used;
        if (sscanf(text, "%u%c%u%n", &point, &kind, &what, &used) != 3 || !strchr("trwo", kind))
            return false;
        explore.picks[explore.pick_count++] =
            (struct pick){point, (uint8_t)(strchr("trwo", kind) - "trwo"), (uint8_t)what};
        text += used;
    }
    return true;
}
