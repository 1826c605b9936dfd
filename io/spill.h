/* spill.h - requests that found no room in a submission queue, in order. All under that queue's lock but `any`. */
#ifndef WF_SPILL_H
#define WF_SPILL_H

#include "runtime/alloc.h"
#include "runtime/platform/atomic.h"

#include <linux/io_uring.h>
#include <string.h>

#ifndef WF_SPILL_MIN /* a model has less */
#define WF_SPILL_MIN 256 /* requests; it doubles from there */
#endif

struct wf_spill {
    WF_ATOMIC(bool) any;       /* it is not empty; read without the lock */
    struct io_uring_sqe *list; /* [head, end) of size */
    size_t head, end, size;
};

/* False: no memory. */
static inline bool wf_spill_add(struct wf_spill *s, const struct io_uring_sqe *sqe)
{
    if (s->end == s->size) {
        size_t kept = s->end - s->head, size = s->size ? s->size * 2 : WF_SPILL_MIN;
        struct io_uring_sqe *more = wf_alloc(size * sizeof *more);
        if (!more)
            return false;
        if (kept)
            memcpy(more, s->list + s->head, kept * sizeof *more);
        wf_free(s->list, s->size * sizeof *s->list);
        s->list = more;
        s->head = 0;
        s->end = kept;
        s->size = size;
    }
    s->list[s->end++] = *sqe;
    wf_store(&s->any, true, relaxed);
    wf_fence(); /* R10 in ring.c */
    return true;
}

static inline bool wf_spill_is_empty(const struct wf_spill *s)
{
    return s->head == s->end;
}

/* The oldest, which must be there. */
static inline struct io_uring_sqe wf_spill_take(struct wf_spill *s)
{
    struct io_uring_sqe sqe = s->list[s->head++];
    if (wf_spill_is_empty(s)) {
        s->head = s->end = 0;
        wf_store(&s->any, false, relaxed);
    }
    return sqe;
}

static inline void wf_spill_close(struct wf_spill *s)
{
    wf_free(s->list, s->size * sizeof *s->list);
}

#endif
