/* timer.c - see timer.h.
 *
 * The loose timer. Only the wheel's worker makes one, and only while there is none: it writes the timer, its deadline,
 * and then the pointer. Two may want it then. Who takes it back exchanges the pointer for NULL; if that works, nobody
 * has looked at the timer and nobody will. Who expires the wheel, under the lock, exchanges it for wf_timer_taken; then
 * it lies in the wheel like all others, and taking it back waits for the lock. The mark stays until next_ns counts it
 * in: who finds it there takes the lock once to wait for that.
 *
 * Ordering: T1 the worker's store of loose (release) <-> T2 the exchange for wf_timer_taken (acquire): the timer is
 * written. T3 the store of NULL after next_ns (release) <-> T4 the worker's load of loose (acquire): when it finds
 * nothing there, it knows of what was taken. Taking back orders nothing: the timer is its owner's all along.
 *
 * next_ns is written under the lock, and read without it only to decide whether to take it: too early a value costs a
 * look, and a value that is too late cannot be read by the owner, which wrote it last, took the lock after whoever did,
 * or has met T3. So relaxed is enough; and for loose_ns, since only the owner writes it. */
#include "runtime/timer.h"

#include "runtime/panic.h"
#include "runtime/wait.h"

enum { LEVEL_BITS = 6 };

struct wf_timer wf_timer_taken;

static const uint64_t TICK_MAX = (UINT64_C(1) << (LEVEL_BITS * WF_WHEEL_LEVELS)) - 1;

static unsigned level_of(uint64_t now, uint64_t tick)
{
    uint64_t differ = now ^ tick;
    return differ < WF_WHEEL_SLOTS ? 0 : (63u - (unsigned)__builtin_clzll(differ)) / LEVEL_BITS;
}

static unsigned slot_of(uint64_t tick, unsigned level)
{
    return (tick >> (LEVEL_BITS * level)) & (WF_WHEEL_SLOTS - 1);
}

static uint64_t tick_of(const struct wf_wheel *w, int64_t deadline_ns)
{
    if (deadline_ns <= w->origin_ns)
        return 0;
    uint64_t past = (uint64_t)deadline_ns - (uint64_t)w->origin_ns;
    uint64_t tick = (past + (1u << WF_WHEEL_TICK_BITS) - 1) >> WF_WHEEL_TICK_BITS;
    return tick < TICK_MAX ? tick : TICK_MAX;
}

static int64_t time_of(const struct wf_wheel *w, uint64_t tick)
{
    uint64_t ns = tick << WF_WHEEL_TICK_BITS;
    return ns > (uint64_t)(INT64_MAX - w->origin_ns) ? INT64_MAX : w->origin_ns + (int64_t)ns;
}

static void insert(struct wf_wheel *w, struct wf_timer *t)
{
    unsigned level = level_of(w->now, t->tick), slot = slot_of(t->tick, level);
    struct wf_timer **head = &w->slot[level][slot];
    uint64_t bit = UINT64_C(1) << slot;
    if (!(w->occupied[level] & bit) || t->tick < w->earliest[level][slot])
        w->earliest[level][slot] = t->tick;
    w->occupied[level] |= bit;
    t->next = *head;
    t->link = head;
    if (*head)
        (*head)->link = &t->next;
    *head = t;
}

static void unlink_timer(struct wf_wheel *w, struct wf_timer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    unsigned level = level_of(w->now, t->tick), slot = slot_of(t->tick, level);
    if (!t->next && !w->slot[level][slot])
        w->occupied[level] &= ~(UINT64_C(1) << slot);
    t->link = NULL;
}

/* Into its slot; or into the next one that will be looked at. Returns when it is due then. */
static int64_t put_timer(struct wf_wheel *w, struct wf_timer *t)
{
    if (t->tick < w->now)
        t->tick = w->now;
    insert(w, t);
    return time_of(w, t->tick);
}

/* The lowest occupied level, or WF_WHEEL_LEVELS. */
static unsigned first_level(const struct wf_wheel *w)
{
    unsigned level = 0;
    while (level < WF_WHEEL_LEVELS && !w->occupied[level])
        level++;
    return level;
}

/* A level's slots all lie before those of the next level: so the first occupied one holds the next deadline. */
static int64_t next_deadline(const struct wf_wheel *w)
{
    unsigned level = first_level(w);
    if (level == WF_WHEEL_LEVELS)
        return INT64_MAX;
    return time_of(w, w->earliest[level][__builtin_ctzll(w->occupied[level])]);
}

void wf_wheel_open(struct wf_wheel *w, int64_t now_ns)
{
    w->origin_ns = now_ns;
    wf_store(&w->next_ns, INT64_MAX, relaxed);
}

/* There is something loose, or was a moment ago. */
int64_t wf_wheel_next_loose(struct wf_wheel *w, const struct wf_timer *loose)
{
    if (loose == &wf_timer_taken) {
        wf_lock(&w->lock);
        wf_unlock(&w->lock);
        return wf_load(&w->next_ns, relaxed);
    }
    int64_t at = wf_load(&w->loose_ns, relaxed), next = wf_load(&w->next_ns, relaxed);
    return at < next ? at : next;
}

/* False: there was none, or its owner has just taken it back. */
static bool put_loose(struct wf_wheel *w)
{
    struct wf_timer *t = wf_load(&w->loose, relaxed);
    if (!t || !wf_cas(&w->loose, &t, &wf_timer_taken, acquire)) /* T2 */
        return false;
    put_timer(w, t);
    return true;
}

/* Empty one slot: fire what is due, move the rest down. */
static unsigned empty_slot(struct wf_wheel *w, unsigned level, unsigned slot)
{
    unsigned fired = 0;
    struct wf_timer *t;
    w->occupied[level] &= ~(UINT64_C(1) << slot);
    while ((t = w->slot[level][slot])) {
        w->slot[level][slot] = t->next;
        if (t->next)
            t->next->link = &w->slot[level][slot];
        t->link = NULL;
        if (t->tick <= w->now) {
            t->fire(t);
            fired++;
        } else {
            insert(w, t);
        }
    }
    return fired;
}

unsigned wf_wheel_expire(struct wf_wheel *w, int64_t now_ns)
{
    unsigned fired = 0;
    wf_lock(&w->lock);
    bool took = put_loose(w);
    uint64_t now = now_ns <= w->origin_ns ? 0 : ((uint64_t)(now_ns - w->origin_ns)) >> WF_WHEEL_TICK_BITS;
    while (now >= w->now) {
        unsigned level = first_level(w);
        if (level == WF_WHEEL_LEVELS)
            break;
        unsigned slot = (unsigned)__builtin_ctzll(w->occupied[level]), low = LEVEL_BITS * level;
        uint64_t above = low + LEVEL_BITS < 64 ? w->now >> (low + LEVEL_BITS) << (low + LEVEL_BITS) : 0;
        uint64_t start = above | (uint64_t)slot << low;
        if (start > now)
            break;
        if (start > w->now)
            w->now = start;
        fired += empty_slot(w, level, slot);
    }
    if (now > w->now)
        w->now = now;
    wf_store(&w->next_ns, next_deadline(w), relaxed);
    if (took)
        wf_store(&w->loose, NULL, release); /* T3 */
    wf_unlock(&w->lock);
    return fired;
}

void wf_timer_arm(struct wf_wheel *w, struct wf_timer *t, int64_t deadline_ns)
{
    t->tick = tick_of(w, deadline_ns);
    wf_store(&t->wheel, w, relaxed); /* read by its owner, and by whoever the owner shares it with */
    struct wf_timer *loose = wf_load(&w->loose, acquire); /* T4 */
    WF_CHECK(!t->link && loose != t);
    if (!loose) {
        wf_store(&w->loose_ns, time_of(w, t->tick), relaxed);
        wf_store(&w->loose, t, release); /* T1 */
        return;
    }
    wf_lock(&w->lock);
    int64_t at = put_timer(w, t);
    if (at < wf_load(&w->next_ns, relaxed))
        wf_store(&w->next_ns, at, relaxed);
    wf_unlock(&w->lock);
}

static bool take_out(struct wf_wheel *w, struct wf_timer *t)
{
    wf_lock(&w->lock);
    bool armed = t->link != NULL;
    if (armed)
        unlink_timer(w, t);
    wf_unlock(&w->lock);
    return armed;
}

bool wf_timer_cancel(struct wf_timer *t)
{
    struct wf_wheel *w = wf_load(&t->wheel, relaxed);
    if (!w)
        return false;
    struct wf_timer *loose = t;
    bool armed = (wf_load(&w->loose, relaxed) == t && wf_cas(&w->loose, &loose, NULL, relaxed)) || take_out(w, t);
    wf_store(&t->wheel, NULL, relaxed); /* so that it is not looked for again */
    return armed;
}

static void fire_waiter(struct wf_timer *t)
{
    wf_fire(t->ctx, 0);
}

void wf_timer_wait(struct wf_timer *t, weft_waiter *r, int64_t deadline_ns)
{
    t->fire = fire_waiter;
    t->ctx = r;
    wf_timer_arm(wf_worker_wheel(), t, deadline_ns);
}
