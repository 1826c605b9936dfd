/* timer.c - a worker's deadlines (runtime/timer.c), while others expire its wheel.
 *
 * Real: runtime/timer.c, weft_sleep_until of runtime/time.c, waits and stops; the rest is in tests/model/tasks.h. The
 * time is what expire is told.
 *
 * What must hold: nothing fires before its deadline; when cancelling returns, the timer has fired, all of it, or never
 * will, and its memory may go; the next deadline, asked for without the lock by the owner, is no later than what it
 * armed; a sleep ends. What is armed first lies loose; for the slots' sake another does, aside. */
#include "tests/model/tasks.h"

#include "runtime/time.c"
#include "runtime/timer.c"

#include "runtime/alloc.h"

enum { TICK = 1 << WF_WHEEL_TICK_BITS, SOON = 2 * TICK, LATE = 100 * TICK /* another level */, NEVER = 1 << 30 };

static struct wf_wheel wheel[2];

struct deadline {
    struct wf_timer timer;
    int64_t at; /* plain */
    int fired;  /* plain */
};

static struct deadline *it;
static int64_t now[MODEL_THREADS_MAX]; /* what each thread takes for the time */

struct wf_wheel *wf_worker_wheel(void)
{
    return &wheel[0];
}

weft_task *wf_task_require(const char *function)
{
    model_check(wf_task_self() && function);
    return wf_task_self();
}

static void setup(void)
{
    task_open(1);
    wf_wheel_open(&wheel[0], 0);
    wf_wheel_open(&wheel[1], 0);
    it = wf_alloc(sizeof *it);
}

static void fire(struct wf_timer *t)
{
    struct deadline *d = t->ctx;
    model_check(now[model_self()] >= d->at);
    d->fired++;
}

static void arm(int w, int64_t at)
{
    it->at = at;
    it->timer.fire = fire;
    it->timer.ctx = it;
    wf_timer_arm(&wheel[w], &it->timer, at);
}

/* As a worker does, its own wheel or another's. */
static void expire(int w, int64_t at)
{
    now[model_self()] = at;
    if (wf_wheel_next(&wheel[w]) <= at)
        wf_wheel_expire(&wheel[w], at);
}

static void expire_soon(void)
{
    expire(0, SOON);
}

static void expire_soon_and_late(void)
{
    expire(0, SOON);
    expire(0, LATE);
}

static void cancel_and_free(int fired_before)
{
    bool armed = wf_timer_cancel(&it->timer);
    model_check(it->fired - fired_before == !armed);
    wf_free(it, sizeof *it);
}

static void finish(void)
{
    for (int w = 0; w < 2; w++)
        for (int level = 0; level < WF_WHEEL_LEVELS; level++)
            model_check(wheel[w].occupied[level] == 0);
}

/* One that lies loose and is not due, so that others lie in slots. */
static struct deadline aside;

static void put_aside(void)
{
    aside.at = NEVER;
    aside.timer.fire = fire;
    aside.timer.ctx = &aside;
    wf_timer_arm(&wheel[0], &aside.timer, NEVER);
}

static void setup_aside(void)
{
    setup();
    put_aside();
}

static void finish_aside(void)
{
    model_check(wf_timer_cancel(&aside.timer));
    finish();
}

/* ---- arm, cancel, and the memory goes ---- */

static void arm_and_cancel(void)
{
    arm(0, SOON);
    int64_t next = wf_wheel_next(&wheel[0]);
    bool early = next > SOON;
    bool armed = wf_timer_cancel(&it->timer);
    model_check(!armed || !early);
    model_check(it->fired == !armed);
    wf_free(it, sizeof *it);
}

MODEL(timer_cancel, .setup = setup, .threads = {arm_and_cancel, expire_soon, expire_soon_and_late}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

MODEL(timer_cancel_in_slot, .setup = setup_aside, .threads = {arm_and_cancel, expire_soon_and_late},
      .finish = finish_aside, .spurious = -1, .stale = 1, .bound = 3)

/* ---- again, later, and on another worker's wheel ---- */

static void arm_again(void)
{
    arm(0, SOON);
    bool armed = wf_timer_cancel(&it->timer);
    int fired = it->fired;
    model_check(fired == !armed);
    arm(0, LATE);
    cancel_and_free(fired);
}

MODEL(timer_again, .setup = setup, .threads = {arm_again, expire_soon_and_late}, .finish = finish, .bound = 3)

static void arm_elsewhere(void)
{
    arm(0, SOON);
    bool armed = wf_timer_cancel(&it->timer);
    int fired = it->fired;
    model_check(fired == !armed);
    arm(1, SOON);
    cancel_and_free(fired);
}

static void expire_both(void)
{
    expire(0, SOON);
    expire(1, SOON);
}

MODEL(timer_elsewhere, .setup = setup, .threads = {arm_elsewhere, expire_both}, .finish = finish, .bound = 3)

/* ---- what is armed is not forgotten, whatever others fire just then: the owner finds it by next_ns ---- */

static struct deadline two[2];

static void open_other(int i, int64_t at)
{
    two[i].at = at;
    two[i].timer.fire = fire;
    two[i].timer.ctx = &two[i];
    wf_timer_arm(&wheel[0], &two[i].timer, at);
}

static void setup_other_soon(void)
{
    setup();
    open_other(0, SOON);
}

static void setup_other_late(void)
{
    setup();
    open_other(0, LATE);
}

/* In its slot, and nothing is loose. */
static void setup_other_in_slot(void)
{
    setup_aside();
    open_other(0, SOON);
    wf_timer_cancel(&aside.timer);
}

static void arm_and_expire(int64_t at)
{
    arm(0, at);
    expire(0, at);
    model_check(!wf_timer_cancel(&it->timer));
    model_check(it->fired == 1);
    wf_free(it, sizeof *it);
}

static void arm_and_expire_late(void)
{
    arm_and_expire(LATE);
}

static void arm_and_expire_soon(void)
{
    arm_and_expire(SOON);
}

MODEL(timer_not_forgotten, .setup = setup_other_soon, .threads = {arm_and_expire_late, expire_soon}, .bound = 3)
MODEL(timer_loose_not_forgotten, .setup = setup_other_in_slot, .threads = {arm_and_expire_late, expire_soon},
      .bound = 3)

/* Who comes for the first finds the second, and takes it. */
static void arm_another_and_expire(void)
{
    arm(0, SOON);
    bool armed = wf_timer_cancel(&it->timer);
    int fired = it->fired;
    model_check(fired == !armed);
    arm(0, LATE);
    expire(0, LATE);
    model_check(!wf_timer_cancel(&it->timer));
    model_check(it->fired == fired + 1);
    wf_free(it, sizeof *it);
}

MODEL(timer_replaced, .setup = setup, .threads = {arm_another_and_expire, expire_soon}, .bound = 3)

/* The same, and the worker arms a third, which may lie loose by then. */
static void arm_three_and_look(void)
{
    arm(0, SOON);
    bool armed = wf_timer_cancel(&it->timer);
    int fired = it->fired;
    model_check(fired == !armed);
    arm(0, LATE);
    put_aside();
    model_check(wf_wheel_next(&wheel[0]) <= LATE);
    cancel_and_free(fired);
}

MODEL(timer_third, .setup = setup, .threads = {arm_three_and_look, expire_soon}, .finish = finish_aside, .bound = 3)
MODEL(timer_earlier, .setup = setup_other_late, .threads = {arm_and_expire_soon, expire_soon}, .bound = 3)

/* ---- a timer that others cancel while it is moved to a lower level ---- */

static void setup_two(void)
{
    setup_aside();
    for (int i = 0; i < 2; i++)
        open_other(i, LATE + i * TICK);
    wf_timer_cancel(&aside.timer);
    wf_free(it, sizeof *it);
}

static void cancel_first(void)
{
    bool armed = wf_timer_cancel(&two[0].timer);
    model_check(two[0].fired == !armed);
}

static void expire_late(void)
{
    expire(0, 64 * TICK);
    expire(0, LATE);
    expire(0, LATE + TICK);
}

static void finish_two(void)
{
    model_check(two[1].fired == 1 && two[0].fired <= 1);
    model_check(wf_wheel_next(&wheel[0]) == INT64_MAX);
}

MODEL(timer_moves_down, .setup = setup_two, .threads = {expire_late, cancel_first, expire_soon},
      .finish = finish_two, .spurious = -1, .stale = 1,
      .bound = 2)

/* ---- a task sleeps, and is told to stop as it wakes ---- */

static void setup_sleep(void)
{
    setup();
    wf_free(it, sizeof *it);
}

static void sleep_or_stop(void)
{
    task_begin();
    int err = weft_sleep_until((weft_time){SOON});
    model_check(err == 0 || err == -ECANCELED);
    model_check(!wheel[0].occupied[0]);
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

MODEL(timer_sleep, .setup = setup_sleep, .threads = {sleep_or_stop, expire_soon, stop}, .finish = tasks_check,
      .spurious = -1, .bound = 2)
