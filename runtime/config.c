/* config.c - what a runtime is to be like: what its maker said, what the environment says instead, and defaults. */
#include "runtime/lanes.h"
#include "runtime/panic.h"
#include "runtime/platform/topology.h"
#include "runtime/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_SIZE_DEFAULT = 64 * 1024, STACK_SIZE_MIN = 16 * 1024 };
static const size_t STACK_SIZE_MAX = (size_t)1 << 30;
static const int64_t SPIN_MAX_NS = WEFT_MSEC;

/* The environment may name one of these words, in the order of an enum's values from 0: that value, or -EINVAL. */
static int read_word(const char *name, const char *const *words, const char *list, int given)
{
    const char *word = getenv(name);
    if (!word || !*word)
        return given;
    for (int i = 0; words[i]; i++)
        if (!strcmp(word, words[i]))
            return i;
    wf_warn("%s is \"%s\": %s is needed", name, word, list);
    return -EINVAL;
}

/* The environment may have a time in this unit. 0, -EINVAL. */
static int read_time(const char *name, const char *unit_name, int64_t unit, int64_t *ns)
{
    const char *text = getenv(name);
    if (!text || !*text)
        return 0;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (*end || *text == '-' || errno || n > (unsigned long long)(INT64_MAX / unit)) {
        wf_warn("%s is \"%s\": %s are needed, 0 for none", name, text, unit_name);
        return -EINVAL;
    }
    *ns = (int64_t)n * unit;
    return 0;
}

int wf_config_read(weft_config *c, const weft_config *given)
{
    static const char *const rings[] = {"shared", "defer", "silent", "eager", NULL};
    static const char *const drivers[] = {"auto", "ring", "soft", NULL};
    static const char *const rescue[] = {"on", "off", NULL};
    *c = given ? *given : (weft_config){0};
    const char *workers = getenv("WEFT_WORKERS");
    int ring = read_word("WEFT_RING", rings, "shared, defer, silent or eager", (int)c->ring);
    int driver = read_word("WEFT_DRIVER", drivers, "auto, ring or soft", (int)c->driver);
    int no_rescue = read_word("WEFT_RESCUE", rescue, "on or off", c->no_rescue);
    if (workers && *workers) {
        char *end;
        unsigned long n = strtoul(workers, &end, 10);
        if (*end || n < 1 || n > WF_TOPOLOGY_WORKERS_MAX) {
            wf_warn("WEFT_WORKERS is \"%s\": a number from 1 to %d is needed", workers, WF_TOPOLOGY_WORKERS_MAX);
            return -EINVAL;
        }
        c->workers = (unsigned)n;
    }
    int64_t stall_ns = -1;
    if (read_time("WEFT_STALL_MS", "milliseconds", WEFT_MSEC, &stall_ns) < 0 ||
        read_time("WEFT_SPILL_MS", "milliseconds", WEFT_MSEC, &c->spill_ns) < 0 ||
        read_time("WEFT_SPIN_US", "microseconds", WEFT_USEC, &c->spin_ns) < 0)
        return -EINVAL;
    if (stall_ns >= 0)
        c->stall_ns = stall_ns ? stall_ns : -1;
    if (no_rescue < 0 || ring < 0 || ring > WEFT_RING_EAGER || driver < 0 || driver > WEFT_DRIVER_SOFT)
        return -EINVAL;
    c->no_rescue = no_rescue;
    c->ring = (weft_ring_mode)ring;
    c->driver = (weft_driver)driver;
    if (!c->workers)
        c->workers = wf_topology_cpus();
    if (!c->offload_max)
        c->offload_max = WF_LANE_BLOCKING_THREADS;
    if (!c->stack_size)
        c->stack_size = STACK_SIZE_DEFAULT;
    bool fine = c->workers <= WF_TOPOLOGY_WORKERS_MAX && c->offload_max <= WF_LANE_THREADS_MAX &&
                c->stack_size >= STACK_SIZE_MIN && c->stack_size <= STACK_SIZE_MAX && c->spill_ns >= 0 &&
                c->spin_ns >= 0 && c->spin_ns <= SPIN_MAX_NS;
    return fine ? 0 : -EINVAL;
}
