/* soft.c - a kernel of our own behind a ring, made of epoll and threads, for places that refuse io_uring.
 *
 * The queues are plain memory; whoever enters executes what is in them, by calls that do not sleep (interpret.h).
 * What would sleep waits: for readiness in the ring's epoll set (soft_wait.c), or on a thread of the ring's own pool,
 * if it is of a kind that has no readiness. Threads execute and complete; they submit nothing and touch no task.
 *
 * Two locks. `work` is held by whoever executes, over a batch of system calls that do not sleep: it is to this kernel
 * what a ring's mutex is to Linux, so any worker may enter, one at a time. `post` is held by whoever completes, for
 * some tens of nanoseconds, so that a wake, which may come with any lock held and from any thread, never waits for
 * somebody's batch. `work` comes before `post`, and nothing after it.
 *
 * Sleep. The owner sleeps in epoll_pwait2, without a lock; others may enter meanwhile.
 *
 *     owner       under post: something is completed, no sleep; else asleep = true. Sleep. asleep = false
 *     completer   under post: complete; if asleep: asleep = false, and the bell
 *
 * Both under one lock, so one comes first, and either the owner sees the completion or the completer sees the sleeper.
 * The bell is an eventfd in the epoll set, which stays readable until the owner has read it: another worker that
 * polls the set does not take it away. Who is not the owner does not poll while the owner sleeps.
 *
 * A busy owner polls only when it enters, and it has to be told to: WATCHING is set in sq_flags while anything waits
 * in the epoll set. What is in nobody's queue would otherwise be noticed when the worker has nothing else to do.
 *
 * The completion queue never loses anything: what finds it full is spilled behind it, in the memory of its own request,
 * and OVERFLOW says so until somebody enters. So no request is taken from the submission queue before there is
 * memory for it.
 *
 * Ordering: the queues' words are what ring.c says of them, R1 to R7, with this file as the kernel. All else is under
 * the locks. */
#include "io/soft.h"

#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/fault.h"
#include "runtime/platform/local.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { SQ_SIZE = 1024, CQ_SIZE = 8192 };
enum { SHORT_OF_MEMORY_NS = 1000000 }; /* how long the owner sleeps with requests it had no memory for */

static const uint64_t BELL = UINT64_MAX; /* its token in the epoll set */

static struct wf_soft *soft_of(struct wf_kernel *k)
{
    return (struct wf_soft *)k;
}

/* ---- completing ---- */

static void set_flag(struct wf_soft *s, unsigned flag, bool on)
{
    unsigned flags = wf_shared_load(&s->sq_flags, relaxed);
    if (((flags & flag) != 0) != on)
        wf_shared_store(&s->sq_flags, flags ^ flag, relaxed);
}

/* Into the queue; false if it is full. Under `post`. */
static bool put(struct wf_soft *s, uint64_t user_data, int result, uint32_t flags)
{
    unsigned tail = wf_shared_load(&s->cq_tail, relaxed);
    if (tail - wf_shared_load(&s->cq_head, acquire) > s->d->cq_mask) /* R3 */
        return false;
    s->d->cqes[tail & s->d->cq_mask] = (struct io_uring_cqe){.user_data = user_data, .res = result, .flags = flags};
    wf_shared_store(&s->cq_tail, tail + 1, release); /* R4 */
    return true;
}

static void ring_bell(struct wf_soft *s)
{
    uint64_t one = 1;
    while (write(s->bell, &one, sizeof one) < 0 && wf_errno_read() == EINTR)
        ;
}

/* Let go of `post`, and wake the owner if it sleeps. */
static void unlock_and_tell(struct wf_soft *s)
{
    bool asleep = s->asleep;
    s->asleep = false;
    wf_unlock(&s->post);
    if (asleep)
        ring_bell(s);
}

/* True: r is spilled, and its memory is in use. */
static bool post(struct wf_soft *s, struct wf_soft_request *r, int result, uint32_t flags)
{
    wf_lock(&s->post);
    bool spills = s->spilled || !put(s, r->what.sqe.user_data, result, flags);
    if (spills) {
        r->state = WF_SOFT_SPILLED;
        r->result = result;
        r->flags = flags;
        r->next = NULL;
        *s->spilled_last = r;
        s->spilled_last = &r->next;
        set_flag(s, IORING_SQ_CQ_OVERFLOW, true);
    }
    unlock_and_tell(s);
    return spills;
}

static void give_back(struct wf_soft *s, struct wf_soft_request *r)
{
    r->state = WF_SOFT_FREE;
    r->next = s->free;
    s->free = r;
}

struct wf_soft_request *wf_soft_request(struct wf_soft *s)
{
    struct wf_soft_request *r = s->free;
    if (r)
        s->free = r->next;
    else if (!(r = wf_alloc(sizeof *r)))
        return NULL;
    r->home = s;
    return r;
}

void wf_soft_finish(struct wf_soft *s, struct wf_soft_request *r, int result)
{
    if (!post(s, r, result, 0))
        give_back(s, r);
}

bool wf_soft_repeat(struct wf_soft *s, struct wf_soft_request *r, int result)
{
    struct wf_soft_request *copy = wf_soft_request(s);
    if (!copy)
        return false;
    copy->what.sqe.user_data = r->what.sqe.user_data;
    if (!post(s, copy, result, IORING_CQE_F_MORE))
        give_back(s, copy);
    return true;
}

/* Move what was spilled into the queue, as far as there is room. Under `work`. */
static void unspill(struct wf_soft *s)
{
    struct wf_soft_request *r;
    wf_lock(&s->post);
    while ((r = s->spilled) && put(s, r->what.sqe.user_data, r->result, r->flags)) {
        s->spilled = r->next;
        give_back(s, r);
    }
    if (!s->spilled) {
        s->spilled_last = &s->spilled;
        set_flag(s, IORING_SQ_CQ_OVERFLOW, false);
    }
    wf_unlock(&s->post);
}

/* ---- executing ---- */

/* Take up to `submit` requests, oldest first: how many, or -ENOMEM if that was why not all. Under `work`. */
static int take(struct wf_soft *s, unsigned submit)
{
    unsigned head = wf_shared_load(&s->sq_head, relaxed), tail = wf_shared_load(&s->sq_tail, acquire); /* R2 */
    unsigned count = 0;
    for (; count < submit && head != tail; count++) {
        struct wf_soft_request *r = wf_soft_request(s);
        if (!r)
            return -ENOMEM;
        r->what = (struct wf_request){.sqe = s->d->sqes[head & s->d->sq_mask]};
        wf_shared_store(&s->sq_head, ++head, release); /* R6 */
        wf_soft_begin(s, r);
    }
    return (int)count;
}

/* Say whether anything waits. Under `work`. */
static void show_watching(struct wf_soft *s)
{
    bool watching = s->waiting > 0;
    if (((wf_shared_load(&s->sq_flags, relaxed) & WF_SQ_WATCHING) != 0) == watching)
        return;
    wf_lock(&s->post);
    set_flag(s, WF_SQ_WATCHING, watching);
    wf_unlock(&s->post);
}

/* Hand each event to those who wait for it. The bell is its owner's to silence. Under `work`. */
static void handle(struct wf_soft *s, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++)
        if (events[i].data.u64 != BELL)
            wf_soft_ready(s, events[i].data.u64, events[i].events);
}

/* What has come by now. Under `work`. */
static void poll_now(struct wf_soft *s)
{
    struct epoll_event events[WF_SOFT_BATCH];
    if (s->waiting > 0)
        handle(s, events, epoll_wait(s->epoll, events, WF_SOFT_BATCH, 0));
}

static int work(struct wf_soft *s, unsigned submit)
{
    if (wf_shared_load(&s->sq_flags, relaxed) & IORING_SQ_CQ_OVERFLOW)
        unspill(s);
    return take(s, submit);
}

static bool is_asleep(struct wf_soft *s)
{
    wf_lock(&s->post);
    bool asleep = s->asleep;
    wf_unlock(&s->post);
    return asleep;
}

static int soft_enter(struct wf_kernel *k, unsigned submit)
{
    struct wf_soft *s = soft_of(k);
    int before = wf_errno_read(); /* perhaps a task's */
    wf_lock(&s->work);
    int got = work(s, submit);
    if (!is_asleep(s))
        poll_now(s);
    show_watching(s);
    wf_unlock(&s->work);
    wf_errno_write(before);
    return got;
}

/* ---- sleeping ---- */

/* Nanoseconds, where the system has them; else milliseconds, rounded up, so that no timer is early. */
static int wait_for_events(struct wf_soft *s, struct epoll_event *events, int64_t left_ns)
{
    struct timespec left = {left_ns / 1000000000, left_ns % 1000000000};
    int got = epoll_pwait2(s->epoll, events, WF_SOFT_BATCH, left_ns == INT64_MAX ? NULL : &left, NULL);
    if (got >= 0 || (wf_errno_read() != ENOSYS && wf_errno_read() != EPERM))
        return got;
    int64_t ms = left_ns == INT64_MAX ? -1 : left_ns / 1000000 + (left_ns % 1000000 != 0);
    return epoll_wait(s->epoll, events, WF_SOFT_BATCH, ms < INT_MAX ? (int)ms : INT_MAX);
}

/* False: there is something to do already. */
static bool lie_down(struct wf_soft *s)
{
    wf_lock(&s->post);
    s->asleep = !s->spilled && s->cq_tail == wf_shared_load(&s->cq_head, relaxed);
    bool asleep = s->asleep;
    wf_unlock(&s->post);
    return asleep;
}

static void get_up(struct wf_soft *s)
{
    wf_lock(&s->post);
    s->asleep = false;
    wf_unlock(&s->post);
}

static void silence_bell(struct wf_soft *s, const struct epoll_event *events, int count)
{
    uint64_t times;
    for (int i = 0; i < count; i++)
        if (events[i].data.u64 == BELL)
            (void)!read(s->bell, &times, sizeof times);
}

static void soft_sleep(struct wf_kernel *k, unsigned submit, int64_t left_ns)
{
    struct wf_soft *s = soft_of(k);
    struct epoll_event events[WF_SOFT_BATCH];
    int before = wf_errno_read();
    wf_lock(&s->work);
    if (work(s, submit) < 0 && left_ns > SHORT_OF_MEMORY_NS)
        left_ns = SHORT_OF_MEMORY_NS;
    show_watching(s);
    wf_unlock(&s->work);
    if (lie_down(s)) {
        int count = wait_for_events(s, events, left_ns);
        get_up(s);
        silence_bell(s, events, count);
        wf_lock(&s->work);
        handle(s, events, count);
        show_watching(s);
        wf_unlock(&s->work);
    }
    wf_errno_write(before);
}

static int soft_message(struct wf_kernel *k, uint64_t user_data)
{
    struct wf_soft *s = soft_of(k);
    wf_lock(&s->post);
    bool fits = !s->spilled && put(s, user_data, 0, 0);
    unlock_and_tell(s);
    return fits ? 0 : -EOVERFLOW;
}

/* ---- opening and closing ---- */

static void free_requests(struct wf_soft_request *r)
{
    while (r) {
        struct wf_soft_request *next = r->next;
        wf_free(r, sizeof *r);
        r = next;
    }
}

static void destroy(struct wf_soft *s)
{
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->bell >= 0)
        close(s->bell);
    wf_free(s->d->sqes, SQ_SIZE * sizeof *s->d->sqes);
    wf_free(s->d->cqes, CQ_SIZE * sizeof *s->d->cqes);
    for (unsigned i = 0; i < WF_SOFT_NAMES; i++)
        WF_CHECK(!s->names[i] || s->names[i]->state == WF_SOFT_WAITS);
    wf_soft_free_places(s);
    free_requests(s->free);
    free_requests(s->spilled);
    wf_free(s, sizeof *s);
}

static void soft_close(struct wf_kernel *k)
{
    wf_lane_close(&soft_of(k)->lane);
    destroy(soft_of(k));
}

static void show(struct wf_soft *s)
{
    struct wf_driver *d = s->d;
    d->fd = s->epoll;
    d->sq_head = &s->sq_head;
    d->sq_tail = &s->sq_tail;
    d->sq_flags = &s->sq_flags;
    d->sq_mask = SQ_SIZE - 1;
    d->cq_head = &s->cq_head;
    d->cq_tail = &s->cq_tail;
    d->cq_mask = CQ_SIZE - 1;
    d->mode = WEFT_RING_SHARED;
}

/* The descriptors. */
static int open_set(struct wf_soft *s)
{
    struct epoll_event bell = {.events = EPOLLIN, .data.u64 = BELL};
    s->epoll = wf_fault(WF_FAULT_FD) ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0)
        return -wf_errno_read();
    s->bell = wf_fault(WF_FAULT_FD) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->bell < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->bell, &bell) < 0)
        return -wf_errno_read();
    return 0;
}

static int soft_open(struct wf_kernel **ret, struct wf_driver *d)
{
    struct wf_soft *s = wf_alloc_aligned(sizeof *s, 64);
    if (!s)
        return -ENOMEM;
    s->k.ops = &wf_kernel_soft;
    s->d = d;
    s->epoll = s->bell = -1;
    s->spilled_last = &s->spilled;
    d->sqes = wf_alloc_aligned(SQ_SIZE * sizeof *d->sqes, 64);
    d->cqes = wf_alloc_aligned(CQ_SIZE * sizeof *d->cqes, 64);
    int err = d->sqes && d->cqes ? open_set(s) : -ENOMEM;
    if (err) {
        destroy(s);
        return err;
    }
    struct wf_affinity affinity;
    wf_thread_affinity(&affinity);
    wf_lane_open(&s->lane, &(struct wf_lane_plan){"soft", WF_SOFT_THREADS_MAX, UINT_MAX, .affinity = &affinity,
                                                  .awake = &s->awake});
    show(s);
    *ret = &s->k;
    return 0;
}

const struct wf_kernel_ops wf_kernel_soft = {
    .name = "soft",
    .open = soft_open,
    .enter = soft_enter,
    .sleep = soft_sleep,
    .message = soft_message,
    .close = soft_close,
};
