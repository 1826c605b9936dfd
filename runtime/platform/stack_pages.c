/* stack_pages.c - giving the pages of a stack back to the system while nobody runs on it.
 *
 * Of idle stacks in the pool go the pages of those that nobody has wanted for a second: the fewest that lay there
 * meanwhile, less those that are kept anyway. They are the oldest of the list. A batch keeps one page, its first
 * stack's, where the addresses of the others are written below the descriptor; all else about a stack follows from its
 * address. Tools that keep notes about stacks would lose them: for those, nothing is given back.
 *
 * Of a stack that somebody will come back to (runtime/spills.h) all pages become a guard: whoever touches it meanwhile
 * faults. The page tables stay, which is why taking it back needs no memory but the pages that are touched again. */
#include "runtime/platform/fault.h"
#include "runtime/platform/stack.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    GUARD_INSTALL = 102, /* MADV_GUARD_INSTALL and MADV_GUARD_REMOVE of Linux 6.13: Debian 12's headers are older */
    GUARD_REMOVE = 103,
};

/* Its lowest usable byte: the descriptor is in its last page, and may end where that ends. */
static char *low_of(const struct wf_stack_pool *p, const struct wf_stack *s)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = ((uintptr_t)(s + 1) + page - 1) & ~(page - 1);
    return (char *)end - p->stack_size;
}

/* ---- idle stacks ---- */

static const int64_t TRIM_NS = 1000000000;

enum { TRIM_BATCHES = 8 }; /* in one go: about 200 us */

/* Where a batch's first stack lists the others: it is idle, so nothing else is there. */
static struct wf_stack **list_in(struct wf_stack *first)
{
    return (struct wf_stack **)(void *)first - WF_STACK_BATCH;
}

static void cool(const struct wf_stack_pool *p, struct wf_stack *batch)
{
    struct wf_stack **list = list_in(batch), *s = batch->next;
    char *page = (char *)((uintptr_t)list & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1));
    for (unsigned i = 1; i < batch->batch_size; i++) {
        list[i] = s;
        s = s->next;
        madvise(low_of(p, list[i]), p->stack_size, MADV_DONTNEED);
    }
    madvise(low_of(p, batch), (size_t)(page - low_of(p, batch)), MADV_DONTNEED);
}

void wf_stack_rewarm(struct wf_stack_pool *p, struct wf_stack *batch, unsigned size)
{
    struct wf_stack **list = list_in(batch), *last = batch;
    for (unsigned i = 1; i < size; i++) {
        struct wf_stack *s = list[i];
        s->low = low_of(p, s);
        s->size = (size_t)((char *)s - (char *)s->low);
        last->next = s;
        last = s;
    }
    last->next = NULL;
}

/* What was never wanted goes from the end of one list to the other, which is empty. Under the lock. */
static void set_surplus_apart(struct wf_stack_pool *p)
{
    size_t kept = wf_load(&p->warm, relaxed) - (p->warm_min - WF_STACK_WARM), n = 0;
    struct wf_stack **at = &p->free;
    while (*at && n < kept) {
        n += (*at)->batch_size;
        at = &(*at)->batch;
    }
    p->surplus = *at;
    *at = NULL;
}

/* A batch that is to become cold; or NULL, and when to look again. */
static struct wf_stack *next_surplus(struct wf_stack_pool *p, int64_t now_ns, int64_t *ret_next)
{
    wf_lock(&p->lock);
    size_t warm = wf_load(&p->warm, relaxed);
    if (!p->surplus && p->trim_ns && now_ns >= p->trim_ns) {
        if (p->warm_min > WF_STACK_WARM)
            set_surplus_apart(p);
        p->trim_ns = 0;
    }
    struct wf_stack *batch = p->surplus;
    if (batch) {
        p->surplus = batch->batch;
        wf_store(&p->warm, warm - batch->batch_size, relaxed);
    } else if (warm <= WF_STACK_WARM) {
        p->trim_ns = 0;
    } else if (!p->trim_ns) {
        p->trim_ns = now_ns + TRIM_NS;
        p->warm_min = warm;
    }
    *ret_next = batch ? now_ns : p->trim_ns ? p->trim_ns : INT64_MAX;
    wf_unlock(&p->lock);
    return batch;
}

int64_t wf_stack_pool_trim_slow(struct wf_stack_pool *p, int64_t now_ns)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < TRIM_BATCHES && !p->keeps_pages; i++) {
        struct wf_stack *batch = next_surplus(p, now_ns, &next);
        if (!batch)
            break;
        cool(p, batch);
        wf_lock(&p->lock);
        batch->batch = p->cold;
        p->cold = batch;
        wf_unlock(&p->lock);
    }
    return next;
}

/* ---- stacks somebody comes back to ---- */

bool wf_stack_has(const struct wf_stack_pool *p, const struct wf_stack *s, uintptr_t addr)
{
    return addr - (uintptr_t)low_of(p, s) < p->stack_size;
}

bool wf_stack_give_up(const struct wf_stack_pool *p, struct wf_stack *s)
{
    bool given = madvise(low_of(p, s), p->stack_size, GUARD_INSTALL) == 0;
    return given && !wf_fault(WF_FAULT_MAP); /* asked late, so that there is something to be undone */
}

bool wf_stack_take_back(const struct wf_stack_pool *p, struct wf_stack *s)
{
    int err;
    do
        err = madvise(low_of(p, s), p->stack_size, GUARD_REMOVE) == 0 ? 0 : errno;
    while (err == EINTR || err == EAGAIN);
    return err == 0;
}
