/* lock.c - the lock when somebody else has it.
 *
 * Nobody can be counted as asleep and not be woken: who counts itself and then finds the lock held is seen, by L3 and
 * L4, by whoever unlocks it from then on, the holder first. Each unlock wakes one, who takes the lock, unlocks it, and
 * so wakes the next. While somebody sleeps on one lock, every unlock of any lock asks the kernel: that is a
 * millisecond, now and then, until the thread that lost its core has it back.
 *
 * Patience. Its cache line may be longer on the way from core to core than a holder needs for twenty turns. If two
 * threads want a lock all the time, and each takes it as soon as it is free, they move the line at every turn. So a
 * patient one does not look for as long as the line needs to be with the other side and back; and if the lock is held
 * then, too, it is taken for one that is held again and again, and left alone for several times as long. Meanwhile the
 * other thread takes it some hundred times. */
#include "runtime/platform/lock.h"

#include "runtime/platform/barrier.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/spin.h"

#ifndef WF_LOCK_SPINS /* a model has fewer */
#define WF_LOCK_SPINS 100 /* about a microsecond, several times as long as any holder needs */
#endif

enum {
    NOT_ASKED = 1, /* whether the kernel has a fence for all */
    FENCED = 2,    /* it has not: each unlock has its own */
    SLEEPER = 4    /* times how many threads sleep, or are about to, on whatever lock */
};

#ifndef WF_LOCK_CARE /* models begin where the kernel has been asked */
#define WF_LOCK_CARE (NOT_ASKED | FENCED)
#endif

WF_ATOMIC(uint32_t) wf_lock_care = WF_LOCK_CARE;

static const int64_t FIRST_LOOK_NS = 1000, LEFT_ALONE_NS = 8000;

void wf_lock_slow(struct wf_lock *l)
{
    for (int i = 0; i < WF_LOCK_SPINS; i++) {
        if (wf_trylock(l))
            return;
        wf_pause();
    }
    /* Still FENCED when we have counted ourselves: then every unlock that misses us has seen that, and fences. */
    if (wf_add(&wf_lock_care, SLEEPER, relaxed) & FENCED)
        wf_fence(); /* L3 */
    else
        wf_barrier(); /* L3 */
    while (wf_swap(&l->word, 2u, acquire) != 0) /* L2 */
        wf_futex_wait(&l->word, 2, INT64_MAX);
    wf_sub(&wf_lock_care, SLEEPER, relaxed); /* that nobody is woken for nothing, nothing more */
}

static void keep_away(int64_t ns)
{
    struct wf_spin s = wf_spin_begin(ns);
    while (wf_spin_on(&s))
        continue;
}

void wf_lock_patient_slow(struct wf_lock *l)
{
    keep_away(FIRST_LOOK_NS);
    if (wf_trylock(l))
        return;
    keep_away(LEFT_ALONE_NS);
    wf_lock(l);
}

void wf_unlock_slow(struct wf_lock *l)
{
    if (wf_load(&wf_lock_care, relaxed) & NOT_ASKED && wf_and(&wf_lock_care, ~(uint32_t)NOT_ASKED, relaxed) & NOT_ASKED)
        if (wf_barrier_prepare() == 0)
            wf_and(&wf_lock_care, ~(uint32_t)FENCED, relaxed);
    wf_fence(); /* L4 */
    if (wf_load(&wf_lock_care, relaxed) >= SLEEPER)
        wf_futex_wake(&l->word, 1);
}

#ifdef WF_TSAN
WF_ATOMIC(unsigned) wf_fence_word; /* see wf_fence() in atomic.h */
#endif
