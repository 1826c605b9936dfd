/* weft/select.h - wait for the first of several.
 *
 *     weft_case on[] = { weft_on_recv(jobs, &job), weft_on_time(weft_after(WEFT_SEC)) };
 *     switch (weft_select(on, 2)) {
 *     case 0: if (on[0].result == 0) handle(&job); break;
 *     case 1: puts("quiet"); break;
 *     default: return;                                   told to stop
 *     }
 *
 * Ties break at random. Exactly one case takes effect: its index is returned, its outcome (0, -EPIPE, a
 * task's result, the events of a descriptor) is in its result. */
#ifndef WEFT_SELECT_H
#define WEFT_SELECT_H

#include <weft/chan.h>
#include <weft/future.h>
#include <weft/task.h>
#include <weft/waitable.h>

struct weft_case {
    const struct weft_waitable *how;
    void *on, *item;
    size_t size;
    int64_t arg;
    int result;
};

#define WEFT_SELECT_MAX 1024 /* cases in one call; more is misuse */

#define weft_on_send(c, item) weft_case_send((c), (item), sizeof *(item))
#define weft_on_recv(c, item) weft_case_recv((c), (item), sizeof *(item))

WEFT_BEGIN

WEFT_API weft_case weft_case_send(weft_chan *c, const void *item, size_t size); /* [A--] */
WEFT_API weft_case weft_case_recv(weft_chan *c, void *item, size_t size);       /* [A--] */
WEFT_API weft_case weft_on_future(weft_future *f); /* [A--] result: 0, or its failure */
WEFT_API weft_case weft_on_task(weft_task *t);     /* [A--] result: the task's; starts it if need be */
WEFT_API weft_case weft_on_time(weft_time t);      /* [A--] result: 0 */

/* [Asc] The index of the case that took effect, or why the caller should stop; then none did; or -ENOMEM,
 * with more than 16 cases. n is at least 1. A case that is ready wins over being stopped. Outside a task,
 * cases on time and on descriptors are misuse. */
WEFT_API int weft_select(weft_case *cases, size_t n);

/* [A--] The same without waiting: index, or -EAGAIN. A case on a descriptor is never ready here. */
WEFT_API int weft_try_select(weft_case *cases, size_t n);

WEFT_END

#endif
