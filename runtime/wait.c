/* wait.c - see wait.h.
 *
 * Ordering: W1 fire's exchange on the word (acq_rel) <-> W2 the waiter's reading of FIRED (acquire): the
 *           result and whatever was handed over are seen.
 *           W3 parking's or (acq_rel) <-> W1: whoever makes the waiter run sees all it did before.
 *           W4 unpark's exchange (acquire) <-> W3: it sees the stack that the waiter has left. Who fires meanwhile
 *           leaves the waiter to whoever parks it again, and is seen there like any that comes early.
 *           S2 arming's swap (seq_cst): see scope.h. */
#include "runtime/wait.h"

#include "runtime/child.h"
#include "runtime/panic.h"
#include "runtime/platform/futex.h"
#include "runtime/scope.h"
#include "runtime/worker.h"

enum { TICKET_SHIFT = 24, INDEX_SHIFT = 8 };

struct wf_wait *wf_wait_self(void)
{
    weft_task *t = wf_task_self();
    _Static_assert(sizeof(struct wf_wait) <= WF_LOCAL_ROOM, "a plain thread has room for its wait");
    return t ? &t->wait : wf_local_room();
}

static uint64_t ticket_of(uint64_t word)
{
    return word >> TICKET_SHIFT;
}

int wf_wait_arm(struct wf_wait *w, unsigned kind)
{
    uint64_t ticket = ticket_of(wf_load(&w->word, relaxed)) + 1; /* only we change it between waits */
    uint64_t word = ticket << TICKET_SHIFT | WF_WAIT_ARMED;
    weft_task *t = w->task;
    bool alone = t && wf_worker_is_alone(t);
    if (!alone)
        kind &= ~(unsigned)WF_WAIT_PARKED;
    if (!t || !(kind & (WF_WAIT_STOPPABLE | WF_WAIT_OPERATION))) {
        wf_store(&w->word, word | (kind & WF_WAIT_PARKED), relaxed); /* found by who fires it through a lock */
        return 0;
    }
    if (!t->listed)
        wf_scope_list(t);
    if (alone)
        wf_store(&w->word, word | kind, relaxed); /* the same; and who stops it is this very thread */
    else
        wf_swap(&w->word, word | kind, seq_cst); /* S2 */
    int reason = wf_scope_stop_reason(t);
    if (reason)
        wf_wait_disarm(w);
    return reason;
}

void wf_wait_disarm(struct wf_wait *w)
{
    uint64_t ticket = ticket_of(wf_load(&w->word, relaxed));
    wf_store(&w->word, ticket << TICKET_SHIFT | WF_WAIT_IDLE, relaxed);
}

uint64_t wf_wait_ticket(struct wf_wait *w)
{
    return ticket_of(wf_load(&w->word, relaxed));
}

void wf_waiter_init(weft_waiter *r, struct wf_wait *w, unsigned index)
{
    *r = (weft_waiter){.wait = w, .index = index, .ticket = wf_wait_ticket(w)};
}

/* Sleep on the word until it says FIRED. The word's low half changes with every step of a wait. */
static void sleep_thread(struct wf_wait *w)
{
    wf_child_refuse("waiting");
    uint64_t word = wf_or(&w->word, WF_WAIT_PARKED, relaxed) | WF_WAIT_PARKED; /* suspend looks again (W2) */
    while ((word & WF_WAIT_STATE) != WF_WAIT_FIRED) {
        wf_futex_wait(&w->word, (uint32_t)word, INT64_MAX); /* the low half: both our ports are little-endian */
        word = wf_load(&w->word, relaxed);
    }
}

unsigned wf_wait_suspend(struct wf_wait *w)
{
    uint64_t word = wf_load(&w->word, acquire); /* W2 */
    bool is_parked = word & WF_WAIT_PARKED; /* then whoever has fired it has put it in line */
    if (is_parked || (word & WF_WAIT_STATE) != WF_WAIT_FIRED) {
        if (w->task)
            wf_worker_suspend(w->task, is_parked);
        else
            sleep_thread(w);
        word = wf_load(&w->word, acquire); /* W2 */
        WF_CHECK((word & WF_WAIT_STATE) == WF_WAIT_FIRED);
    }
    return (word >> INDEX_SHIFT) & WF_WAIT_STOPPED;
}

WF_UNOBSERVED bool wf_wait_park(struct wf_wait *w)
{
    /* W3; kept: acquire, though the waiter looks again itself: who finds it FIRED handles what was handed over */
    return (wf_or(&w->word, WF_WAIT_PARKED, acq_rel) & WF_WAIT_STATE) != WF_WAIT_FIRED;
}

WF_UNOBSERVED bool wf_wait_mark_seen(struct wf_wait *w, uint64_t word)
{
    return wf_cas(&w->word, &word, word | WF_WAIT_SEEN, relaxed); /* says nothing of anything else */
}

WF_UNOBSERVED bool wf_wait_unpark(struct wf_wait *w, uint64_t word)
{
    return wf_cas(&w->word, &word, word & ~(uint64_t)(WF_WAIT_PARKED | WF_WAIT_SPILLABLE), acquire); /* W4 */
}

int wf_wait_stop_reason(void)
{
    weft_task *t = wf_task_self();
    return t ? wf_scope_stop_reason(t) : 0;
}

int wf_wait_why_stopped(void)
{
    int reason = wf_wait_stop_reason();
    return reason ? reason : -ECANCELED;
}

/* It is FIRED now: make it run, if it had gone to sleep. The waiter may be gone already. */
static void release(struct wf_wait *w, weft_task *t, uint64_t before)
{
    if (!(before & WF_WAIT_PARKED))
        return;
    if (t)
        wf_worker_ready(t);
    else
        wf_futex_wake(&w->word, 1);
}

/* From ARMED to `state`, with this winner, if this is still the wait with that ticket. */
static bool advance(struct wf_wait *w, uint64_t ticket, unsigned index, unsigned state, uint64_t *before)
{
    uint64_t word = wf_load(&w->word, relaxed);
    for (;;) {
        if (ticket_of(word) != ticket || (word & WF_WAIT_STATE) != WF_WAIT_ARMED)
            return false;
        uint64_t next = (word & ~(uint64_t)WF_WAIT_STATE) | (uint64_t)index << INDEX_SHIFT | state;
        if (wf_cas_weak(&w->word, &word, next, acq_rel)) { /* W1 */
            *before = word;
            return true;
        }
    }
}

bool wf_fire(weft_waiter *r, int result)
{
    struct wf_wait *w = r->wait;
    weft_task *t = w->task; /* read before: a plain thread's wait may vanish once it has fired */
    uint64_t before;
    r->result = result; /* nobody reads it if we lose */
    if (!advance(w, r->ticket, r->index, WF_WAIT_FIRED, &before))
        return false;
    release(w, t, before);
    return true;
}

bool wf_fire_task(weft_task *t)
{
    struct wf_wait *w = &t->wait;
    uint64_t before;
    if (!advance(w, wf_wait_ticket(w), 0, WF_WAIT_FIRED, &before))
        return false;
    release(w, t, before);
    return true;
}

bool wf_fire_claim(weft_waiter *r)
{
    uint64_t before;
    return advance(r->wait, r->ticket, r->index, WF_WAIT_CLAIMED, &before);
}

void wf_fire_claimed(weft_waiter *r, int result)
{
    struct wf_wait *w = r->wait;
    weft_task *t = w->task;
    r->result = result;
    /* CLAIMED is 2, FIRED is 3: one bit more. Only the claimer may set it, only parking may come between; if that has
     * come, and nobody takes its stack away, the word is ours. */
    _Static_assert((WF_WAIT_CLAIMED | 1) == WF_WAIT_FIRED, "claimed becomes fired by one bit");
    uint64_t before = wf_load(&w->word, acquire); /* W3 */
    if ((before & (WF_WAIT_PARKED | WF_WAIT_SPILLABLE)) == WF_WAIT_PARKED)
        wf_store(&w->word, before | 1, release); /* W1 */
    else
        before = wf_or(&w->word, 1, acq_rel); /* W1 */
    WF_REQUIRE((before & WF_WAIT_STATE) == WF_WAIT_CLAIMED, "weft_wake_claimed of a waiter that was not claimed");
    release(w, t, before);
}

bool weft_wake(weft_waiter *w, int result)
{
    return wf_fire(w, result);
}

bool weft_wake_claim(weft_waiter *w)
{
    return wf_fire_claim(w);
}

void weft_wake_claimed(weft_waiter *w, int result)
{
    wf_fire_claimed(w, result);
}

void wf_wait_interrupt(struct wf_wait *w)
{
    uint64_t word = wf_load(&w->word, seq_cst); /* S1 */
    weft_task *t = w->task;
    while ((word & WF_WAIT_STATE) == WF_WAIT_ARMED && (word & (WF_WAIT_STOPPABLE | WF_WAIT_OPERATION))) {
        if (word & WF_WAIT_STOPPABLE) {
            uint64_t before;
            if (advance(w, ticket_of(word), WF_WAIT_STOPPED, WF_WAIT_FIRED, &before)) {
                release(w, t, before);
                return;
            }
        } else {
            if (word & WF_WAIT_CANCELLING)
                return;
            uint64_t user_data = wf_load(&t->op.user_data, relaxed); /* of this wait, if the exchange succeeds */
            void *driver = wf_load(&t->op.driver, relaxed);
            /* Seen by the order of sq_lock (io/op.c). kept: W1, it may be what the waiter's end is read from */
            if (wf_cas(&w->word, &word, word | WF_WAIT_CANCELLING, acq_rel)) {
                wf_op_interrupt(t, user_data, driver);
                return;
            }
        }
        word = wf_load(&w->word, acquire); /* the first look was the Dekker's; kept: op.user_data is read next */
    }
}
