/* workload.c - what a task does: request and compute, the same functions in every mode.
 *
 * A style is the only thing in which modes differ: how bytes are sent and received (the C library's
 * blocking calls or weft's), and where computing happens (right here or on the pool). Everything else,
 * down to the order of clock readings, is shared by all.
 *
 * The compute loop is a chain of dependent integer steps: it needs no memory, shares nothing, and the
 * compiler can neither shorten it nor spread it over a vector. */
#include "bench/contrast.d/contrast.h"

#include <unistd.h>
#include <weft.h>

struct ct_style {
    int (*send)(int fd, const void *buf, size_t n);
    int (*receive)(int fd, void *buf, size_t n);
    int (*compute)(struct ct_task *t);
    int (*lane)(void);
};

__attribute__((noinline)) uint64_t ct_burn(uint64_t seed, uint64_t turns)
{
    uint64_t x = seed | 1;
    for (uint64_t i = 0; i < turns; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

/* Nanoseconds per turn on an undisturbed core: the fastest of many short runs, since whatever disturbs
 * a run can only make it longer. */
double ct_calibrate(void)
{
    const uint64_t turns = 1000000;
    volatile uint64_t sink = 0;
    double best = 0;
    for (int i = 0; i < 60; i++) {
        int64_t from = ct_now();
        sink = ct_burn(sink + 1, turns);
        double ns = (double)(ct_now() - from) / (double)turns;
        if (best <= 0 || ns < best)
            best = ns;
    }
    return best;
}

static void note(struct ct_task *t, enum ct_kind kind, int64_t from, int64_t to, int lane)
{
    if (t->span_count < CT_SPANS_MAX && to > from)
        t->spans[t->span_count++] = (struct ct_span){.from = from, .to = to, .kind = kind, .lane = lane};
}

/* One request to the peer. Suspends or blocks, as the style has it. */
static int request(struct ct_task *t)
{
    struct ct_message m = {.id = t->id, .delay_us = t->delay_us};
    int64_t from = ct_now();
    int err = t->style->send(t->fd, &m, sizeof m);
    if (err == 0)
        err = t->style->receive(t->fd, &m, sizeof m);
    if (err < 0)
        return err;
    int64_t back = ct_now();
    if (m.id != t->id || m.answered_ns < from || m.answered_ns > back)
        return -EPROTO;
    note(t, CT_WAIT, from, m.answered_ns, -1);
    note(t, CT_READY, m.answered_ns, back, -1);
    return 0;
}

static void burn_and_note(struct ct_task *t, int lane)
{
    int64_t from = ct_now();
    t->sink = ct_burn(t->id, t->turns);
    note(t, CT_COMPUTE, from, ct_now(), lane);
}

/* The body of every task of io, cpu and mixed. */
int ct_task_run(void *task)
{
    struct ct_task *t = task;
    int err = 0;
    note(t, CT_READY, t->spawned_ns, ct_now(), -1);
    for (unsigned i = 0; i < t->requests && err == 0; i++)
        err = request(t);
    return err == 0 && t->turns > 0 ? t->style->compute(t) : err;
}

static int lane_main(void)
{
    return 0;
}

static int lane_worker(void)
{
    return (int)weft_worker();
}

static int compute_here(struct ct_task *t)
{
    burn_and_note(t, t->style->lane());
    return 0;
}

/* On a pool thread. */
static int compute_away(void *task)
{
    struct ct_task *t = task;
    note(t, CT_READY, t->asked_ns, ct_now(), -1);
    burn_and_note(t, -(int)gettid());
    return 0;
}

static int compute_offload(struct ct_task *t)
{
    t->asked_ns = ct_now();
    int err = weft_offload(compute_away, t);
    note(t, CT_READY, t->spans[t->span_count - 1].to, ct_now(), -1);
    return err;
}

const struct ct_style ct_style_plain = {ct_write_all, ct_read_full, compute_here, lane_main};
const struct ct_style ct_style_inline = {weft_write_all, weft_read_full, compute_here, lane_worker};
const struct ct_style ct_style_offload = {weft_write_all, weft_read_full, compute_offload, lane_worker};
