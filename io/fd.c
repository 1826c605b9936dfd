/* fd.c - descriptors of any kind: read, write, poll, close.
 *
 * Each call counts itself in at the descriptor's word (fdtable.h), runs one request (op.h) and counts itself
 * out. Nothing is tried with a plain system call first: measured, that costs more than it saves, since the ring
 * makes the same attempt when the request is submitted, and submits many at once.
 *
 * A case of a select is a poll request too, but the task does not wait for it alone. Its record is on the heap
 * and belongs to two: the request's completion and the case. Under its lock,
 *
 *     completion first     fires the waiter. It won: the case is never asked again, the record goes.
 *                          It lost: dequeue comes later and lets the record go
 *     dequeue first        cancels the request and leaves the record to its completion
 *
 * so a select that goes on need not wait for the cancelled request; weft_close() does, as it is still counted. */
#include "io/op.h"
#include "io/ring.h"
#include "runtime/alloc.h"
#include "runtime/panic.h"

#include <poll.h>
#include <sys/socket.h>
#include <weft/io.h>

enum { TRANSFER_MAX = 0x7ffff000 }; /* in one request: what read(2) does at most */

static const uint64_t HERE = UINT64_MAX; /* the file's own position */

/* [Tsc] Bytes at a place of its own. */
static ssize_t transfer(const char *who, uint8_t opcode, int fd, const void *buf, size_t n, int64_t at)
{
    weft_task *t = wf_task_require(who);
    int err;
    if (at < 0)
        return -EINVAL;
    struct wf_fd *on = wf_fd_enter(fd, &err);
    if (!on)
        return err;
    uint32_t size = n < TRANSFER_MAX ? (uint32_t)n : TRANSFER_MAX;
    struct io_uring_sqe sqe = wf_op_sqe(opcode, fd, buf, size, (uint64_t)at);
    int result = wf_op_run(t, &sqe, on, opcode == IORING_OP_READ ? POLLIN : POLLOUT);
    wf_fd_leave(on);
    return result;
}

/* [Tsc] The next bytes of a stream. A socket is asked with RECV and SEND: READ and WRITE do the same, through
 * the file layer, and cost a server about an eighth more per request. What is no socket says so, once: from then
 * on its word says it. Should the number have become a socket since, behind weft_close()'s back, it works the
 * dear way. Nothing of size 0 is asked of a socket, which would take a datagram for it. */
static ssize_t stream(const char *who, bool reads, int fd, const void *buf, size_t n)
{
    weft_task *t = wf_task_require(who);
    int err;
    struct wf_fd *on = wf_fd_enter(fd, &err);
    if (!on)
        return err;
    uint32_t size = n < TRANSFER_MAX ? (uint32_t)n : TRANSFER_MAX;
    short events = reads ? POLLIN : POLLOUT;
    int result = -ENOTSOCK;
    if (n > 0 && !(wf_load(&on->word, relaxed) & WF_FD_PLAIN)) {
        struct io_uring_sqe sqe = wf_op_sqe(reads ? IORING_OP_RECV : IORING_OP_SEND, fd, buf, size, 0);
        sqe.msg_flags = reads ? 0 : MSG_NOSIGNAL;
        result = wf_op_run(t, &sqe, on, events);
        if (result == -ENOTSOCK)
            wf_or(&on->word, (uint64_t)WF_FD_PLAIN, relaxed);
    }
    if (result == -ENOTSOCK) {
        struct io_uring_sqe sqe = wf_op_sqe(reads ? IORING_OP_READ : IORING_OP_WRITE, fd, buf, size, HERE);
        result = wf_op_run(t, &sqe, on, events);
    }
    wf_fd_leave(on);
    return result;
}

ssize_t weft_read(int fd, void *buf, size_t n)
{
    return stream("weft_read", true, fd, buf, n);
}

ssize_t weft_write(int fd, const void *buf, size_t n)
{
    return stream("weft_write", false, fd, buf, n);
}

ssize_t weft_pread(int fd, void *buf, size_t n, int64_t at)
{
    return transfer("weft_pread", IORING_OP_READ, fd, buf, n, at);
}

ssize_t weft_pwrite(int fd, const void *buf, size_t n, int64_t at)
{
    return transfer("weft_pwrite", IORING_OP_WRITE, fd, buf, n, at);
}

int weft_read_full(int fd, void *buf, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = weft_read(fd, (char *)buf + done, n - done);
        if (got <= 0)
            return got < 0 ? (int)got : -EPIPE;
        done += (size_t)got;
    }
    return 0;
}

int weft_write_all(int fd, const void *buf, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = weft_write(fd, (const char *)buf + done, n - done);
        if (put <= 0)
            return put < 0 ? (int)put : -EIO; /* nothing written and no reason given: not for ever */
        done += (size_t)put;
    }
    return 0;
}

int weft_close(int fd)
{
    wf_task_require("weft_close");
    return wf_fd_close(fd);
}

void weft_closep(int *fd)
{
    if (*fd >= 0)
        weft_close(*fd);
}

int weft_poll(int fd, short events)
{
    weft_task *t = wf_task_require("weft_poll");
    int err;
    struct wf_fd *on = wf_fd_enter(fd, &err);
    if (!on)
        return err;
    struct io_uring_sqe sqe = wf_op_poll(fd, events);
    int result = wf_op_run(t, &sqe, on, 0);
    wf_fd_leave(on);
    return result;
}

/* ---- a case of a select ---- */

struct watch {
    struct wf_op_call call; /* first: what the completion knows */
    struct wf_lock lock;    /* for all below */
    bool abandoned, over;   /* by the case; the request */
    int fd;
    short events;
    weft_waiter *waiter;    /* valid until it is fired or dequeued */
    struct wf_fd *on;       /* entered */
    uint64_t user_data;     /* of the request, wherever it is now */
    struct wf_driver *driver;
};

static WF_ATOMIC(uint64_t) generations; /* tells a record from one that lay there before: see op.c */

static void watch_free(struct watch *a)
{
    wf_free(a, sizeof *a);
}

/* Push the request, on a worker, under the lock. False: closing. */
static bool watch_push(struct watch *a)
{
    struct io_uring_sqe sqe = wf_op_poll(a->fd, a->events);
    a->driver = wf_worker_driver();
    a->user_data = wf_op_name(a, wf_add(&generations, 1, relaxed)) | WF_OP_CALL;
    sqe.user_data = a->user_data;
    if (!wf_fd_mark(a->on, wf_ring_mark(a->driver)))
        return false;
    wf_driver_push(a->driver, &sqe);
    if (wf_fd_is_closing(a->on))
        wf_op_cancel(a->driver, a->user_data, NULL, true);
    return true;
}

static void watch_done(struct wf_op_call *call, int result)
{
    struct watch *a = (struct watch *)call;
    struct wf_fd *on = a->on;
    bool keep = false;
    wf_lock(&a->lock);
    if (result == -ECANCELED && !a->abandoned) {
        if (watch_push(a)) { /* cancelled, and nobody asked for it */
            wf_unlock(&a->lock);
            return;
        }
        result = -EBADF;
    }
    a->over = true;
    if (!a->abandoned)
        keep = !weft_wake(a->waiter, result);
    wf_unlock(&a->lock);
    if (!keep)
        watch_free(a);
    wf_fd_leave(on);
}

static bool fd_ready(weft_case *c)
{
    (void)c; /* asking costs as much as waiting */
    return false;
}

static int watch_begin(int fd, short events, weft_waiter *w)
{
    struct watch *a = wf_alloc_aligned(sizeof *a, 16);
    if (!a)
        return -ENOMEM;
    int err;
    *a = (struct watch){.call = {watch_done}, .fd = fd, .events = events, .waiter = w};
    a->on = wf_fd_enter(fd, &err);
    if (a->on) {
        w->prev = (weft_waiter *)(void *)a; /* ours to use while it is enqueued */
        wf_lock(&a->lock);
        bool pushed = watch_push(a);
        wf_unlock(&a->lock);
        if (pushed)
            return 0; /* from here on the completion may come and take it */
        wf_fd_leave(a->on);
        err = -EBADF;
    }
    watch_free(a);
    return err;
}

static bool fd_enqueue(weft_case *c, weft_waiter *w)
{
    wf_task_require("weft_select");
    int err = watch_begin((int32_t)c->arg, (short)(c->arg >> 32), w);
    if (err) {
        w->prev = NULL;
        weft_wake(w, err); /* that is how this case ends */
    }
    return true;
}

static bool fd_dequeue(weft_case *c, weft_waiter *w)
{
    struct watch *a = (void *)w->prev;
    (void)c;
    if (!a)
        return false;
    wf_lock(&a->lock);
    bool over = a->over;
    a->abandoned = true;
    struct wf_driver *driver = a->driver;
    uint64_t user_data = a->user_data;
    wf_unlock(&a->lock);
    if (over)
        watch_free(a);
    else
        wf_op_cancel(driver, user_data, NULL, true);
    return !over;
}

weft_case weft_on_fd(int fd, short events)
{
    static const struct weft_waitable how = {fd_ready, fd_enqueue, fd_dequeue};
    return (weft_case){.how = &how, .arg = (int64_t)(uint16_t)events << 32 | (uint32_t)fd};
}
