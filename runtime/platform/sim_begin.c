/* sim_begin.c - the world from its beginning to its end, and its threads' memory.
 *
 * A thread's record lies at the end of its stack, as large a stack as threads have by default, of which only what is
 * used is ever touched. Those of ended threads are used again. */
#include "runtime/platform/sim_world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { STACK_BYTES = 8 << 20, GUARD_BYTES = 64 << 10 };

static const uint64_t STEPS_DEFAULT = 5000000, FAULT_STEPS_DEFAULT = 50000;
static const int64_t YEARS_10_NS = 3600 * INT64_C(24) * 3653 * 1000000000;

/* ---- threads ---- */

struct wf_sim_thread *wf_sim_thread_new(void *(*fn)(void *), void *arg, const char *name)
{
    struct wf_sim_thread *t = wf_sim_world.unused;
    if (t) {
        wf_sim_world.unused = t->next;
    } else {
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
        char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (stack == MAP_FAILED)
            return NULL;
        mprotect(stack, GUARD_BYTES, PROT_NONE);
        t = (struct wf_sim_thread *)(stack + STACK_BYTES - sizeof *t - sizeof *t % 16);
        t->stack = stack;
    }
    char *stack = t->stack;
    memset(t, 0, sizeof *t);
    t->stack = stack;
    t->fn = fn;
    t->arg = arg;
    t->number = wf_sim_world.numbers++;
    t->priority = (UINT64_C(1) << 63) + wf_sim_random(WF_SIM_SCHEDULE) / 4;
    strncpy(t->name, name, sizeof t->name - 1);
    wf_context_make(&t->context, stack, (size_t)((char *)t - stack) & ~(size_t)63, wf_sim_thread_entry, t);
    t->next = wf_sim_world.all;
    wf_sim_world.all = t;
    return t;
}

void wf_sim_start(struct wf_sim_thread *t)
{
    if (wf_sim_world.runnable_count == WF_SIM_THREADS_MAX)
        wf_sim_broke(-ENOMEM, "more than %d threads", WF_SIM_THREADS_MAX);
    wf_sim_make_runnable(t);
}

void wf_sim_thread_free(struct wf_sim_thread *t)
{
    struct wf_sim_thread **at = &wf_sim_world.all;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->next = wf_sim_world.unused;
    wf_sim_world.unused = t;
}

/* ---- from begin to end ---- */

bool wf_sim_inside(void)
{
    return wf_sim_world.on && wf_sim_world.current != &wf_sim_world.host;
}

bool wf_sim_held(void)
{
    return wf_sim_world.held > 0;
}

unsigned wf_sim_workers(void)
{
    return wf_sim_world.workers;
}

/* What the seed decides once. Half of the runs look closely, a few do not look at all. */
static void choose_manner(void)
{
    static const uint64_t periods[] = {1, 2, 5, 10, 30, 100, 1000, 20000};
    wf_sim_world.period = periods[wf_sim_below(WF_SIM_WORLD, sizeof periods / sizeof *periods)];
    wf_sim_world.by_rank = wf_sim_below(WF_SIM_WORLD, 3) == 0;
    wf_sim_world.fall_behind = 1 + wf_sim_below(WF_SIM_WORLD, 100) * wf_sim_below(WF_SIM_WORLD, 20);
    wf_sim_world.workers = 1 + (unsigned)wf_sim_below(WF_SIM_WORLD, 4);
}

static void *first_thread(void *arg)
{
    (void)arg;
    wf_sim_world.result = wf_sim_world.fn(wf_sim_world.arg);
    return NULL;
}

int wf_sim_begin(const weft_sim_config *config)
{
    if (wf_sim_world.on)
        return -EBUSY;
    memset(&wf_sim_world, 0, sizeof wf_sim_world);
    if (wf_sim_streams_begin(config->seed))
        return -ENOMEM;
    wf_sim_futexes_begin();
    wf_sim_faults_begin(config);
    choose_manner();
    if (config->workers)
        wf_sim_world.workers = config->workers;
    wf_sim_world.steps_max = config->steps_max ? config->steps_max : STEPS_DEFAULT;
    wf_sim_world.fault_steps = config->fault_steps ? config->fault_steps : FAULT_STEPS_DEFAULT;
    wf_sim_world.time_max = config->time_max_ns ? config->time_max_ns : YEARS_10_NS;
    wf_sim_world.now = WF_SIM_START_NS;
    wf_sim_world.lowest = UINT64_C(1) << 62;
    wf_sim_world.current = &wf_sim_world.host;
    if (!wf_sim_thread_new(first_thread, NULL, "main"))
        return -ENOMEM;
    wf_sim_world.on = true;
    return 0;
}

void wf_sim_main(int (*fn)(void *), void *arg, weft_sim_report *ret)
{
    wf_sim_world.fn = fn;
    wf_sim_world.arg = arg;
    wf_context_adopt_thread(&wf_sim_world.host.context);
    wf_sim_make_runnable(wf_sim_world.all);
    wf_sim_draw();
    wf_sim_go(wf_sim_world.all);
    wf_sim_points_left = wf_sim_world.drawn = WF_SIM_OUT_OF_REACH;
    for (const struct wf_sim_thread *t = wf_sim_world.all; t; t = t->next)
        if (!t->ended)
            wf_sim_broke(-EPROTO, "thread %u, %s, outlives main", t->number, t->name);
    if (wf_sim_on_end)
        wf_sim_on_end();
    ret->result = wf_sim_world.result;
}

void wf_sim_over(void)
{
    wf_sim_world.on = false;
    for (struct wf_sim_thread *t; (t = wf_sim_world.all ? wf_sim_world.all : wf_sim_world.unused);) {
        *(wf_sim_world.all ? &wf_sim_world.all : &wf_sim_world.unused) = t->next;
        wf_context_finish(&t->context);
        munmap(t->stack, STACK_BYTES);
    }
}

void wf_sim_figures(weft_sim_report *ret)
{
    ret->steps = wf_sim_world.steps;
    ret->switches = wf_sim_world.switches;
    ret->time_ns = wf_sim_world.now - WF_SIM_START_NS;
}

void wf_sim_threads_dump(void (*line)(const char *text))
{
    char text[160];
    for (const struct wf_sim_thread *t = wf_sim_world.all; t; t = t->next) {
        if (t->ended)
            continue;
        snprintf(text, sizeof text, "  thread %u, %s: %s%s", t->number, t->name, t->why ? "waits: " : "goes on",
                 t->why ? t->why : "");
        line(text);
    }
}
