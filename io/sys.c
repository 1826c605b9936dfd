/* sys.c - the system calls of io/, made of the system. See sys.h.
 *
 * Two calls have no way of being told not to sleep but the descriptor's own O_NONBLOCK, which is everybody's who
 * shares the open file: accept(2) and connect(2). That flag is set for the length of the call, and taken back, under
 * one lock of the process, so no two threads here can mistake each other's for the user's. Others who share it could
 * meet the flag only by entering accept(2) in the instant after the last connection was taken, as accept is only
 * tried when a connection is there; and nobody shares a socket that is not connected yet. (Rejected: trusting
 * poll(2) and then calling accept4(2): whoever takes the connection in between leaves the worker asleep for good. A
 * thread for it: a stop could not end its sleep.) */
#include "io/sys.h"

#ifdef WF_SIM
#include "io/sim_net.h"
#endif
#include "runtime/platform/local.h"
#include "runtime/platform/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each stretch between the two is free of suspensions. */
static int64_t result(int64_t got, int errno_before)
{
    if (got >= 0)
        return got;
    int err = wf_errno_read();
    wf_errno_write(errno_before);
    return -err;
}

/* In a simulation the sockets are its own: the call is answered there. */
#ifdef WF_SIM
#define SIMULATED(fd, call)                                                                                            \
    if (wf_sim_net_has(fd))                                                                                            \
    return wf_sim_net_##call
#else
#define SIMULATED(fd, call) (void)0
#endif

#define ASK(call)                                                                                                      \
    int before = wf_errno_read();                                                                                      \
    return (__typeof__(call))result((call), before)

int wf_sys_socket(int family, int type, int protocol)
{
#ifdef WF_SIM
    int fd = wf_sim_net_socket(family, type);
    if (fd != -EAFNOSUPPORT) /* a kind that is simulated */
        return fd;
#endif
    ASK(socket(family, type, protocol));
}

int wf_sys_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    SIMULATED(fd, bind(fd, address, len));
    ASK(bind(fd, address, len));
}

int wf_sys_listen(int fd, int backlog)
{
    SIMULATED(fd, listen(fd, backlog));
    ASK(listen(fd, backlog));
}

int wf_sys_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
    SIMULATED(fd, getsockname(fd, address, len));
    ASK(getsockname(fd, address, len));
}

int wf_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    SIMULATED(fd, getsockopt(fd, level, name, value, len));
    ASK(getsockopt(fd, level, name, value, len));
}

int wf_sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    SIMULATED(fd, setsockopt(fd));
    ASK(setsockopt(fd, level, name, value, len));
}

int wf_sys_shutdown(int fd, int how)
{
    SIMULATED(fd, shutdown(fd, how));
    ASK(shutdown(fd, how));
}

int64_t wf_sys_recv_now(int fd, void *buf, size_t n, int flags)
{
    SIMULATED(fd, recv(fd, buf, n, flags));
    ASK(recv(fd, buf, n, flags | MSG_DONTWAIT));
}

int64_t wf_sys_send_now(int fd, const void *buf, size_t n, int flags, const void *to, socklen_t len)
{
    SIMULATED(fd, send(fd, buf, n));
    ASK(sendto(fd, buf, n, flags | MSG_DONTWAIT, to, to ? len : 0));
}

int64_t wf_sys_recvmsg_now(int fd, struct msghdr *m, int flags)
{
    ASK(recvmsg(fd, m, flags | MSG_DONTWAIT));
}

int64_t wf_sys_sendmsg_now(int fd, const struct msghdr *m, int flags)
{
    ASK(sendmsg(fd, m, flags | MSG_DONTWAIT));
}

/* ---- what only O_NONBLOCK keeps from sleeping ---- */

static struct wf_lock flag_lock;

/* A listener without a connection, on which accept(2) would sleep. On what is no listener it fails at once. */
static bool is_quiet(int fd)
{
    int listens = 0;
    socklen_t len = sizeof listens;
    return wf_sys_poll_now(fd, POLLIN) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
}

/* Under the lock. The flags to be put back, -1 if none, or -errno - 1. */
static int forbid_sleep(int fd, bool accepts)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -wf_errno_read() - 1;
    if (flags & O_NONBLOCK)
        return -1;
    if (accepts && is_quiet(fd))
        return -EAGAIN - 1;
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -wf_errno_read() - 1 : flags;
}

static void allow_sleep(int fd, int flags)
{
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags);
}

int wf_sys_accept_now(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    SIMULATED(fd, accept(fd, address, len));
    int before = wf_errno_read();
    wf_lock(&flag_lock);
    int kept = forbid_sleep(fd, true), got = kept < -1 ? kept + 1 : 0;
    if (got == 0) {
        got = (int)result(accept4(fd, address, len, flags), before);
        allow_sleep(fd, kept);
    }
    wf_unlock(&flag_lock);
    wf_errno_write(before);
    return got;
}

int wf_sys_connect_now(int fd, const struct sockaddr *address, socklen_t len)
{
    SIMULATED(fd, connect(fd, address, len));
    int before = wf_errno_read();
    wf_lock(&flag_lock);
    int kept = forbid_sleep(fd, false), got = kept < -1 ? kept + 1 : 0;
    if (got == 0) {
        got = (int)result(connect(fd, address, len), before);
        allow_sleep(fd, kept);
    }
    wf_unlock(&flag_lock);
    wf_errno_write(before);
    return got == -EALREADY ? -EINPROGRESS : got;
}

/* ---- any descriptor ---- */

/* A pipe of a kernel before 6.4, which does not know RWF_NOWAIT of pipes: opened once more, it has flags of its own.
 * -EOPNOTSUPP: it is none, or cannot be opened. What is not open for this at all never becomes ready either. */
static int open_twin(int fd, int mode)
{
    char path[32];
    struct stat s;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || ((flags & O_ACCMODE) != mode && (flags & O_ACCMODE) != O_RDWR))
        return -EBADF;
    if (fstat(fd, &s) < 0 || !S_ISFIFO(s.st_mode))
        return -EOPNOTSUPP;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int twin = open(path, mode | O_NONBLOCK | O_CLOEXEC);
    return twin < 0 ? -EOPNOTSUPP : twin;
}

/* preadv2 and pwritev2 have one signature, as readv and writev have. */
static int64_t move_now(int fd, const struct iovec *v, int n, int64_t at, bool reads)
{
    int before = wf_errno_read();
    int64_t got = result((reads ? preadv2 : pwritev2)(fd, v, n, at, RWF_NOWAIT), before);
    if (got != -EOPNOTSUPP || at >= 0)
        return got;
    int twin = open_twin(fd, reads ? O_RDONLY : O_WRONLY);
    got = twin < 0 ? twin : result((reads ? readv : writev)(twin, v, n), before);
    if (twin >= 0)
        close(twin);
    wf_errno_write(before);
    return got;
}

int64_t wf_sys_readv_now(int fd, const struct iovec *v, int n, int64_t at)
{
    SIMULATED(fd, readv(fd, v, n));
    return move_now(fd, v, n, at, true);
}

int64_t wf_sys_writev_now(int fd, const struct iovec *v, int n, int64_t at)
{
    SIMULATED(fd, writev(fd, v, n));
    return move_now(fd, v, n, at, false);
}

int wf_sys_poll_now(int fd, unsigned events)
{
    SIMULATED(fd, poll(fd, events));
    struct pollfd p = {.fd = fd, .events = (short)events};
    int before = wf_errno_read(), got;
    do
        got = (int)result(poll(&p, 1, 0), before);
    while (got == -EINTR);
    if (got <= 0)
        return got;
    return p.revents & POLLNVAL ? -EBADF : (int)(unsigned short)p.revents;
}

int64_t wf_sys_file_size(int fd)
{
    struct stat s;
    int before = wf_errno_read();
    int64_t got = result(fstat(fd, &s), before);
    return got == 0 && S_ISREG(s.st_mode) ? s.st_size : -1;
}

int64_t wf_sys_file_position(int fd)
{
    ASK(lseek(fd, 0, SEEK_CUR));
}

/* ---- what may sleep ---- */

int64_t wf_sys_readv(int fd, const struct iovec *v, int n, int64_t at)
{
    ASK(at < 0 ? readv(fd, v, n) : preadv(fd, v, n, at));
}

int64_t wf_sys_writev(int fd, const struct iovec *v, int n, int64_t at)
{
    ASK(at < 0 ? writev(fd, v, n) : pwritev(fd, v, n, at));
}

int wf_sys_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    ASK(connect(fd, address, len));
}

int wf_sys_openat(int folder, const char *path, int flags, unsigned mode)
{
    ASK(openat(folder, path, flags, (mode_t)mode));
}

int wf_sys_fsync(int fd, int data_only)
{
    ASK(data_only ? fdatasync(fd) : fsync(fd));
}

int wf_sys_fallocate(int fd, int mode, int64_t at, int64_t len)
{
    ASK(fallocate(fd, mode, at, len));
}

int wf_sys_statx(int folder, const char *path, int flags, unsigned mask, void *ret)
{
    ASK(statx(folder, path, flags, mask, ret));
}

int wf_sys_renameat(int folder, const char *path, int to_folder, const char *to_path, unsigned flags)
{
    ASK(renameat2(folder, path, to_folder, to_path, flags));
}

int wf_sys_unlinkat(int folder, const char *path, int flags)
{
    ASK(unlinkat(folder, path, flags));
}

int wf_sys_mkdirat(int folder, const char *path, unsigned mode)
{
    ASK(mkdirat(folder, path, (mode_t)mode));
}

int wf_sys_close(int fd)
{
    SIMULATED(fd, close(fd));
    ASK(close(fd));
}
