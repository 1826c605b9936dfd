/* idle.c - see idle.h.
 *
 * Ordering: I3 the fence in sleep <-> I4 the fence in claim: the two recipes. Bits and counters are only read after
 * one of the fences or as hints, so all that is done to them is relaxed; a bit is claimed by one exchange.
 * I5 the addition in sleep (release) <-> I6 the exchange in watch (acquire): what a sleeper has said of itself.
 * I7 the exchange in rouse (release) <-> I6: the same of who sleeps apart, unless it finds the mark. */
#include "runtime/idle.h"

#include "runtime/platform/futex.h"

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
    wf_add(&i->asleep, 1, release); /* I5 */
    if (searching)
        wf_sub(&i->searching, 1, relaxed);
    wf_fence(); /* I3 */
}

/* ---- the watchdog ---- */

bool wf_idle_watch(struct wf_idle *i)
{
    uint32_t all = i->workers;
    return wf_cas(&i->asleep, &all, i->workers | WF_IDLE_WATCHED, acquire); /* I6 */
}

void wf_idle_watch_sleep(struct wf_idle *i)
{
    uint32_t all = i->workers | WF_IDLE_WATCHED;
    while (wf_load(&i->asleep, relaxed) == all)
        wf_futex_wait(&i->asleep, all, INT64_MAX);
}

void wf_idle_watch_end(struct wf_idle *i)
{
    wf_and(&i->asleep, ~(uint32_t)WF_IDLE_WATCHED, relaxed);
}

/* ---- waking ---- */

void wf_idle_rouse(struct wf_idle *i)
{
    if (wf_and(&i->asleep, ~(uint32_t)WF_IDLE_WATCHED, release) & WF_IDLE_WATCHED) /* I7, with I6 */
        wf_futex_wake(&i->asleep, 1);
}

/* Whoever clears the bit owns the wake. */
static bool take(struct wf_idle *i, unsigned worker)
{
    uint64_t bit;
    WF_ATOMIC(uint64_t) *word = word_of(i, worker, &bit);
    if (!(wf_and(word, ~bit, relaxed) & bit))
        return false;
    if (wf_sub(&i->asleep, 1, relaxed) & WF_IDLE_WATCHED)
        wf_idle_rouse(i);
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
        if (wf_idle_asleep(i) == 0 || wf_load(&i->searching, relaxed) != 0 ||
            !wf_cas(&i->searching, &none, 1u, relaxed))
            return -1;
        int worker = take_any(i, near);
        if (worker >= 0)
            return worker;
        wf_sub(&i->searching, 1, relaxed); /* others may have relied on us as a searcher: look again */
        wf_pause(); /* for whoever has just taken the last bit, and not yet counted that */
    }
}
