/* idle.h - who searches for work, who sleeps, and whom to wake.
 *
 * One sleeper is woken at a time, by whoever puts the first task into an empty queue while nobody searches; a
 * searcher that finds something wakes the next one, if it was the last to search. So a burst wakes as many as
 * it feeds, and a single task wakes one. What is added to a queue that holds something already wakes nobody:
 * somebody was woken, or is awake, on account of what is there. At most half of the workers search at once.
 *
 * Why no work is left lying while somebody sleeps. Two recipes, both with a full fence in the middle:
 *
 *     add the first task                    fall asleep
 *     1. put it where thieves look          1. set my bit in `sleeping`, stop being a searcher
 *     2. fence                              2. fence
 *     3. nobody searches and somebody       3. look once more wherever there may be work;
 *        sleeps? then wake one                 found: take my bit back, search
 *
 * Either 3 of the left sees the right one's 1, and wakes it; or 3 of the right sees the left one's 1. And who
 * relies on a searcher (left, 3: somebody searches) is right, because that one will fall asleep the same way.
 *
 * The first task of a queue is told by looking at the queue's head after adding, without a fence in between: as
 * long as the addition is on its way out of the processor, a thief may fall asleep without having seen it. Those
 * are nanoseconds, the way to sleep is longer, and the lookout (lookout.h) would find it: a fence per task is saved.
 *
 * When all sleep there is nothing to watch, and the watchdog sleeps as well, in wf_idle_watch(). That needs no recipe,
 * for it is one word that says how many sleep and whether the watchdog does: its mark is set only while all sleep, and
 * whoever ends a sleep sees the mark by the same exchange.
 *
 * This is about parallelism. That nothing is ever forgotten is simpler: what is in a worker's own queue, inbox
 * or ring is looked at by that worker before it sleeps, and adding to a sleeper's inbox or ring wakes it. */
#ifndef WF_IDLE_H
#define WF_IDLE_H

#include "runtime/platform/atomic.h"
#include "runtime/platform/topology.h"

enum { WF_IDLE_WORDS = WF_TOPOLOGY_WORKERS_MAX / 64 };

struct wf_idle {
    _Alignas(64) WF_ATOMIC(unsigned) searching;  /* how many */
    WF_ATOMIC(uint32_t) asleep;                  /* how many bits are set: exact when nothing moves; and a mark */
    WF_ATOMIC(uint64_t) sleeping[WF_IDLE_WORDS]; /* a bit per worker: it sleeps, or is about to */
    unsigned workers;                            /* constant */
};

/* May one more search? If so it counts, until wf_idle_found or wf_idle_sleep. */
bool wf_idle_search(struct wf_idle *i);

/* A searcher stops, with something in hand. True: it was the last one, and should wake another. */
bool wf_idle_found(struct wf_idle *i);

/* Set the bit of `worker`; `searching`: it was a searcher and is none any more. A full fence follows. */
void wf_idle_sleep(struct wf_idle *i, unsigned worker, bool searching);

/* Take the bit back. False: somebody has claimed this worker, which therefore counts as a searcher. */
bool wf_idle_wake_self(struct wf_idle *i, unsigned worker);

enum { WF_IDLE_WATCHED = 1 << 30 }; /* the mark: the watchdog sleeps, until somebody else does not */

/* How many sleep. A hint. */
static inline unsigned wf_idle_asleep(struct wf_idle *i)
{
    return wf_load(&i->asleep, relaxed) & ~(uint32_t)WF_IDLE_WATCHED;
}

/* By the watchdog, who is about to sleep: false, somebody is awake. Else what all have written before they fell asleep
 * is seen from now on; and it may sleep, or not; in both cases it says when that is over. */
bool wf_idle_watch(struct wf_idle *i);
void wf_idle_watch_sleep(struct wf_idle *i);
void wf_idle_watch_end(struct wf_idle *i);

/* Wake it, if it sleeps: by who sleeps and wakes, but is not among these. What it has said of its sleep comes before:
 * the watchdog sees that, or is woken. */
void wf_idle_rouse(struct wf_idle *i);

/* Has anybody nothing to do? A hint, unless fences say more. */
static inline bool wf_idle_any(struct wf_idle *i)
{
    return wf_idle_asleep(i) || wf_load(&i->searching, relaxed);
}

/* Claim a sleeper to be woken, the next one from `near` on; it counts as a searcher from now on. -1: somebody
 * searches already, or nobody sleeps. Begins with a full fence. */
int wf_idle_claim(struct wf_idle *i, unsigned near);

#endif
