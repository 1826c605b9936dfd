/* weft/base.h - what every other header assumes.
 *
 * Results   int, ssize_t: zero or more is success, below zero a negated errno. void: cannot fail.
 *           bool: a question. Pointer: NULL only when memory ran out.
 * Misuse    (closing a stranger's scope, unlocking a free mutex, a call from the wrong place) prints
 *           one line that says what, which task and where it was spawned, and aborts, in every build:
 *           carrying on would corrupt another task's stack.
 * Effects   Each function carries [who, suspends, cancels]:
 *           T only inside a task, A any thread | s may suspend, - never | c returns -ECANCELED or
 *           -ETIMEDOUT once a scope around the caller is stopped (the first outranks), - does not.
 *           A function marked A and s suspends a task, or blocks a plain thread.
 * Buffers   A pointer passed to a call is the callee's until the call returns, stopped or not, and
 *           the caller's from then on. Nothing is kept unless the function says so.
 * Threads   Objects may be shared by all tasks of a runtime unless they say otherwise. None of these
 *           functions may be called from a signal handler.
 * Fork      A child of fork() may exec; a call that needs a runtime of its parent's, or a new one, is
 *           misuse in it. Descriptors of ours are close-on-exec.
 * Since     Everything here is there since version 0.1 unless it says otherwise.
 *
 * A task may move to another thread wherever a function marked s is called. The value of errno moves
 * with it, but its address does not, and compilers keep that address across calls; so this header
 * gives errno a reader of our own. Define WEFT_KEEP_ERRNO before including it to have the C library's
 * errno instead, and read docs/tls.md then. */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

#define WEFT_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define WEFT_BEGIN extern "C" {
#define WEFT_END }
#else
#define WEFT_BEGIN
#define WEFT_END
#endif

/* Where a task comes from: the text of its body, a zero, then file:line. One literal, no code. */
#define WEFT_SITE(body) WEFT_SITE_(body, __FILE__, __LINE__)
#define WEFT_SITE_(body, file, line) WEFT_SITE__(body, file, line)
#define WEFT_SITE__(body, file, line) #body "\0" file ":" #line

WEFT_BEGIN

/* [A--] Where errno is now. Never keep the address over a call that may suspend. */
WEFT_API int *weft_errno(void);

/* [A--] The text for a result of ours, as it came: negative. Never NULL; not to be freed. */
WEFT_API const char *weft_strerror(int err);

/* [A--] The library's version, as "0.1.0". */
WEFT_API const char *weft_version(void);

WEFT_END

#ifndef WEFT_KEEP_ERRNO
#undef errno
#define errno (*weft_errno())
#endif

#endif
