/* kernel.h - a kernel of two entries behind a ring, for models of io/ring.c, who include that first.
 *
 * It takes requests when somebody enters, completes each at once, or when it is entered the next time, or when the
 * thread that has submitted it enters or is knocked at, as it likes; and sleeps until there is a completion. It does so
 * in one step, with the orders that io/ring.c relies on (R1 to R7), and its own lock inside, which orders those who
 * enter as they are in reality. */
#ifndef MODEL_KERNEL_H
#define MODEL_KERNEL_H

enum { OWNER = 1, SQES = 2, CQES_MAX = 4, LATE_MAX = 4 };

static struct kernel {
    struct wf_kernel base;
    struct io_uring_sqe sqes[SQES];
    struct io_uring_cqe cqes[CQES_MAX];
    unsigned sq_head, sq_tail, sq_flags, cq_head, cq_tail;
    struct late {
        uint64_t user_data;
        unsigned by;
    } late[LATE_MAX]; /* taken, and not completed */
    unsigned late_count;
    WF_ATOMIC(unsigned) inside;
} kernel;
static bool may_be_late, may_hold_back; /* held back: late until the thread that has submitted it comes by */
static unsigned cqes = CQES_MAX;

static void put_off(struct kernel *k, uint64_t user_data)
{
    model_check(k->late_count < LATE_MAX);
    k->late[k->late_count++] = (struct late){user_data, model_self()};
}

static void post(struct kernel *k, uint64_t user_data)
{
    unsigned tail = wf_shared_load(&k->cq_tail, relaxed);
    if (tail - wf_shared_load(&k->cq_head, acquire) == cqes) { /* kept until somebody enters */
        put_off(k, user_data);
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
        if ((may_be_late || may_hold_back) && k->late_count < LATE_MAX && model_choose(2))
            put_off(k, user_data);
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

/* This thread is in the kernel: what is late is completed, but for what is held back for others. */
static void come_by(struct kernel *k, unsigned thread)
{
    struct late late[LATE_MAX];
    unsigned count = k->late_count;
    memcpy(late, k->late, sizeof late);
    k->late_count = 0;
    wf_shared_store(&k->sq_flags, 0, release);
    for (unsigned i = 0; i < count; i++)
        if (may_hold_back && late[i].by != thread)
            k->late[k->late_count++] = late[i];
        else
            post(k, late[i].user_data);
}

static void show_held_back(struct kernel *k)
{
    if (may_hold_back && k->late_count)
        wf_shared_store(&k->sq_flags, IORING_SQ_TASKRUN, release);
}

static int kernel_enter(struct wf_kernel *base, unsigned submit)
{
    struct kernel *k = (struct kernel *)base;
    begin(k);
    come_by(k, model_self());
    int taken = (int)take_requests(k, submit);
    show_held_back(k);
    end(k);
    return taken;
}

/* The owner is interrupted, wherever it is. */
static void kernel_knock(const struct wf_driver *d)
{
    struct kernel *k = &kernel;
    (void)d;
    begin(k);
    come_by(k, OWNER);
    show_held_back(k);
    end(k);
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
    d->knock = kernel_knock;
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

#endif
