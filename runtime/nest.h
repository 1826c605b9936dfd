/* nest.h - a worker's tasks that are to go deep before they go wide.
 *
 * What a task starts in one go is a family. The latest family comes first, and of a family the eldest:
 *
 *     earliest          latest
 *     family   family   family -> eldest -> ... -> youngest
 *     ^ thieves         ^ the worker
 *
 * So a tree of tasks, each of which waits for those it starts, is done branch by branch and never stands there in its
 * whole breadth. Thieves come from the other end, where the branches are the largest.
 *
 * A ring of families, which grows. Not locked: see queue.h. */
#ifndef WF_NEST_H
#define WF_NEST_H

#include "runtime/task.h"

#ifndef WF_NEST_FAMILIES /* a model has fewer */
#define WF_NEST_FAMILIES 64
#endif

struct wf_nest {
    weft_task **family;    /* the eldest of each; a ring of mask + 1 */
    uint32_t mask;
    uint32_t first, end;   /* the earliest; one beyond the latest: they wrap */
    weft_task *youngest;   /* of the latest family; NULL: it has been taken, or the family came as a whole */
    uint32_t count;        /* of tasks */
    uint32_t families_max; /* how many there may be, a power of two; constant */
};

int wf_nest_open(struct wf_nest *n);   /* 0, -ENOMEM */
void wf_nest_close(struct wf_nest *n); /* opened or zeroed */

/* Behind the youngest, if t is of the latest family and that is still there; or else a family of its own. False: no
 * memory for another one. */
bool wf_nest_push(struct wf_nest *n, weft_task *t, bool same_family);

/* Before all others, so many in this order, whatever memory there is. */
void wf_nest_push_first(struct wf_nest *n, weft_task *first, weft_task *last, uint32_t count);

/* The eldest of the latest family; of the earliest: or NULL. */
weft_task *wf_nest_pop(struct wf_nest *n);
weft_task *wf_nest_steal(struct wf_nest *n);

#endif
