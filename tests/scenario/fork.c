/* fork.c - forks: trees of calls that wait, are stopped and fork again; loops that are cut on demand. */
#include "tests/scenario/scenario.h"

/* ---- forks: a tree whose nodes do now this, now that ---- */

struct tree {
    uint64_t seed;
    WF_ATOMIC(unsigned) calls;
};

/* How many nodes there are below, and this one; a stop does not make them fewer. */
static unsigned grow(weft_forks *forks, struct tree *t, unsigned depth, uint64_t number);
WEFT_FORKABLE(unsigned, grow, struct tree *, unsigned, uint64_t)

static void pass_time(struct wf_random *random)
{
    switch (wf_random_below(random, 6)) {
    case 0: WENT(weft_sleep(wf_random_below(random, 50) * WEFT_USEC)); break;
    case 1: WENT(weft_yield()); break;
    default: break;
    }
}

static unsigned grow_here(weft_forks *forks, struct tree *t, unsigned depth, uint64_t number)
{
    struct wf_random random = {t->seed ^ number * UINT64_C(0x9e3779b97f4a7c15)};
    struct grow_fork left;
    HOLDS(forks == weft_forks_self());
    pass_time(&random);
    if (depth == 0)
        return 1;
    grow_fork(forks, &left, t, depth - 1, 2 * number);
    pass_time(&random);
    unsigned right = grow(forks, t, depth - 1, 2 * number + 1);
    pass_time(&random);
    return 1 + right + grow_join(forks, &left);
}

static unsigned grow(weft_forks *forks, struct tree *t, unsigned depth, uint64_t number)
{
    struct wf_random random = {t->seed + number};
    wf_add(&t->calls, 1u, relaxed);
    scenario_count();
    if (wf_random_below(&random, 8))
        return grow_here(forks, t, depth, number);
    WEFT_SCOPE(s);
    if (wf_random_below(&random, 2))
        weft_scope_set_deadline(&s, weft_after(wf_random_below(&random, 100) * WEFT_USEC));
    return grow_here(forks, t, depth, number);
}

static int forks(void *arg)
{
    struct scenario_env *env = arg;
    for (unsigned round = 0; round < env->size; round++) {
        struct tree t = {.seed = env->seed + round};
        unsigned depth = 2 + round % 6;
        HOLDS_EQ(grow(weft_forks_self(), &t, depth, 1), (2u << depth) - 1);
        HOLDS_EQ(wf_load(&t.calls, relaxed), (2u << depth) - 1);
    }
    return 0;
}

const struct scenario scenario_forks = {"forks", forks, 12, 0};

/* ---- loops: each index once, and sums in their order ---- */

enum { LENGTH = 200 };

struct stretch {
    int64_t from, to;
};

static void visit(weft_forks *f, int64_t from, int64_t to, void *seen)
{
    HOLDS(f == weft_forks_self());
    for (int64_t i = from; i < to; i++)
        HOLDS_EQ(wf_add(&((WF_ATOMIC(unsigned) *)seen)[i], 1u, relaxed), 0);
    if (from % 7 == 0)
        WENT(weft_sleep(20 * WEFT_USEC));
}

static void join_stretches(void *into, const void *right, void *ctx)
{
    struct stretch *l = into;
    const struct stretch *r = right;
    (void)ctx;
    if (r->from == r->to)
        return;
    HOLDS(l->from == l->to || l->to == r->from);
    *l = (struct stretch){l->from == l->to ? r->from : l->from, r->to};
}

static void stretch(weft_forks *f, int64_t from, int64_t to, void *sum, void *ctx)
{
    (void)f;
    join_stretches(sum, &(struct stretch){from, to}, ctx);
    if (to - from < 3)
        WENT(weft_yield());
}

static int loops(void *arg)
{
    struct scenario_env *env = arg;
    for (unsigned round = 0; round < env->size; round++) {
        WF_ATOMIC(unsigned) seen[LENGTH] = {0};
        int64_t n = (int64_t)(env->seed + round * 37) % LENGTH;
        n = n < 0 ? -n : n;
        weft_for(weft_forks_self(), 0, n, visit, seen);
        for (int64_t i = 0; i < LENGTH; i++)
            HOLDS_EQ(wf_load(&seen[i], relaxed), i < n);
        struct stretch all = {0, 0};
        weft_reduce(weft_forks_self(), 0, n, &all, sizeof all, stretch, join_stretches, NULL);
        HOLDS_EQ(all.to - all.from, n);
        scenario_count();
    }
    return 0;
}

const struct scenario scenario_loops = {"loops", loops, 10, 0};
