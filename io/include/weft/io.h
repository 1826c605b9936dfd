/* weft/io.h - plain file descriptors.
 *
 * Whatever makes a descriptor, it works here at once, blocking or not: sockets, pipes, files,
 * terminals. When a call returns, the kernel has let go of the buffer, stopped or not. Bytes that moved
 * before a stop are reported; the next call then reports the stop. The errors are those of read(2),
 * write(2) and their kin, negated; EINTR and EAGAIN never come out, and a broken pipe is -EPIPE, not a
 * signal. */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <weft/select.h>

WEFT_BEGIN

WEFT_API ssize_t weft_read(int fd, void *buf, size_t n);                     /* [Tsc] 0: end of stream */
WEFT_API ssize_t weft_write(int fd, const void *buf, size_t n);              /* [Tsc] may be short */
WEFT_API ssize_t weft_pread(int fd, void *buf, size_t n, int64_t at);        /* [Tsc] at in bytes */
WEFT_API ssize_t weft_pwrite(int fd, const void *buf, size_t n, int64_t at); /* [Tsc] may be short */

/* [Tsc] All n bytes or an error: 0; -EPIPE when the stream ended before; else the first error. After an
 * error it is not known how many bytes moved. */
WEFT_API int weft_read_full(int fd, void *buf, size_t n);
WEFT_API int weft_write_all(int fd, const void *buf, size_t n);

/* [Ts-] Close fd. If other tasks are inside a call on it, they are made to return first, with -EBADF or
 * with what they have. 0, or what close(2) said; the descriptor is gone either way. -EBADF: was not open. */
WEFT_API int weft_close(int fd);
WEFT_API void weft_closep(int *fd); /* [Ts-] for the cleanup attribute; skips below 0 */

/* [Tsc] Wait until fd is ready for one of events (POLLIN, POLLOUT, ... of poll(2)): those that are. */
WEFT_API int weft_poll(int fd, short events);

WEFT_API weft_case weft_on_fd(int fd, short events); /* [A--] a case for weft_select(): the events */

WEFT_END

#endif
