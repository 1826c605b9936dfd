/* ring.c - a ring's two queues, its bell and its sleep (io/ring.c), over a kernel of two entries.
 *
 * The kernel takes requests when somebody enters, completes each at once or when it is entered the next time, as it
 * likes, and sleeps until there is a completion. It does so in one step, with the orders that io/ring.c relies on
 * (R1 to R7), and its own lock inside, which orders those who enter as they are in reality.
 *
 * What must hold: each request is completed once, and who collects it sees what its pusher had written to its record;
 * an owner that sleeps is woken by who has something for it, whoever collects the bell; what was spilled is submitted.
 *
 *   with: WF_LOCK_SPINS=1 WF_LOCK_CARE=0 WF_SPILL_MIN=4 */
#include "tests/model/model.h"

#include "io/ring.c"
#include "runtime/platform/lock.c"

/* ---- the kernel ---- */

enum { SQES = 2, CQES_MAX = 4, LATE_MAX = 4 };

static struct kernel {
    struct wf_kernel base;
    struct io_uring_sqe sqes[SQES];
    struct io_uring_cqe cqes[CQES_MAX];
    unsigned sq_head, sq_tail, sq_flags, cq_head, cq_tail;
    uint64_t late[LATE_MAX]; /* taken, and not completed */
    unsigned late_count;
    WF_ATOMIC(unsigned) inside;
} kernel;
static bool may_be_late;
static unsigned cqes = CQES_MAX;

static void post(struct kernel *k, uint64_t user_data)
{
    unsigned tail = wf_shared_load(&k->cq_tail, relaxed);
    if (tail - wf_shared_load(&k->cq_head, acquire) == cqes) { /* kept until somebody enters */
        model_check(k->late_count < LATE_MAX);
        k->late[k->late_count++] = user_data;
        wf_shared_store(&k->sq_flags, IORING_SQ_CQ_OVERFLOW, release);
        return;
    }
    k->cqes[tail % cqes] = (struct io_uring_cqe){.user_data = user_data, .res = 1};
    wf_shared_store(&k->cq_tail, tail + 1, release); /* R4 */
}

static unsigned take_requests(struct kernel *k, unsigned submit)
{
    unsigned head = wf_shared_load(&k->sq_head, relaxed);
    unsigned count = wf_shared_load(&k->sq_tail, acquire) - head; /* R1 */
    if (count > submit)
        count = submit;
    for (unsigned i = 0; i < count; i++) {
        uint64_t user_data = k->sqes[(head + i) % SQES].user_data;
        if (may_be_late && k->late_count < LATE_MAX && model_choose(2))
            k->late[k->late_count++] = user_data;
        else
            post(k, user_data);
    }
    wf_shared_store(&k->sq_head, head + count, release); /* R6 */
    return count;
}

/* Inside, the kernel has a lock, which orders what it does itself. */
static void begin(struct kernel *k)
{
    model_alone_begin();
    wf_swap(&k->inside, 1u, acquire);
}

static void end(struct kernel *k)
{
    wf_swap(&k->inside, 0u, release);
    model_alone_end();
}

static int kernel_enter(struct wf_kernel *base, unsigned submit)
{
    struct kernel *k = (struct kernel *)base;
    begin(k);
    unsigned late = k->late_count;
    k->late_count = 0;
    wf_shared_store(&k->sq_flags, 0, release);
    for (unsigned i = 0; i < late; i++)
        post(k, k->late[i]);
    int taken = (int)take_requests(k, submit);
    end(k);
    return taken;
}

MODEL_PLAIN static bool has_completion(void *arg)
{
    struct kernel *k = arg;
    return *(volatile unsigned *)&k->cq_tail != *(volatile unsigned *)&k->cq_head || k->late_count;
}

MODEL_PLAIN static int64_t until(int64_t left_ns)
{
    return left_ns == INT64_MAX ? INT64_MAX : model_now() + left_ns;
}

static void kernel_sleep(struct wf_kernel *base, unsigned submit, int64_t left_ns)
{
    kernel_enter(base, submit);
    model_block(has_completion, base, until(left_ns), "a completion");
    kernel_enter(base, 0);
}

static int kernel_message(struct wf_kernel *base, uint64_t user_data)
{
    begin((struct kernel *)base);
    post((struct kernel *)base, user_data);
    end((struct kernel *)base);
    return 0;
}

static int kernel_open(struct wf_kernel **ret, struct wf_driver *d)
{
    kernel.base.ops = &wf_kernel_uring;
    d->sqes = kernel.sqes;
    d->sq_head = &kernel.sq_head;
    d->sq_tail = &kernel.sq_tail;
    d->sq_flags = &kernel.sq_flags;
    d->sq_mask = SQES - 1;
    d->cqes = kernel.cqes;
    d->cq_head = &kernel.cq_head;
    d->cq_tail = &kernel.cq_tail;
    d->cq_mask = cqes - 1;
    *ret = &kernel.base;
    return 0;
}

static void kernel_close(struct wf_kernel *base)
{
    (void)base;
}

const struct wf_kernel_ops wf_kernel_uring = {
    .name = "model", .open = kernel_open, .enter = kernel_enter, .sleep = kernel_sleep, .message = kernel_message,
    .close = kernel_close};

const struct wf_kernel_ops wf_kernel_soft; /* not used */

/* ---- the rest of weft ---- */

enum { OWNER = 1, RECORDS = 4 };

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
