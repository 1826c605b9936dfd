/* lock.c - see lock.h. */
#include "runtime/platform/lock.h"

#include "runtime/platform/futex.h"

void wf_lock_slow(struct wf_lock *l)
{
    while (wf_swap(&l->word, 2u, acquire) != 0)
        wf_futex_wait(&l->word, 2, INT64_MAX);
}

void wf_unlock_slow(struct wf_lock *l)
{
    wf_futex_wake(&l->word, 1);
}
