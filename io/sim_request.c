/* sim_request.c - requests under way in the simulated kernel.
 *
 * Each is tried when it is taken from the queue, as io_uring does, by the interpreter that the soft driver has, too.
 * What has to wait for its descriptor is tried again a moment after that has changed. Its end is decided when it is
 * tried, but may become visible later:
 *
 *     WAITS       for its descriptor, or, where that is a real one, for its turn to be tried again
 *     AGAIN       it will be tried again in a moment
 *     LATER       it sleeps on a thread of the kernel's, as files do
 *     UNWANTED    a cancel came, which says that it was too late: it ends in a moment, one way or the other
 *     ENDS        its result is certain; no cancel reaches it any more
 *     HELD_BACK   the same; but who submitted it is computing and has not been in the kernel since, nor was it
 *                 knocked at: until its next timer tick, or, where none comes, for as long as it computes
 *
 * The ledger. While a request is under way what it points to belongs to the kernel. What is to be sent must be the same
 * when it completes, and whoever waits for it must still be there: both are noted when it begins and compared when it
 * completes. Nobody closes a descriptor with requests on it, and no thread ends that has any. */
#include "io/sim.h"

#include "io/interpret.h"
#include "io/op.h"
#include "io/sim_net.h"
#include "runtime/alloc.h"
#include "runtime/panic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum stage { WAITS, AGAIN, LATER, UNWANTED, ENDS, HELD_BACK };

struct request {
    struct wf_sim_event event; /* first */
    struct wf_request r;
    struct wf_sim_ring *ring;
    struct wf_sim_thread *by;
    enum stage stage;
    int result;
    bool tickless;      /* held back where no timer ticks while a thread computes (of Linux: nohz_full) */
    unsigned looks;     /* at a real descriptor, in vain */
    uint64_t sum;       /* of what is to be sent */
    const void *waiter; /* who waits, and in which wait */
    uint64_t ticket;
    struct request *next, *prev;
};

static const int64_t MOMENT_NS = 5000, DELAY_MAX_NS = 20000000, TICK_NS = 4000000;
static const int64_t LOOK_NS = 20000, LOOK_MAX_NS = 20000000;

static struct request *all; /* newest first */
static unsigned count;

/* ---- the ledger ---- */

static bool sends(const struct io_uring_sqe *s)
{
    return s->opcode == IORING_OP_SEND || s->opcode == IORING_OP_WRITE;
}

static uint64_t sum_of(const struct io_uring_sqe *s)
{
    const unsigned char *bytes = (const unsigned char *)(uintptr_t)s->addr;
    uint64_t sum = 0;
    size_t step = s->len / 64 + 1; /* a sample of what is large */
    for (size_t i = 0; sends(s) && i < s->len; i += step)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static void *record_of(const struct io_uring_sqe *s)
{
    return (void *)(uintptr_t)(s->user_data & ((UINT64_C(1) << 48) - 16));
}

static void note_waiter(struct request *q)
{
    weft_task *t = record_of(&q->r.sqe);
    const struct wf_op_call *call = record_of(&q->r.sqe);
    unsigned tag = q->r.sqe.user_data & WF_OP_TAG;
    if (tag == WF_OP_TASK && t) {
        WF_SIM_HOLD();
        q->waiter = t;
        q->ticket = wf_wait_ticket(&t->wait);
        WF_SIM_RELEASE();
    } else if (tag == WF_OP_CALL) {
        memcpy(&q->waiter, &call->done, sizeof q->waiter);
    }
}

static void check_ledger(struct request *q)
{
    struct request now = {.r = q->r};
    note_waiter(&now);
    if (now.waiter != q->waiter || now.ticket != q->ticket)
        wf_sim_broke(-EPROTO, "the task that waits went on while its request (opcode %d) was under way",
                     q->r.sqe.opcode);
    if (sum_of(&q->r.sqe) != q->sum)
        wf_sim_broke(-EPROTO, "a buffer changed while its request (opcode %d) was under way", q->r.sqe.opcode);
}

/* ---- from begin to end ---- */

static void on_event(struct wf_sim_event *e);

static void later(struct request *q, enum stage stage, int64_t ns)
{
    q->stage = stage;
    wf_sim_event_add(&q->event, wf_sim_now() + ns);
}

static int64_t moment(void)
{
    return (int64_t)wf_sim_below(WF_SIM_KERNEL, (uint64_t)MOMENT_NS);
}

static void complete(struct request *q)
{
    struct wf_sim_ring *r = q->ring;
    check_ledger(q);
    wf_sim_event_remove(&q->event);
    *(q->prev ? &q->prev->next : &all) = q->next;
    if (q->next)
        q->next->prev = q->prev;
    count--;
    r->pending--;
    if (q->stage == HELD_BACK)
        wf_sim_ring_held_back(r, -1);
    wf_sim_ring_post(r, q->r.sqe.user_data, q->result, 0);
    wf_free(q, sizeof *q);
}

/* Its time has come to be visible. */
static void end(struct request *q)
{
    bool computes = (q->by->runnable && q->by != wf_sim_self()) || q->by->busy;
    if (computes && wf_sim_fault(WEFT_SIM_HELD_BACK)) {
        wf_sim_ring_held_back(q->ring, 1);
        q->tickless = wf_sim_below(WF_SIM_KERNEL, 2) == 0;
        later(q, HELD_BACK, 1 + (int64_t)wf_sim_below(WF_SIM_KERNEL, (uint64_t)TICK_NS)); /* its next timer tick */
        return;
    }
    complete(q);
}

static void end_held_back(struct request *q)
{
    if (q->tickless && q->by->busy)
        later(q, HELD_BACK, TICK_NS); /* has it stopped by then? */
    else
        complete(q);
}

/* Its result is certain. */
static void decide(struct request *q, int result)
{
    int64_t ns = wf_sim_below(WF_SIM_KERNEL, 2) ? 0 : moment();
    q->result = result;
    ns += wf_sim_amount(WEFT_SIM_DELAY, DELAY_MAX_NS);
    if (ns)
        later(q, ENDS, ns);
    else
        end(q);
}

/* What the seed refuses: 0, or why. */
static int refusal(const struct request *q)
{
    const struct io_uring_sqe *s = &q->r.sqe;
    bool accepts = s->opcode == IORING_OP_ACCEPT, connects = s->opcode == IORING_OP_CONNECT;
    bool moves = sends(s) || s->opcode == IORING_OP_RECV || s->opcode == IORING_OP_READ;
    if (q->r.moved)
        return 0;
    if ((moves || accepts || s->opcode == IORING_OP_POLL_ADD || (connects && q->r.begun)) &&
        wf_sim_fault(WEFT_SIM_EINTR)) /* a poll is never interrupted, only cancelled */
        return s->opcode != IORING_OP_POLL_ADD && wf_sim_below(WF_SIM_KERNEL, 2) ? -EINTR : -ECANCELED;
    if ((moves || accepts) && wf_sim_fault(WEFT_SIM_EAGAIN))
        return -EAGAIN;
    if (accepts && wf_sim_fault(WEFT_SIM_NOFILES))
        return wf_sim_below(WF_SIM_KERNEL, 2) ? -EMFILE : -ENFILE;
    if ((moves || accepts || connects) && wf_sim_fault(WEFT_SIM_NOBUFS))
        return wf_sim_below(WF_SIM_KERNEL, 2) ? -ENOBUFS : -ENOMEM;
    if (moves && wf_sim_net_has(s->fd) && wf_sim_fault(WEFT_SIM_RESET))
        wf_sim_net_reset(s->fd);
    return 0;
}

/* Fewer bytes than were asked for, if the seed says so. */
static struct wf_tried try_some(struct request *q)
{
    struct io_uring_sqe *s = &q->r.sqe;
    uint32_t len = s->len;
    bool moves = sends(s) || s->opcode == IORING_OP_RECV || s->opcode == IORING_OP_READ;
    bool may = moves && !(s->msg_flags & MSG_WAITALL);
    if (may && len > 1 && wf_sim_fault(WEFT_SIM_SHORT))
        s->len = 1 + (uint32_t)wf_sim_below(WF_SIM_KERNEL, len - 1);
    struct wf_tried tried = wf_interpret(&q->r);
    s->len = len;
    return tried;
}

static void wait(struct request *q)
{
    bool simulated = wf_sim_net_has(q->r.sqe.fd);
    int64_t look = LOOK_NS << (q->looks < 10 ? q->looks : 10);
    q->stage = WAITS;
    if (simulated && wf_sim_net_poll(q->r.sqe.fd, wf_interpret_events(&q->r)))
        later(q, AGAIN, moment()); /* a connect that is through by now */
    else if (simulated && q->r.sqe.opcode == IORING_OP_CONNECT)
        later(q, WAITS, WF_SIM_CONNECT_S * INT64_C(1000000000));
    else if (!simulated) /* nobody tells us of a real one: look again, less and less often */
        later(q, WAITS, look < LOOK_MAX_NS ? look : LOOK_MAX_NS);
    q->looks++;
}

static void attempt(struct request *q)
{
    int refused = refusal(q);
    struct wf_tried tried = refused ? (struct wf_tried){WF_DONE, refused} : try_some(q);
    switch (tried.verdict) {
    case WF_DONE: decide(q, tried.value); break;
    case WF_WAIT: wait(q); break;
    case WF_THREAD: later(q, LATER, moment()); break;
    }
}

/* Whether it comes to an end just now, or is cancelled. */
static void end_unwanted(struct request *q)
{
    bool may = wf_interpret_events(&q->r) != 0; /* what does not wait would be done, and perhaps ought not */
    struct wf_tried tried = may ? wf_interpret(&q->r) : (struct wf_tried){WF_WAIT, 0};
    decide(q, tried.verdict == WF_DONE ? tried.value : wf_interpret_cancelled(&q->r));
}

static void on_event(struct wf_sim_event *e)
{
    struct request *q = (struct request *)e;
    switch (q->stage) {
    case WAITS:
    case AGAIN: attempt(q); break;
    case LATER: decide(q, wf_interpret_sleeping(&q->r)); break;
    case UNWANTED: end_unwanted(q); break;
    case ENDS: end(q); break;
    case HELD_BACK: end_held_back(q); break;
    }
}

/* ---- cancelling ---- */

/* True: it is cancelled. False: too late. */
static bool cancel_one(struct request *q)
{
    if (q->stage >= UNWANTED)
        return false;
    if (wf_sim_fault(WEFT_SIM_LATE_CANCEL)) {
        later(q, UNWANTED, moment());
        return false;
    }
    decide(q, wf_interpret_cancelled(&q->r));
    return true;
}

/* The kernel holds it for its thread to try it again. A poll is never held so: it is asked, and waits, in one. */
static bool is_out_of_sight(struct request *q)
{
    return q->stage < UNWANTED && q->r.sqe.opcode != IORING_OP_POLL_ADD && wf_interpret_events(&q->r) &&
           wf_sim_fault(WEFT_SIM_EARLY_CANCEL);
}

static int cancel(struct wf_sim_ring *r, const struct io_uring_sqe *sqe)
{
    int cancelled = 0, late = 0;
    for (struct request *q = all, *next; q; q = next) {
        next = q->next;
        if (q->ring != r || q->r.sqe.opcode == IORING_OP_ASYNC_CANCEL || !wf_interpret_means(sqe, &q->r.sqe) ||
            is_out_of_sight(q))
            continue;
        bool is_late = !cancel_one(q);
        cancelled += !is_late;
        late += is_late;
        if (!(sqe->cancel_flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)))
            break;
    }
    if (sqe->cancel_flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY))
        return cancelled;
    return cancelled ? 0 : late && wf_sim_below(WF_SIM_KERNEL, 2) ? -EALREADY : -ENOENT;
}

/* ---- what others ask for ---- */

void wf_sim_request_begin(struct wf_sim_ring *r, const struct io_uring_sqe *sqe)
{
    struct request *q = wf_alloc(sizeof *q);
    WF_CHECK(q);
    q->r.sqe = *sqe;
    q->ring = r;
    q->by = wf_sim_self();
    q->event.fire = on_event;
    q->sum = sum_of(sqe);
    q->next = all;
    if (all)
        all->prev = q;
    all = q;
    count++;
    r->pending++;
    note_waiter(q);
    wf_sim_note("submits", r->number, sqe->opcode);
    if (sqe->opcode == IORING_OP_ASYNC_CANCEL)
        decide(q, cancel(r, sqe));
    else if (wf_interpret_repeats(sqe))
        decide(q, -EINVAL); /* weft asks for that only where messages are unknown */
    else
        attempt(q);
}

void wf_sim_requests_of(const struct wf_sim_thread *t)
{
    for (struct request *q = all, *next; q; q = next) {
        next = q->next;
        if (q->stage == HELD_BACK && q->by == t)
            complete(q);
    }
}

void wf_sim_requests_retry(int fd)
{
    for (struct request *q = all; q; q = q->next)
        if (q->stage == WAITS && q->r.sqe.fd == fd && wf_interpret_events(&q->r))
            later(q, AGAIN, moment());
}

static bool is_on_its_way(const struct request *q)
{
    return q->stage < ENDS && q->r.sqe.opcode != IORING_OP_ASYNC_CANCEL;
}

void wf_sim_requests_forget(int fd)
{
    for (const struct request *q = all; q; q = q->next)
        if (is_on_its_way(q) && q->r.sqe.fd == fd && wf_interpret_events(&q->r))
            wf_sim_broke(-EPROTO, "a descriptor is closed while a request (opcode %d) on it is under way",
                         q->r.sqe.opcode);
}

void wf_sim_requests_orphaned(const struct wf_sim_thread *t)
{
    for (const struct request *q = all; q; q = q->next)
        if (is_on_its_way(q) && q->by == t)
            wf_sim_broke(-EPROTO, "a thread ends, and a request (opcode %d) that it submitted dies with it",
                         q->r.sqe.opcode);
}

unsigned wf_sim_requests_count(void)
{
    return count;
}

void wf_sim_requests_print(void (*line)(const char *text))
{
    static const char *const stages[] = {"waits", "is tried again", "sleeps", "is unwanted", "ends", "is held back"};
    char text[160];
    for (const struct request *q = all; q; q = q->next) {
        snprintf(text, sizeof text, "  request in ring %u: opcode %d on %d, by thread %u: %s", q->ring->number,
                 q->r.sqe.opcode, q->r.sqe.fd, q->by->number, stages[q->stage]);
        line(text);
    }
}
