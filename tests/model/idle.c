/* idle.c - who searches, who sleeps and whom to wake (runtime/idle.c), together with the queue.
 *
 * Worker 0 puts tasks into its queue and then is busy until they have run: it looks at nothing any more. Workers 1
 * and 2 do what search.c does: search, steal, or fall asleep by the recipe. If a wakeup is lost, nobody runs the task
 * and the checker finds everybody asleep. Sleeping is a word like that of a ring (io/ring.c), with a futex for the
 * kernel.
 *
 * The one lateness that weft accepts (docs/memory-order.md) is not here: worker 0's queue is empty when it begins, and
 * it wakes somebody after its last task, so that no task is without a fence behind it.
 *
 *   with: WF_QUEUE_RING=4 WF_LOCK_SPINS=1 WF_LOCK_CARE=0 */
#include "tests/model/model.h"

#include "runtime/idle.c"
#include "runtime/platform/futex.h"
#include "runtime/platform/lock.c"
#include "runtime/nest.c"
#include "runtime/queue.c"

enum { WORKERS = 4, RUNNING = 0, PARKED, NOTIFIED };

static struct wf_idle idle;
static struct wf_queue queue[WORKERS];
static WF_ATOMIC(uint32_t) state[WORKERS];
static WF_ATOMIC(uint32_t) begun, done; /* tasks */
static uint32_t wanted, together;       /* tasks in all; so many must have begun before one may end */
static weft_task task[4];

int wf_spills_marker(void *record)
{
    model_fail("%p is called", record);
}

static void setup(void)
{
    idle.workers = WORKERS;
    for (int i = 0; i < WORKERS; i++)
        model_check(wf_queue_open(&queue[i], false) == 0);
    wanted = together = 1;
}

static void setup_pair(void)
{
    setup();
    wanted = together = 2;
}

/* ---- sleeping ---- */

static void wake(int worker)
{
    if (worker >= 0 && wf_swap(&state[worker], NOTIFIED, acq_rel) == PARKED)
        wf_futex_wake(&state[worker], 1);
}

static void park(unsigned worker)
{
    uint32_t running = RUNNING;
    if (wf_cas(&state[worker], &running, PARKED, acq_rel))
        while (wf_load(&state[worker], relaxed) == PARKED)
            wf_futex_wait(&state[worker], PARKED, INT64_MAX);
    wf_swap(&state[worker], RUNNING, acq_rel);
}

/* ---- working ---- */

static bool is_over(void)
{
    return wf_load(&done, acquire) == wanted;
}

static void wait_for(WF_ATOMIC(uint32_t) *count, uint32_t n)
{
    for (uint32_t is; (is = wf_load(count, acquire)) < n;)
        wf_futex_wait(count, is, INT64_MAX);
}

static void run_task(weft_task *t)
{
    model_check(t->result == 1);
    t->result = 2;
    wf_add(&begun, 1, acq_rel);
    wf_futex_wake(&begun, WORKERS);
    wait_for(&begun, together);
    if (wf_add(&done, 1, acq_rel) + 1 != wanted)
        return;
    wf_futex_wake(&done, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        wake(i);
}

/* As in search.c: what it found, or NULL. Only worker 0 has anything that others could take. */
static weft_task *search(unsigned self, bool *searching)
{
    if (!*searching && !(*searching = wf_idle_search(&idle)))
        return NULL;
    return wf_queue_steal(&queue[0], &queue[self], WF_QUEUE_MOVED);
}

static bool work_anywhere(void)
{
    return wf_queue_any(&queue[0]) || is_over();
}

static void fall_asleep(unsigned self, bool *searching)
{
    wf_idle_sleep(&idle, self, *searching);
    *searching = false;
    if (!work_anywhere())
        park(self);
    if (!wf_idle_wake_self(&idle, self))
        *searching = true;
}

static void idle_worker(void)
{
    unsigned self = model_self() - 1;
    bool searching = false;
    while (!is_over()) {
        weft_task *t = search(self, &searching);
        if (!t) {
            fall_asleep(self, &searching);
            continue;
        }
        bool last = searching && wf_idle_found(&idle);
        searching = false;
        if (last)
            wake(wf_idle_claim(&idle, self + 1));
        for (; t; t = wf_queue_pop(&queue[self]))
            run_task(t);
    }
    if (searching)
        wf_idle_found(&idle);
}

static void busy_worker(void)
{
    task[0].result = 1;
    if (wf_queue_push(&queue[0], &task[0]))
        wake(wf_idle_claim(&idle, 1));
    wait_for(&done, wanted);
}

/* Several at once, as when a worker has looked outside: it wakes one, who wakes the next. */
static void collecting_worker(void)
{
    for (uint32_t i = 0; i < wanted; i++) {
        task[i].result = 1;
        wf_queue_push(&queue[0], &task[i]);
    }
    wake(wf_idle_claim(&idle, 1));
    wait_for(&done, wanted);
}

/* A spare that begins nothing finds something that has begun behind what has not. */
static void setup_spare(void)
{
    static char stack;
    setup();
    wanted = 2;
    wf_store(&task[1].stack, (struct wf_stack *)(void *)&stack, relaxed);
}

static void mixing_worker(void)
{
    for (uint32_t i = 0; i < wanted; i++)
        task[i].result = 1;
    wf_queue_push_fresh(&queue[0], &task[0]);
    wf_queue_push(&queue[0], &task[1]);
    wake(wf_idle_claim(&idle, 1));
    wait_for(&done, wanted);
}

static void spare(void)
{
    bool nested;
    weft_task *t = wf_queue_steal_begun(&queue[0], &nested);
    if (nested)
        wake(wf_idle_claim(&idle, 1));
    if (t)
        run_task(t);
}

/* Somebody who has nothing in hand by the time it wakes others: for a moment it counts as a searcher. */
static void waker(void)
{
    wake(wf_idle_claim(&idle, 1));
}

/* Falls asleep, but finds something of its own. */
static void light_sleeper(void)
{
    wf_idle_sleep(&idle, 3, false);
    if (!wf_idle_wake_self(&idle, 3) && wf_idle_found(&idle))
        wake(wf_idle_claim(&idle, 1));
}

static void finish(void)
{
    for (uint32_t i = 0; i < wanted; i++)
        model_check(task[i].result == 2);
    model_check(wf_load(&idle.searching, relaxed) == 0);
    model_check(wf_load(&idle.asleep, relaxed) == 0);
    model_check(wf_load(&idle.sleeping[0], relaxed) == 0);
    for (int i = 0; i < WORKERS; i++)
        wf_queue_close(&queue[i]);
}

MODEL(idle_one_task, .setup = setup, .threads = {busy_worker, idle_worker}, .finish = finish, .bound = 3)
MODEL(idle_two_sleepers, .setup = setup, .threads = {busy_worker, idle_worker, idle_worker}, .finish = finish)
MODEL(idle_both_are_needed, .setup = setup_pair, .threads = {collecting_worker, idle_worker, idle_worker},
      .finish = finish,
      .outdated = 1)
MODEL(idle_what_is_nested, .setup = setup_spare, .threads = {mixing_worker, idle_worker, spare}, .finish = finish,
      .outdated = 1)

/* Who relied on a searcher that finds nobody to wake is not left alone by it. */
MODEL(idle_relied_upon, .setup = setup, .threads = {busy_worker, idle_worker, waker, light_sleeper}, .finish = finish,
      .outdated = 1)
