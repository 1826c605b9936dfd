/* history.c - looks for an order that explains a history (history.h).
 *
 * Depth first, after Wing and Gong: of what is left, take an operation before whose call nothing that is left had
 * returned; let the model do it; if the model agrees with what was returned, go on with the rest. What was left and
 * the model's state are remembered once they have led nowhere (after Lowe), which bounds the search by
 * 2^12 sets times the states that each can leave behind. The memory of that is a table in which newer entries
 * overwrite older ones: to forget one costs time, never a wrong answer. */
#include "tests/stress/history.h"

#include <errno.h>
#include <string.h>

/* The object, one call at a time. */
struct model {
    uint8_t items[HISTORY_OPS_MAX]; /* in a channel, oldest first; what is beyond count is 0 */
    uint8_t count, closed;
    uint8_t owner;   /* of the mutex, plus 1; 0: free */
    uint8_t value;   /* of event or future; 0: not set */
    uint32_t permits;
};

enum { FORGETFUL = 1 << 10 };

struct search {
    const struct history *h;
    struct {
        uint32_t left;
        struct model m;
    } dead_end[FORGETFUL]; /* left is 0: unused */
};

/* ---- the types' promises ---- */

static bool is_stop(int ret)
{
    return ret == -ECANCELED || ret == -ETIMEDOUT;
}

static bool send(const struct history *h, struct model *m, const struct history_op *o)
{
    if (m->closed)
        return o->ret == -EPIPE;
    if (o->ret == -EAGAIN) /* at a rendezvous a waiting receiver may not have come yet */
        return o->kind == OP_TRY_SEND && m->count == h->capacity;
    if (o->ret != 0 || m->count >= h->capacity)
        return false;
    m->items[m->count++] = o->item;
    return true;
}

static bool receive(struct model *m, const struct history_op *o)
{
    if (m->count == 0)
        return m->closed ? o->ret == -EPIPE : o->kind == OP_TRY_RECV && o->ret == -EAGAIN;
    if (o->ret != 0 || m->items[0] != o->item)
        return false;
    memmove(m->items, m->items + 1, sizeof m->items - 1);
    m->items[sizeof m->items - 1] = 0;
    m->count--;
    return true;
}

static bool use_mutex(struct model *m, const struct history_op *o)
{
    uint8_t me = (uint8_t)(o->actor + 1);
    if (o->kind == OP_UNLOCK) {
        bool mine = m->owner == me;
        m->owner = 0;
        return mine;
    }
    if (o->kind == OP_TRYLOCK && !o->ret)
        return m->owner != 0;
    bool was_free = m->owner == 0;
    m->owner = me;
    return was_free;
}

/* Does somebody wait for permits at a moment at which o can come? Only the others' moments can tell. */
static bool may_wait_behind(const struct history *h, uint32_t left, const struct history_op *o)
{
    for (unsigned i = 0; i < h->count; i++)
        if ((left & 1u << i) && h->op[i].kind == OP_ACQUIRE && h->op[i].first < o->last)
            return true;
    return false;
}

static bool use_sem(const struct history *h, struct model *m, uint32_t left, const struct history_op *o)
{
    if (o->kind == OP_RELEASE) {
        m->permits += o->item;
        return true;
    }
    if (o->kind == OP_TRY_ACQUIRE && !o->ret)
        return m->permits < o->item || may_wait_behind(h, left, o);
    if (m->permits < o->item)
        return false;
    m->permits -= o->item;
    return o->kind == OP_TRY_ACQUIRE || o->ret == 0;
}

static bool use_event(struct model *m, const struct history_op *o)
{
    if (o->kind == OP_WAIT)
        return o->ret == 0 && m->value;
    if (o->kind == OP_IS_SET)
        return o->ret == (int)m->value;
    m->value = o->kind == OP_SET;
    return true;
}

static bool use_future(struct model *m, const struct history_op *o)
{
    if (o->kind == OP_DONE)
        return o->ret == (m->value != 0);
    if (o->kind == OP_AWAIT)
        return is_stop(o->ret) ? !m->value : o->ret == 0 && m->value && m->value == o->item;
    if (m->value)
        return o->ret == -EALREADY;
    m->value = o->item;
    return o->ret == 0;
}

/* Let the model do what o did. False: it would have been told something else. */
static bool apply(const struct history *h, struct model *m, uint32_t left, const struct history_op *o)
{
    if (is_stop(o->ret) && !h->stops)
        return false;
    if (is_stop(o->ret) && o->kind != OP_AWAIT)
        return o->kind == OP_SEND || o->kind == OP_RECV || o->kind == OP_ACQUIRE || o->kind == OP_WAIT;
    switch (h->type) {
    case HISTORY_MUTEX: return use_mutex(m, o);
    case HISTORY_SEM: return use_sem(h, m, left, o);
    case HISTORY_EVENT: return use_event(m, o);
    case HISTORY_FUTURE: return use_future(m, o);
    case HISTORY_CHAN: break;
    }
    if (o->kind == OP_CLOSE) {
        m->closed = 1;
        return true;
    }
    return o->kind == OP_SEND || o->kind == OP_TRY_SEND ? send(h, m, o) : receive(m, o);
}

/* May the two have met at a rendezvous? One of them has to have waited. */
static bool can_meet(const struct history *h, const struct model *m, const struct history_op *a,
                     const struct history_op *b)
{
    bool sends = a->kind == OP_SEND || a->kind == OP_TRY_SEND;
    bool receives = b->kind == OP_RECV || b->kind == OP_TRY_RECV;
    bool waits = a->kind == OP_SEND || b->kind == OP_RECV;
    return h->type == HISTORY_CHAN && h->capacity == 0 && !m->closed && sends && receives && waits && a->ret == 0 &&
           b->ret == 0 && a->item == b->item;
}

/* ---- the search ---- */

/* The operations that may come next: nothing that is left had returned before their call. */
static uint32_t next_ones(const struct history *h, uint32_t left)
{
    uint64_t earliest = UINT64_MAX;
    uint32_t next = 0;
    for (unsigned i = 0; i < h->count; i++)
        if ((left & 1u << i) && h->op[i].last < earliest)
            earliest = h->op[i].last;
    for (unsigned i = 0; i < h->count; i++)
        if ((left & 1u << i) && h->op[i].first < earliest)
            next |= 1u << i;
    return next;
}

static size_t place_of(uint32_t left, const struct model *m)
{
    const unsigned char *byte = (const unsigned char *)m;
    uint64_t hash = left * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < sizeof *m; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return (hash >> 20) % FORGETFUL;
}

static bool explain(struct search *s, uint32_t left, const struct model *before)
{
    const struct history *h = s->h;
    if (!left)
        return true;
    size_t place = place_of(left, before);
    if (s->dead_end[place].left == left && memcmp(&s->dead_end[place].m, before, sizeof *before) == 0)
        return false;
    uint32_t next = next_ones(h, left);
    for (unsigned i = 0; i < h->count; i++) {
        struct model m = *before;
        if (!(next & 1u << i))
            continue;
        if (apply(h, &m, left & ~(1u << i), &h->op[i]) && explain(s, left & ~(1u << i), &m))
            return true;
        for (unsigned j = 0; j < h->count; j++)
            if ((next & 1u << j) && can_meet(h, before, &h->op[i], &h->op[j]) &&
                explain(s, left & ~(1u << i | 1u << j), before))
                return true;
    }
    s->dead_end[place].left = left;
    s->dead_end[place].m = *before;
    return false;
}

bool history_is_explained(const struct history *h)
{
    static _Thread_local struct search s;
    struct model empty;
    memset(&empty, 0, sizeof empty); /* compared as bytes */
    memset(&s, 0, sizeof s);
    s.h = h;
    return explain(&s, (uint32_t)((1u << h->count) - 1), &empty);
}

/* ---- for people ---- */

static const char *const names[] = {
    "send", "recv", "try_send", "try_recv", "close", "lock", "trylock", "unlock", "acquire", "try_acquire", "release",
    "wait", "set", "clear", "is_set", "fulfil", "await", "done"};

void history_print(FILE *to, const struct history *h)
{
    fprintf(to, "no order explains this history (type %d, capacity %u%s):\n", (int)h->type, h->capacity,
            h->stops ? ", with stops" : "");
    for (unsigned i = 0; i < h->count; i++) {
        const struct history_op *o = &h->op[i];
        fprintf(to, "  actor %u  %-12s item %-3u -> %-4d  from %llu to %llu\n", o->actor, names[o->kind], o->item,
                o->ret, (unsigned long long)o->first, (unsigned long long)o->last);
    }
}
