/* interpret.c - see interpret.h.
 *
 * A request is tried when it is taken from the queue, or once the descriptor is ready, and again each time it said
 * that it had to wait; trying in vain does no harm. Reads and writes are the ones that cannot always be tried:
 *
 *     sockets, pipes, files in memory    RWF_NOWAIT says -EAGAIN in place of sleeping
 *     files not in memory                -EAGAIN too, though poll(2) and epoll have nothing to say: a thread
 *     terminals and other devices        cannot say: wait until poll(2) says ready, then a thread, which sleeps only
 *                                        if somebody else was quicker. It writes little at once, for the same reason
 *
 * What a file gave less of than it has is completed by a thread, as io_uring does. */
#include "io/interpret.h"

#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>

static struct wf_tried done(int64_t result)
{
    return (struct wf_tried){WF_DONE, (int)result};
}

static struct wf_tried wait_for(unsigned events)
{
    return (struct wf_tried){WF_WAIT, (int)events};
}

static const struct wf_tried thread = {WF_THREAD, 0};

static void *pointer(uint64_t p)
{
    return (void *)(uintptr_t)p;
}

unsigned wf_interpret_events(const struct wf_request *r)
{
    switch (r->sqe.opcode) {
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_ACCEPT:
        return POLLIN;
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
        return r->sqe.msg_flags & MSG_OOB ? POLLPRI : POLLIN;
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_CONNECT:
        return POLLOUT;
    case IORING_OP_POLL_ADD:
        return r->sqe.poll32_events & 0xffff;
    default:
        return 0;
    }
}

/* ---- sockets ---- */

/* A message that could not be moved, or not all of one that is to be moved as a whole, waits. */
static struct wf_tried message(struct wf_request *r, int64_t got, unsigned whole)
{
    if (got == -EAGAIN && !(r->sqe.msg_flags & MSG_DONTWAIT))
        return wait_for(wf_interpret_events(r));
    if (got > 0 && (r->sqe.msg_flags & MSG_WAITALL) && r->moved + (unsigned)got < whole) {
        r->moved += (unsigned)got;
        return wait_for(wf_interpret_events(r));
    }
    if (got <= 0)
        return done(r->moved ? r->moved : got);
    return done((int64_t)r->moved + got);
}

static struct wf_tried receive(struct wf_request *r)
{
    char *at = (char *)pointer(r->sqe.addr) + r->moved;
    int64_t got = wf_sys_recv_now(r->sqe.fd, at, r->sqe.len - r->moved, (int)r->sqe.msg_flags);
    return message(r, got, r->sqe.len);
}

static struct wf_tried transmit(struct wf_request *r)
{
    const char *at = (char *)pointer(r->sqe.addr) + r->moved;
    int64_t got = wf_sys_send_now(r->sqe.fd, at, r->sqe.len - r->moved, (int)r->sqe.msg_flags, pointer(r->sqe.addr2),
                                  r->sqe.addr_len);
    return message(r, got, r->sqe.len);
}

static struct wf_tried receive_message(struct wf_request *r)
{
    return message(r, wf_sys_recvmsg_now(r->sqe.fd, pointer(r->sqe.addr), (int)r->sqe.msg_flags), 0);
}

static struct wf_tried send_message(struct wf_request *r)
{
    return message(r, wf_sys_sendmsg_now(r->sqe.fd, pointer(r->sqe.addr), (int)r->sqe.msg_flags), 0);
}

static struct wf_tried accept_one(struct wf_request *r)
{
    int fd = wf_sys_accept_now(r->sqe.fd, pointer(r->sqe.addr), pointer(r->sqe.addr2), (int)r->sqe.accept_flags);
    return fd == -EAGAIN ? wait_for(POLLIN) : done(fd);
}

/* Asked again, connect(2) tells how it ended. One to a local socket whose backlog is full cannot be waited for by
 * poll(2). */
static struct wf_tried connect_to(struct wf_request *r)
{
    int err = wf_sys_connect_now(r->sqe.fd, pointer(r->sqe.addr), (socklen_t)r->sqe.addr2);
    if (err == -EAGAIN)
        return thread;
    if (err == -EINPROGRESS) {
        r->begun = true;
        return wait_for(POLLOUT);
    }
    return done(err == -EISCONN && r->begun ? 0 : err);
}

/* ---- any descriptor ---- */

static struct wf_tried poll_once(struct wf_request *r)
{
    int events = wf_sys_poll_now(r->sqe.fd, wf_interpret_events(r));
    return events == 0 ? wait_for(wf_interpret_events(r)) : done(events);
}

static bool is_vector(const struct wf_request *r)
{
    return r->sqe.opcode == IORING_OP_READV || r->sqe.opcode == IORING_OP_WRITEV;
}

static bool is_read(const struct wf_request *r)
{
    return r->sqe.opcode == IORING_OP_READ || r->sqe.opcode == IORING_OP_READV;
}

/* A file that has given less than was asked for and has more, or has taken less than it was given. */
static bool goes_on(const struct wf_request *r, int64_t got)
{
    int64_t size = wf_sys_file_size(r->sqe.fd), at = (int64_t)r->sqe.off;
    if (size < 0)
        return false;
    return !is_read(r) || (at < 0 ? wf_sys_file_position(r->sqe.fd) : at + got) < size;
}

static struct wf_tried transfer(struct wf_request *r)
{
    struct iovec one = {pointer(r->sqe.addr), r->sqe.len}, *v = is_vector(r) ? pointer(r->sqe.addr) : &one;
    int n = is_vector(r) ? (int)r->sqe.len : 1, fd = r->sqe.fd;
    int64_t at = (int64_t)r->sqe.off, whole = 0;
    int64_t got = is_read(r) ? wf_sys_readv_now(fd, v, n, at) : wf_sys_writev_now(fd, v, n, at);
    if (got == -EAGAIN)
        return wait_for(wf_interpret_events(r));
    if (got == -EOPNOTSUPP && r->sqe.len == 0)
        return thread; /* nothing to wait for */
    if (got == -EOPNOTSUPP) {
        int events = wf_sys_poll_now(fd, wf_interpret_events(r));
        return events < 0 ? done(events) : events ? thread : wait_for(wf_interpret_events(r));
    }
    for (int i = 0; got > 0 && i < n; i++)
        whole += (int64_t)v[i].iov_len;
    if (got > 0 && got < whole && goes_on(r, got)) {
        r->moved = (unsigned)got;
        return thread;
    }
    return done(got);
}

/* ---- on a thread ---- */

/* Move one piece, from what `skip` leaves of it on. All of a file; of anything else once, and little. */
static int64_t move_piece(const struct wf_request *r, const struct iovec *piece, size_t skip, int64_t at, bool is_file)
{
    int64_t total = 0;
    for (;;) {
        struct iovec rest = {(char *)piece->iov_base + skip, piece->iov_len - skip};
        if (!is_file && !is_read(r) && rest.iov_len > PIPE_BUF)
            rest.iov_len = PIPE_BUF;
        int64_t got = is_read(r) ? wf_sys_readv(r->sqe.fd, &rest, 1, at) : wf_sys_writev(r->sqe.fd, &rest, 1, at);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return total ? total : got;
        total += got;
        skip += (size_t)got;
        at = at < 0 ? at : at + got;
        if (!is_file || skip == piece->iov_len)
            return total;
    }
}

/* The rest of it, piece by piece, until one is not moved whole. */
static int move_rest(struct wf_request *r)
{
    struct iovec one = {pointer(r->sqe.addr), r->sqe.len}, *v = is_vector(r) ? pointer(r->sqe.addr) : &one;
    unsigned n = is_vector(r) ? r->sqe.len : 1;
    bool is_file = wf_sys_file_size(r->sqe.fd) >= 0;
    size_t skip = r->moved;
    for (unsigned i = 0; i < n; i++) {
        if (skip >= v[i].iov_len && !(n == 1 && r->moved == 0)) {
            skip -= v[i].iov_len;
            continue;
        }
        int64_t at = (int64_t)r->sqe.off < 0 ? -1 : (int64_t)r->sqe.off + r->moved;
        int64_t got = move_piece(r, &v[i], skip, at, is_file);
        if (got < 0)
            return r->moved ? (int)r->moved : (int)got;
        r->moved += (unsigned)got;
        if (skip + (size_t)got < v[i].iov_len)
            break;
        skip = 0;
    }
    return (int)r->moved;
}

static int connect_sleeping(const struct io_uring_sqe *s)
{
    int err;
    do
        err = wf_sys_connect(s->fd, pointer(s->addr), (socklen_t)s->addr2);
    while (err == -EINTR);
    return err;
}

int wf_interpret_sleeping(struct wf_request *r)
{
    const struct io_uring_sqe *s = &r->sqe;
    switch (s->opcode) {
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
        return move_rest(r);
    case IORING_OP_CONNECT:
        return connect_sleeping(s);
    case IORING_OP_OPENAT:
        return wf_sys_openat(s->fd, pointer(s->addr), (int)s->open_flags, s->len);
    case IORING_OP_CLOSE:
        return wf_sys_close(s->fd);
    case IORING_OP_FSYNC:
        return wf_sys_fsync(s->fd, s->fsync_flags & IORING_FSYNC_DATASYNC);
    case IORING_OP_FALLOCATE:
        return wf_sys_fallocate(s->fd, (int)s->len, (int64_t)s->off, (int64_t)s->addr);
    case IORING_OP_STATX:
        return wf_sys_statx(s->fd, pointer(s->addr), (int)s->statx_flags, s->len, pointer(s->addr2));
    case IORING_OP_RENAMEAT:
        return wf_sys_renameat(s->fd, pointer(s->addr), (int)s->len, pointer(s->addr2), s->rename_flags);
    case IORING_OP_UNLINKAT:
        return wf_sys_unlinkat(s->fd, pointer(s->addr), (int)s->unlink_flags);
    case IORING_OP_MKDIRAT:
        return wf_sys_mkdirat(s->fd, pointer(s->addr), s->len);
    default:
        return -EINVAL;
    }
}

/* ---- all of them ---- */

static struct wf_tried execute(struct wf_request *r)
{
    switch (r->sqe.opcode) {
    case IORING_OP_NOP:
        return done(0);
    case IORING_OP_RECV:
        return receive(r);
    case IORING_OP_SEND:
        return transmit(r);
    case IORING_OP_RECVMSG:
        return receive_message(r);
    case IORING_OP_SENDMSG:
        return send_message(r);
    case IORING_OP_ACCEPT:
        return accept_one(r);
    case IORING_OP_CONNECT:
        return connect_to(r);
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
        return transfer(r);
    case IORING_OP_POLL_ADD:
        return poll_once(r);
    case IORING_OP_SOCKET: /* its fields: family, type, protocol */
        return done(wf_sys_socket(r->sqe.fd, (int)r->sqe.off, (int)r->sqe.len));
    case IORING_OP_SHUTDOWN:
        return done(wf_sys_shutdown(r->sqe.fd, (int)r->sqe.len));
    case IORING_OP_OPENAT:
    case IORING_OP_CLOSE:
    case IORING_OP_FSYNC:
    case IORING_OP_FALLOCATE:
    case IORING_OP_STATX:
    case IORING_OP_RENAMEAT:
    case IORING_OP_UNLINKAT:
    case IORING_OP_MKDIRAT:
        return thread;
    default:
        return done(-EINVAL);
    }
}

/* Fixed files and buffers, links, buffer groups, several completions of one accept or receive: -EINVAL, as a kernel
 * says that does not know them. */
static bool is_plain(const struct io_uring_sqe *s)
{
    bool flags_fine = (s->flags & ~(unsigned)IOSQE_ASYNC) == 0;
    bool is_transfer = s->opcode == IORING_OP_READ || s->opcode == IORING_OP_WRITE || s->opcode == IORING_OP_READV ||
                       s->opcode == IORING_OP_WRITEV;
    bool is_message = s->opcode == IORING_OP_SEND || s->opcode == IORING_OP_RECV || s->opcode == IORING_OP_SENDMSG ||
                      s->opcode == IORING_OP_RECVMSG || s->opcode == IORING_OP_ACCEPT;
    return flags_fine && !(is_transfer && s->rw_flags) &&
           !(is_message && (s->ioprio & ~(unsigned)IORING_RECVSEND_POLL_FIRST));
}

struct wf_tried wf_interpret(struct wf_request *r)
{
    if (!is_plain(&r->sqe))
        return done(-EINVAL);
    struct wf_tried tried;
    do
        tried = execute(r);
    while (tried.verdict == WF_DONE && tried.value == -EINTR);
    return tried;
}

int wf_interpret_cancelled(const struct wf_request *r)
{
    return r->moved ? (int)r->moved : -ECANCELED;
}

/* Has it a descriptor that it works on, as opposed to a folder it starts from? */
static bool has_descriptor(const struct io_uring_sqe *s)
{
    switch (s->opcode) {
    case IORING_OP_NOP:
    case IORING_OP_OPENAT:
    case IORING_OP_STATX:
    case IORING_OP_RENAMEAT:
    case IORING_OP_UNLINKAT:
    case IORING_OP_MKDIRAT:
    case IORING_OP_SOCKET:
        return false;
    default:
        return true;
    }
}

bool wf_interpret_means(const struct io_uring_sqe *cancel, const struct io_uring_sqe *request)
{
    if (cancel->cancel_flags & IORING_ASYNC_CANCEL_ANY)
        return true;
    if (cancel->cancel_flags & IORING_ASYNC_CANCEL_FD)
        return has_descriptor(request) && request->fd == cancel->fd;
    return request->user_data == cancel->addr;
}

bool wf_interpret_repeats(const struct io_uring_sqe *request)
{
    return request->opcode == IORING_OP_POLL_ADD && (request->len & IORING_POLL_ADD_MULTI);
}
