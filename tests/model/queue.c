/* queue.c - a worker's runnable tasks, and thieves (runtime/queue.h).
 *
 * Ring of four, begun just below 2^32, so that the counters wrap in every execution. What must hold: each task that was
 * pushed is taken once, by somebody who sees all that was written to it before (the plain `result`), in the order in
 * which it was pushed if one thread takes them.
 *
 *   with: WF_QUEUE_RING=4 WF_NEST_FAMILIES=1 WF_LOCK_SPINS=1 WF_LOCK_CARE=0 */
#include "tests/model/model.h"

#include "runtime/platform/lock.c"
#include "runtime/nest.c"
#include "runtime/queue.c"

enum { TASKS_MAX = 8 };

int wf_spills_marker(void *record)
{
    model_fail("%p is called", record);
}

static struct wf_queue queue, loot[MODEL_THREADS_MAX];
static weft_task task[TASKS_MAX];
static unsigned pushed; /* by the owner */

static void setup(void)
{
    model_check(wf_queue_open(&queue, false) == 0);
    queue.ring_max = WF_QUEUE_RING;
    wf_store(&queue.head, UINT32_MAX - 1, relaxed);
    wf_store(&queue.tail, UINT32_MAX - 1, relaxed);
    wf_store(&queue.begun, UINT32_MAX - 1, relaxed);
    for (int i = 0; i < MODEL_THREADS_MAX; i++)
        model_check(wf_queue_open(&loot[i], false) == 0);
}

static void push(void)
{
    weft_task *t = &task[pushed++];
    t->result = 1; /* what its body would read */
    wf_queue_push(&queue, t);
}

/* It is ours alone, and whole. */
static void run_task(weft_task *t)
{
    model_check(t->result == 1);
    t->result = 2;
}

static bool pop(void)
{
    weft_task *t = wf_queue_pop(&queue);
    if (t)
        run_task(t);
    return t != NULL;
}

static void steal(void)
{
    struct wf_queue *mine = &loot[model_self()];
    weft_task *t = wf_queue_steal(&queue, mine, WF_QUEUE_MOVED), *before = NULL;
    for (; t; t = wf_queue_pop(mine)) {
        model_check(t > before); /* in order */
        before = t;
        run_task(t);
    }
}

static void drain(void)
{
    while (pop())
        continue;
    for (unsigned i = 0; i < pushed; i++)
        model_check(task[i].result == 2);
    for (unsigned i = pushed; i < TASKS_MAX; i++)
        model_check(task[i].result == 0);
    wf_queue_close(&queue);
    for (int i = 0; i < MODEL_THREADS_MAX; i++)
        wf_queue_close(&loot[i]);
}

/* ---- the ring ---- */

static void owner(void)
{
    push();
    push();
    pop();
    pop();
}

static void busy_owner(void)
{
    owner();
    push();
    pop();
}

MODEL(queue_steal, .setup = setup, .threads = {owner, steal, steal}, .finish = drain, .bound = 3, .outdated = -1)
MODEL(queue_steal_more, .setup = setup, .threads = {busy_owner, steal, steal}, .finish = drain, .bound = 2,
      .outdated = 2)

/* ---- full, and rewritten while a thief is at it ---- */

static void setup_half(void)
{
    setup();
    push();
    push();
}

static void fill(void)
{
    push();
    push();
    pop();
    push();
    push();
}

static void steal_twice(void)
{
    steal();
    steal();
}

MODEL(queue_wrap, .setup = setup_half, .threads = {fill, steal}, .finish = drain, .bound = 3, .outdated = -1)

/* ---- more than the ring holds ---- */

static void overfill(void)
{
    for (int i = 0; i < 4; i++)
        push();
    for (int i = 0; i < 3; i++)
        pop();
}

MODEL(queue_overflow, .setup = setup_half, .threads = {overfill, steal_twice}, .finish = drain, .bound = 2,
      .outdated = 2)

/* ---- the same, and the ring grows ---- */

static void setup_growing(void)
{
    setup_half();
    queue.ring_max = WF_QUEUE_RING_MAX;
}

static void outgrow(void)
{
    for (int i = 0; i < 3; i++)
        push();
    pop();
    push();
}

MODEL(queue_grow, .setup = setup_growing, .threads = {outgrow, steal}, .finish = drain, .bound = 3, .outdated = -1)
MODEL(queue_grow_twice, .setup = setup_growing, .threads = {outgrow, steal_twice}, .finish = drain, .bound = 2,
      .outdated = 2)

/* ---- the nest: two of one family, then one of the next ---- */

static bool nest(uint64_t family)
{
    weft_task *t = &task[pushed++];
    t->result = 1;
    bool nested = wf_queue_nest(&queue, t, family);
    if (!nested)
        wf_queue_push_fresh(&queue, t);
    return nested;
}

static bool pop_nest(void)
{
    weft_task *t = wf_load(&queue.aside, relaxed) ? wf_queue_pop_nest(&queue) : NULL;
    if (t)
        run_task(t);
    return t != NULL;
}

static void nesting(void)
{
    model_check(nest(1) && nest(1) && nest(2));
    pop_nest();
}

static void rob_nest(void)
{
    struct wf_queue *mine = &loot[model_self()];
    for (weft_task *t = wf_queue_steal(&queue, mine, WF_QUEUE_MOVED); t; t = wf_queue_pop(mine))
        run_task(t);
}

static void drain_nest(void)
{
    while (pop_nest())
        continue;
    drain();
}

MODEL(queue_nest, .setup = setup, .threads = {nesting, rob_nest, rob_nest}, .finish = drain_nest, .bound = 2)

/* What was taken from the nest can be stolen once more. */
enum { ROBBER = 2 };

static void rob_robber(void)
{
    weft_task *t = wf_queue_steal(&loot[ROBBER], &loot[model_self()], 1);
    if (t)
        run_task(t);
}

MODEL(queue_nest_robbed, .setup = setup, .threads = {nesting, rob_nest, rob_robber}, .finish = drain_nest, .bound = 2)

/* ---- a thief that takes only what has begun ---- */

static void begin(weft_task *t)
{
    static char stack;
    wf_store(&t->stack, (struct wf_stack *)(void *)&stack, relaxed);
}

static void push_begun(bool begun)
{
    weft_task *t = &task[pushed];
    if (begun) {
        begin(t);
        push();
    } else {
        t->result = 1;
        pushed++;
        wf_queue_push_fresh(&queue, t);
    }
}

static void setup_growing_begun(void)
{
    setup_half();
    queue.ring_max = WF_QUEUE_RING_MAX;
    for (int i = 0; i < TASKS_MAX; i++)
        begin(&task[i]);
}

static void push_mixed(void)
{
    push_begun(true);
    push_begun(false);
    pop();
    push_begun(true);
    push_begun(true);
}

static void steal_begun(void)
{
    bool nested;
    weft_task *t = wf_queue_steal_begun(&queue, &nested);
    if (t) {
        model_check(wf_load(&t->stack, relaxed) != NULL);
        run_task(t);
    }
}

MODEL(queue_begun, .setup = setup, .threads = {push_mixed, steal_begun, steal}, .finish = drain_nest, .bound = 2,
      .outdated = 1)

/* What has begun is found, wherever it lies: nobody but the owner takes from the front. */
static void push_behind(void)
{
    push_begun(false);
    push_begun(false);
    push_begun(true);
    pop();
    push_begun(false);
}

static void drain_begun(void)
{
    steal_begun();
    bool nested;
    model_check(task[2].result == 2);
    model_check(!wf_queue_any_begun(&queue) && !wf_queue_steal_begun(&queue, &nested) && !nested);
    drain_nest();
}

MODEL(queue_begun_behind, .setup = setup, .threads = {push_behind, steal_begun, steal_begun}, .finish = drain_begun,
      .bound = 2, .outdated = 1)

/* The owner's nest is in use at the same time, and has no room for another family. */
static void setup_tight(void)
{
    setup();
    queue.nest.families_max = WF_NEST_FAMILIES;
}

static void nest_others(void)
{
    push_begun(false);
    push_begun(false);
    push_begun(true);
    nest(1);
    pop_nest();
}

MODEL(queue_begun_nest, .setup = setup_tight, .threads = {nest_others, steal_begun, rob_nest}, .finish = drain_nest,
      .bound = 2, .outdated = 1)

static void move_on(void)
{
    for (int i = 0; i < 3; i++)
        push();
    for (int i = 0; i < 4; i++)
        pop();
}

MODEL(queue_begun_grow, .setup = setup_growing_begun, .threads = {move_on, steal_begun}, .finish = drain_nest,
      .bound = 3, .outdated = -1)

/* ---- those of low priority ---- */

static void push_low(void)
{
    weft_task *t = &task[pushed++];
    t->result = 1;
    wf_queue_push_low(&queue, t);
}

static void be_low(void)
{
    push_low();
    push_low();
    weft_task *t = wf_load(&queue.aside, relaxed) ? wf_queue_pop_low(&queue) : NULL;
    if (t)
        run_task(t);
    push_low();
}

static void drain_low(void)
{
    for (weft_task *t; (t = wf_queue_pop_aside(&queue));)
        run_task(t);
    drain();
}

MODEL(queue_low, .setup = setup, .threads = {be_low, rob_nest, rob_nest}, .finish = drain_low, .bound = 2)

/* ---- the slot ---- */

static void put_in_slot(weft_task *t)
{
    t->result = 1;
    weft_task *before = wf_queue_slot(&queue, t);
    if (before)
        wf_queue_push(&queue, before);
}

static void slot_owner(void)
{
    pushed = 2;
    put_in_slot(&task[0]);
    put_in_slot(&task[1]);
    weft_task *t = wf_queue_slot(&queue, NULL);
    if (t)
        run_task(t);
    pop();
}

static void slot_thief(void)
{
    if (wf_load(&queue.slot, relaxed)) {
        weft_task *t = wf_queue_slot(&queue, NULL);
        if (t)
            run_task(t);
    }
    steal();
}

MODEL(queue_slot, .setup = setup, .threads = {slot_owner, slot_thief, slot_thief}, .finish = drain, .bound = 2,
      .outdated = -1)

/* ---- two thieves at one victim, who steal from each other ---- */

static void push_three(void)
{
    push();
    push();
    push();
}

static void rob_and_be_robbed(void)
{
    struct wf_queue *mine = &loot[model_self()];
    weft_task *t = wf_queue_steal(&queue, mine, WF_QUEUE_MOVED);
    if (!t)
        t = wf_queue_steal(&loot[5 - model_self()], mine, WF_QUEUE_MOVED);
    for (; t; t = wf_queue_pop(mine))
        run_task(t);
}

MODEL(queue_stolen_twice, .setup = setup, .threads = {push_three, rob_and_be_robbed, rob_and_be_robbed},
      .finish = drain, .bound = 2, .outdated = -1)
