/* stalls.c - one task at a time computes for half a second, while the kernel keeps completions for its thread, perhaps
 * for as long as it computes; all others go on. So idle workers must knock and collect; and if there is none, busy ones
 * that are told so by somebody who looks, as the watchdog does. */
#include "tests/sim/cases.h"

#include "runtime/lookout.h"
#include "runtime/platform/clock.h"

#include <weft.h>
#include <weft/sim.h>

#define MUST(cond) ((cond) ? (void)0 : weft_sim_fail("%s:%d: %s does not hold", __FILE__, __LINE__, #cond))

enum { PAIRS = 3, ROUNDS = 20, STALLS_MAX = 3 };

static const int64_t STALL_NS = 500 * WEFT_MSEC, ROUND_MAX_NS = 250 * WEFT_MSEC, SHORT_NS = 50 * WEFT_USEC;

struct stalls {
    weft_runtime *rt;
    bool nobody_idle;
    WF_ATOMIC(bool) stalled, done;
    WF_ATOMIC(int) left, next;
    char at[PAIRS][WEFT_ADDR_TEXT_MAX];
    int listener[PAIRS];
};

/* Half of the time without a pause, so that something is always with the kernel. */
static void ask(struct stalls *s, int fd)
{
    char byte = 'x';
    weft_time start = weft_now();
    MUST(weft_write_all(fd, &byte, 1) == 0);
    MUST(weft_read_full(fd, &byte, 1) == 0);
    MUST(weft_since(start) < ROUND_MAX_NS);
    if (weft_sim_below(4) == 0 && wf_load(&s->left, relaxed) > 0 && !wf_swap(&s->stalled, true, acq_rel)) {
        wf_sub(&s->left, 1, relaxed);
        weft_sim_busy(STALL_NS);
        wf_store(&s->stalled, false, release);
    } else if (weft_sim_below(2)) {
        start = weft_now();
        MUST(weft_sleep((int64_t)weft_sim_below(3000) * WEFT_USEC) == 0);
        MUST(weft_since(start) < ROUND_MAX_NS);
    }
}

static int asks(void *arg)
{
    struct stalls *s = arg;
    int fd = weft_tcp_connect(s->at[wf_add(&s->next, 1, relaxed) % PAIRS]);
    MUST(fd >= 0);
    for (int i = 0; i < ROUNDS; i++)
        ask(s, fd);
    return weft_close(fd);
}

static int answers(void *arg)
{
    int fd = weft_accept(*(int *)arg, NULL);
    char byte;
    MUST(fd >= 0);
    while (weft_read(fd, &byte, 1) == 1)
        MUST(weft_write_all(fd, &byte, 1) == 0);
    return weft_close(fd);
}

static int is_never_idle(void *arg)
{
    struct stalls *s = arg;
    while (!wf_load(&s->done, acquire)) {
        weft_sim_busy(SHORT_NS);
        MUST(weft_yield() == 0);
    }
    return 0;
}

static void *looks(void *arg)
{
    struct stalls *s = arg;
    while (!wf_load(&s->done, acquire)) {
        wf_lookout_mark(s->rt, wf_clock_now());
        wf_thread_nap(WEFT_MSEC);
    }
    return NULL;
}

static void talk(struct stalls *s)
{
    WEFT_SCOPE(scope);
    for (int i = 0; i < PAIRS; i++) {
        weft_addr bound;
        s->listener[i] = weft_tcp_listen("127.0.0.1:0", 0);
        MUST(s->listener[i] >= 0 && weft_addr_local(s->listener[i], &bound) == 0);
        weft_addr_format(&bound, s->at[i], sizeof s->at[i]);
        weft_go(&scope, answers, &s->listener[i]);
        weft_go(&scope, asks, s);
    }
    MUST(weft_scope_close(&scope) == 0);
    for (int i = 0; i < PAIRS; i++)
        weft_close(s->listener[i]);
}

static int app(void *arg)
{
    struct stalls *s = arg;
    struct wf_thread thread;
    s->rt = weft_runtime_self();
    if (s->nobody_idle)
        MUST(wf_thread_start(&thread, looks, s, "looks") == 0);
    WEFT_SCOPE(scope);
    for (unsigned i = 0; s->nobody_idle && i < s->rt->worker_count; i++)
        weft_go(&scope, is_never_idle, s);
    talk(s);
    wf_store(&s->done, true, release);
    MUST(weft_scope_close(&scope) == 0);
    if (s->nobody_idle)
        wf_thread_join(&thread);
    return 0;
}

int sim_stalls(void *arg)
{
    (void)arg;
    struct stalls s = {.nobody_idle = weft_sim_below(3) == 0};
    wf_store(&s.left, STALLS_MAX, relaxed);
    return weft_run(&(weft_config){.workers = 2 + (unsigned)weft_sim_below(2)}, app, &s);
}
