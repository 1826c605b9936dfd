/* owner.c - a task runs on one worker at a time.
 *
 * With WF_DEBUG a worker takes every task it begins by an exchange, and gives it back once the task has left its stack
 * (worker.c). So all tests of the debug build prove it; these here make tasks change their worker as often as they can,
 * and show that the check would find a task that two workers have. Without WF_DEBUG only the tasks themselves watch. */
#include "tests/runtime/with.h"

enum { RUNNERS = 24 };

struct field {
    WF_ATOMIC(unsigned) moves;
    unsigned rounds;
    weft_sem sem;
};

/* Nobody else may be inside of this very task. Between the last store and the switch nobody looks, but the check of
 * the debug build does. */
static int move_about(void *arg)
{
    struct field *f = arg;
    WF_ATOMIC(bool) inside = false;
    unsigned before = weft_worker(), moves = 0;
    for (unsigned i = 0; i < f->rounds; i++) {
        CHECK(!wf_swap(&inside, true, acq_rel));
        unsigned now = weft_worker();
        moves += now != before;
        before = now;
        CHECK(wf_swap(&inside, false, acq_rel));
        switch (i % 4) {
        case 0: /* woken by another task, on that one's worker */
            weft_sem_release(&f->sem, 1);
            CHECK_EQ(weft_sem_acquire(&f->sem, 1), 0);
            break;
        case 1: /* woken by the wheel of whoever looks */
            CHECK_EQ(weft_sleep(i % 16 ? 0 : 20 * WEFT_USEC), 0);
            break;
        default: /* stolen while it waits for its turn */
            CHECK_EQ(weft_yield(), 0);
        }
    }
    wf_add(&f->moves, moves, relaxed);
    return 0;
}

static int have_many_move(void *arg)
{
    struct field f = {.rounds = TEST_TIMES(20000)};
    (void)arg;
    do { /* all may be over before the others are awake, which would prove nothing */
        WEFT_SCOPE(s);
        for (int i = 0; i < RUNNERS; i++)
            CHECK_EQ(weft_go(&s, move_about, &f), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
    } while (wf_load(&f.moves, relaxed) == 0);
    return 0;
}

TEST_WITHIN(owner, is_one_worker_however_often_tasks_move, 120)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, have_many_move, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 8}, have_many_move, NULL), 0);
}

#if defined(WF_DEBUG) && !defined(WF_TSAN)

#include "runtime/worker.h"

static WF_ATOMIC(bool) runs;
static WF_ATOMIC(bool) never;

static int hold_a_worker(void *arg)
{
    raise_flag(&runs);
    spin_until(&never);
    return arg != NULL;
}

/* Makes a task runnable that another worker runs just now, as a bug would. */
static int wake_what_runs(void *arg)
{
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, hold_a_worker, arg);
    spin_until(&runs); /* the other worker has taken it */
    wf_worker_ready(t);
    weft_yield();
    return weft_scope_close(&s);
}

TEST_DIES(owner, is_checked_to_be_one, "broken", "owner")
{
    weft_run(&(weft_config){.workers = 2}, wake_what_runs, NULL);
}

#endif
