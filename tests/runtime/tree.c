/* tree.c - tasks that wait for the tasks they have started, who do the same.
 *
 * Every one that waits has a stack. Were they begun in the order in which they were started, a whole generation would
 * stand there before the first of the next one ends: a tree of 100,000 leaves with 11,111 tasks that wait. */
#include "tests/runtime/with.h"

enum { WAYS = 10, LEAVES = 100000, INNER = 11111, STANDING_MAX = 4096 };
enum { TURN_MAX = 5120 }; /* 1,024 in the queue, which has every fourth turn; and some more */

static WF_ATOMIC(unsigned) leaves, standing, most_standing, begun;

static void note_standing(void)
{
    unsigned now = wf_add(&standing, 1u, relaxed) + 1, most = wf_load(&most_standing, relaxed);
    while (now > most && !wf_cas_weak(&most_standing, &most, now, relaxed))
        continue;
}

static int branch(void *arg)
{
    uintptr_t below = (uintptr_t)arg;
    wf_add(&begun, 1u, relaxed);
    if (below == 1) {
        wf_add(&leaves, 1u, relaxed);
        return 0;
    }
    note_standing();
    WEFT_SCOPE(s);
    for (int i = 0; i < WAYS; i++)
        CHECK_EQ(weft_go(&s, branch, (void *)(below / WAYS)), 0);
    int err = weft_scope_close(&s);
    wf_sub(&standing, 1u, relaxed);
    return err;
}

static int grow_tree(void *arg)
{
    (void)arg;
    wf_store(&leaves, 0, relaxed);
    wf_store(&most_standing, 0, relaxed);
    CHECK_EQ(branch((void *)(uintptr_t)LEAVES), 0);
    CHECK_EQ(wf_load(&leaves, relaxed), LEAVES);
    CHECK_EQ(wf_load(&standing, relaxed), 0);
    return 0;
}

static int grow_narrow_tree(void *arg)
{
    CHECK_EQ(grow_tree(arg), 0);
    if (wf_load(&most_standing, relaxed) > STANDING_MAX)
        test_failed(__FILE__, __LINE__, "%u of %d stood at once", wf_load(&most_standing, relaxed), INNER);
    return 0;
}

TEST(tree, does_not_stand_there_in_its_whole_breadth)
{
    with_one_worker(grow_narrow_tree, NULL);
}

TEST(tree, of_tasks_is_whole_with_any_number_of_workers)
{
    with_workers(grow_tree, NULL);
}

static WF_ATOMIC(bool) over;

/* How many of the tree begin between two turns of one that is always ready. */
static int take_turns(void *arg)
{
    unsigned *longest = arg, last = wf_load(&begun, relaxed);
    while (!wf_load(&over, acquire)) {
        CHECK_EQ(weft_yield(), 0);
        unsigned now = wf_load(&begun, relaxed);
        if (now - last > *longest)
            *longest = now - last;
        last = now;
    }
    return 0;
}

static int turns_beside_a_tree(void *arg)
{
    unsigned longest = 0;
    WEFT_SCOPE(s);
    weft_go(&s, take_turns, &longest);
    CHECK_EQ(grow_tree(arg), 0);
    raise_flag(&over);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK(longest > 0);
    if (longest > TURN_MAX)
        test_failed(__FILE__, __LINE__, "%u of the tree began between two turns, %d are fair", longest, TURN_MAX);
    return 0;
}

TEST(tree, that_grows_leaves_others_their_turns)
{
    with_one_worker(turns_beside_a_tree, NULL);
}
