/* scenario.h - ordinary weft programs that check themselves, for every kernel that stands behind a ring.
 *
 * A scenario is the body of a first task. It runs unchanged on the real ring, on the soft driver and in the
 * simulation, where time is virtual, a seed decides every order, and whatever may be refused sometimes is. So a
 * scenario checks what must hold, not that nothing failed: bytes that arrive are a prefix of those that were sent,
 * what went in came out or is still there, nothing came twice, every task ended, every scope closed, and whatever a
 * call says is its value or a failure that its header promises.
 *
 *     WENT(result)    true: zero or more. False: a stop, and the scope is stopped indeed; or, where faults are on, a
 *                     failure that a fault explains. Anything else ends the process.
 *     HOLDS(cond)     one line that names the scenario and its seed, and abort, unless it does
 *
 * What a body may not do: use threads other than weft's, wait for the clock by asking it (virtual time stands still
 * while a task computes), take descriptors from anywhere but weft, keep anything in statics. What it allocates
 * itself never fails. Every wait must end whatever else was refused: who gives up closes, shuts down or sets what
 * others wait for, or fails the scope they are in. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "runtime/platform/atomic.h"
#include "runtime/platform/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

/* One run of one scenario. Who runs it fills it in; the body gets it as its argument. */
struct scenario_env {
    const struct scenario *scenario;
    unsigned size;               /* how much: rounds, tasks, clients; at least 1 */
    bool faults;                 /* may weft be refused what it asks the machine for? */
    uint64_t seed;               /* of what the body chooses itself */
    void (*limit_fds)(int more); /* let only so many more descriptors be opened, below 0: as before; may be NULL */
};

struct scenario {
    const char *name;
    int (*body)(void *env);
    unsigned size;        /* for a run of some ten milliseconds on the real ring */
    unsigned offload_max; /* of its runtime; 0: the default */
};

extern const struct scenario *const scenarios[]; /* ends with NULL */

/* The run that is being played; one at a time in a process. Read-only while it is played. */
extern struct scenario_env scenario_env;

/* Play env->scenario in a runtime of this config: weft_run() with all it needs, on the calling plain thread. 0, or
 * where faults are on, why it could not start. Whatever must hold and does not ends the process. */
int scenario_run(const struct scenario_env *env, const weft_config *config);

/* One tick more for a body that counts what it did; for the summary only. */
void scenario_count(void);
uint64_t scenario_counted(void);

/* ---- Checks ---- */

_Noreturn void scenario_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#define HOLDS(cond) ((cond) ? (void)0 : scenario_failed(__FILE__, __LINE__, "%s", #cond))

#define HOLDS_EQ(a, b)                                                                                       \
    do {                                                                                                     \
        intmax_t holds_a = (intmax_t)(a), holds_b = (intmax_t)(b);                                           \
        if (holds_a != holds_b)                                                                              \
            scenario_failed(__FILE__, __LINE__, "%s == %s: %" PRIdMAX " is not %" PRIdMAX, #a, #b, holds_a,  \
                            holds_b);                                                                        \
    } while (0)

/* In a task: see above. */
#define WENT(result) scenario_went(__FILE__, __LINE__, #result, (result))
bool scenario_went(const char *file, int line, const char *what, int64_t result);

/* The same where a connection's other side may go away at any time. */
#define WENT_OR_CUT(result) scenario_went_or_cut(__FILE__, __LINE__, #result, (result))
bool scenario_went_or_cut(const char *file, int line, const char *what, int64_t result);

/* Is this a failure that only a fault explains, and are faults on? */
bool scenario_allowed(int64_t err);

static inline bool scenario_is_stop(int64_t result)
{
    return result == -ECANCELED || result == -ETIMEDOUT;
}

/* ---- Chance: each asker has a lane of its own, so what one does never changes what another chooses. ---- */

static inline struct wf_random scenario_random(uint64_t lane)
{
    struct wf_random r = {scenario_env.seed ^ (lane + 1) * UINT64_C(0xd1342543de82ef95)};
    wf_random_next(&r);
    return r;
}

static inline bool one_in(struct wf_random *r, uint32_t n)
{
    return wf_random_below(r, n) == 0;
}

/* From 0 to max, in microseconds; a result in nanoseconds. */
static inline int64_t some_usec(struct wf_random *r, uint32_t max)
{
    return wf_random_below(r, max + 1) * WEFT_USEC;
}

/* ---- Ground to stand on ---- */

/* Zeroed memory of the body's own; never NULL. free() it. */
void *scenario_alloc(size_t count, size_t size);

/* A channel, or NULL where a fault allows it. */
weft_chan *scenario_chan(size_t capacity, size_t item_size);

/* [Tsc] A listener on a free port of this machine, its address as text in `at`; or below 0, excused. */
int scenario_listen(char at[WEFT_ADDR_TEXT_MAX]);

/* [Ts-] Close fd, which must have been open. */
void scenario_close(int fd);

/* The n-th byte of stream number `lane`. */
static inline unsigned char scenario_byte(uint64_t lane, uint64_t n)
{
    uint64_t z = (lane + 1) * UINT64_C(0x9e3779b97f4a7c15) + n * UINT64_C(0xbf58476d1ce4e5b9);
    return (unsigned char)(z >> 56 ^ z >> 24);
}

/* Make size bytes of a stream from its n-th on; check that they are. */
void scenario_fill(void *buf, size_t size, uint64_t lane, uint64_t n);
void scenario_verify(const void *buf, size_t size, uint64_t lane, uint64_t n);

#endif
