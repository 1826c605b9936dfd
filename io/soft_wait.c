/* soft_wait.c - the requests of a soft kernel that wait: for a descriptor to become ready, or for a thread.
 *
 * Each descriptor has a place with the requests that wait for it, oldest first. The place is in the epoll set for
 * what they want, once: it is reported once and then armed again, if anybody still waits (EPOLLONESHOT). An event
 * makes the requests be tried again in order; what had to wait again keeps those of its direction behind it waiting.
 * A new request is tried at once unless an older one waits for the same, or the last read took all there was.
 *
 * A number is not a file. It may have been closed and given out again, behind our back and with requests waiting, and
 * epoll watches files, not numbers. So whoever begins to wait arms the number anew: EPOLL_CTL_MOD finds the entry by
 * file and number together, and if that is not there any more, the number means another file now. Then the place gets
 * the next generation, which its token in the epoll set carries. Older requests are not tried on the new file; they
 * wait until they are cancelled, as they would for a file that nobody can reach any more. Events of an older
 * generation, which a twin of the old file (dup, fork) can still cause, once, are dropped.
 *
 * A cancelled request that waits completes at once, one that a thread executes when the thread is done, one that no
 * thread has taken yet at once too. All under the ring's lock, so it completes once.
 *
 * Rejected: descriptors that stay in the set between requests, and edges instead of levels, as the whole program would
 * have to close through weft. docs/design/soft.md has what it would save. */
#include "io/soft.h"

#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "runtime/platform/local.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static const unsigned ALWAYS = EPOLLERR | EPOLLHUP; /* reported whether one asks or not */

/* ---- by name ---- */

static struct wf_soft_request **chain(struct wf_soft *s, uint64_t user_data)
{
    return &s->names[(user_data * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

_Static_assert(WF_SOFT_NAMES == 1 << (64 - 54), "the hash has as many values as there are chains");

static void add_name(struct wf_soft *s, struct wf_soft_request *r)
{
    struct wf_soft_request **at = chain(s, r->what.sqe.user_data);
    r->same_name = *at;
    r->name_link = at;
    if (*at)
        (*at)->name_link = &r->same_name;
    *at = r;
}

static void remove_name(struct wf_soft_request *r)
{
    *r->name_link = r->same_name;
    if (r->same_name)
        r->same_name->name_link = r->name_link;
}

/* ---- places ---- */

/* NULL: no memory. */
static bool grow(struct wf_soft *s, unsigned page)
{
    if (page >= s->page_count) {
        unsigned count = s->page_count ? s->page_count : 1;
        while (page >= count)
            count *= 2;
        struct wf_soft_place **pages = wf_alloc(count * sizeof *pages);
        if (!pages)
            return false;
        if (s->page_count)
            memcpy(pages, s->pages, s->page_count * sizeof *pages);
        wf_free(s->pages, s->page_count * sizeof *pages);
        s->pages = pages;
        s->page_count = count;
    }
    if (!s->pages[page])
        s->pages[page] = wf_alloc(WF_SOFT_PAGE * sizeof **s->pages);
    return s->pages[page] != NULL;
}

/* The place of a descriptor, if it has one. */
static struct wf_soft_place *find_place(struct wf_soft *s, int fd)
{
    unsigned page = (unsigned)fd / WF_SOFT_PAGE;
    return fd >= 0 && page < s->page_count && s->pages[page] ? &s->pages[page][(unsigned)fd % WF_SOFT_PAGE] : NULL;
}

/* NULL: no memory. */
static struct wf_soft_place *place_of(struct wf_soft *s, int fd)
{
    struct wf_soft_place *p = find_place(s, fd);
    return p || !grow(s, (unsigned)fd / WF_SOFT_PAGE) ? p : find_place(s, fd);
}

void wf_soft_free_places(struct wf_soft *s)
{
    for (unsigned i = 0; i < s->page_count; i++) {
        for (unsigned n = 0; s->pages[i] && n < WF_SOFT_PAGE; n++)
            for (struct wf_soft_request *r = s->pages[i][n].first, *next; r; r = next) {
                next = r->next;
                wf_free(r, sizeof *r);
            }
        wf_free(s->pages[i], WF_SOFT_PAGE * sizeof **s->pages);
    }
    wf_free(s->pages, s->page_count * sizeof *s->pages);
}

/* ---- readiness ---- */

/* Have the number watched for whatever its requests want. 0, or why not: -EPERM for files that have no readiness. */
static int arm(struct wf_soft *s, int fd, struct wf_soft_place *p)
{
    struct epoll_event e = {.events = EPOLLONESHOT};
    for (const struct wf_soft_request *r = p->first; r; r = r->next) {
        if (r->generation != p->generation)
            continue;
        e.events |= r->events;
        if (wf_interpret_repeats(&r->what.sqe))
            e.events = (e.events & ~(unsigned)EPOLLONESHOT) | EPOLLET; /* each change is one completion */
    }
    e.data.u64 = (uint64_t)p->generation << 32 | (unsigned)fd;
    return epoll_ctl(s->epoll, p->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -wf_errno_read();
}

static void append(struct wf_soft *s, struct wf_soft_place *p, struct wf_soft_request *r)
{
    struct wf_soft_request **at = &p->first;
    while (*at)
        at = &(*at)->next;
    r->next = NULL;
    *at = r;
    r->state = WF_SOFT_WAITS;
    r->generation = p->generation;
    s->waiting++;
    add_name(s, r);
}

static void withdraw(struct wf_soft *s, struct wf_soft_place *p, struct wf_soft_request *r)
{
    struct wf_soft_request **at = &p->first;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->state = WF_SOFT_FREE;
    s->waiting--;
    remove_name(r);
}

/* Put r to wait at its place and have that watched. 0, or why that cannot be; then it does not wait. */
static int begin_wait(struct wf_soft *s, struct wf_soft_request *r, unsigned events)
{
    int fd = r->what.sqe.fd;
    if (fd < 0)
        return -EBADF;
    struct wf_soft_place *p = place_of(s, fd);
    if (!p)
        return -ENOMEM;
    r->events = events;
    append(s, p, r);
    int err = arm(s, fd, p);
    if (err == -ENOENT || err == -EEXIST) {
        p->watched = err == -EEXIST; /* the same file again: it was closed by this number, and lived on by another */
        if (err == -ENOENT)          /* another file than the last time */
            r->generation = ++p->generation;
        err = arm(s, fd, p);
    }
    p->watched = err == 0;
    if (err)
        withdraw(s, p, r);
    return err;
}

/* ---- threads ---- */

static void take_back(struct wf_soft *s, struct wf_soft_request *r)
{
    s->handed--;
    remove_name(r);
}

static void run_on_thread(struct wf_job *j)
{
    struct wf_soft_request *r = (void *)((char *)j - offsetof(struct wf_soft_request, job));
    struct wf_soft *s = r->home;
    int result = wf_interpret_sleeping(&r->what);
    wf_lock(&s->work);
    take_back(s, r);
    wf_soft_finish(s, r, result);
    wf_unlock(&s->work);
}

/* Is it over in bounded time, whatever others do? */
static bool ends_by_itself(const struct wf_soft_request *r)
{
    return r->what.sqe.opcode != IORING_OP_OPENAT && r->what.sqe.opcode != IORING_OP_CONNECT;
}

/* Without a thread, and none to be had, it is done here, late as everything else will be. */
static void hand_over(struct wf_soft *s, struct wf_soft_request *r)
{
    r->job = (struct wf_job){.call = run_on_thread};
    r->state = WF_SOFT_HANDED;
    s->handed++;
    add_name(s, r);
    if (wf_lane_call(&s->lane, &r->job))
        return;
    take_back(s, r);
    wf_soft_finish(s, r, ends_by_itself(r) ? wf_interpret_sleeping(&r->what) : -EAGAIN);
}

/* ---- one request ---- */

/* r was tried, or not. */
static void settle(struct wf_soft *s, struct wf_soft_request *r, struct wf_tried tried)
{
    int err = tried.verdict == WF_WAIT ? begin_wait(s, r, (unsigned)tried.value) : 0;
    if (err == -EPERM && r->what.sqe.opcode == IORING_OP_POLL_ADD)
        tried = wf_interpret(&r->what); /* always ready */
    if (tried.verdict == WF_DONE)
        wf_soft_finish(s, r, tried.value);
    else if (tried.verdict == WF_THREAD || err == -EPERM)
        hand_over(s, r);
    else if (err)
        wf_soft_finish(s, r, err);
}

static bool is_receive(const struct wf_soft_request *r)
{
    return r->what.sqe.opcode == IORING_OP_RECV || r->what.sqe.opcode == IORING_OP_RECVMSG;
}

/* Is there any point in trying at once? */
static bool is_worth_trying(struct wf_soft *s, const struct wf_soft_request *r, unsigned events)
{
    const struct wf_soft_place *p = events ? find_place(s, r->what.sqe.fd) : NULL;
    if (!p)
        return true;
    if (wf_interpret_repeats(&r->what.sqe) || (p->drained && is_receive(r)))
        return false;
    for (const struct wf_soft_request *older = p->first; older; older = older->next)
        if (older->events & events)
            return false;
    return true;
}

/* After a successful try: will the next one have to wait? */
static void learn(struct wf_soft *s, const struct wf_soft_request *r, struct wf_tried tried)
{
    struct wf_soft_place *p = is_receive(r) ? find_place(s, r->what.sqe.fd) : NULL;
    if (p && tried.verdict == WF_DONE)
        p->drained = r->what.sqe.opcode == IORING_OP_RECV && tried.value > 0 && (unsigned)tried.value < r->what.sqe.len;
}

static int cancel(struct wf_soft *s, const struct io_uring_sqe *c);

void wf_soft_begin(struct wf_soft *s, struct wf_soft_request *r)
{
    unsigned events = wf_interpret_events(&r->what);
    struct wf_tried tried = {WF_WAIT, (int)events};
    if (r->what.sqe.opcode == IORING_OP_ASYNC_CANCEL) {
        wf_soft_finish(s, r, cancel(s, &r->what.sqe));
        return;
    }
    if (is_worth_trying(s, r, events)) {
        tried = wf_interpret(&r->what);
        learn(s, r, tried);
    }
    settle(s, r, tried);
}

/* A poll that repeats: one more completion, and it stays; true: that could not be, and it is over. */
static bool repeat(struct wf_soft *s, struct wf_soft_request *r)
{
    struct wf_tried tried = wf_interpret(&r->what);
    return tried.verdict == WF_DONE && (tried.value < 0 || !wf_soft_repeat(s, r, tried.value));
}

/* One of those that wait is tried again. Returns what is not worth trying any more for those behind it. */
static unsigned try_again(struct wf_soft *s, struct wf_soft_place *p, struct wf_soft_request *r)
{
    if (wf_interpret_repeats(&r->what.sqe)) {
        if (repeat(s, r)) {
            withdraw(s, p, r);
            wf_soft_finish(s, r, -ENOMEM);
        }
        return 0;
    }
    struct wf_tried tried = wf_interpret(&r->what);
    learn(s, r, tried);
    if (tried.verdict == WF_WAIT) {
        r->events = (unsigned)tried.value;
        return r->events;
    }
    withdraw(s, p, r);
    settle(s, r, tried);
    return 0;
}

void wf_soft_ready(struct wf_soft *s, uint64_t token, uint32_t events)
{
    int fd = (int)(uint32_t)token;
    struct wf_soft_place *p = find_place(s, fd);
    if (!p || p->generation != (uint32_t)(token >> 32))
        return;
    unsigned in_vain = 0;
    bool waits = false, repeats = false;
    for (struct wf_soft_request *r = p->first, *next; r; r = next) {
        next = r->next;
        if (r->generation != p->generation)
            continue;
        if ((events & (r->events | ALWAYS)) && !(r->events & in_vain))
            in_vain |= try_again(s, p, r);
    }
    for (const struct wf_soft_request *r = p->first; r; r = r->next) {
        waits |= r->generation == p->generation;
        repeats |= r->generation == p->generation && wf_interpret_repeats(&r->what.sqe);
    }
    if (waits && !repeats && arm(s, fd, p) < 0) { /* the number is another file's: these wait for a cancel */
        p->watched = false;
        p->generation++;
    }
}

/* ---- cancelling ---- */

struct tally {
    int ended, running;
};

/* At once, unless a thread is at it. */
static void cancel_one(struct wf_soft *s, struct wf_soft_request *r, struct tally *t)
{
    if (r->state == WF_SOFT_WAITS)
        withdraw(s, find_place(s, r->what.sqe.fd), r);
    else if (wf_lane_withdraw(&s->lane, &r->job))
        take_back(s, r);
    else {
        t->running++;
        return;
    }
    t->ended++;
    wf_soft_finish(s, r, wf_interpret_cancelled(&r->what));
}

/* Those of one chain that are meant: all, or the first. */
static void cancel_in(struct wf_soft *s, struct wf_soft_request *r, const struct io_uring_sqe *c, struct tally *t)
{
    for (struct wf_soft_request *next; r; r = next) {
        next = r->same_name;
        if (wf_interpret_means(c, &r->what.sqe))
            cancel_one(s, r, t);
        if (t->ended && !(c->cancel_flags & IORING_ASYNC_CANCEL_ALL))
            return;
    }
}

/* 0, -ENOENT, -EALREADY; if all were meant, how many. */
static int cancel(struct wf_soft *s, const struct io_uring_sqe *c)
{
    struct tally t = {0, 0};
    bool any = c->cancel_flags & IORING_ASYNC_CANCEL_ANY, all = c->cancel_flags & IORING_ASYNC_CANCEL_ALL;
    bool by_descriptor = !any && (c->cancel_flags & IORING_ASYNC_CANCEL_FD);
    struct wf_soft_place *p = by_descriptor ? find_place(s, c->fd) : NULL;
    while (p && p->first && (all || !t.ended))
        cancel_one(s, p->first, &t);
    if (!any && !by_descriptor)
        cancel_in(s, *chain(s, c->addr), c, &t);
    else if (any || s->handed)
        for (unsigned i = 0; i < WF_SOFT_NAMES && (all || !t.ended); i++)
            cancel_in(s, s->names[i], c, &t);
    if (t.ended)
        return all ? t.ended : 0;
    return t.running ? -EALREADY : -ENOENT;
}
