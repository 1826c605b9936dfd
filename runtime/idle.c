/* idle.c - see idle.h.
 *
 * Ordering: I3 the fence in sleep <-> I4 the fence in claim: the two recipes. Bits and counters are only read after
 * one of the fences or as hints, so all that is done to them is relaxed; a bit is claimed by one exchange. */
#include "runtime/idle.h"

bool wf_idle_search(struct wf_idle *i)
{
    unsigned n = wf_load(&i->searching, relaxed);
    if (2 * n >= i->workers)
        return false;
    wf_add(&i->searching, 1, relaxed);
    return true;
}

bool wf_idle_found(struct wf_idle *i)
{
    return wf_sub(&i->searching, 1, relaxed) == 1;
}

static WF_ATOMIC(uint64_t) *word_of(struct wf_idle *i, unsigned worker, uint64_t *bit)
{
    *bit = UINT64_C(1) << (worker % 64);
    return &i->sleeping[worker / 64];
}

void wf_idle_sleep(struct wf_idle *i, unsigned worker, bool searching)
{
    uint64_t bit;
    WF_ATOMIC(uint64_t) *word = word_of(i, worker, &bit);
    wf_or(word, bit, relaxed);
    wf_add(&i->asleep, 1, relaxed);
    if (searching)
        wf_sub(&i->searching, 1, relaxed);
    wf_fence(); /* I3 */
}

/* Whoever clears the bit owns the wake. */
static bool take(struct wf_idle *i, unsigned worker)
{
    uint64_t bit;
    WF_ATOMIC(uint64_t) *word = word_of(i, worker, &bit);
    if (!(wf_and(word, ~bit, relaxed) & bit))
        return false;
    wf_sub(&i->asleep, 1, relaxed);
    return true;
}

bool wf_idle_wake_self(struct wf_idle *i, unsigned worker)
{
    return take(i, worker);
}

/* Take the next sleeper's bit, from `near` on. */
static int take_any(struct wf_idle *i, unsigned near)
{
    for (unsigned n = 0; n < i->workers; n++) {
        unsigned worker = (near + n) % i->workers;
        uint64_t bit;
        if ((wf_load(word_of(i, worker, &bit), relaxed) & bit) && take(i, worker))
            return (int)worker;
    }
    return -1;
}

int wf_idle_claim(struct wf_idle *i, unsigned near)
{
    for (;;) {
        unsigned none = 0;
        wf_fence(); /* I4 */
        if (wf_load(&i->asleep, relaxed) == 0 || wf_load(&i->searching, relaxed) != 0 ||
            !wf_cas(&i->searching, &none, 1u, relaxed))
            return -1;
        int worker = take_any(i, near);
        if (worker >= 0)
            return worker;
        wf_sub(&i->searching, 1, relaxed); /* others may have relied on us as a searcher: look again */
        wf_pause(); /* for whoever has just taken the last bit, and not yet counted that */
    }
}
