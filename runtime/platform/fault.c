/* fault.c - the n-th request fails: a build for tests (WEFT_FAULTS=ON) is told which.
 *
 *     WEFT_FAIL=memory:17     the 17th allocation fails
 *     WEFT_FAIL=any:17+       everything that can be refused is refused, from the 17th request on
 *     WEFT_FAIL=fd:3~         the third descriptor, and about one in four of those after it
 *     WEFT_FAIL_REPORT=5      at exit, a line for descriptor 5: how often each kind was asked for, how many failed
 *
 * Kinds are memory, map, thread, fd, ring, enter, request, any: fault.h has what they mean. A test says the same
 * with wf_fault_at().
 *
 * Counts are the process's. One thread alone counts the same in every run; with several, which of their requests
 * is the n-th can differ, how many there are hardly does. What is strewn follows from the number alone.
 *
 * Whoever enters the kernel for a ring tries again until it is taken, and has nobody to report to: so a kernel that
 * never takes anything would be the end of every program. From-then-on leaves a quarter of the entries alone.
 *
 * Counts are relaxed: they order nothing, and whoever sets a plan has no other thread in the library yet. */
#include "runtime/platform/fault.h"

#include "runtime/platform/atomic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KINDS = WF_FAULT_KINDS, HOW_SHIFT = 56, KIND_SHIFT = 48 };

static const char *const names[KINDS + 1] = {"memory", "map", "thread", "fd", "ring", "enter", "request", "any"};

static WF_ATOMIC(uint64_t) counts[KINDS + 1], failed;
static WF_ATOMIC(uint64_t) plan; /* how, which kind, from which request on: one word, so that it is seen whole */

void wf_fault_at(unsigned kind, uint64_t n, enum wf_fault_how how)
{
    wf_store(&plan, (uint64_t)how << HOW_SHIFT | (uint64_t)kind << KIND_SHIFT | n, relaxed);
    for (int i = 0; i <= KINDS; i++)
        wf_store(&counts[i], 0, relaxed);
    wf_store(&failed, 0, relaxed);
}

uint64_t wf_fault_count(unsigned kind)
{
    return wf_load(&counts[kind], relaxed);
}

uint64_t wf_fault_failed(void)
{
    return wf_load(&failed, relaxed);
}

/* One number in four, with no pattern that a loop could fall in step with. */
static bool is_fourth(uint64_t n)
{
    return (n * UINT64_C(0x9e3779b97f4a7c15)) >> 62 == 0;
}

static bool is_due(uint64_t now, unsigned kind, uint64_t n, bool patient)
{
    uint64_t from = now & ((UINT64_C(1) << KIND_SHIFT) - 1);
    unsigned which = (now >> KIND_SHIFT) & 0xff;
    if (which != kind || n < from)
        return false;
    switch ((enum wf_fault_how)(now >> HOW_SHIFT)) {
    case WF_FAULT_ONCE:
        return n == from;
    case WF_FAULT_ONWARDS:
        return !patient || !is_fourth(n);
    case WF_FAULT_STREWN:
        return n == from || is_fourth(n);
    default:
        return false;
    }
}

bool wf_fault(enum wf_fault_kind kind)
{
    static const int why[KINDS] = {ENOMEM, ENOMEM, EAGAIN, EMFILE, ENOMEM, 0, ENOMEM};
    static const int entering[] = {EAGAIN, EINTR, EBUSY, ENOMEM};
    uint64_t n = wf_add(&counts[kind], 1, relaxed) + 1, of_all = wf_add(&counts[KINDS], 1, relaxed) + 1;
    uint64_t now = wf_load(&plan, relaxed);
    bool patient = kind == WF_FAULT_ENTER;
    if (!is_due(now, kind, n, patient) && !is_due(now, WF_FAULT_ANY, of_all, patient))
        return false;
    uint64_t before = wf_add(&failed, 1, relaxed);
    errno = kind == WF_FAULT_ENTER ? entering[before % 4] : why[kind];
    return true;
}

/* ---- From outside --------------------------------------------------------------------------------- */

static void read_plan(const char *text)
{
    static const char marks[] = "\0+~"; /* in the order of enum wf_fault_how, from ONCE on */
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    unsigned kind = 0;
    while (colon && kind <= KINDS && (strncmp(names[kind], text, length) != 0 || names[kind][length]))
        kind++;
    char *end = NULL;
    uint64_t n = colon ? strtoull(colon + 1, &end, 10) : 0;
    const char *mark = end && (!*end || !end[1]) ? memchr(marks, *end, 3) : NULL;
    if (kind > KINDS || n == 0 || n >> KIND_SHIFT || !mark) {
        dprintf(STDERR_FILENO, "weft: WEFT_FAIL is \"%s\": kind:n, kind:n+ or kind:n~ is needed\n", text);
        _exit(2);
    }
    wf_fault_at(kind, n, WF_FAULT_ONCE + (enum wf_fault_how)(mark - marks));
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *text = getenv("WEFT_FAIL");
    if (text && *text)
        read_plan(text);
}

void wf_fault_report(int fd)
{
    char line[400];
    int n = 0;
    for (int i = 0; i <= KINDS; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s %" PRIu64 " ", names[i], wf_load(&counts[i], relaxed));
    n += snprintf(line + n, sizeof line - (size_t)n, "failed %" PRIu64 "\n", wf_load(&failed, relaxed));
    if (write(fd, line, (size_t)n) < 0)
        return; /* nobody listens */
}

__attribute__((destructor)) static void report(void)
{
    const char *fd = getenv("WEFT_FAIL_REPORT");
    if (fd && *fd)
        wf_fault_report(atoi(fd));
}
