/* race.h - what races are made of: race.c runs them, race_kinds.c has the calls. */
#ifndef TEST_FAULT_RACE_H
#define TEST_FAULT_RACE_H

#include "runtime/platform/random.h"
#include "tests/quarantine.h"
#include "tests/test.h"

#include <weft.h>

enum { RACE_BYTES = 64, RACE_KINDS_MAX = 16 };

enum stop { STOP_NOT, STOP_TASK, STOP_SCOPE, STOP_DEADLINE, STOP_CLOSE };

/* Runs one race after the other, with descriptors of its own. */
struct lane {
    const struct race_kind *kind;
    unsigned number;
    int fd;              /* weft's calls are about this one; -1 once a race has closed it */
    int twin;            /* the same file, for plain system calls */
    int peer;            /* its other side */
    uint64_t sent, got;  /* bytes of the stream that moved in, that came out */
    char text[WEFT_ADDR_TEXT_MAX];
    unsigned long tally[2]; /* races that were stopped, that happened */
    const struct race *now; /* for a debugger */
};

struct race {
    struct lane *lane;
    struct wf_random chance; /* of whoever completes it */
    size_t size;
    bool completes;          /* somebody will make it complete */
    enum stop stop;
    bool buffer_on_stack;
    char *buffer;
    int fd;                  /* what the call is about */
    int result;              /* of the call */
    uint64_t token;          /* what tells this race's effect from others' */
    int caller, port;        /* the other side of a connection; who it said it was */
    int64_t at;              /* where in a file, */
    char before[RACE_BYTES]; /* and what was there */
};

struct race_kind {
    const char *name;
    bool can_close;                      /* STOP_CLOSE is among the stops */
    bool alone;                          /* may complete although nobody makes it */
    void (*open)(struct lane *lane);
    void (*begin)(struct race *r);
    void (*call)(struct race *r);        /* sets result; what it has to say of the buffer it says here */
    void (*complete)(struct race *r);
    void (*judge)(struct race *r);
    void (*close)(struct lane *lane);
};

extern const struct race_kind race_kinds[]; /* the last has no name */

int race_descriptors(void); /* how many this process has */

#endif
