/* cases.h - what the runner of simulations runs beside the scenarios: programs from main() on, on a plain thread. */
#ifndef SIM_CASES_H
#define SIM_CASES_H

struct scenario;

struct sim_case {
    const char *name;
    int (*main)(void *arg); /* 0, or below 0 what faults explain; what must hold and does not ends the process */
    unsigned faults;        /* of weft_sim_fault: what it is exposed to */
    const struct scenario *scenario; /* or one of those, and main is NULL */
};

extern const struct sim_case sim_cases[]; /* ends with NULL */

int sim_stalls(void *arg); /* stalls.c */

#endif
