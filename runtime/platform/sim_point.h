/* sim_point.h - the moment before an access to shared memory, in a simulation: another thread may come first.
 *
 * A countdown to the next choice; drawing how far it goes is the choice's own business. So a point that decides nothing
 * costs two instructions. Between simulations the count is out of reach. */
#ifndef WF_SIM_POINT_H
#define WF_SIM_POINT_H

#include <stdint.h>

extern int64_t wf_sim_points_left;
void wf_sim_choose(void);
void wf_sim_yield(void);

/* Between these the world stands still: nobody else goes on, nothing is refused, no time passes. They nest. */
void wf_sim_hold(void);
void wf_sim_release(void);

static inline void wf_sim_point(void)
{
    if (__builtin_expect(--wf_sim_points_left <= 0, 0))
        wf_sim_choose();
}

#endif
