/* rescue.c - who stands still is helped (runtime/lookout.c), over its ring (io/ring.c) and a kernel that holds
 * completions back until the thread that has submitted their requests comes by.
 *
 * What must hold: what was pushed is completed once, whoever looks, helps or polls meanwhile, and who collects it sees
 * what its pusher had written; and it is completed at all, though the owner computes until then. So without a knock, or
 * a word of who stands still, it goes on for ever.
 *
 *   with: WF_LOCK_SPINS=1 WF_LOCK_CARE=0 WF_SPILL_MIN=4 WF_SPIN_LOOKS=2 */
#include "tests/model/model.h"

#include "io/ring.c"
#include "runtime/lookout.c"
#include "runtime/platform/lock.c"
#include "tests/model/kernel.h"

enum { WORKERS = 3 };

static struct wf_driver *driver, other_driver;
static unsigned nothing_due;
static struct wf_worker worker[WORKERS];
static weft_runtime rt;
static weft_task task;
static int written; /* by the pusher; plain */
static WF_ATOMIC(unsigned) completed;

MODEL_PLAIN struct wf_driver *wf_worker_driver(void)
{
    return model_self() <= OWNER ? driver : &other_driver;
}

unsigned wf_wheel_expire(struct wf_wheel *w, int64_t now_ns)
{
    (void)w, (void)now_ns;
    model_fail("there are no timers");
}

int64_t wf_wheel_next_loose(struct wf_wheel *w, const struct wf_timer *loose)
{
    (void)w, (void)loose;
    model_fail("there are no timers");
}

void wf_op_complete(struct wf_driver *d, uint64_t user_data, int result, uint32_t flags)
{
    (void)d, (void)flags;
    model_check(result == 1 && user_data == 1 && written == 1);
    model_check(wf_add(&completed, 1, relaxed) == 0);
}

static void open_worker(struct wf_worker *w, unsigned index, struct wf_driver *d)
{
    w->rt = &rt;
    w->index = index;
    w->driver = d;
    wf_store(&w->wheel.next_ns, INT64_MAX, relaxed);
}

/* The owner has run its task since long ago. */
static void setup(void)
{
    may_hold_back = true;
    rt.worker_count = WORKERS;
    wf_store(&rt.present, WORKERS, relaxed);
    rt.workers = worker;
    model_check(wf_driver_open(&driver, WEFT_DRIVER_RING, WEFT_RING_SHARED) == 0);
    wf_driver_poll(driver); /* the bell that was rung to see whether there is one */
    other_driver.sq_head = other_driver.sq_tail = other_driver.sq_flags = &nothing_due;
    other_driver.cq_head = other_driver.cq_tail = &nothing_due;
    open_worker(&worker[0], 0, driver);
    for (unsigned i = 1; i < WORKERS; i++)
        open_worker(&worker[i], i, &other_driver);
    wf_store(&worker[0].current, &task, relaxed);
    wf_store(&worker[0].run_seq, 1, relaxed);
    wf_lookout_mark(&rt, WEFT_SEC);
}

static void finish(void)
{
    model_check(wf_load(&completed, relaxed) == 1);
    model_check(wf_load(&driver->inflight, relaxed) == 0);
    wf_driver_close(driver);
}

/* ---- the owner ---- */

MODEL_PLAIN static bool is_completed(void *arg)
{
    (void)arg;
    return *(volatile unsigned *)&completed != 0;
}

static void push(void)
{
    struct io_uring_sqe sqe = {.user_data = 1};
    written = 1;
    wf_driver_push(driver, &sqe);
}

static void compute(void)
{
    model_block(is_completed, NULL, INT64_MAX, "its own work");
}

static void push_poll_compute(void)
{
    push();
    wf_driver_poll(driver);
    compute();
}

static void push_compute(void)
{
    push();
    compute();
}

/* It computes no longer than that: now both sides are there. */
static void push_poll_poll(void)
{
    push();
    wf_driver_poll(driver);
    wf_driver_poll(driver);
}

/* ---- those that help ---- */

static bool has_work_left(void)
{
    bool left = !wf_load(&completed, relaxed);
    if (left)
        wf_pause();
    return left;
}

static void look_out(void)
{
    for (int64_t now = WEFT_SEC; has_work_left(); now += WEFT_MSEC)
        wf_lookout_look(&worker[1], now);
}

static void look_twice(void)
{
    wf_lookout_look(&worker[1], WEFT_SEC + WEFT_MSEC);
    wf_lookout_look(&worker[1], WEFT_SEC + 2 * WEFT_MSEC);
}

/* As the watchdog: leave a word, and no more. */
static void mark(void)
{
    wf_lookout_mark(&rt, WEFT_SEC + WEFT_MSEC);
}

/* As a busy worker that looks outside. */
static void help_if_told(void)
{
    for (int64_t now = WEFT_SEC + WEFT_MSEC; has_work_left(); now += WEFT_MSEC)
        if (wf_load(&rt.stalled, relaxed) && wf_lookout_stands_still(&worker[0], now))
            wf_lookout_serve(&worker[2], &worker[0], now);
}

MODEL(rescue_held_back, .setup = setup, .threads = {push_poll_compute, look_out}, .finish = finish)
MODEL(rescue_unsubmitted, .setup = setup, .threads = {push_compute, look_out}, .finish = finish)
MODEL(rescue_by_the_busy, .setup = setup, .threads = {push_poll_compute, mark, help_if_told}, .finish = finish)

static void finish_polling(void)
{
    may_hold_back = false; /* who has submitted it is back in its loop */
    wf_driver_poll(driver);
    finish();
}

static void help_twice(void)
{
    wf_lookout_serve(&worker[2], &worker[0], WEFT_SEC + WEFT_MSEC);
    wf_lookout_serve(&worker[2], &worker[0], WEFT_SEC + 2 * WEFT_MSEC);
}

MODEL(rescue_by_two, .setup = setup, .threads = {push_poll_poll, look_twice, help_twice}, .finish = finish_polling,
      .outdated = 1)
MODEL(rescue_of_one_that_polls, .setup = setup, .threads = {push_poll_poll, look_twice}, .finish = finish_polling)
