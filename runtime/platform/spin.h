/* spin.h - looking on for a moment, before going to sleep.
 *
 *     if (wf_spin_is_worth_it(&habit)) {
 *         struct wf_spin s = wf_spin_begin(ns);
 *         bool paid;
 *         do
 *             paid = look;
 *         while (!paid && wf_spin_on(&s));
 *         wf_spin_learn(&habit, paid);
 *     }
 *
 * Only for what is likely to come within the time that a wake would take; and whoever looked in vain twice in a row
 * leaves it out for a while, twice as long each time. So it is cheap where it does not pay: where nothing follows, or
 * where the one that is waited for needs this very CPU.
 *
 * In a simulation every pause is a chance for others and takes virtual time; in a model time stands still meanwhile,
 * and the looks are counted. */
#ifndef WF_SPIN_H
#define WF_SPIN_H

#include "runtime/platform/atomic.h"
#include "runtime/platform/clock.h"

#ifndef WF_SPIN_LOOKS /* a model has fewer */
#define WF_SPIN_LOOKS 16 /* between two of the clock, which costs as much as one or two of them */
#endif

enum { WF_SPIN_SKIP_SHIFT_MAX = 8 }; /* at most 255 opportunities are left out */

struct wf_spin_habit { /* of one thread, valid when zero */
    unsigned char vain; /* in a row */
    unsigned char skip; /* opportunities still to be left out */
};

struct wf_spin {
    int64_t until;
    int looks;
};

static inline struct wf_spin wf_spin_begin(int64_t ns)
{
    return (struct wf_spin){.until = wf_clock_now() + ns, .looks = WF_SPIN_LOOKS};
}

static inline bool wf_spin_on(struct wf_spin *s)
{
    wf_pause();
    if (--s->looks > 0)
        return true;
#if defined(WF_MODEL)
    return false;
#else
    s->looks = WF_SPIN_LOOKS;
    return wf_clock_now() < s->until;
#endif
}

static inline bool wf_spin_is_worth_it(struct wf_spin_habit *h)
{
    if (!h->skip)
        return true;
    h->skip--;
    return false;
}

static inline void wf_spin_learn(struct wf_spin_habit *h, bool paid)
{
    h->skip = paid ? 0 : (unsigned char)((1u << h->vain) - 1);
    if (paid)
        h->vain = 0;
    else if (h->vain < WF_SPIN_SKIP_SHIFT_MAX)
        h->vain++;
}

#endif
