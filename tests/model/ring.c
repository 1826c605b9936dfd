/* ring.c - a ring's two queues, its bell and its sleep (io/ring.c), over a kernel of two entries.
 *
 * What must hold: each request is completed once, and who collects it sees what its pusher had written to its record;
 * an owner that sleeps is woken by who has something for it, whoever collects the bell; what was spilled is submitted.
 *
 *   with: WF_LOCK_SPINS=1 WF_LOCK_CARE=0 WF_SPILL_MIN=4 */
#include "tests/model/model.h"

#include "io/ring.c"
#include "runtime/platform/lock.c"
#include "tests/model/kernel.h"

/* ---- the rest of weft ---- */

enum { RECORDS = 4 };

static struct wf_driver *driver, other_driver;
static bool is_worker[MODEL_THREADS_MAX];
static struct record {
    int written;                /* by the pusher; plain */
    WF_ATOMIC(int) completions;
} record[RECORDS + 1]; /* 0 is the bell's */
static WF_ATOMIC(int) flag;
static WF_ATOMIC(unsigned) completed;

MODEL_PLAIN struct wf_driver *wf_worker_driver(void)
{
    unsigned self = model_self();
    return self == OWNER || self == 0 ? driver : is_worker[self] ? &other_driver : NULL;
}

void wf_op_complete(struct wf_driver *d, uint64_t user_data, int result, uint32_t flags)
{
    (void)d, (void)flags;
    model_check(result == 1 && user_data <= RECORDS);
    model_check(record[user_data].written == (int)user_data);
    model_check(wf_add(&record[user_data].completions, 1, relaxed) == 0);
    wf_add(&completed, 1, relaxed);
}

static void push(int n)
{
    struct io_uring_sqe sqe = {.user_data = (uint64_t)n};
    record[n].written = n;
    wf_driver_push(driver, &sqe);
}

static void open_ring(void)
{
    model_check(wf_driver_open(&driver, WEFT_DRIVER_RING, WEFT_RING_SHARED) == 0);
    wf_driver_poll(driver); /* the bell that was rung to see whether there is one */
}

static void open_ring_with_worker(void)
{
    is_worker[2] = is_worker[3] = true;
    open_ring();
}

static void open_late_ring_with_worker(void)
{
    open_ring_with_worker();
    may_be_late = true;
}

static void close_ring(void)
{
    model_check(wf_load(&driver->inflight, relaxed) == 0);
    wf_driver_close(driver);
}

/* ---- sleep and wake ---- */

/* Until somebody has left it something: as a worker looks at its inbox. */
static void sleep_until_flag(void)
{
    while (!wf_load(&flag, relaxed))
        wf_driver_park(driver, INT64_MAX);
}

static void raise_flag(void)
{
    wf_store(&flag, 1, relaxed);
    wf_driver_wake(driver);
}

static void raise_twice(void)
{
    wf_driver_wake(driver); /* for nothing, or for what the owner has found by itself */
    raise_flag();
}

/* Another worker that serves the ring: it may collect the bell. */
static void serve(void)
{
    wf_driver_serve(driver);
}

MODEL(ring_wake, .setup = open_ring, .threads = {sleep_until_flag, raise_twice}, .finish = close_ring, .bound = 3)
MODEL(ring_bell_heard_by_another, .setup = open_ring_with_worker, .threads = {sleep_until_flag, serve, raise_flag},
      .finish = close_ring)

/* ---- requests ---- */

static void push_and_park(void)
{
    push(1);
    push(2);
    while (wf_load(&completed, relaxed) < 2)
        wf_driver_park(driver, INT64_MAX);
}

static void push_and_poll(void)
{
    push(1);
    wf_driver_poll(driver);
    push(2);
    while (wf_load(&completed, relaxed) < 2)
        wf_driver_park(driver, model_now() + 1000);
}

MODEL(ring_served, .setup = open_ring_with_worker, .threads = {push_and_poll, serve}, .finish = close_ring, .early = 2)
MODEL(ring_served_late, .setup = open_late_ring_with_worker, .threads = {push_and_poll, serve}, .finish = close_ring,
      .outdated = 1)

static void open_small_ring_with_worker(void)
{
    cqes = 2;
    open_ring_with_worker();
}

static void push_beyond(void)
{
    for (int n = 1; n <= 3; n++) {
        push(n);
        wf_driver_poll(driver);
    }
    while (wf_load(&completed, relaxed) < 3)
        wf_driver_park(driver, model_now() + 1000);
}

MODEL(ring_overflows, .setup = open_small_ring_with_worker, .threads = {push_beyond, serve}, .finish = close_ring,
      .outdated = 1)

/* ---- from a plain thread, more than fits ---- */

static void park_until_three(void)
{
    while (wf_load(&completed, relaxed) < 3)
        wf_driver_park(driver, INT64_MAX);
}

static void push_three(void)
{
    push(1);
    push(2);
    push(3);
}

static void push_one(void)
{
    push(1);
}

static void push_two(void)
{
    push(2);
    push(3);
}

MODEL(ring_spills, .setup = open_ring, .threads = {park_until_three, push_three}, .finish = close_ring)
MODEL(ring_two_pushers, .setup = open_ring, .threads = {park_until_three, push_one, push_two}, .finish = close_ring)

static void push_and_park_alone(void)
{
    push_and_park();
}

MODEL(ring_alone, .setup = open_ring, .threads = {push_and_park_alone}, .finish = close_ring)
