/* sim_fault.c - what goes wrong, and how often.
 *
 * A class of faults may happen if the caller allows it and the seed takes it: about half of those allowed, so that runs
 * differ in kind and not only in luck. How often is the seed's as well, most often seldom. Each class decides by a
 * generator of its own: to switch one off leaves the others' choices as they are, which is how a failure is shrunk. */
#include "runtime/platform/sim.h"

#include "runtime/platform/fault.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 18, RATE_MAX = 250 };

static const char *const names[CLASSES] = {"delay",       "short",      "eintr",       "eagain",
                                           "busy",        "overflow",   "nobufs",      "nofiles",
                                           "late-cancel", "reset",      "late-timer",  "slow-thread",
                                           "no-thread",   "no-memory",  "spurious",    "held-back",
                                           "no-stack",    "early-cancel"};

static struct {
    unsigned taken, on; /* by this seed; and at this moment */
    unsigned rate[CLASSES]; /* of 1,000 */
} faults;

static enum wf_sim_stream stream_of(unsigned class)
{
    return (enum wf_sim_stream)(WF_SIM_FAULTS + class);
}

void wf_sim_faults_begin(const weft_sim_config *config)
{
    unsigned most = config->fault_rate ? config->fault_rate : RATE_MAX;
    faults.taken = 0;
    for (unsigned i = 0; i < CLASSES; i++) {
        bool taken = wf_sim_below(stream_of(i), 2) == 0;
        uint64_t a = wf_sim_below(stream_of(i), 1000), b = wf_sim_below(stream_of(i), 1000);
        faults.rate[i] = 1 + (unsigned)(a * b / 1000 * most / 1000);
        if (taken && (config->faults & 1u << i))
            faults.taken |= 1u << i;
    }
    faults.on = faults.taken;
}

void wf_sim_faults_end(void)
{
    faults.on = 0;
}

void weft_sim_calm(void)
{
    wf_sim_faults_end();
}

unsigned wf_sim_faults_on(void)
{
    return faults.taken;
}

bool wf_sim_fault(enum weft_sim_fault kind)
{
    if (!(faults.on & kind))
        return false;
    unsigned class = (unsigned)__builtin_ctz(kind);
    if (wf_sim_below(stream_of(class), 1000) >= faults.rate[class])
        return false;
    wf_sim_note(names[class], 0, 0);
    return true;
}

int64_t wf_sim_amount(enum weft_sim_fault kind, int64_t max)
{
    if (!wf_sim_fault(kind))
        return 0;
    enum wf_sim_stream stream = stream_of((unsigned)__builtin_ctz(kind));
    unsigned bits = 63 - (unsigned)__builtin_clzll((uint64_t)max | 1);
    uint64_t top = UINT64_C(1) << wf_sim_below(stream, bits + 1);
    int64_t amount = 1 + (int64_t)wf_sim_below(stream, 2 * top);
    return amount < max ? amount : max;
}

/* What weft asks before it asks the machine. Descriptors and rings are the kernel's business, see io/sim.c. */
bool wf_fault(enum wf_fault_kind kind)
{
    static const struct {
        unsigned class;
        int err;
    } of[WF_FAULT_KINDS] = {
        [WF_FAULT_MEMORY] = {WEFT_SIM_NO_MEMORY, ENOMEM}, [WF_FAULT_MAP] = {WEFT_SIM_NO_STACK, ENOMEM},
        [WF_FAULT_THREAD] = {WEFT_SIM_NO_THREAD, EAGAIN}, [WF_FAULT_FD] = {WEFT_SIM_NOFILES, EMFILE},
        [WF_FAULT_RING] = {WEFT_SIM_NO_MEMORY, ENOMEM},
    };
    if (!wf_sim_inside() || wf_sim_held() || !wf_sim_fault((enum weft_sim_fault)of[kind].class))
        return false;
    if (kind != WF_FAULT_MEMORY && kind != WF_FAULT_THREAD) /* those say it by what they return */
        errno = of[kind].err;
    return true;
}

/* ---- names ---- */

static bool parse_one(const char *text, size_t len, unsigned *ret)
{
    static const struct {
        const char *name;
        unsigned faults;
    } sets[] = {{"none", 0}, {"all", WEFT_SIM_ALL}, {"gentle", WEFT_SIM_GENTLE}};
    for (unsigned i = 0; i < CLASSES; i++)
        if (strlen(names[i]) == len && !memcmp(names[i], text, len)) {
            *ret |= 1u << i;
            return true;
        }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strlen(sets[i].name) == len && !memcmp(sets[i].name, text, len)) {
            *ret |= sets[i].faults;
            return true;
        }
    char *end;
    unsigned long mask = strtoul(text, &end, 0);
    *ret |= (unsigned)mask & WEFT_SIM_ALL;
    return len > 0 && end == text + len;
}

bool wf_sim_parse_faults(const char *text, unsigned *ret)
{
    unsigned all = 0;
    for (;; text++) {
        size_t len = strcspn(text, ",");
        if (!parse_one(text, len, &all))
            return false;
        text += len;
        if (!*text)
            break;
    }
    *ret = all;
    return true;
}

void wf_sim_name_faults(unsigned set, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "none");
    for (unsigned i = 0; i < CLASSES && used < size; i++)
        if (set & 1u << i)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "", names[i]);
}
