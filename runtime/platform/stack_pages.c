/* stack_pages.c - giving the pages of a stack back to the system while nobody runs on it.
 *
 * Of a stack that somebody will come back to (runtime/spills.h) all pages become a guard: whoever touches it meanwhile
 * faults. The page tables stay, which is why taking it back needs no memory but the pages that are touched again. */
#include "runtime/panic.h"
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

bool wf_stack_has(const struct wf_stack_pool *p, const struct wf_stack *s, uintptr_t addr)
{
    return addr - (uintptr_t)low_of(p, s) < p->stack_size;
}

bool wf_stack_give_up(const struct wf_stack_pool *p, struct wf_stack *s)
{
    bool given = madvise(low_of(p, s), p->stack_size, GUARD_INSTALL) == 0;
    if (given && !wf_fault(WF_FAULT_MAP)) /* asked late, so that there is something to be undone */
        return true;
    wf_stack_take_back(p, s);
    return false;
}

void wf_stack_take_back(const struct wf_stack_pool *p, struct wf_stack *s)
{
    int err;
    do
        err = madvise(low_of(p, s), p->stack_size, GUARD_REMOVE) == 0 ? 0 : errno;
    while (err == EINTR || err == EAGAIN);
    WF_CHECK(err == 0);
}
