/* fdtable.h - who is inside a call on which descriptor, so that closing one can wait for them.
 *
 * Descriptors are plain ints and weft keeps nothing about them but one word each, in a table of two levels
 * that only grows. A call counts itself in and out; that is two atomic additions, on a cache line that few
 * others use.
 *
 *     word   count of calls inside, 24 bits | CLOSING | RELEASING | PLAIN | marks of the rings that hold requests
 *
 * weft_close() goes so:
 *
 *     set CLOSING             from here on new calls get -EBADF
 *     cancel by descriptor    on the rings whose marks are set; a call checks CLOSING after it pushed, so that
 *                             it cancels itself when it came too late to be caught
 *     wait for count 0        and cancel once more every so often: a cancel may come too early (op.c)
 *     set RELEASING, close(2), clear the flags and marks
 *
 * The kernel may hand the number out again before close(2) has returned. So a call that meets RELEASING cannot
 * be judged yet: it may come from the new descriptor's owner. It waits, which takes as long as close(2) takes,
 * and then counts itself in as if nothing had been.
 *
 * A mark is set before a request is pushed and stays until the close. All changes of the word are atomic
 * read-modify-writes: either the closer sees the mark, or who sets it sees CLOSING and pushes nothing. */
#ifndef WF_FDTABLE_H
#define WF_FDTABLE_H

#include "runtime/panic.h"
#include "runtime/platform/atomic.h"

#include <errno.h>
#include <stddef.h>

struct wf_fd {
    WF_ATOMIC(uint64_t) word;
};

enum {
    WF_FD_COUNT = (1 << 24) - 1,
    WF_FD_CLOSING = 1 << 24,
    WF_FD_RELEASING = 1 << 25,
    WF_FD_PLAIN = 1 << 26, /* no socket: learned by trying, forgotten by the close */
    WF_FD_MARKS_SHIFT = 32,
};

enum { WF_FD_PAGE = 4096, WF_FD_PAGES = 4096 }; /* 16 million descriptors; the kernel's default is one */

extern WF_ATOMIC(struct wf_fd *) wf_fd_pages[WF_FD_PAGES];

struct wf_fd *wf_fd_grow(int fd, int *err);
struct wf_fd *wf_fd_meet_closer(struct wf_fd *f, int *err);
void wf_fd_tell_closer(struct wf_fd *f);

/* The word of fd; NULL and *err when it is negative (-EBADF) or memory ran out. Neighbours are 256 words
 * apart, as descriptors are handed out from the lowest: connections do not share cache lines until there are
 * more than 256. */
static inline struct wf_fd *wf_fd_of(int fd, int *err)
{
    unsigned page = (unsigned)fd / WF_FD_PAGE, i = (unsigned)fd % WF_FD_PAGE;
    struct wf_fd *words = WF_LIKELY(page < WF_FD_PAGES) ? wf_load(&wf_fd_pages[page], acquire) : NULL; /* F1 */
    if (WF_UNLIKELY(!words) && !(words = wf_fd_grow(fd, err)))
        return NULL;
    return &words[(i % 256) * (WF_FD_PAGE / 256) + i / 256];
}

/* Count the caller out. What it did to the descriptor happens before the close. */
static inline void wf_fd_leave(struct wf_fd *f)
{
    uint64_t before = wf_sub(&f->word, 1, acq_rel); /* F2 */
    if (WF_UNLIKELY(before & WF_FD_CLOSING) && (before & WF_FD_COUNT) == 1)
        wf_fd_tell_closer(f);
}

/* Count the caller in. The word, or NULL and *err: -EBADF, -ENOMEM. */
static inline struct wf_fd *wf_fd_enter(int fd, int *err)
{
    struct wf_fd *f = wf_fd_of(fd, err);
    if (WF_UNLIKELY(f && (wf_add(&f->word, 1, acq_rel) & (WF_FD_CLOSING | WF_FD_RELEASING))))
        return wf_fd_meet_closer(f, err);
    return f;
}

static inline bool wf_fd_is_closing(struct wf_fd *f)
{
    return wf_load(&f->word, relaxed) & WF_FD_CLOSING;
}

/* Before pushing a request into the ring with this mark. False: closing, push nothing. */
static inline bool wf_fd_mark(struct wf_fd *f, uint32_t mark)
{
    uint64_t bit = (uint64_t)mark << WF_FD_MARKS_SHIFT, word = wf_load(&f->word, relaxed);
    if (WF_UNLIKELY(!(word & bit)))
        word = wf_or(&f->word, bit, acq_rel);
    return !(word & WF_FD_CLOSING);
}

/* [Ts-] Close fd as weft_close() promises it. */
int wf_fd_close(int fd);

#endif
