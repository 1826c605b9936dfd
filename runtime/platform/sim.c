/* sim.c - the world: who goes on, and what time it is.
 *
 * A simulated thread is a coroutine. It stands on its own stack, or on that of the task it runs: whoever leaves the
 * processor leaves its stack pointer in its thread, and whoever is chosen goes on from there. So the whole of weft
 * runs unchanged above, its own switches included.
 *
 * Choices. The seed picks a manner for the run: how many points lie between two choices on average (one, for every
 * order there is; thousands, for speed), and by what the next thread is chosen. By lot: each runnable one alike. By
 * rank: threads have ranks, the highest runnable goes on, and now and then the one that runs falls behind all others;
 * that finds what only a thread that stands still for long at a bad place can show, and is likely to find it
 * (Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs").
 *
 * Time. A point takes POINT_NS; it is computed from the countdown, so it costs nothing. When nobody can go on, time
 * jumps to the next event. When there is none either, all wait for one another, and that is the end. A thread that is
 * alone and does nothing but yield waits for an event too: its time runs faster and faster.
 *
 * Must hold: exactly one thread is current, and it is runnable or about to be left.
 *            Events fire while the world is held, so they change what waits and choose nothing. */
#include "runtime/platform/sim_world.h"

#include "runtime/platform/clock.h"

#include <errno.h>

#if defined(WF_ASAN)
#include <sanitizer/common_interface_defs.h>
#define UNINSTRUMENTED __attribute__((noinline, no_sanitize_address))
#else
#define UNINSTRUMENTED __attribute__((noinline))
#endif

enum {
    POINT_NS = 5,
    CLOCK_POINTS = 8, /* what reading the clock takes */
    YIELD_NS = 40,
    LONE_YIELDS = 64, /* in a row, until time runs twice as fast */
    LONE_SHIFT_MAX = 24,
};

static const int64_t IDLE_NS = 1000000, OVERSLEEP_MAX_NS = 2000000;

struct wf_sim_world wf_sim_world = {.current = &wf_sim_world.host};
int64_t wf_sim_points_left = WF_SIM_OUT_OF_REACH;
void (*wf_sim_on_idle)(int64_t for_ns);
void (*wf_sim_on_end)(void);
void (*wf_sim_on_broken)(void);
void (*wf_sim_on_thread_end)(const struct wf_sim_thread *t);

/* ---- time ---- */

/* Take the points that went by as time. */
static void account(void)
{
    wf_sim_world.now += (wf_sim_world.drawn - wf_sim_points_left) * POINT_NS;
    wf_sim_world.drawn = wf_sim_points_left;
}

void wf_sim_draw(void)
{
    wf_sim_points_left = wf_sim_world.drawn = 1 + (int64_t)wf_sim_below(WF_SIM_SCHEDULE, 2 * wf_sim_world.period - 1);
}

int64_t wf_sim_now(void)
{
    if (!wf_sim_world.on || wf_sim_world.held)
        return wf_sim_world.now;
    account();
    return wf_sim_world.now;
}

int64_t wf_clock_now(void)
{
    if (wf_sim_world.on && !wf_sim_world.held) {
        wf_sim_points_left -= CLOCK_POINTS;
        if (wf_sim_points_left <= 0)
            wf_sim_choose();
    }
    return wf_sim_now();
}

void wf_sim_hold(void)
{
    if (!wf_sim_world.on || wf_sim_world.held++ > 0)
        return;
    account();
    wf_sim_world.kept = wf_sim_points_left;
    wf_sim_points_left = WF_SIM_OUT_OF_REACH;
}

void wf_sim_release(void)
{
    if (wf_sim_world.on && --wf_sim_world.held == 0)
        wf_sim_points_left = wf_sim_world.drawn = wf_sim_world.kept;
}

/* ---- events ---- */

static void fire_due(void)
{
    struct wf_sim_event *e = wf_sim_event_first();
    if (!e || e->at_ns > wf_sim_world.now)
        return;
    wf_sim_hold();
    while ((e = wf_sim_event_first()) && e->at_ns <= wf_sim_world.now) {
        wf_sim_event_remove(e);
        e->fire(e);
    }
    wf_sim_release();
}

static void count_step(void)
{
    if (++wf_sim_world.steps == wf_sim_world.fault_steps)
        wf_sim_faults_end();
    if (wf_sim_world.steps > wf_sim_world.steps_max)
        wf_sim_broke(-ETIMEDOUT, "no end after %llu steps", (unsigned long long)wf_sim_world.steps_max);
}

/* Nobody can go on: to the next event. */
static void jump(void)
{
    count_step();
    const struct wf_sim_event *e = wf_sim_event_first();
    if (!e)
        wf_sim_broke(-EDEADLK, "deadlock: every thread waits, and nothing is on its way");
    int64_t until = e->at_ns;
    if (wf_sim_on_idle && until - wf_sim_world.now >= IDLE_NS) {
        wf_sim_hold();
        wf_sim_on_idle(until - wf_sim_world.now);
        wf_sim_release();
    }
    if (until > wf_sim_world.now)
        wf_sim_world.now = until;
    if (wf_sim_world.now > wf_sim_world.time_max)
        wf_sim_broke(-ETIMEDOUT, "still running at the end of its virtual time");
    fire_due();
}

/* ---- who goes on ---- */

void wf_sim_make_runnable(struct wf_sim_thread *t)
{
    if (t->runnable)
        return;
    wf_sim_world.runnable[wf_sim_world.runnable_count++] = t;
    t->runnable = wf_sim_world.runnable_count;
    wf_sim_world.lone = 0;
}

static void make_wait(struct wf_sim_thread *t)
{
    struct wf_sim_thread *last = wf_sim_world.runnable[--wf_sim_world.runnable_count];
    wf_sim_world.runnable[t->runnable - 1] = last;
    last->runnable = t->runnable;
    t->runnable = 0;
}

static struct wf_sim_thread *pick(void)
{
    size_t n = wf_sim_world.runnable_count;
    if (!wf_sim_world.by_rank)
        return wf_sim_world.runnable[n == 1 ? 0 : wf_sim_below(WF_SIM_SCHEDULE, n)];
    if (wf_sim_below(WF_SIM_SCHEDULE, wf_sim_world.fall_behind) == 0)
        wf_sim_world.current->priority = wf_sim_world.lowest--;
    struct wf_sim_thread *first = wf_sim_world.runnable[0];
    for (size_t i = 1; i < n; i++)
        if (wf_sim_world.runnable[i]->priority > first->priority)
            first = wf_sim_world.runnable[i];
    return first;
}

/* Leave the current thread standing, go on with `to`. ASan is told which stack `to` stands on; whoever arrives hears
 * from it which one was left. */
UNINSTRUMENTED void wf_sim_go(struct wf_sim_thread *to)
{
    struct wf_sim_thread *from = wf_sim_world.current;
    from->saved_errno = errno;
    wf_sim_world.current = to;
    wf_sim_world.left = from;
#if defined(WF_ASAN)
    __sanitizer_start_switch_fiber(from->ended ? NULL : &from->context.fake_stack, to->context.low, to->context.size);
#endif
    wf_context_swap(&from->context.sp, &to->context.sp);
#if defined(WF_ASAN)
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(from->context.fake_stack, &low, &size);
    wf_sim_world.left->context.low = low;
    wf_sim_world.left->context.size = size;
#endif
    errno = from->saved_errno;
}

static void choose_and_go(void)
{
    count_step();
    fire_due();
    while (!wf_sim_world.runnable_count)
        jump();
    struct wf_sim_thread *to = pick();
    wf_sim_draw();
    if (to == wf_sim_world.current)
        return;
    wf_sim_world.switches++;
    wf_sim_note("runs", to->number, (uint64_t)wf_sim_world.now);
    wf_sim_go(to);
}

void wf_sim_choose(void)
{
    if (!wf_sim_world.on || wf_sim_world.held || wf_sim_world.current == &wf_sim_world.host) {
        wf_sim_points_left = WF_SIM_OUT_OF_REACH;
        return;
    }
    account();
    choose_and_go();
}

/* Time for who does nothing but yield, while nobody else can go on. */
static void pass_lone_time(void)
{
    unsigned shift = wf_sim_world.lone / LONE_YIELDS;
    if (wf_sim_world.runnable_count > 1)
        wf_sim_world.lone = 0;
    else
        wf_sim_world.lone++;
    int64_t until = wf_sim_world.now + ((int64_t)YIELD_NS << (shift < LONE_SHIFT_MAX ? shift : LONE_SHIFT_MAX));
    const struct wf_sim_event *e = wf_sim_event_first();
    if (shift && e && e->at_ns < until)
        until = e->at_ns > wf_sim_world.now ? e->at_ns : wf_sim_world.now + YIELD_NS;
    wf_sim_world.now = until;
    if (wf_sim_world.now > wf_sim_world.time_max)
        wf_sim_broke(-ETIMEDOUT, "still running at the end of its virtual time");
}

void wf_sim_yield(void)
{
    if (!wf_sim_world.on || wf_sim_world.held || wf_sim_world.current == &wf_sim_world.host)
        return;
    account();
    pass_lone_time();
    wf_sim_world.current->priority = wf_sim_world.lowest--;
    choose_and_go();
}

static void on_alarm(struct wf_sim_event *e)
{
    wf_sim_make_runnable((struct wf_sim_thread *)((char *)e - offsetof(struct wf_sim_thread, alarm)));
}

bool wf_sim_sleep(int64_t until_ns, const char *why, const void *on)
{
    struct wf_sim_thread *t = wf_sim_world.current;
    account();
    t->roused = false;
    t->why = why;
    t->on = on;
    t->alarm.fire = on_alarm;
    if (until_ns != INT64_MAX) {
        int64_t late = wf_sim_amount(WEFT_SIM_LATE_TIMER, OVERSLEEP_MAX_NS);
        wf_sim_event_add(&t->alarm, until_ns < INT64_MAX - late ? until_ns + late : until_ns);
    }
    make_wait(t);
    choose_and_go();
    wf_sim_event_remove(&t->alarm);
    t->why = NULL;
    return t->roused;
}

void wf_sim_rouse(struct wf_sim_thread *t)
{
    if (t->runnable || t->ended)
        return;
    t->roused = true;
    wf_sim_make_runnable(t);
}

/* ---- threads ---- */

struct wf_sim_thread *wf_sim_self(void)
{
    return wf_sim_world.current;
}

/* The first function of a thread, and its last. */
void wf_sim_thread_entry(void *arg)
{
    struct wf_sim_thread *t = arg;
#if defined(WF_ASAN)
    wf_sim_world.left->context.low = wf_context_left_low;
    wf_sim_world.left->context.size = wf_context_left_size;
#endif
    errno = 0;
    t->fn(t->arg);
    account();
    if (wf_sim_on_thread_end)
        wf_sim_on_thread_end(t);
    t->ended = true;
    if (t->joiner)
        wf_sim_rouse(t->joiner);
    make_wait(t);
    if (t->number == 0)
        wf_sim_go(&wf_sim_world.host);
    choose_and_go();
    __builtin_trap(); /* nobody chooses who has ended */
}
