/* random.h - cheap numbers for spreading work: whom to steal from, how long to back off.
 *
 * One state per user, seeded in words, so that a run can be repeated; not shared, and no secret. (splitmix64:
 * every state is good, zero too, and consecutive seeds give unrelated sequences.) */
#ifndef WF_RANDOM_H
#define WF_RANDOM_H

#include <stdint.h>

struct wf_random {
    uint64_t s;
};

static inline void wf_random_seed(struct wf_random *r, uint64_t seed)
{
    r->s = seed;
}

static inline uint64_t wf_random_next(struct wf_random *r)
{
    uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Below n, which is not 0. Uneven by less than n / 2^32: good enough for spreading. */
static inline uint32_t wf_random_below(struct wf_random *r, uint32_t n)
{
    return (uint32_t)((wf_random_next(r) >> 32) * n >> 32);
}

/* The same from a generator of the calling thread's own; in a simulation the seed decides. */
uint32_t wf_random_here(uint32_t n);

#endif
