/* case.h - the cases that a run of programs with faults is made of, and running them side by side. */
#ifndef TEST_FAULT_CASE_H
#define TEST_FAULT_CASE_H

#include "runtime/platform/fault.h"
#include "tests/fault/scenario.h"

struct program {
    const char *name;
    const char *path;               /* of an example; NULL: a scenario of this program */
    const char *out;                /* the file with what it prints */
    uint64_t asked[WF_FAULT_ANY + 1]; /* requests of each kind, when nothing failed */
    double seconds;                 /* of a processor, that time */
    unsigned cases, hits, failures; /* for the table at the end; hits: something did fail */
};

struct plan {
    const char *self;
    unsigned jobs;
    bool all;
    struct program program[128];
    size_t count;
};

void plan_add(struct plan *p, const char *name, const char *path, const char *out);

/* Count, run, tell. What main is to return. */
int plan_run(struct plan *p);

/* ---- One process ---------------------------------------------------------------------------------- */

struct job {
    struct program *program;
    char fail[40]; /* WEFT_FAIL; "": nothing fails */
    int pid;       /* 0: none */
    int said, printed, report; /* memory that its stderr, its stdout and its counts go to */
    double deadline;
    bool late;
};

void job_start(struct job *j, const char *self);

/* It has ended with this status of wait(2): NULL, or what is wrong with it. Counts go to the program if nothing was
 * to fail. Closes what the job has open. */
const char *job_judge(struct job *j, int status);

double now_seconds(void);

#endif
