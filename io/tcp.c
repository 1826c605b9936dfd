/* tcp.c - listen, accept, connect.
 *
 * What cannot block is a plain system call: socket, bind, listen, setsockopt, shutdown. What can is a request.
 *
 * To connect to a name with several addresses is a race ("happy eyeballs", RFC 8305), written with weft's own
 * means: a task per address, the next one started when the last has failed or 250 ms have gone by, a select over
 * all of them, and a scope that is cancelled once one has won. Each task leaves its descriptor in the caller's
 * frame; after the scope is closed, all but the winner's are closed. So none is lost, whatever happened. */
#include "io/addr.h"
#include "io/op.h"
#include "io/sys.h"
#include "runtime/panic.h"
#include "runtime/platform/fault.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

enum { ADDRS_MAX = 15 }; /* tried of one name; with the time they are the cases of one select */

static const int64_t STAGGER_NS = 250 * WEFT_MSEC;
static const int64_t BACKOFF_MIN_NS = 10 * WEFT_MSEC, BACKOFF_MAX_NS = 100 * WEFT_MSEC;

static int open_socket(int family)
{
    int fd = wf_fault(WF_FAULT_FD) ? -errno : wf_sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return fd;
    wf_sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* best effort */
    return fd;
}

/* ---- listen ---- */

static int listen_at(const weft_addr *at, int backlog)
{
    struct sockaddr_storage address;
    int family = wf_addr_family(at), on = 1, off = 0, fd = open_socket(family);
    if (fd < 0)
        return fd;
    memcpy(&address, at->raw, at->len);
    wf_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) /* "every address" means IPv4 too, however the system is configured */
        wf_sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    int err = wf_sys_bind(fd, (struct sockaddr *)&address, at->len);
    if (!err)
        err = wf_sys_listen(fd, backlog > 0 ? backlog : INT_MAX);
    if (!err)
        return fd;
    wf_sys_close(fd);
    return err;
}

int weft_tcp_listen(const char *at, int backlog)
{
    wf_task_require("weft_tcp_listen");
    weft_addr addrs[ADDRS_MAX];
    int count = weft_resolve(at, addrs, ADDRS_MAX), fd = count;
    for (int i = 0; i < count; i++) {
        fd = listen_at(&addrs[i], backlog);
        if (fd >= 0)
            break;
    }
    return fd;
}

/* ---- accept ---- */

static bool is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

/* The connection was gone before it was taken, or the network told something about it: accept(2) says these are
 * to be treated as if nothing had come. */
static bool is_passing(int err)
{
    switch (err) {
    case -ECONNABORTED:
    case -EPROTO:
    case -ENETDOWN:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENONET:
    case -ENOPROTOOPT:
        return true;
    default:
        return false;
    }
}

/* [Tsc] Wait for descriptors to come free, a little longer each time. */
static int back_off(int err, int64_t *pause_ns)
{
    static WF_ATOMIC(bool) warned;
    if (!wf_swap(&warned, true, relaxed))
        wf_warn("weft_accept: %s; waiting for some to be given back", weft_strerror(err));
    int reason = weft_sleep(*pause_ns);
    *pause_ns = *pause_ns * 2 < BACKOFF_MAX_NS ? *pause_ns * 2 : BACKOFF_MAX_NS;
    return reason;
}

static int accept_once(weft_task *t, int listener, weft_addr *peer)
{
    int err;
    struct wf_fd *on = wf_fd_enter(listener, &err);
    if (!on)
        return err;
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    struct io_uring_sqe sqe =
        wf_op_sqe(IORING_OP_ACCEPT, listener, peer ? &address : NULL, 0, peer ? (uint64_t)(uintptr_t)&len : 0);
    sqe.accept_flags = SOCK_CLOEXEC;
    int fd = wf_fault(WF_FAULT_FD) ? -EMFILE : wf_op_run(t, &sqe, on, POLLIN);
    wf_fd_leave(on);
    if (fd >= 0 && peer)
        wf_addr_store(peer, &address, len < sizeof address ? len : sizeof address);
    return fd;
}

int weft_accept(int listener, weft_addr *peer)
{
    weft_task *t = wf_task_require("weft_accept");
    int64_t pause_ns = BACKOFF_MIN_NS;
    for (;;) {
        int fd = accept_once(t, listener, peer), reason;
        if (is_shortage(fd)) {
            if ((reason = back_off(fd, &pause_ns)) != 0)
                return reason;
        } else if (!is_passing(fd)) {
            return fd;
        }
    }
}

/* ---- connect ---- */

/* [Tsc] A connect that the kernel gave up for no reason of ours goes on by itself; ask how it ended. */
static int await_connected(weft_task *t, int fd)
{
    struct io_uring_sqe sqe = wf_op_poll(fd, POLLOUT);
    int result = wf_op_run(t, &sqe, NULL, 0), err = 0;
    socklen_t len = sizeof err;
    if (result < 0)
        return result;
    result = wf_sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    return result < 0 ? result : -err;
}

/* [Tsc] A socket connected to this address. Nobody else knows it yet, so nobody can close it meanwhile. */
static int connect_to(const weft_addr *to)
{
    weft_task *t = wf_task_require("weft_tcp_connect");
    int fd = open_socket(wf_addr_family(to));
    if (fd < 0)
        return fd;
    struct io_uring_sqe sqe = wf_op_sqe(IORING_OP_CONNECT, fd, to->raw, 0, to->len);
    int err = wf_op_once(t, &sqe, NULL);
    if (err == -EINTR || err == -EINPROGRESS || err == -EALREADY)
        err = await_connected(t, fd);
    if (err < 0) {
        wf_sys_close(fd);
        return err;
    }
    return fd;
}

struct attempt {
    weft_addr to;
    int fd; /* or why not; -ENOMEM: it never ran. By its task, until that is seen to be over */
    weft_task *task;
    bool over; /* its end has been seen */
};

static int attempt(void *arg)
{
    struct attempt *a = arg;
    a->fd = connect_to(&a->to);
    return 0;
}

/* See who is over by now. The first connected one; count if all have failed; or -1. */
static int standing(struct attempt *tries, int started, int count)
{
    bool running = started < count;
    for (int i = 0; i < started; i++) {
        tries[i].over = weft_done(tries[i].task);
        if (tries[i].over && tries[i].fd >= 0)
            return i;
        running |= !tries[i].over;
    }
    return running ? -1 : count;
}

/* [Tsc] Wait until one that was still running has ended, or it is time for the next one. */
static int await_any(const struct attempt *tries, int started, weft_time next)
{
    weft_case on[ADDRS_MAX + 1];
    size_t n = 0;
    for (int i = 0; i < started; i++)
        if (!tries[i].over)
            on[n++] = weft_on_task(tries[i].task);
    on[n++] = weft_on_time(next);
    return weft_select(on, n);
}

/* [Tsc] The index of the winner, count if all failed, or why to stop. No task is left. */
static int race(struct attempt *tries, int count)
{
    WEFT_SCOPE(s);
    int started = 0, result = 0;
    weft_time next = weft_now();
    while (result >= 0 && (result = standing(tries, started, count)) < 0) {
        bool last_failed = started > 0 && tries[started - 1].over;
        if (started < count && (last_failed || weft_since(next) >= 0)) {
            tries[started].task = weft_spawn(&s, attempt, &tries[started]);
            started++;
            next = started < count ? weft_after(STAGGER_NS) : weft_never();
        }
        result = await_any(tries, started, next);
    }
    weft_scope_cancel(&s);
    bool out_of_memory = weft_scope_close(&s) == -ENOMEM; /* for a task; then its scope has stopped the others */
    return out_of_memory && (result < 0 || result == count) ? -ENOMEM : result;
}

int weft_tcp_connect(const char *to)
{
    wf_task_require("weft_tcp_connect");
    weft_addr addrs[ADDRS_MAX];
    struct attempt tries[ADDRS_MAX];
    int count = weft_resolve(to, addrs, ADDRS_MAX);
    if (count <= 1)
        return count == 1 ? connect_to(&addrs[0]) : count;
    for (int i = 0; i < count; i++)
        tries[i] = (struct attempt){.to = addrs[i], .fd = -ENOMEM};
    int result = race(tries, count);
    for (int i = 0; i < count; i++)
        if (i != result && tries[i].fd >= 0)
            wf_sys_close(tries[i].fd);
    if (result == count)
        return tries[count - 1].fd;
    return result < 0 ? result : tries[result].fd;
}

int weft_shutdown_write(int fd)
{
    return wf_sys_shutdown(fd, SHUT_WR);
}
