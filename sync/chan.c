/* chan.c - a bounded queue of fixed-size items.
 *
 * A ring, those who wait to send and those who wait to receive, all under one lock. Items are copied once
 * when somebody waits for them, straight between the two frames, and otherwise in and out of the ring.
 *
 * Must hold, whenever the lock is free, not counting waiters whose wait is over already:
 *   - somebody waits to receive  =>  the ring is empty, nobody waits to send, the channel is open;
 *   - somebody waits to send     =>  the ring is full (always so with capacity 0), the channel is open.
 * So a sender that finds room goes behind every item sent before and overtakes nobody: per sender, order is
 * kept; and what is sent goes to who has waited longest.
 *
 * No lost wakeup: looking at the ring and joining a list happen in one hold of the lock; so do putting or
 * taking an item and claiming whom it concerns.
 *
 * Nothing lost or sent twice by a stop: an item is copied out of or into a waiter's frame after the waiter was
 * claimed. From then on no stop can end that wait, and it returns 0. A wait that a stop has ended cannot be
 * claimed, so its item was not touched. There is no third way.
 *
 * As waitq.h has it, the unlock is each call's last touch of the channel, and who takes part in the exchange
 * returns after it: the receiver of the last item may free the channel, though its sender has not returned.
 *
 * With weft_select() the ring may hold what a case waits for by the time the case is enqueued. Then enqueue
 * refuses (select.c says why), so the lists hold no case that could have taken effect. One suspension may
 * have cases in both lists of a channel; it does not exchange items with itself. */
#include "sync/waitq.h"

#include "runtime/alloc.h"
#include "runtime/panic.h"

#include <string.h>
#include <weft/select.h>

/* The steps of a call stand in it: as calls of their own they took an eighth of its time. */
#define IN_PLACE static inline __attribute__((always_inline))

struct weft_chan {
    size_t item_size, capacity; /* constant */
    struct wf_lock lock;        /* for all below */
    bool closed;
    size_t first, count; /* of the items in the ring: the oldest is at first, and first < capacity */
    struct wf_waiters senders, receivers;
    unsigned char ring[];
};

weft_chan *weft_chan_new(size_t capacity, size_t item_size)
{
    size_t bytes;
    if (__builtin_mul_overflow(capacity, item_size, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(weft_chan), &bytes))
        return NULL;
    weft_chan *c = wf_alloc(bytes);
    if (!c)
        return NULL;
    c->capacity = capacity;
    c->item_size = item_size;
    return c;
}

void weft_chan_free(weft_chan *c)
{
    if (!c)
        return;
    wf_lock(&c->lock); /* Not against others, who would be misuse, but to see what they did last. */
    bool waited = c->senders.first || c->receivers.first;
    wf_unlock(&c->lock);
    WF_REQUIRE(!waited, "weft_chan_free of a channel that somebody waits for");
    wf_free(c, sizeof *c + c->capacity * c->item_size);
}

void weft_chan_close(weft_chan *c)
{
    wf_lock(&c->lock);
    c->closed = true;
    weft_waiter *receivers = wf_waiters_claim_all(&c->receivers);
    weft_waiter *senders = wf_waiters_claim_all(&c->senders);
    wf_unlock(&c->lock);
    wf_waiters_release(receivers, -EPIPE);
    wf_waiters_release(senders, -EPIPE);
}

static void check_size(const weft_chan *c, size_t size)
{
    WF_REQUIRE(size == c->item_size, "an item of %zu bytes for a channel of items of %zu bytes", size,
               c->item_size);
}

/* One word is by far the most common item, and a call of memcpy takes longer than the copy. */
static void copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else if (size > 0)
        memcpy(to, from, size);
}

/* Where the item goes that is n behind the oldest, n <= capacity. */
static void *slot(weft_chan *c, size_t n)
{
    size_t to_end = c->capacity - c->first;
    return c->ring + (n < to_end ? c->first + n : n - to_end) * c->item_size;
}

/* Under the lock: send without waiting. 0, -EPIPE, -EAGAIN; *ret: whom to let go after unlocking. */
IN_PLACE int put(weft_chan *c, const void *item, weft_waiter **ret)
{
    if (c->closed)
        return -EPIPE;
    weft_waiter *receiver = wf_waiters_claim(&c->receivers);
    if (receiver) {
        copy(receiver->item, item, c->item_size);
        *ret = receiver;
        return 0;
    }
    if (c->count == c->capacity)
        return -EAGAIN;
    copy(slot(c, c->count), item, c->item_size);
    c->count++;
    return 0;
}

/* Under the lock: receive without waiting. The same results. */
IN_PLACE int take(weft_chan *c, void *item, weft_waiter **ret)
{
    if (c->count == 0) {
        weft_waiter *sender = wf_waiters_claim(&c->senders); /* Only with capacity 0 is there one. */
        if (!sender)
            return c->closed ? -EPIPE : -EAGAIN;
        copy(item, sender->item, c->item_size);
        *ret = sender;
        return 0;
    }
    copy(item, slot(c, 0), c->item_size);
    c->first = c->first + 1 == c->capacity ? 0 : c->first + 1;
    c->count--;
    weft_waiter *sender = wf_waiters_claim(&c->senders);
    if (sender) {
        copy(slot(c, c->count), sender->item, c->item_size);
        c->count++;
        *ret = sender;
    }
    return 0;
}

/* Unlocks; what remains to be done after put or take. */
IN_PLACE int done(weft_chan *c, weft_waiter *partner, int result)
{
    wf_unlock(&c->lock);
    if (partner)
        wf_waiters_release(partner, 0);
    return result;
}

int weft_chan_send_n(weft_chan *c, const void *item, size_t size)
{
    check_size(c, size);
    int err = wf_wait_begin();
    if (err)
        return err;
    weft_waiter *partner = NULL;
    wf_lock_patiently(&c->lock);
    err = put(c, item, &partner);
    if (err == -EAGAIN)
        return wf_waiters_wait(&c->senders, &c->lock, (void *)item, WF_WAIT_STOPPABLE);
    return done(c, partner, err);
}

int weft_chan_recv_n(weft_chan *c, void *item, size_t size)
{
    check_size(c, size);
    int err = wf_wait_begin();
    if (err)
        return err;
    weft_waiter *partner = NULL;
    wf_lock_patiently(&c->lock);
    err = take(c, item, &partner);
    if (err == -EAGAIN)
        return wf_waiters_wait(&c->receivers, &c->lock, item, WF_WAIT_STOPPABLE);
    return done(c, partner, err);
}

int weft_chan_try_send(weft_chan *c, const void *item, size_t size)
{
    check_size(c, size);
    weft_waiter *partner = NULL;
    wf_lock_patiently(&c->lock);
    int err = put(c, item, &partner);
    return done(c, partner, err);
}

int weft_chan_try_recv(weft_chan *c, void *item, size_t size)
{
    check_size(c, size);
    weft_waiter *partner = NULL;
    wf_lock_patiently(&c->lock);
    int err = take(c, item, &partner);
    return done(c, partner, err);
}

static bool send_ready(weft_case *c)
{
    int result = weft_chan_try_send(c->on, c->item, c->size);
    if (result != -EAGAIN)
        c->result = result;
    return result != -EAGAIN;
}

static bool recv_ready(weft_case *c)
{
    int result = weft_chan_try_recv(c->on, c->item, c->size);
    if (result != -EAGAIN)
        c->result = result;
    return result != -EAGAIN;
}

/* Both enqueue only what could not take effect at once. A waiter they see in the other list may have been
 * stopped; then the next ready() takes it out, and the next enqueue no longer sees it. */
static bool send_enqueue(weft_case *c, weft_waiter *w)
{
    weft_chan *chan = c->on;
    w->item = c->item;
    wf_lock_patiently(&chan->lock);
    bool waits = !chan->closed && chan->count == chan->capacity && !wf_waiters_others(&chan->receivers, w->wait);
    if (waits)
        wf_waiters_push(&chan->senders, w);
    wf_unlock(&chan->lock);
    return waits;
}

static bool recv_enqueue(weft_case *c, weft_waiter *w)
{
    weft_chan *chan = c->on;
    w->item = c->item;
    wf_lock_patiently(&chan->lock);
    bool waits = !chan->closed && chan->count == 0 && !wf_waiters_others(&chan->senders, w->wait);
    if (waits)
        wf_waiters_push(&chan->receivers, w);
    wf_unlock(&chan->lock);
    return waits;
}

static bool remove_from(weft_chan *c, struct wf_waiters *l, weft_waiter *w)
{
    wf_lock_patiently(&c->lock);
    bool removed = wf_waiters_remove(l, w);
    wf_unlock(&c->lock);
    return removed;
}

static bool send_dequeue(weft_case *c, weft_waiter *w)
{
    weft_chan *chan = c->on;
    return remove_from(chan, &chan->senders, w);
}

static bool recv_dequeue(weft_case *c, weft_waiter *w)
{
    weft_chan *chan = c->on;
    return remove_from(chan, &chan->receivers, w);
}

weft_case weft_case_send(weft_chan *c, const void *item, size_t size)
{
    static const struct weft_waitable how = {send_ready, send_enqueue, send_dequeue};
    check_size(c, size);
    return (weft_case){.how = &how, .on = c, .item = (void *)item, .size = size};
}

weft_case weft_case_recv(weft_chan *c, void *item, size_t size)
{
    static const struct weft_waitable how = {recv_ready, recv_enqueue, recv_dequeue};
    check_size(c, size);
    return (weft_case){.how = &how, .on = c, .item = item, .size = size};
}
