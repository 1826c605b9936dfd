/* sys.h - the system calls of io/, one function each, so that a simulation may answer them instead.
 *
 * Each returns what its namesake does, or -errno; errno itself is left as it was found, since it may be a task's.
 * `_now` never sleeps: where its namesake would, it says -EAGAIN, whatever the descriptor's own O_NONBLOCK says. The
 * others are called where sleeping is fine, or impossible.
 *
 * sys.c asks the system. A simulation links a file of its own in its place. */
#ifndef WF_SYS_H
#define WF_SYS_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Sockets, by calls that do not sleep anyway. */
int wf_sys_socket(int family, int type, int protocol);
int wf_sys_bind(int fd, const struct sockaddr *address, socklen_t len);
int wf_sys_listen(int fd, int backlog);
int wf_sys_getsockname(int fd, struct sockaddr *address, socklen_t *len);
int wf_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int wf_sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int wf_sys_shutdown(int fd, int how);

/* Sockets. */
int64_t wf_sys_recv_now(int fd, void *buf, size_t n, int flags);
int64_t wf_sys_send_now(int fd, const void *buf, size_t n, int flags, const void *to, socklen_t len); /* to or NULL */
int64_t wf_sys_recvmsg_now(int fd, struct msghdr *m, int flags);
int64_t wf_sys_sendmsg_now(int fd, const struct msghdr *m, int flags);
int wf_sys_accept_now(int fd, struct sockaddr *address, socklen_t *len, int flags);

/* -EINPROGRESS: begun, or still under way; once the descriptor is writable, the same call says how it ended. */
int wf_sys_connect_now(int fd, const struct sockaddr *address, socklen_t len);

/* Descriptors of any kind. at of -1: their own position. -EOPNOTSUPP: whether it would sleep cannot be known. */
int64_t wf_sys_readv_now(int fd, const struct iovec *v, int n, int64_t at);
int64_t wf_sys_writev_now(int fd, const struct iovec *v, int n, int64_t at);

/* Which of these events of poll(2), errors and hangups included, are there now; -EBADF. */
int wf_sys_poll_now(int fd, unsigned events);

/* A regular file's size; -1: it is none. And where it stands. */
int64_t wf_sys_file_size(int fd);
int64_t wf_sys_file_position(int fd);

/* For threads that may sleep. */
int64_t wf_sys_readv(int fd, const struct iovec *v, int n, int64_t at);
int64_t wf_sys_writev(int fd, const struct iovec *v, int n, int64_t at);
int wf_sys_connect(int fd, const struct sockaddr *address, socklen_t len);
int wf_sys_openat(int folder, const char *path, int flags, unsigned mode);
int wf_sys_fsync(int fd, int data_only);
int wf_sys_fallocate(int fd, int mode, int64_t at, int64_t len);
int wf_sys_statx(int folder, const char *path, int flags, unsigned mask, void *ret);
int wf_sys_renameat(int folder, const char *path, int to_folder, const char *to_path, unsigned flags);
int wf_sys_unlinkat(int folder, const char *path, int flags);
int wf_sys_mkdirat(int folder, const char *path, unsigned mode);
int wf_sys_close(int fd);

#endif
