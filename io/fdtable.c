/* fdtable.c - see fdtable.h.
 *
 * Ordering: F1 growing's exchange of a page (release) <-> whoever loads it (acquire): its words are zero.
 *           F2 leaving's subtraction (acq_rel) <-> F3 the closer's load of count 0 (acquire): what the call did
 *              with the descriptor is over.
 *
 * No wakeup is lost: the closer looks at the count and enters the list in one hold of the lock; who leaves last
 * takes the lock after its subtraction. If its turn comes first, the closer sees the count at 0. */
#include "io/fdtable.h"

#include "io/op.h"
#include "io/ring.h"
#include "io/sys.h"
#include "runtime/alloc.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/lock.h"
#include "runtime/platform/thread.h"
#include "runtime/timer.h"
#include "runtime/wait.h"

#include <errno.h>

WF_ATOMIC(struct wf_fd *) wf_fd_pages[WF_FD_PAGES];

/* A cancel can come too early to find a request, and a closer does not know whose these are: see op.c. */
static const int64_t AGAIN_FIRST_NS = WEFT_MSEC, AGAIN_MAX_NS = 64 * WEFT_MSEC;

/* Of tasks that close a descriptor while others are inside. */
static struct wf_lock closers_lock;
static weft_waiter *closers; /* linked by prev and next; item is the word, and NULL once out of the list */

struct wf_fd *wf_fd_grow(int fd, int *err)
{
    unsigned page = (unsigned)fd / WF_FD_PAGE;
    const size_t size = WF_FD_PAGE * sizeof(struct wf_fd);
    *err = -EBADF;
    if (fd < 0 || page >= WF_FD_PAGES)
        return NULL;
    struct wf_fd *words = wf_alloc_aligned(size, 64), *there = NULL;
    *err = -ENOMEM;
    if (words && !wf_cas(&wf_fd_pages[page], &there, words, acq_rel)) { /* F1 */
        wf_free(words, size);
        words = there;
    }
    return words;
}

/* The caller has counted itself in and found it closing. Blocks the thread while close(2) runs. */
struct wf_fd *wf_fd_meet_closer(struct wf_fd *f, int *err)
{
    for (;;) {
        wf_fd_leave(f);
        uint64_t word;
        while ((word = wf_load(&f->word, acquire)) & WF_FD_RELEASING)
            wf_thread_yield();
        if (word & WF_FD_CLOSING) {
            *err = -EBADF;
            return NULL;
        }
        word = wf_add(&f->word, 1, acq_rel);
        if (!(word & (WF_FD_CLOSING | WF_FD_RELEASING)))
            return f;
    }
}

static bool is_empty(struct wf_fd *f)
{
    return (wf_load(&f->word, acquire) & WF_FD_COUNT) == 0; /* F3 */
}

static void link_closer(weft_waiter *w)
{
    w->prev = NULL;
    w->next = closers;
    if (closers)
        closers->prev = w;
    closers = w;
}

static void unlink_closer(weft_waiter *w)
{
    if (w->next)
        w->next->prev = w->prev;
    if (w->prev)
        w->prev->next = w->next;
    else
        closers = w->next;
    w->item = NULL;
}

/* The count came down to 0 while somebody closes. */
void wf_fd_tell_closer(struct wf_fd *f)
{
    wf_lock(&closers_lock);
    for (weft_waiter *w = closers; w; w = w->next) {
        if (w->item == f) {
            unlink_closer(w);
            wf_fire(w, 0);
            break;
        }
    }
    wf_unlock(&closers_lock);
}

static bool link_unless_empty(struct wf_fd *f, weft_waiter *me)
{
    wf_lock(&closers_lock);
    bool empty = is_empty(f);
    if (!empty)
        link_closer(me);
    wf_unlock(&closers_lock);
    return !empty;
}

static void unlink_if_linked(weft_waiter *me)
{
    wf_lock(&closers_lock);
    if (me->item)
        unlink_closer(me);
    wf_unlock(&closers_lock);
}

/* Suspends until nobody is inside, or until then. Who counts itself in only to find it closing may end it too. */
static void wait_for_last(struct wf_fd *f, int64_t until_ns)
{
    struct wf_wait *wait = wf_wait_self();
    struct wf_timer timer = {0};
    weft_waiter told, late;
    wf_wait_arm(wait, 0);
    wf_waiter_init(&told, wait, 0);
    wf_waiter_init(&late, wait, 0);
    told.item = f;
    wf_timer_wait(&timer, &late, until_ns);
    bool waits = link_unless_empty(f, &told);
    if (waits)
        wf_wait_suspend(wait);
    wf_timer_cancel(&timer);
    if (waits)
        unlink_if_linked(&told);
    else
        wf_wait_disarm(wait);
}

static void cancel_all(int fd, uint32_t marks)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_ASYNC_CANCEL,
        .fd = fd,
        .cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL,
        .user_data = WF_OP_IGNORED,
    };
    wf_ring_leave_everywhere(&sqe, marks);
}

int wf_fd_close(int fd)
{
    int err = 0;
    struct wf_fd *f = wf_fd_of(fd, &err);
    if (!f) /* it has no word, for want of memory, so nobody is inside: it is given back all the same */
        return wf_sys_close(fd);
    uint64_t word = wf_or(&f->word, WF_FD_CLOSING, acq_rel);
    while (word & WF_FD_RELEASING) { /* the number is being given back by another; its CLOSING goes with it */
        wf_thread_yield();
        word = wf_or(&f->word, WF_FD_CLOSING, acq_rel);
    }
    if (word & WF_FD_CLOSING)
        return -EBADF;
    for (int64_t pause = AGAIN_FIRST_NS; !is_empty(f); pause = pause < AGAIN_MAX_NS ? 2 * pause : pause) {
        cancel_all(fd, (uint32_t)(word >> WF_FD_MARKS_SHIFT));
        wait_for_last(f, wf_clock_now() + pause);
    }
    wf_or(&f->word, WF_FD_RELEASING, acq_rel);
    err = wf_sys_close(fd);
    wf_and(&f->word, (uint64_t)WF_FD_COUNT, acq_rel);
    return err;
}
