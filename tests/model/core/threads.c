/* threads.c - the threads of a model: coroutines of one thread of the system.
 *
 * Before each operation on shared memory that somebody else's could conflict with, there is a point: the explorer may
 * let another thread go first (a preemption). A thread also gives way when it sleeps, ends, or pauses in a loop: then
 * it is not chosen again until somebody has done something; and if it has paused a few times with nothing written,
 * not until somebody writes something, since it would find what it found before. When all that could run have paused,
 * they get another round, as what they read may have been outdated; many such rounds with nothing written are a
 * livelock.
 *
 * Thread 0 runs setup, then sleeps until all others have ended, then runs finish: no order of those is missed, as
 * nobody else runs then. */
#include "tests/model/core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { STACK_BYTES = 64 * 1024, STREAK_MAX = 150, PASSED_OVER_MAX = 6, ROUNDS_MAX = 60, PAUSES_BRIEF = 2 };

static char *stacks; /* one per thread, each above a page that nobody may touch */

static char *stack_of(unsigned t)
{
    return stacks + (size_t)t * 2 * STACK_BYTES + STACK_BYTES;
}

static void map_stacks(void)
{
    size_t size = (size_t)MODEL_THREADS_MAX * 2 * STACK_BYTES;
    /* At one place in every process, so that a string repeats what it has found. */
    stacks = mmap((void *)(UINT64_C(0x7e) << 36), size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (stacks == MAP_FAILED)
        abort();
    for (unsigned t = 0; t < MODEL_THREADS_MAX; t++)
        mprotect(stack_of(t) - STACK_BYTES, STACK_BYTES, PROT_NONE);
}

/* ---- failing ---- */

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run.failure, sizeof run.failure, format, args);
    va_end(args);
    run.failed = true;
    wf_context_switch_last(&self()->context, &run.explorer);
}

static size_t say_who_waits(char *text, size_t size)
{
    size_t used = 0;
    for (unsigned t = 0; t < run.count && used < size; t++) {
        struct thread *th = &run.thread[t];
        if (th->state == ASLEEP)
            used += (size_t)snprintf(text + used, size - used, "\n    T%u sleeps on %s, which is %u", t,
                                     describe((uintptr_t)th->word), *(const uint32_t *)th->word);
        else if (th->state == BLOCKED)
            used += (size_t)snprintf(text + used, size - used, "\n    T%u waits for %s", t, th->what);
        else if (th->state == JOINING)
            used += (size_t)snprintf(text + used, size - used, "\n    T%u waits for threads to end", t);
        else if (th->state == RUNNABLE)
            used += (size_t)snprintf(text + used, size - used, "\n    T%u runs, last in %s", t,
                                     describe_code(th->pc));
    }
    return used;
}

static _Noreturn void fail_all(const char *what)
{
    char text[400];
    say_who_waits(text, sizeof text);
    model_fail("%s:%s", what, text);
}

/* ---- switching ---- */

static void go_to(unsigned next)
{
    struct thread *from = self();
    unsigned before = run.self;
    run.self = next;
    run.streak = 0;
    if (UNLIKELY(run.tracing))
        trace(EVENT_SWITCH, 0, 0, 0, 0, before, 0, 0, 0);
    wf_context_switch(&from->context, &run.thread[next].context);
}

/* Threads that sleep in somebody else's way: perhaps they can go on by now. */
static unsigned wakeable(void)
{
    unsigned found = 0;
    for (unsigned left = run.blocked; left; left &= left - 1) {
        unsigned t = (unsigned)__builtin_ctz(left);
        if (run.thread[t].wakeable(run.thread[t].wakeable_arg))
            found |= 1u << t;
    }
    return found;
}

/* Who could run next besides those that can anyhow: sleepers whose time could have come. */
static unsigned early(void)
{
    return run.early ? run.timed : 0;
}

static void wake(unsigned t, bool timed_out)
{
    struct thread *th = &run.thread[t];
    unsigned bit = 1u << t;
    th->state = RUNNABLE;
    th->timed_out = timed_out;
    run.runnable |= bit;
    run.blocked &= ~bit;
    run.timed &= ~bit;
    run.paused &= ~bit;
}

/* t was chosen: if it sleeps, it is woken by what it waited for, or by its time. */
static void begin(unsigned t, bool has_to)
{
    struct thread *th = &run.thread[t];
    if (th->state == RUNNABLE)
        return;
    bool met = th->state == BLOCKED && th->wakeable(th->wakeable_arg);
    if (!met) {
        if (th->deadline > run.clock_ns)
            run.clock_ns = th->deadline;
        run.early -= !has_to;
    }
    wake(t, !met);
}

/* The sleeper whose time comes first. */
static unsigned first_of(unsigned sleepers)
{
    unsigned best = (unsigned)__builtin_ctz(sleepers);
    for (unsigned left = sleepers; left; left &= left - 1) {
        unsigned t = (unsigned)__builtin_ctz(left);
        if (run.thread[t].deadline < run.thread[best].deadline)
            best = t;
    }
    return best;
}

/* Whose turn it is if everybody shall have one: no loop waits for ever for somebody who could go on. Depth first, those
 * come first that are not dormant: to choose one that is ends the execution, though another could go on. */
static unsigned in_turn(unsigned candidates, bool fair)
{
    if (candidates & ~run.dormant)
        candidates &= ~run.dormant;
    for (unsigned left = candidates; left; left &= left - 1) {
        unsigned t = (unsigned)__builtin_ctz(left);
        if (run.thread[t].passed_over >= PASSED_OVER_MAX)
            return 1u << t;
    }
    if (!fair)
        return candidates;
    unsigned after = candidates & ~((2u << run.self) - 1);
    return 1u << __builtin_ctz(after ? after : candidates);
}

/* The caller cannot or does not want to go on: somebody must. */
static void give_way(bool fair)
{
    run.points++;
    unsigned me = 1u << run.self;
    unsigned ready = run.runnable | wakeable(), others = ready & ~run.paused & ~me;
    if (!others && (ready & run.paused)) { /* all have paused: another round */
        if (++run.rounds > ROUNDS_MAX)
            fail_all("livelock: everybody waits for somebody else to do something");
        others = (ready & ~me ? ready & ~me : ready) | run.timed;
        run.paused = 0;
    }
    unsigned next;
    if (others) {
        next = choose_thread(in_turn(fair ? others : others | early(), fair), true);
        begin(next, (others & run.timed) != 0);
    } else if (run.timed) {
        next = first_of(run.timed);
        begin(next, true);
    } else {
        fail_all("deadlock");
    }
    if (self()->state == RUNNABLE) /* it pauses; who sleeps or ends does so once, and loops on nothing */
        for (unsigned left = others; left; left &= left - 1)
            run.thread[__builtin_ctz(left)].passed_over++;
    run.thread[next].passed_over = 0;
    if (next != run.self)
        go_to(next);
}

static void pause_thread(bool fair)
{
    struct thread *t = self();
    unsigned me = 1u << run.self;
    if (run.count == 1)
        return;
    if (t->pauses_since != run.writes) {
        t->pauses_since = run.writes;
        t->pauses = 0;
    }
    if (++t->pauses <= PAUSES_BRIEF)
        run.brief |= me;
    run.paused |= me;
    give_way(fair);
    run.paused &= ~me;
}

void model_pause(void)
{
    pause_thread(false);
}

/* Somebody else may go first. */
static void let_others(unsigned others)
{
    if (UNLIKELY(run.blocked))
        others |= wakeable();
    others |= early();
    if (!others)
        return;
    unsigned next = choose_thread(others, false);
    if (next == run.self)
        return;
    begin(next, false);
    go_to(next);
}

/* Has anybody else ever done something at this place that would come out differently before or after? */
static inline bool conflicts(const struct spot *s, bool write)
{
    unsigned others = !s ? ~0u : write ? s->writers | s->readers : s->writers;
    return (others & ~(1u << run.self) & ~run.ended) != 0;
}

/* The operation is done now: what waited for one like it is worth exploring again. */
static inline void rouse(const struct spot *s, bool write)
{
    for (unsigned left = run.dormant; left; left &= left - 1) {
        unsigned t = (unsigned)__builtin_ctz(left);
        const struct thread *th = &run.thread[t];
        if (!s || !th->next || (s == th->next && (write || th->next_writes)))
            run.dormant &= ~(1u << t);
    }
}

/* The caller is about to do something at s (NULL: that has to do with everything). Others may come first. */
static void point(const struct spot *s, bool write, uintptr_t pc)
{
    struct thread *t = self();
    t->pc = pc;
    t->next = s;
    t->next_writes = write;
    t->begun = true;
    run.points++;
    if (UNLIKELY(run.paused)) {
        run.paused &= ~run.brief;
        run.brief = 0;
    }
    if (UNLIKELY(++run.ops > (unsigned)(run.model->ops_max ? run.model->ops_max : 5000)))
        fail_all("livelock: no end in sight");
    unsigned others = run.runnable & ~run.paused & ~(1u << run.self);
    if ((others | run.blocked | run.timed) && !run.alone) {
        if (UNLIKELY(++run.streak > STREAK_MAX)) /* a loop that does not pause, but waits all the same */
            pause_thread(true);
        else if (conflicts(s, write))
            let_others(others);
    }
    if (UNLIKELY(run.dormant))
        rouse(s, write);
}

/* ---- sleeping ---- */

static void sleep_until(enum state state, int64_t deadline_ns)
{
    struct thread *t = self();
    unsigned me = 1u << run.self;
    t->state = state;
    t->deadline = deadline_ns;
    run.runnable &= ~me;
    if (state == BLOCKED)
        run.blocked |= me;
    if (deadline_ns != INT64_MAX)
        run.timed |= me;
    give_way(false);
}

int model_futex_wait(const void *word, uint32_t value, int64_t deadline_ns)
{
    uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    point(known_spot((uintptr_t)word), true, pc);
    check_alive((uintptr_t)word, 4);
    uint32_t is = *(const uint32_t *)word;
    NOTE("futex wait on %s while %u: it is %u", describe((uintptr_t)word), value, is);
    if (is != value)
        return -EAGAIN;
    self()->word = word;
    sleep_until(ASLEEP, deadline_ns);
    NOTE("woken%s", self()->timed_out ? " by the time" : "");
    return self()->timed_out ? -ETIMEDOUT : 0;
}

void model_futex_wake(const void *word, int n)
{
    point(known_spot((uintptr_t)word), true, (uintptr_t)__builtin_return_address(0));
    unsigned sleepers = 0;
    for (unsigned t = 0; t < run.count; t++)
        if (run.thread[t].state == ASLEEP && run.thread[t].word == word)
            sleepers |= 1u << t;
    NOTE("futex wake of %s: %d sleep", describe((uintptr_t)word), __builtin_popcount(sleepers));
    for (; n > 0 && sleepers; n--) {
        unsigned pick = choose(CHOICE_OTHER, (unsigned)__builtin_popcount(sleepers)), left = sleepers;
        while (pick--)
            left &= left - 1;
        unsigned t = (unsigned)__builtin_ctz(left);
        sleepers &= ~(1u << t);
        wake(t, false);
        run.rounds = 0;
    }
}

bool model_block(bool (*is_wakeable)(void *arg), void *arg, int64_t deadline_ns, const char *what)
{
    point(NULL, true, (uintptr_t)__builtin_return_address(0));
    if (is_wakeable(arg))
        return true;
    if (deadline_ns <= run.clock_ns)
        return false;
    struct thread *t = self();
    t->wakeable = is_wakeable;
    t->wakeable_arg = arg;
    t->what = what;
    NOTE("sleeps for %s", what);
    sleep_until(BLOCKED, deadline_ns);
    NOTE("goes on%s", t->timed_out ? ": it is time" : "");
    return !t->timed_out;
}

/* ---- beginning and ending ---- */

static void wake_joiners(void)
{
    for (unsigned t = 0; t < run.count; t++) {
        struct thread *th = &run.thread[t];
        if (th->state == JOINING && !(th->joined & ~run.ended))
            wake(t, false);
    }
}

static _Noreturn void end_thread(void)
{
    unsigned me = 1u << run.self;
    end_memory_of_thread(run.self);
    self()->state = ENDED;
    run.runnable &= ~me;
    run.ended |= me;
    wrote_something();
    wake_joiners();
    give_way(false);
    __builtin_unreachable();
}

static void join_threads(unsigned which)
{
    if (which & ~run.ended) {
        self()->joined = which;
        sleep_until(JOINING, INT64_MAX);
    }
    for (unsigned t = 0; t < run.count; t++)
        if (which & 1u << t)
            self()->now = later(self()->now, run.thread[t].now);
}

static void enter(void *arg)
{
    struct thread *t = arg;
    if (t->body)
        t->body();
    else
        t->start(t->arg);
    end_thread();
}

/* The number of a new thread, which knows what the caller knows. */
static unsigned add_thread(void (*body)(void), void *(*start)(void *), void *arg)
{
    if (run.count == MODEL_THREADS_MAX)
        model_fail("more than %d threads", MODEL_THREADS_MAX);
    unsigned n = run.count++;
    struct thread *t = &run.thread[n];
    *t = (struct thread){.state = RUNNABLE, .body = body, .start = start, .arg = arg};
    if (n) {
        t->now = self()->now;
        self()->now[run.self]++;
    }
    t->now[n] = 1;
    run.runnable |= 1u << n;
    wf_context_make(&t->context, stack_of(n), STACK_BYTES, enter, t);
    return n;
}

/* What thread 0 does. */
static void conduct(void)
{
    const struct model *m = run.model;
    if (m->setup)
        m->setup();
    for (int i = 0; i < MODEL_THREADS_MAX - 1 && m->threads[i]; i++)
        add_thread(m->threads[i], NULL, NULL);
    while (((1u << run.count) - 2) & ~run.ended)
        join_threads((1u << run.count) - 2);
    join_threads((1u << run.count) - 2);
    if (m->finish)
        m->finish();
    check_leaks();
    wf_context_switch_last(&self()->context, &run.explorer);
}

/* One execution, from beginning to end. */
static void execute(const struct model *m)
{
    run.execution++;
    run.model = m;
    run.self = run.count = 0;
    run.runnable = run.paused = run.ended = run.blocked = run.timed = 0;
    run.ops = run.points = run.streak = run.rounds = 0;
    run.spurious = (unsigned)(m->spurious ? (m->spurious < 0 ? 0 : m->spurious) : 1);
    run.early = (unsigned)(m->early ? (m->early < 0 ? 0 : m->early) : 1);
    run.stale = m->stale ? m->stale : 2;
    run.fences = 0;
    run.dormant = run.brief = run.writes = 0;
    run.alone = run.failed = run.pruned = run.learned = false;
    run.clock_ns = 1000000000;
    reset_memory();
    add_thread(conduct, NULL, NULL);
    wf_context_switch(&run.explorer, &run.thread[0].context);
}

void model_alone_begin(void)
{
    point(NULL, true, (uintptr_t)__builtin_return_address(0));
    run.alone = true;
}

void model_alone_end(void)
{
    run.alone = false;
}

void model_step(void)
{
    point(NULL, true, (uintptr_t)__builtin_return_address(0));
    wrote_something();
}

unsigned model_self(void)
{
    return run.self;
}

int64_t model_now(void)
{
    return run.clock_ns;
}

void model_advance(int64_t ns)
{
    run.clock_ns += ns;
}
