/* sim_world.h - between sim.c, in which the world turns, and sim_begin.c, in which it begins and ends. */
#ifndef WF_SIM_WORLD_H
#define WF_SIM_WORLD_H

#include "runtime/platform/sim.h"

enum { WF_SIM_THREADS_MAX = 4096 };
#define WF_SIM_OUT_OF_REACH (INT64_MAX / 2)

struct wf_sim_world {
    bool on;
    unsigned held;
    int64_t now, drawn, kept;  /* time when the countdown was `drawn`; and the countdown, while held */
    struct wf_sim_thread host, *current, *left, *all, *unused; /* left: by the last switch */
    struct wf_sim_thread *runnable[WF_SIM_THREADS_MAX];
    size_t runnable_count;
    unsigned numbers;
    uint64_t period;            /* points between choices, on average */
    bool by_rank;
    uint64_t fall_behind;       /* by rank: one choice in so many */
    uint64_t lowest;            /* rank given to who fell behind last */
    unsigned lone;              /* yields in a row with nobody else to go on */
    uint64_t steps, switches, fault_steps, steps_max;
    int64_t time_max;
    unsigned workers;
    int (*fn)(void *);
    void *arg;
    int result;
};

extern struct wf_sim_world wf_sim_world;

void wf_sim_draw(void); /* how many points lie before the next choice */
void wf_sim_make_runnable(struct wf_sim_thread *t);
void wf_sim_go(struct wf_sim_thread *to);
void wf_sim_thread_entry(void *t);

#endif
