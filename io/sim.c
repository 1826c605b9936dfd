/* sim.c - a simulated kernel behind a ring: its far side.
 *
 * It does what io_uring may do, and decides by the seed where io_uring leaves it open: how many requests it takes at
 * once, which completion comes first, when one becomes visible. A call happens at one moment, as a system call does to
 * who makes it; before and after, others may come. What becomes of a request is in sim_request.c. */
#include "io/sim.h"

#include "io/fdtable.h"
#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/fault.h"

#include <errno.h>
#include <string.h>

enum { SQ_ENTRIES = 256, CQ_ENTRIES = 1024, SQ_TINY = 4, CQ_TINY = 4 };

static unsigned numbers;

static struct wf_sim_ring *ring_of(struct wf_kernel *k)
{
    return (struct wf_sim_ring *)k;
}

/* ---- completions ---- */

static bool is_full(const struct wf_sim_ring *r)
{
    return r->cq_tail - r->cq_head > r->d->cq_mask;
}

static void put(struct wf_sim_ring *r, const struct io_uring_cqe *c)
{
    r->cqes[r->cq_tail++ & r->d->cq_mask] = *c;
}

static void keep(struct wf_sim_ring *r, const struct io_uring_cqe *c)
{
    if (r->kept_end == r->kept_size) {
        size_t kept = r->kept_end - r->kept_first, size = r->kept_size ? 2 * r->kept_size : CQ_ENTRIES;
        struct io_uring_cqe *more = wf_alloc(size * sizeof *more);
        WF_CHECK(more);
        if (kept)
            memcpy(more, r->kept + r->kept_first, kept * sizeof *more);
        wf_free(r->kept, r->kept_size * sizeof *r->kept);
        r->kept = more;
        r->kept_first = 0;
        r->kept_end = kept;
        r->kept_size = size;
    }
    r->kept[r->kept_end++] = *c;
    r->flags |= IORING_SQ_CQ_OVERFLOW;
}

/* What found no room finds it now, in order. */
static void flush(struct wf_sim_ring *r)
{
    while (r->kept_first < r->kept_end && !is_full(r))
        put(r, &r->kept[r->kept_first++]);
    if (r->kept_first == r->kept_end) {
        r->kept_first = r->kept_end = 0;
        r->flags &= ~(unsigned)IORING_SQ_CQ_OVERFLOW;
    }
}

void wf_sim_ring_post(struct wf_sim_ring *r, uint64_t user_data, int32_t result, uint32_t flags)
{
    struct io_uring_cqe c = {.user_data = user_data, .res = result, .flags = flags};
    wf_sim_note("completes", r->number, user_data ? (uint64_t)(r->cq_tail - r->cq_head) : UINT64_MAX);
    if (is_full(r) || r->kept_end > r->kept_first)
        keep(r, &c);
    else
        put(r, &c);
    if (r->sleeper)
        wf_sim_rouse(r->sleeper);
}

void wf_sim_ring_held_back(struct wf_sim_ring *r, int change)
{
    r->held_back += (unsigned)change;
    if (r->held_back)
        r->flags |= IORING_SQ_TASKRUN;
    else
        r->flags &= ~(unsigned)IORING_SQ_TASKRUN;
}

/* ---- calls ---- */

/* How many were taken. */
static unsigned take(struct wf_sim_ring *r, unsigned submit)
{
    unsigned there = r->sq_tail - r->sq_head, n = submit < there ? submit : there;
    if (n && wf_sim_fault(WEFT_SIM_BUSY))
        n = (unsigned)wf_sim_below(WF_SIM_KERNEL, n);
    wf_sim_requests_of(wf_sim_self());
    for (unsigned i = 0; i < n; i++) {
        struct io_uring_sqe sqe = r->sqes[r->sq_head++ & r->d->sq_mask];
        wf_sim_request_begin(r, &sqe);
    }
    flush(r);
    return n;
}

static int sim_enter(struct wf_kernel *k, unsigned submit)
{
    static const int passing[] = {-EBUSY, -EAGAIN, -EINTR, -ENOMEM};
    wf_sim_point();
    wf_sim_hold();
    int n = (int)take(ring_of(k), submit);
    if (n == 0 && submit && wf_sim_fault(WEFT_SIM_BUSY))
        n = passing[wf_sim_below(WF_SIM_KERNEL, sizeof passing / sizeof *passing)];
    wf_sim_release();
    wf_sim_point();
    return n;
}

static void sim_sleep(struct wf_kernel *k, unsigned submit, int64_t left_ns)
{
    struct wf_sim_ring *r = ring_of(k);
    wf_sim_point();
    wf_sim_hold();
    bool all = take(r, submit) == submit;
    bool any = r->cq_tail != r->cq_head;
    wf_sim_release(); /* which chooses nobody: nothing comes in between */
    if (!all || any || wf_sim_fault(WEFT_SIM_EINTR))
        return;
    int64_t now = wf_sim_now(), until = left_ns < INT64_MAX - now ? now + left_ns : INT64_MAX;
    r->sleeper = wf_sim_self();
    while (wf_sim_sleep(until, "in its ring", r) && r->cq_tail == r->cq_head)
        continue; /* somebody else was quicker to collect what ended the sleep, and so the kernel sleeps on */
    r->sleeper = NULL;
    wf_sim_hold();
    flush(r);
    wf_sim_release();
}

static int sim_message(struct wf_kernel *k, uint64_t user_data)
{
    struct wf_sim_ring *r = ring_of(k);
    int err = -EOVERFLOW;
    wf_sim_point();
    wf_sim_hold();
    if (!is_full(r)) {
        wf_sim_ring_post(r, user_data, 0, 0);
        err = 0;
    }
    wf_sim_release();
    return err;
}

/* The thread of d's worker computes, or not: it comes by. And so does who knocks, as it makes a system call. */
static void sim_knock(const struct wf_driver *d)
{
    wf_sim_point();
    wf_sim_hold();
    wf_sim_note("is knocked at", (uint64_t)d->fd, 0);
    wf_sim_requests_of(d->door);
    wf_sim_requests_of(wf_sim_self());
    wf_sim_release();
    wf_sim_point();
}

/* ---- from open to close ---- */

void wf_sim_rings_end(void)
{
    numbers = 0;
}

static void destroy(struct wf_sim_ring *r)
{
    wf_free(r->kept, r->kept_size * sizeof *r->kept);
    wf_free(r->sqes, SQ_ENTRIES * sizeof *r->sqes);
    wf_free(r->cqes, CQ_ENTRIES * sizeof *r->cqes);
    wf_free(r, sizeof *r);
}

static void show(struct wf_driver *d, struct wf_sim_ring *r)
{
    bool tiny = wf_sim_faults_on() & WEFT_SIM_OVERFLOW;
    d->fd = (int)r->number;
    d->mode = WEFT_RING_SHARED;
    d->knock = sim_knock;
    d->door = wf_sim_self();
    d->sqes = r->sqes;
    d->cqes = r->cqes;
    d->sq_head = &r->sq_head;
    d->sq_tail = &r->sq_tail;
    d->sq_flags = &r->flags;
    d->cq_head = &r->cq_head;
    d->cq_tail = &r->cq_tail;
    d->sq_mask = (tiny ? SQ_TINY : SQ_ENTRIES) - 1;
    d->cq_mask = (tiny ? CQ_TINY : CQ_ENTRIES) - 1;
}

static int sim_open(struct wf_kernel **ret, struct wf_driver *d)
{
    wf_sim_watch();
    if (wf_fault(WF_FAULT_RING))
        return -ENOMEM;
    wf_sim_hold();
    int err = 0;
    (void)wf_fd_of(0, &err); /* the table's first page: it stays from one simulation to the next */
    struct wf_sim_ring *r = wf_alloc(sizeof *r);
    WF_CHECK(r);
    r->sqes = wf_alloc(SQ_ENTRIES * sizeof *r->sqes);
    r->cqes = wf_alloc(CQ_ENTRIES * sizeof *r->cqes);
    WF_CHECK(r->sqes && r->cqes);
    wf_sim_release();
    r->k.ops = &wf_kernel_sim;
    r->d = d;
    r->number = numbers++;
    show(d, r);
    *ret = &r->k;
    return 0;
}

static void sim_close(struct wf_kernel *k)
{
    struct wf_sim_ring *r = ring_of(k);
    wf_sim_hold();
    wf_sim_requests_of(wf_sim_self());
    if (r->pending)
        wf_sim_broke(-EPROTO, "a ring is closed while %u requests in it are under way", r->pending);
    destroy(r);
    wf_sim_release();
}

const struct wf_kernel_ops wf_kernel_sim = {
    .name = "simulation",
    .open = sim_open,
    .enter = sim_enter,
    .sleep = sim_sleep,
    .message = sim_message,
    .close = sim_close,
};
