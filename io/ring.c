/* ring.c - the driver: a pair of queues per worker, with a kernel behind them (kernel.h).
 *
 * Two modes. SHARED (COOP_TASKRUN, not SINGLE_ISSUER) is the default: any worker may enter the ring, so a
 * worker that computes holds nobody's requests hostage. DEFER (SINGLE_ISSUER, DEFER_TASKRUN) binds it to its
 * owner: others may only read what is already in the completion queue, and get EEXIST for more. SILENT and EAGER are
 * SHARED but for what becomes of a completion whose thread computes (uring.c).
 *
 * Submission. A push fills its slot and publishes the tail under sq_lock, per request, so whoever enters the
 * kernel next takes everything that was ever pushed.
 *
 * A push never waits for another thread: with a scope's lock held that could be a deadlock. When the queue is
 * full, whoever may submit does; what still finds no room goes to a list behind the queue (spill.h), moved in
 * whenever somebody submits. While that is not empty all pushes go to it, so order is kept. Only if memory runs
 * out too does a push wait.
 *
 * Collection. cq_lock is only tried: who fails leaves the work to the holder. A batch is copied out, the lock is
 * let go, and only then is wf_op_complete() called: it makes tasks run.
 *
 * Sleep. One word says what the owner does:
 *
 *     RUNNING    awake, or taking a nap, and will look at its queues before it sleeps
 *     PARKED     in the kernel or on the way there
 *     NOTIFIED   awake, or being woken, and must look at its queues again
 *
 *     owner   look at the queues; RUNNING -> PARKED by exchange, or, had it been NOTIFIED, no sleep;
 *             read the tail; sleep; -> RUNNING by exchange; look at the queues
 *     waker   make work visible; -> NOTIFIED by exchange; only if it was PARKED: the bell
 *
 * Both sides change one word by read-modify-write, so one comes first. The owner's first: the waker finds
 * PARKED and rings; the bell is a completion, so it may come before the owner has fallen asleep. The waker's
 * first: the owner finds NOTIFIED and acquires what the waker made visible. Another worker than the sleeper can
 * collect the bell: it rings again if the word still says NOTIFIED.
 *
 * The bell is a message into the ring (of io_uring: IORING_REGISTER_SEND_MSG_RING, kernel 6.13), else an eventfd that
 * a multishot poll watches: docs/design/wake.md.
 *
 * Ordering: R1 push's store of the tail (release) <-> R2 the kernel's load of it, and the collector's
 *              (acquire): the record a request points to was written by its pusher.
 *           R3 the collector's store of the completion head (release) <-> the kernel's load of it.
 *           R4 the kernel's store of the completion tail <-> R5 the collector's load of it (acquire).
 *           R6 the kernel's store of the submission head <-> R7 push's load of it (acquire): the slot has
 *              been read before it is written again.
 *           R8 waker's exchange (release) <-> R9 owner's swap (acquire): see Sleep.
 *           R10 spilling sets the flag, fence, looks for room | R11 submitting makes room, fence, looks at the
 *              flag: one of the two moves what was spilled into the queue. */
#include "io/ring.h"

#include "io/kernel.h"
#include "io/spill.h"
#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/fault.h"
#include "runtime/platform/thread.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BATCH = 64,            /* completions copied out under one hold of cq_lock */
    COLLECT_MAX = 1024,    /* in one call; then the caller's other duties have their turn */
    ROUNDS_MAX = 64,       /* enters in one poll: deferred work comes in portions, and so does an overflow */
    PUSH_YIELDS_MAX = 100, /* before a push that found no memory sleeps */
    PUSH_NAP_NS = 100000,
    DRAIN_NS = 10000000, /* between two looks at a ring that is being closed */
};

enum { RUNNING, PARKED, NOTIFIED };

static const uint64_t BELL = 0; /* user_data of the bell: no operation has it */

struct ring {
    struct wf_driver d; /* first: what the rest of weft knows */

    WF_ATOMIC(unsigned) state; /* see Sleep */
    int eventfd;               /* the bell, unless messages are; -1 without; constant */
    struct wf_kernel *kernel;  /* who executes; constant */
    struct wf_spill spill;     /* under sq_lock */
    struct ring *next;         /* of all open rings, under `rings_lock` */
};

static struct wf_lock rings_lock;
static struct ring *rings;

bool wf_ring_force_eventfd; /* before any is opened */

static struct ring *ring_of(struct wf_driver *d)
{
    return (struct ring *)d;
}

/* A slot for one more, or NULL. Under sq_lock. */
static struct io_uring_sqe *slot(struct wf_driver *d)
{
    unsigned tail = wf_shared_load(d->sq_tail, relaxed);
    unsigned head = wf_shared_load(d->sq_head, acquire); /* R7 */
    return tail - head > d->sq_mask ? NULL : &d->sqes[tail & d->sq_mask];
}

static void publish(struct wf_driver *d)
{
    wf_shared_store(d->sq_tail, wf_shared_load(d->sq_tail, relaxed) + 1, release); /* R1 */
}

/* Move what was spilled into the queue, as far as there is room. Under sq_lock. */
static void unspill(struct ring *r)
{
    struct io_uring_sqe *to;
    while (!wf_spill_is_empty(&r->spill) && (to = slot(&r->d))) {
        *to = wf_spill_take(&r->spill);
        publish(&r->d);
    }
}

static unsigned waiting(struct wf_driver *d)
{
    return wf_shared_load(d->sq_tail, acquire) - wf_shared_load(d->sq_head, relaxed); /* kept: as R2 */
}

/* Hand over what waits, let the kernel finish what it holds. By whoever may enter this ring. */
static void submit(struct ring *r)
{
    int got = 1;
    do {
        got = r->kernel->ops->enter(r->kernel, waiting(&r->d));
        wf_add(&r->d.enters, 1, relaxed);
        wf_fence(); /* R11 */
        if (WF_LIKELY(!wf_load(&r->spill.any, relaxed)))
            return;
        wf_lock(&r->d.sq_lock);
        unspill(r);
        wf_unlock(&r->d.sq_lock);
    } while (got > 0);
}

static bool is_left(struct ring *r)
{
    return waiting(&r->d) || wf_load(&r->spill.any, seq_cst);
}

static bool may_submit(const struct ring *r)
{
    const struct wf_driver *own = wf_worker_driver();
    return own == &r->d || (own && r->d.mode != WEFT_RING_DEFER);
}

static bool offer(struct ring *r, const struct io_uring_sqe *sqe, bool may_spill)
{
    bool taken = true;
    wf_lock(&r->d.sq_lock);
    struct io_uring_sqe *to = wf_spill_is_empty(&r->spill) ? slot(&r->d) : NULL;
    if (WF_LIKELY(to != NULL)) {
        *to = *sqe;
        publish(&r->d);
    } else {
        taken = may_spill && wf_spill_add(&r->spill, sqe);
        unspill(r); /* the queue may have been emptied just now */
    }
    wf_unlock(&r->d.sq_lock);
    return taken;
}

/* Behind the queue if need be; waits only if there is no memory to keep it either. */
static void push_behind(struct ring *r, const struct io_uring_sqe *sqe)
{
    for (int tries = 0; !offer(r, sqe, true); tries++) {
        if (may_submit(r))
            submit(r);
        else
            wf_driver_wake(&r->d);
        wf_thread_nap(tries < PUSH_YIELDS_MAX ? 0 : PUSH_NAP_NS);
    }
}

void wf_driver_push(struct wf_driver *d, const struct io_uring_sqe *sqe)
{
    wf_add(&d->inflight, 1, relaxed); /* before it can complete */
    struct ring *r = ring_of(d);
    if (WF_UNLIKELY(!offer(r, sqe, false))) {
        if (may_submit(r))
            submit(r);
        push_behind(r, sqe);
    }
    if (WF_UNLIKELY(!may_submit(r)))
        wf_driver_wake(d); /* nobody but the owner can submit it, and it may sleep */
}

void wf_ring_leave_request(struct wf_driver *d, const struct io_uring_sqe *sqe)
{
    wf_add(&d->inflight, 1, relaxed);
    push_behind(ring_of(d), sqe);
    wf_driver_wake(d);
}

static void ring_bell(struct ring *r)
{
    uint64_t one = 1;
    int before = errno; /* perhaps a task's */
    if (r->eventfd < 0)
        r->kernel->ops->message(r->kernel, BELL); /* its queue is full: then any of that ends the sleep */
    else
        while (write(r->eventfd, &one, sizeof one) < 0 && errno == EINTR)
            ; /* EAGAIN: rung 2^64 - 2 times, and reads as rung for good */
    errno = before;
}

void wf_driver_wake(struct wf_driver *d)
{
    unsigned before = wf_swap(&ring_of(d)->state, NOTIFIED, release); /* R8 */
    WF_DEBUG_CHECK(before <= NOTIFIED); /* else this ring was closed, and its memory given back */
    if (before == PARKED)
        ring_bell(ring_of(d));
}

static void watch_eventfd(struct ring *r)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_POLL_ADD,
        .fd = r->eventfd,
        .len = IORING_POLL_ADD_MULTI,
        .poll32_events = POLLIN,
        .user_data = BELL,
    };
    wf_driver_push(&r->d, &sqe);
    wf_sub(&r->d.inflight, 1, relaxed); /* it is no operation */
}

/* A bell was collected; the sleeper it was meant for may still sleep, unless that is us. */
static void heard_bell(struct ring *r, uint32_t flags)
{
    if (r->eventfd >= 0 && !(flags & IORING_CQE_F_MORE)) {
        watch_eventfd(r);
        while (may_submit(r) && is_left(r)) /* the owner may sleep, and this is what would wake it */
            submit(r);
    }
    if (wf_worker_driver() != &r->d && wf_load(&r->state, relaxed) == NOTIFIED)
        ring_bell(r);
}

/* Copy out at most BATCH completions. Under cq_lock. */
static unsigned take(struct wf_driver *d, struct io_uring_cqe *batch)
{
    unsigned head = wf_shared_load(d->cq_head, relaxed);
    unsigned count = wf_shared_load(d->cq_tail, acquire) - head; /* R5 */
    if (count > BATCH)
        count = BATCH;
    for (unsigned i = 0; i < count; i++)
        batch[i] = d->cqes[(head + i) & d->cq_mask];
    wf_shared_store(d->cq_head, head + count, release); /* R3 */
    return count;
}

static void complete(struct ring *r, const struct io_uring_cqe *batch, unsigned count)
{
    unsigned ended = 0; /* operations: neither bells nor one of several completions */
    (void)wf_shared_load(r->d.sq_tail, acquire); /* R2; kept: what a kernel orders, C does not know */
    for (unsigned i = 0; i < count; i++)
        ended += batch[i].user_data != BELL && !(batch[i].flags & IORING_CQE_F_MORE);
    wf_sub(&r->d.inflight, ended, relaxed);
    wf_add(&r->d.completions, ended, relaxed);
    for (unsigned i = 0; i < count; i++) {
        if (WF_LIKELY(batch[i].user_data != BELL))
            wf_op_complete(&r->d, batch[i].user_data, batch[i].res, batch[i].flags);
        else
            heard_bell(r, batch[i].flags);
    }
}

static unsigned collect(struct ring *r)
{
    struct wf_driver *d = &r->d;
    struct io_uring_cqe batch[BATCH];
    unsigned total = 0, count = BATCH;
    while (count == BATCH && total < COLLECT_MAX) {
        bool any = wf_shared_load(d->cq_tail, relaxed) != wf_shared_load(d->cq_head, relaxed);
        if (!any || !wf_trylock(&d->cq_lock))
            break;
        count = take(d, batch);
        wf_unlock(&d->cq_lock);
        complete(r, batch, count);
        total += count;
    }
    return total;
}

/* Enter and collect for as long as that makes progress; `worth` is what else is worth entering for. In SHARED mode
 * TASKRUN can stand for work that only another thread can do (the one that submitted), so it is worth one enter, not a
 * loop; so is WATCHING, unless the kernel was asked just now. */
static unsigned turn(struct ring *r, unsigned worth)
{
    struct wf_driver *d = &r->d;
    unsigned total = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        unsigned flags = wf_shared_load(d->sq_flags, relaxed);
        if (waiting(d) || (flags & (worth | IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
            submit(r);
        unsigned count = collect(r);
        flags = wf_shared_load(d->sq_flags, relaxed);
        total += count;
        bool more = (flags & IORING_SQ_CQ_OVERFLOW) && count;
        more |= (flags & IORING_SQ_TASKRUN) && d->mode == WEFT_RING_DEFER;
        if (!more || total >= COLLECT_MAX)
            break;
    }
    return total;
}

unsigned wf_driver_poll(struct wf_driver *d)
{
    return turn(ring_of(d), WF_SQ_WATCHING);
}

unsigned wf_driver_serve(struct wf_driver *d)
{
    unsigned count = d->mode != WEFT_RING_DEFER ? turn(ring_of(d), WF_SQ_WATCHING) : collect(ring_of(d));
    if (count)
        wf_add(&d->served, count, relaxed);
    return count;
}

/* The owner's sleep: until a completion is there, or the time. */
static void doze(struct ring *r, int64_t left_ns)
{
    r->kernel->ops->sleep(r->kernel, waiting(&r->d), left_ns);
    wf_fence(); /* R11 */
    if (WF_UNLIKELY(wf_load(&r->spill.any, relaxed)))
        submit(r);
}

unsigned wf_driver_park(struct wf_driver *d, int64_t deadline_ns)
{
    struct ring *r = ring_of(d);
    unsigned running = RUNNING;
    if (wf_cas(&r->state, &running, PARKED, relaxed)) { /* the swap below acquires */
        int64_t now = deadline_ns == INT64_MAX ? 0 : wf_clock_now(); /* 0: as long as it takes */
        if (deadline_ns > now)
            doze(r, deadline_ns - now);
    }
    wf_swap(&r->state, RUNNING, acquire); /* R9 */
    return turn(r, 0);
}

unsigned wf_driver_nap(struct wf_driver *d, int64_t ns)
{
    struct ring *r = ring_of(d);
    doze(r, ns); /* awake, as far as others know */
    return turn(r, 0);
}

/* Ring once to see whether the kernel knows the message; that is collected like any other. */
static int hang_bell(struct ring *r)
{
    if (!wf_ring_force_eventfd && r->kernel->ops->message(r->kernel, BELL) == 0)
        return 0;
    r->eventfd = wf_fault(WF_FAULT_FD) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->eventfd < 0)
        return -errno;
    watch_eventfd(r);
    submit(r);
    return 0;
}

static void enlist(struct ring *r)
{
    wf_lock(&rings_lock);
    r->next = rings;
    rings = r;
    wf_unlock(&rings_lock);
}

static void delist(struct ring *r)
{
    struct ring **at = &rings;
    wf_lock(&rings_lock);
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    wf_unlock(&rings_lock);
}

static void destroy(struct ring *r)
{
    r->kernel->ops->close(r->kernel);
    if (r->eventfd >= 0)
        close(r->eventfd);
    wf_spill_close(&r->spill);
    wf_free(r, sizeof *r);
}

int wf_driver_open(struct wf_driver **ret, weft_driver kind, weft_ring_mode mode)
{
    const struct wf_kernel_ops *ops = wf_kernel_of(kind);
    struct ring *r = wf_alloc_aligned(sizeof *r, 128);
    if (!r)
        return -ENOMEM;
    r->d.name = ops->name;
    r->d.mode = mode;
    r->eventfd = -1;
    int err = ops->open(&r->kernel, &r->d);
    if (err) {
        wf_free(r, sizeof *r);
        return err;
    }
    if ((err = hang_bell(r)) != 0) {
        destroy(r);
        return err;
    }
    enlist(r);
    *ret = &r->d;
    return 0;
}

void wf_driver_close(struct wf_driver *d)
{
    struct ring *r = ring_of(d);
    if (!r)
        return;
    delist(r);
    wf_store(&r->state, RUNNING, relaxed);   /* nobody wakes it any more */
    while (wf_load(&d->inflight, relaxed)) { /* cancels, and what they were for: moments */
        doze(r, DRAIN_NS);
        turn(r, 0);
    }
    destroy(r);
}

void wf_ring_flush(struct wf_driver *d)
{
    struct ring *r = ring_of(d);
    if (wf_worker_driver() == d)
        return;
    if (may_submit(r))
        submit(r);
    if (!may_submit(r) || is_left(r)) /* the kernel may have put it off: who sleeps in it tries until it is taken */
        wf_driver_wake(d);
}

void wf_ring_leave_everywhere(const struct io_uring_sqe *sqe, uint32_t marks)
{
    wf_lock(&rings_lock);
    for (struct ring *r = rings; r; r = r->next)
        if (wf_ring_mark(&r->d) & marks)
            wf_ring_leave_request(&r->d, sqe);
    wf_unlock(&rings_lock);
}
