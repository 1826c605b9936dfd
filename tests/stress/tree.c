/* tree.c - random trees of tasks: spawned, prepared, awaited or not, some of which fail, are cancelled, have
 * deadlines and shields.
 *
 * Each node owns a count in its parent's frame and gives it back when it ends, so a task that outlives its scope
 * writes to a frame that is gone, and one that is lost is missed. */
#include "tests/stress/stress.h"

enum { DEPTH = 5, CHILDREN = 6 };

struct node {
    struct wf_random random;
    WF_ATOMIC(int) *open; /* the parent's count */
    int depth;
};

static int run_node(void *arg);

static struct node child_of(struct node *n, WF_ATOMIC(int) *open)
{
    wf_add(open, 1, relaxed);
    return (struct node){.random = {wf_random_next(&n->random)}, .open = open, .depth = n->depth + 1};
}

/* What children may come to: success, a failure of their own, a stop. */
static void check_result(int result)
{
    CHECK(result == 0 || result == -EIO || is_stop(result));
}

static void await_some(struct wf_random *r, weft_task **task, int n)
{
    for (int i = 0; i < n; i++)
        if (task[i] && !one_in(r, 3))
            check_result(weft_await(task[i]));
}

static void disturb(struct wf_random *r, weft_scope *s, weft_task **task, int n)
{
    switch (wf_random_below(r, 24)) {
    case 0: weft_scope_cancel(s); break;
    case 1: weft_scope_set_deadline(s, weft_after(wf_random_below(r, 100) * WEFT_USEC)); break;
    case 2: weft_scope_set_deadline(s, weft_never()); break;
    case 3: weft_scope_shield(s); break;
    case 4:
    case 5:
        if (n > 0 && task[n - 1])
            weft_cancel(task[n - 1]);
        break;
    case 6: weft_yield(); break;
    case 7: weft_sleep(wf_random_below(r, 50) * WEFT_USEC); break;
    default: break;
    }
}

static int grow(struct node *n)
{
    WF_ATOMIC(int) open = 0;
    struct node child[CHILDREN];
    weft_task *task[CHILDREN] = {0};
    int count = (int)wf_random_below(&n->random, CHILDREN + 1);
    int closed;
    {
        WEFT_SCOPE(s);
        for (int i = 0; i < count; i++) {
            child[i] = child_of(n, &open);
            if (one_in(&n->random, 3))
                CHECK_EQ(weft_go(&s, run_node, &child[i]), 0);
            else if (one_in(&n->random, 4))
                weft_await(task[i] = weft_prepare(&s, run_node, &child[i]));
            else
                task[i] = weft_spawn(&s, run_node, &child[i]);
            disturb(&n->random, &s, task, i + 1);
        }
        await_some(&n->random, task, count);
        disturb(&n->random, &s, task, count);
        if (one_in(&n->random, 8)) {
            closed = 0;
            weft_scope_leave(&s);
        } else {
            closed = weft_scope_close(&s);
        }
    }
    CHECK_EQ(wf_load(&open, relaxed), 0);
    check_result(closed);
    return closed;
}

static int run_node(void *arg)
{
    struct node *n = arg;
    WF_ATOMIC(int) *open = n->open;
    int result = n->depth < DEPTH ? grow(n) : 0;
    if (one_in(&n->random, 4))
        weft_yield();
    if (result == 0 && one_in(&n->random, 50))
        result = -EIO;
    stress_count();
    wf_sub(open, 1, relaxed);
    return result;
}

static int grow_trees(void *arg)
{
    (void)arg;
    while (!stress_over()) {
        WF_ATOMIC(int) open = 1;
        struct node root = {.random = stress_random(), .open = &open};
        check_result(run_node(&root));
        CHECK_EQ(wf_load(&open, relaxed), 0);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    return 0;
}

static int start_growing(void *arg)
{
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < 4 * stress_workers; i++)
        CHECK_EQ(weft_go(&s, grow_trees, arg), 0);
    return weft_scope_close(&s);
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, "tree", start_growing);
}
