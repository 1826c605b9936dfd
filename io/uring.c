/* uring.c - Linux's own kernel behind a ring: how an io_uring is set up, how it is entered, and the numbers that
 * the headers of Debian 12 do not have. The only file that includes liburing.
 *
 * liburing maps the memory and makes the system calls; its queues are not used, since theirs have a private tail
 * and know one thread. The index array is the identity, written once.
 *
 * A completion is posted by the thread that submitted its request: that is io_uring's task work. EAGER has it
 * interrupted for each. All others have it come by by itself, at its next system call or timer tick; and in SHARED,
 * others knock: an interrupt is sent to its CPU, and on its way back from that the kernel posts what is there. Nobody
 * can knock at a DEFER ring, whose work is done in io_uring_enter() only. */
#include "io/kernel.h"

#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/barrier.h"
#include "runtime/platform/fault.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

enum {
    REGISTER_SEND_MSG_RING = 31, /* 6.13 */
    ENTER_NO_IOWAIT = 1u << 7,   /* 6.15: a sleeping worker is idle, not waiting for a disk */
    FEAT_NO_IOWAIT = 1u << 17,
};

unsigned wf_uring_without_features;
int wf_uring_without_operation = -1;

enum { IOWQ_BOUNDED_MAX = 4 }; /* kernel threads per worker for files; the kernel's default is four per CPU */

struct uring {
    struct wf_kernel k;
    struct io_uring u; /* the mappings */
};

static struct uring *uring_of(struct wf_kernel *k)
{
    return (struct uring *)k;
}

/* Has this kernel all that weft cannot do without? SOCKET is not asked for, but as old as cancelling by descriptor,
 * which nothing tells about. */
static bool has_all(struct io_uring *u)
{
    static const unsigned features = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG;
    static const uint8_t operations[] = {IORING_OP_READ,    IORING_OP_WRITE,    IORING_OP_RECV,
                                         IORING_OP_SEND,    IORING_OP_ACCEPT,   IORING_OP_CONNECT,
                                         IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_SOCKET};
    enum { KNOWN = 256 };
    struct io_uring_probe *probe = wf_alloc(sizeof *probe + KNOWN * sizeof probe->ops[0]);
    if (!probe)
        return false;
    int err = io_uring_register((unsigned)u->ring_fd, IORING_REGISTER_PROBE, probe, KNOWN);
    bool all = err == 0 && (u->features & ~wf_uring_without_features & features) == features;
    for (size_t i = 0; i < sizeof operations; i++)
        all = all && operations[i] < probe->ops_len && (probe->ops[operations[i]].flags & IO_URING_OP_SUPPORTED) &&
              operations[i] != wf_uring_without_operation;
    wf_free(probe, sizeof *probe + KNOWN * sizeof probe->ops[0]);
    return all;
}

/* In the best setup this kernel knows: an unknown flag is -EINVAL, too large for RLIMIT_MEMLOCK is -ENOMEM.
 * *mode: wanted, and then what it has become. */
static int set_up(struct io_uring *u, weft_ring_mode *mode)
{
    static const unsigned common = IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    static const unsigned ladder[] = {
        common | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        common | IORING_SETUP_COOP_TASKRUN,
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
    };
    static const unsigned sizes[][2] = {{1024, 8192}, {256, 2048}, {64, 512}};
    int err = -EINVAL;
    unsigned step = *mode == WEFT_RING_DEFER ? 0 : *mode == WEFT_RING_EAGER ? 2 : 1, size = 0;
    while (step < sizeof ladder / sizeof ladder[0] && size < sizeof sizes / sizeof sizes[0]) {
        struct io_uring_params p = {.flags = ladder[step], .cq_entries = sizes[size][1]};
        err = wf_fault(WF_FAULT_RING) ? -ENOMEM : io_uring_queue_init_params(sizes[size][0], u, &p);
        if (step > 0 && *mode == WEFT_RING_DEFER)
            *mode = WEFT_RING_SHARED;
        if (err != -EINVAL && err != -ENOMEM)
            break;
        step += err == -EINVAL;
        size += err == -ENOMEM;
    }
    if (err)
        return err;
    if (!has_all(u)) {
        io_uring_queue_exit(u);
        return -ENOSYS;
    }
    unsigned threads[2] = {IOWQ_BOUNDED_MAX, 0}; /* 0: as it is */
    if (!wf_fault(WF_FAULT_RING)) /* best effort */
        (void)io_uring_register((unsigned)u->ring_fd, IORING_REGISTER_IOWQ_MAX_WORKERS, threads, 2);
    return 0;
}

/* Who maps memory comes after who had unmapped it: the kernel sees to that, and checkers see it here. */
static void order_mappings(void)
{
    static struct wf_lock lock;
    wf_lock(&lock);
    wf_unlock(&lock);
}

/* Of those that others submit for it, completions may be with another thread: then that one's driver is knocked at. */
static void knock(const struct wf_driver *d)
{
    wf_barrier_at(d->door);
}

/* Show what the driver shows of the mappings. */
static void adopt(struct wf_driver *d, struct io_uring *u)
{
    d->fd = u->ring_fd;
    d->sqes = u->sq.sqes;
    d->sq_head = u->sq.khead;
    d->sq_tail = u->sq.ktail;
    d->sq_flags = u->sq.kflags;
    d->sq_mask = *u->sq.kring_mask;
    for (unsigned i = 0; i <= d->sq_mask; i++)
        u->sq.array[i] = i;
    d->cqes = u->cq.cqes;
    d->cq_head = u->cq.khead;
    d->cq_tail = u->cq.ktail;
    d->cq_mask = *u->cq.kring_mask;
}

static int uring_open(struct wf_kernel **ret, struct wf_driver *d)
{
    struct uring *r = wf_alloc(sizeof *r);
    if (!r)
        return -ENOMEM;
    int err = set_up(&r->u, &d->mode);
    if (err) {
        wf_free(r, sizeof *r);
        return err;
    }
    order_mappings();
    adopt(d, &r->u);
    if (d->mode == WEFT_RING_SHARED && (d->door = wf_barrier_door()) != NULL)
        d->knock = knock;
    r->k.ops = &wf_kernel_uring;
    *ret = &r->k;
    return 0;
}

static void uring_close(struct wf_kernel *k)
{
    order_mappings();
    io_uring_queue_exit(&uring_of(k)->u);
    wf_free(k, sizeof(struct uring));
}

/* What it returns is a hint: whatever was not done is still visible in the queues, and is done the next time. */
static int enter(struct io_uring *u, unsigned submit, unsigned wait, unsigned flags, void *arg, size_t size)
{
    int got = wf_fault(WF_FAULT_ENTER) ? -errno
                                       : io_uring_enter2((unsigned)u->ring_fd, submit, wait,
                                                         flags | IORING_ENTER_GETEVENTS, arg, size);
    if (WF_UNLIKELY(wf_shared_load(u->cq.koverflow, relaxed) != 0))
        wf_panic("the kernel ran out of memory and lost a completion of io_uring");
    switch (got < 0 ? -got : 0) {
    case 0:
    case EINTR:
    case ETIME:
    case EAGAIN:
    case EBUSY:
    case EBADR:
    case ENOMEM:
        return got;
    default:
        wf_panic("io_uring_enter: %s", strerror(-got));
    }
}

static int uring_enter(struct wf_kernel *k, unsigned submit)
{
    return enter(&uring_of(k)->u, submit, 0, 0, NULL, 0);
}

static void uring_sleep(struct wf_kernel *k, unsigned submit, int64_t left_ns)
{
    struct io_uring *u = &uring_of(k)->u;
    struct __kernel_timespec ts = {left_ns / 1000000000, left_ns % 1000000000};
    struct io_uring_getevents_arg arg = {
        .sigmask_sz = _NSIG / 8,
        .ts = left_ns == INT64_MAX ? 0 : (uint64_t)(uintptr_t)&ts,
    };
#ifdef WF_VALGRIND /* It does not know that io_uring_enter may sleep, and would keep all other threads waiting. */
    struct pollfd ring = {.fd = u->ring_fd, .events = POLLIN};
    struct timespec left = {ts.tv_sec, ts.tv_nsec};
    enter(u, submit, 0, 0, NULL, 0);
    ppoll(&ring, 1, left_ns == INT64_MAX ? NULL : &left, NULL);
    enter(u, 0, 0, 0, NULL, 0);
    return;
#endif
    unsigned flags = IORING_ENTER_EXT_ARG | (u->features & FEAT_NO_IOWAIT ? ENTER_NO_IOWAIT : 0);
    enter(u, submit, 1, flags, &arg, sizeof arg);
}

/* -EINVAL before 6.13. */
static int uring_message(struct wf_kernel *k, uint64_t user_data)
{
    struct io_uring_sqe message = {
        .opcode = IORING_OP_MSG_RING, .fd = uring_of(k)->u.ring_fd, .off = user_data};
    int err;
    do
        err = wf_fault(WF_FAULT_ENTER) ? -EAGAIN : io_uring_register((unsigned)-1, REGISTER_SEND_MSG_RING, &message, 1);
    while (err == -EINTR || err == -EAGAIN || err == -ENOMEM);
    return err;
}

const struct wf_kernel_ops wf_kernel_uring = {
    .name = "ring",
    .open = uring_open,
    .enter = uring_enter,
    .sleep = uring_sleep,
    .message = uring_message,
    .close = uring_close,
};
