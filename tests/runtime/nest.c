/* nest.c - tests of runtime/nest.h: which family comes first, at either end, and what happens without memory. */
#include "runtime/nest.h"

#include "runtime/platform/random.h"
#include "tests/runtime/with.h"

enum { TASKS = 2000 };

static weft_task task[TASKS];

/* The same by counting: who is in the nest, in the order in which thieves would take them, and of which family. */
static unsigned held[TASKS], family[TASKS], count, families;
static unsigned youngest; /* whom others of the latest family may follow, or */
enum { NOBODY = TASKS };

static void insert(unsigned at, unsigned i, unsigned of)
{
    memmove(&held[at + 1], &held[at], (count - at) * sizeof *held);
    memmove(&family[at + 1], &family[at], (count - at) * sizeof *family);
    held[at] = i;
    family[at] = of;
    count++;
}

static unsigned take_out(unsigned at)
{
    unsigned i = held[at];
    count--;
    memmove(&held[at], &held[at + 1], (count - at) * sizeof *held);
    memmove(&family[at], &family[at + 1], (count - at) * sizeof *family);
    return i;
}

/* Where the eldest of the latest family is. */
static unsigned eldest(void)
{
    unsigned at = count - 1;
    while (at > 0 && family[at - 1] == family[at])
        at--;
    return at;
}

static void check_next(struct wf_nest *n, bool steals)
{
    weft_task *t = steals ? wf_nest_steal(n) : wf_nest_pop(n);
    CHECK_EQ(t == NULL, count == 0);
    if (!t)
        return;
    CHECK_EQ(t - task, take_out(steals ? 0 : eldest()));
    if (youngest == t - task)
        youngest = NOBODY;
}

static void open(struct wf_nest *n, uint32_t start)
{
    *n = (struct wf_nest){0};
    CHECK_EQ(wf_nest_open(n), 0);
    n->first = n->end = start;
    count = 0;
    youngest = NOBODY;
}

static void empty(struct wf_nest *n, bool steals)
{
    while (count > 0)
        check_next(n, steals);
    check_next(n, steals);
    CHECK_EQ(n->count, 0);
    wf_nest_close(n);
}

static void push(struct wf_nest *n, unsigned i, bool same_family)
{
    CHECK(wf_nest_push(n, &task[i], same_family));
    insert(count, i, same_family && youngest != NOBODY ? families : ++families);
    youngest = i;
}

static void push_whole(struct wf_nest *n, unsigned first, unsigned end)
{
    families++;
    for (unsigned i = first; i < end; i++) {
        task[i].next = &task[i + 1];
        insert(count, i, families);
    }
    wf_nest_push_first(n, &task[first], &task[end - 1], end - first);
    youngest = NOBODY;
}

TEST(nest, agrees_with_a_list_at_both_ends)
{
    struct wf_random r = {1};
    for (unsigned round = 0; round < 50; round++) {
        struct wf_nest n;
        open(&n, round % 2 ? UINT32_MAX - 10 : 0);
        for (unsigned next = 0, more; next < TASKS; next += more) {
            unsigned what = wf_random_below(&r, 8);
            more = what < 4 ? 1 : what == 4 && next + 3 < TASKS ? 3 : 0;
            if (more == 1)
                push(&n, next, wf_random_below(&r, 3));
            else if (more == 3)
                push_whole(&n, next, next + more);
            else
                check_next(&n, what == 7);
            CHECK_EQ(n.count, count);
        }
        empty(&n, round % 3 == 0);
    }
}

/* One that has no room for another family, nor gets any. */
static void fill(struct wf_nest *n)
{
    open(n, 0);
    n->families_max = WF_NEST_FAMILIES;
    for (unsigned i = 0; i < WF_NEST_FAMILIES; i++) {
        CHECK(wf_nest_push(n, &task[i], false));
        insert(count, i, i);
    }
}

TEST(nest, refuses_a_family_it_has_no_memory_for_and_keeps_the_others)
{
    struct wf_nest n;
    fill(&n);
    CHECK(!wf_nest_push(&n, &task[TASKS - 1], false));
    CHECK(wf_nest_push(&n, &task[TASKS - 1], true)); /* the latest has room */
    insert(count, TASKS - 1, WF_NEST_FAMILIES - 1);
    CHECK_EQ(n.count, count);
    empty(&n, false);
}

TEST(nest, takes_in_what_comes_as_a_whole_without_any_memory)
{
    for (int steals = 0; steals < 2; steals++) {
        struct wf_nest n;
        fill(&n);
        task[TASKS - 2].next = &task[TASKS - 1];
        wf_nest_push_first(&n, &task[TASKS - 2], &task[TASKS - 1], 2);
        insert(count - 1, TASKS - 2, WF_NEST_FAMILIES - 1); /* it has joined the latest, and comes first there */
        insert(count - 1, TASKS - 1, WF_NEST_FAMILIES - 1);
        CHECK(!wf_nest_push(&n, &task[TASKS - 3], true)); /* nobody knows who is the youngest */
        empty(&n, steals);
    }
}
