/* select.c - wait for the first of several things.
 *
 * It knows the three functions of a weft_waitable and nothing else, but for the two kinds of case at the end
 * of this file. One turn goes so:
 *
 *     ask ready of every case, from a random one on          one took effect: done
 *     arm the wait; from here on anybody may end it, once
 *     enqueue a waiter per case                              one refuses: it became ready: end the wait myself
 *     suspend
 *     dequeue every waiter but the one that fired            done, or, if it was I who ended it, the next turn
 *
 * Exactly one case takes effect. A case takes effect in two ways only. Either in ready(), which runs while the
 * wait is not armed and none of our waiters is in any queue, so nobody else can make another case take effect;
 * at the first that does we return. Or by firing: one winner per wait, says runtime/wait.h, and only the
 * winner may touch the item.
 *
 * The hard part is a case that becomes ready between ready() and enqueue(). Were enqueue to let it take effect,
 * a waiter enqueued before might have fired already: two effects. Were it to claim our own wait first, it
 * might then find that the partner on the other side, perhaps a select itself, went away; and a claim cannot
 * be taken back, as those it turned away meanwhile have gone elsewhere. So enqueue only refuses. We then fire
 * the wait ourselves, with an index that no case has. If that wins, nobody else can fire any more; we take all
 * waiters out and begin again. If it loses, a case has taken effect, or a stop ended the wait, and that is it.
 *
 * Nothing is lost by beginning again: whoever came while the wait was over found our waiters refusing, and left
 * his item in the object, where the next ready() finds it, or waits there himself.
 *
 * Two selects that offer each other the same two exchanges in opposite order can each see the other's waiter
 * and both begin again. Any turn in which one is a little earlier ends that: the later one's ready() finds the
 * other armed. Random starts, and from the third turn on a pause of random length, make it likely in each.
 *
 * No lost wakeup: each object's enqueue looks at its state and enters its queue in one hold of its lock. */
#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/random.h"
#include "runtime/task.h"
#include "runtime/timer.h"
#include "runtime/wait.h"

#include <weft/select.h>

enum {
    RECORDS_INLINE = 16, /* about 2 KiB of the caller's stack */
    TURNS_FREE = 2,      /* without a pause */
    PAUSES_MAX = 1024,   /* some ten microseconds */
};

/* What one case needs while it waits. */
struct record {
    weft_waiter waiter;
    struct wf_timer timer; /* for a case on time, which prepares it */
};

struct selection {
    weft_case *cases;
    struct record *records; /* one per case */
    size_t n, start;        /* which case comes first in this turn */
    size_t enqueued;        /* how many, from start on */
};

_Static_assert(WEFT_SELECT_MAX < WF_WAIT_STOPPED, "every case and the select itself must have an index");

static size_t nth(const struct selection *s, size_t i)
{
    return s->start + i < s->n ? s->start + i : s->start + i - s->n;
}

static void check_count(size_t n)
{
    WF_REQUIRE(n >= 1 && n <= WEFT_SELECT_MAX, "weft_select of %zu cases; from 1 to %d are possible", n,
               WEFT_SELECT_MAX);
}

/* The index of a case that took effect, or -EAGAIN. */
static int ask_all(struct selection *s)
{
    s->start = wf_random_here((uint32_t)s->n);
    for (size_t i = 0; i < s->n; i++) {
        size_t k = nth(s, i);
        WF_REQUIRE(s->cases[k].how, "weft_select of an empty case, number %zu", k);
        if (s->cases[k].how->ready(&s->cases[k]))
            return (int)k;
    }
    return -EAGAIN;
}

/* False: a case became ready. */
static bool enqueue_all(struct selection *s, struct wf_wait *wait)
{
    for (s->enqueued = 0; s->enqueued < s->n; s->enqueued++) {
        size_t k = nth(s, s->enqueued);
        weft_waiter *w = &s->records[k].waiter;
        wf_waiter_init(w, wait, (unsigned)k);
        w->which = &s->cases[k];
        if (!s->cases[k].how->enqueue(&s->cases[k], w))
            return false;
    }
    return true;
}

static void dequeue_all_but(struct selection *s, unsigned fired)
{
    for (size_t i = 0; i < s->enqueued; i++) {
        size_t k = nth(s, i);
        if (k != fired)
            s->cases[k].how->dequeue(&s->cases[k], &s->records[k].waiter);
    }
}

/* Suspends. The index of the case that took effect, why the caller should stop, or -EAGAIN: begin again. */
static int wait_once(struct selection *s)
{
    struct wf_wait *wait = wf_wait_self();
    int err = wf_wait_arm(wait, WF_WAIT_STOPPABLE);
    if (err)
        return err;
    weft_waiter again;
    wf_waiter_init(&again, wait, (unsigned)s->n);
    if (!enqueue_all(s, wait))
        wf_fire(&again, 0);
    unsigned fired = wf_wait_suspend(wait);
    dequeue_all_but(s, fired);
    if (fired < s->n) {
        s->cases[fired].result = s->records[fired].waiter.result;
        return (int)fired;
    }
    if (fired == s->n)
        return -EAGAIN;
    return wf_wait_why_stopped();
}

/* The first turn has been asked already. */
static int take_turns(struct selection *s)
{
    for (unsigned turn = 0;; turn++) {
        int k = wait_once(s);
        if (k != -EAGAIN)
            return k;
        if (turn >= TURNS_FREE)
            for (uint32_t i = wf_random_here(PAUSES_MAX); i > 0; i--)
                wf_pause();
        k = ask_all(s);
        if (k != -EAGAIN)
            return k;
    }
}

/* Not inlined, so that a select that need not wait needs no room for the records. */
static __attribute__((noinline)) int select_few(struct selection *s)
{
    struct record records[RECORDS_INLINE];
    s->records = records;
    return take_turns(s);
}

static int select_many(struct selection *s)
{
    s->records = wf_alloc(s->n * sizeof *s->records); /* n is at most WEFT_SELECT_MAX */
    if (!s->records)
        return -ENOMEM;
    int k = take_turns(s);
    wf_free(s->records, s->n * sizeof *s->records);
    return k;
}

int weft_select(weft_case *cases, size_t n)
{
    check_count(n);
    struct selection s = {.cases = cases, .n = n};
    (void)wf_wait_begin(); /* what is ready goes before a stop */
    int k = ask_all(&s);
    if (k != -EAGAIN)
        return k;
    return n <= RECORDS_INLINE ? select_few(&s) : select_many(&s);
}

int weft_try_select(weft_case *cases, size_t n)
{
    check_count(n);
    struct selection s = {.cases = cases, .n = n};
    return ask_all(&s);
}

/* A case on a task: its end. */

static bool task_ready(weft_case *c)
{
    return wf_task_ready(c->on, &c->result);
}

static bool task_enqueue(weft_case *c, weft_waiter *w)
{
    return wf_task_enqueue(c->on, w);
}

static bool task_dequeue(weft_case *c, weft_waiter *w)
{
    return wf_task_dequeue(c->on, w);
}

weft_case weft_on_task(weft_task *t)
{
    static const struct weft_waitable how = {task_ready, task_enqueue, task_dequeue};
    return (weft_case){.how = &how, .on = t};
}

/* A case on time. Its timer lies in the record, beside the waiter. */

static struct wf_timer *timer_of(weft_waiter *w)
{
    return &((struct record *)((char *)w - offsetof(struct record, waiter)))->timer;
}

static bool time_ready(weft_case *c)
{
    if (c->arg > wf_clock_now())
        return false;
    c->result = 0;
    return true;
}

static bool time_enqueue(weft_case *c, weft_waiter *w)
{
    const struct wf_wait *wait = w->wait;
    WF_REQUIRE(wait->task, "weft_on_time outside a task"); /* A plain thread has no wheel. */
    if (c->arg != weft_never().ns) {
        *timer_of(w) = (struct wf_timer){0};
        wf_timer_wait(timer_of(w), w, c->arg);
    }
    return true;
}

static bool time_dequeue(weft_case *c, weft_waiter *w)
{
    return c->arg == weft_never().ns || wf_timer_cancel(timer_of(w));
}

weft_case weft_on_time(weft_time t)
{
    static const struct weft_waitable how = {time_ready, time_enqueue, time_dequeue};
    return (weft_case){.how = &how, .arg = t.ns};
}
