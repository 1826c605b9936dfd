/* memory.c - what C11 and C++20 say about every access.
 *
 * Each atomic location has its stores in modification order, which is the order of execution here. A load may return
 * any store from the last one on that the loader must know of: one that it, or anything that happened before, has
 * written or read (coherence), or that sequential consistency forces on it. What happened before is kept as vector
 * clocks: a store carries the writer's clock if it releases (or its clock at its last releasing fence), joined with
 * what an exchange found (a release sequence; a plain store of the same thread does not continue one, as in C++20).
 *
 * Sequentially consistent operations and fences are in one order, that of execution. Fences are numbered. A clock's
 * last lane is the number of the last fence that happened before; fence_clock[n] joins the clocks of fences 1..n.
 * So a store is known to a loader if somebody's knowing it is below
 *
 *     the loader's clock                                     happens before
 *     fence_clock[the loader's fence]                        before a fence that comes before one of the loader's
 *     fence_clock[all fences], a sequentially consistent load
 *
 * or if a sequentially consistent operation wrote or read it, before the loader's fence, or ever if the load is one.
 *
 * Races: a plain access must be ordered with every access to the same bytes, if one of the two writes; an atomic one
 * with plain ones. Each spot keeps when every thread did what to it last, so a check compares two vectors. A plain
 * write makes a location new: what was stored before is forgotten, as it has happened before. */
#include "tests/model/core/core.h"

#include <stdlib.h>

enum { GRANULES = 1 << 14, SPOTS = 1 << 15, FENCES_MAX = 2048, ROOM_MIN = 8, BACK_MAX = 16 };

static struct granule {
    uintptr_t key;
    struct spot *first;
} granules[GRANULES];
static struct spot spots[SPOTS];
static unsigned spot_count;
static lanes fence_clock[FENCES_MAX];

/* ---- spots ---- */

static struct granule *granule_of(uintptr_t at)
{
    uintptr_t key = at >> 3;
    unsigned i = (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 50);
    while (granules[i].key != key) {
        if (granules[i].key == 0) {
            granules[i].key = key;
            break;
        }
        i = (i + 1) % GRANULES;
    }
    return &granules[i];
}

/* As it is at the beginning of an execution. */
static void renew(struct spot *s)
{
    static const lanes zero;
    s->execution = run.execution;
    s->wrote = s->read = s->atomic_wrote = s->atomic_read = zero;
    s->count = 0;
    memset(s->stale, 0, sizeof s->stale);
}

static __attribute__((noinline)) struct spot *new_spot(struct granule *g, uintptr_t at, unsigned size)
{
    if (spot_count == SPOTS - 1)
        model_fail("the model touches too much memory for this checker");
    struct spot *s = &spots[spot_count++];
    *s = (struct spot){.at = at, .size = (uint8_t)size, .next = g->first};
    g->first = s;
    renew(s);
    return s;
}

static inline bool overlap(const struct spot *s, uintptr_t at, unsigned size)
{
    return s->at < at + size && at < s->at + s->size;
}

static _Noreturn __attribute__((noinline)) void race(const struct spot *s, lanes theirs, const char *what,
                                                     uintptr_t pc)
{
    unsigned t = 0;
    lanes above = theirs > self()->now;
    while (!above[t])
        t++;
    self()->pc = pc;
    model_fail("data race: T%u %s %s, and nothing orders it after T%u", run.self, what,
               describe(s->at), t);
}

/* ---- plain accesses ---- */

static inline void check_plain(const struct spot *s, bool write, uintptr_t pc)
{
    lanes others = later(s->wrote, s->atomic_wrote);
    if (write)
        others = later(others, later(s->read, s->atomic_read));
    if (UNLIKELY(any(others > self()->now)))
        race(s, others, write ? "writes" : "reads", pc);
}

/* At most eight bytes within eight aligned ones. */
static inline void plain_piece(uintptr_t at, unsigned size, bool write, uintptr_t pc)
{
    struct granule *g = granule_of(at);
    struct spot *exact = NULL;
    unsigned covered = 0;
    for (struct spot *s = g->first; s; s = s->next) {
        if (s->at == at && s->size == size)
            exact = s;
        if (s->execution != run.execution || !overlap(s, at, size))
            continue;
        check_plain(s, write, pc);
        if (write)
            s->count = 0;
        if (s->at >= at && s->at + s->size <= at + size) {
            (write ? &s->wrote : &s->read)[0][run.self] = self()->now[run.self];
            covered += s == exact ? 8 : s->size;
        }
    }
    if (covered >= size)
        return;
    if (!exact)
        exact = new_spot(g, at, size);
    else if (exact->execution != run.execution)
        renew(exact);
    (write ? &exact->wrote : &exact->read)[0][run.self] = self()->now[run.self];
}

static void plain_access(uintptr_t at, size_t size, bool write, uintptr_t pc)
{
    check_alive(at, size);
    if (UNLIKELY(run.tracing))
        trace(write ? EVENT_WRITE : EVENT_READ, pc, at, (unsigned)size, 0, 0, 0, 0, 0);
    while (size) {
        size_t piece = 8 - (at & 7);
        if (piece > size)
            piece = size;
        plain_piece(at, (unsigned)piece, write, pc);
        at += piece;
        size -= piece;
    }
}

/* ---- atomic accesses ---- */

static inline uint64_t load_memory(uintptr_t at, unsigned size)
{
    switch (size) {
    case 1: return *(const uint8_t *)at;
    case 2: return *(const uint16_t *)at;
    case 4: return *(const uint32_t *)at;
    default: return *(const uint64_t *)at;
    }
}

static inline void store_memory(uintptr_t at, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *(uint8_t *)at = (uint8_t)value; break;
    case 2: *(uint16_t *)at = (uint16_t)value; break;
    case 4: *(uint32_t *)at = (uint32_t)value; break;
    default: *(uint64_t *)at = value; break;
    }
}

static inline lanes never(void)
{
    return (lanes){NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER};
}

static __attribute__((noinline)) void grow(struct spot *s)
{
    int room = s->room ? s->room * 2 : ROOM_MIN;
    struct store *more = aligned_alloc(16, (size_t)room * sizeof *more);
    if (!more)
        abort();
    if (s->count)
        memcpy(more, s->stores, (size_t)s->count * sizeof *more);
    free(s->stores);
    s->stores = more;
    s->room = room;
}

static inline struct store *append(struct spot *s, uint64_t value)
{
    if (UNLIKELY(s->count == s->room))
        grow(s);
    struct store *new = &s->stores[s->count++];
    new->value = value;
    new->seen = never();
    new->sc = NEVER;
    new->writer = (uint8_t)run.self;
    new->op = run.ops;
    return new;
}

/* The location as an atomic one: what it holds before its first access is a store that everybody may read. */
static struct spot *atomic_spot(uintptr_t at, unsigned size)
{
    struct granule *g = granule_of(at);
    struct spot *s = g->first, *other;
    while (s && !(s->at == at && s->size == size))
        s = s->next;
    if (UNLIKELY(!s))
        s = new_spot(g, at, size);
    else if (s->execution != run.execution)
        renew(s);
    if (UNLIKELY(!s->count)) {
        if ((at & (size - 1)) != 0)
            model_fail("an atomic access that is not aligned");
        struct store *first = append(s, load_memory(at, size));
        first->release = (lanes){0};
        first->writer = UINT8_MAX;
    }
    for (other = g->first; UNLIKELY(other != s || other->next); other = other->next) {
        if (other != s && other->execution == run.execution && overlap(other, at, size)) {
            if (other->count)
                model_fail("%s is accessed as an atomic of %u bytes, and of %u", describe(at), size, other->size);
            if (UNLIKELY(any(later(other->wrote, other->read) > self()->now)))
                race(other, later(other->wrote, other->read), "uses as an atomic", 0);
        }
        if (!other->next)
            break;
    }
    return s;
}

static inline void learn(struct spot *s, bool write);

/* For who sleeps on a word: what it is as an atomic; NULL if it is none yet. */
static const struct spot *known_spot(uintptr_t at)
{
    for (struct spot *s = granule_of(at)->first; s; s = s->next)
        if (s->execution == run.execution && s->count && overlap(s, at, 4)) {
            learn(s, true);
            return s;
        }
    return NULL;
}

/* Remember who touches what, over all executions: where threads do not meet, they need no choice. */
static inline void learn(struct spot *s, bool write)
{
    uint8_t bit = (uint8_t)(1u << run.self & ~1u);
    uint8_t *who = write ? &s->writers : &s->readers;
    if (UNLIKELY(!(*who & bit))) {
        *who |= bit;
        run.learned |= bit != 0;
    }
}

static inline bool is_known(const struct store *st, bool sc)
{
    lanes now = self()->now;
    int fence = now[FENCE_LANE];
    if (any(st->seen <= now))
        return true;
    if (fence && (st->sc < fence || any(st->seen <= fence_clock[fence])))
        return true;
    return sc && (st->sc != NEVER || (run.fences && any(st->seen <= fence_clock[run.fences])));
}

static inline void note_read(struct store *st, unsigned order)
{
    struct thread *t = self();
    if (st->seen[run.self] == NEVER)
        st->seen[run.self] = t->now[run.self];
    if (order == SEQ_CST && st->sc == NEVER)
        st->sc = (int16_t)run.fences;
    if (order == ACQUIRE || order == CONSUME || order >= ACQ_REL)
        t->now = later(t->now, st->release);
    else
        t->pending = later(t->pending, st->release);
}

/* The same value, and nothing is ordered by it that `newer` would not order: whoever has read `older` may go on in
 * every way that it might after `newer`. */
static inline bool stands_for(const struct store *older, const struct store *newer)
{
    return older->value == newer->value && !any(older->release > newer->release);
}

/* Which store a load returns: how far back. For an exchange that fails: the last one, or one that is not `expected`.
 * Of outdated ones that differ in nothing but what they order, only the oldest: it orders least and forbids least. */
static inline unsigned choose_store(struct spot *s, bool sc, const uint64_t *expected)
{
    int newest = s->count - 1, i = newest;
    while (i > 0 && !is_known(&s->stores[i], sc))
        i--;
    uint8_t *stale = &s->stale[run.self];
    if (LIKELY(i == newest) || *stale >= run.stale) {
        *stale = 0;
        return 0;
    }
    uint16_t back[BACK_MAX] = {0};
    unsigned n = 1;
    for (int at = newest - 1; at >= i && n < BACK_MAX; at--) {
        const struct store *st = &s->stores[at];
        if (expected && st->value == *expected)
            continue;
        unsigned known = 1;
        while (known < n && !stands_for(st, &s->stores[newest - back[known]]))
            known++;
        back[known] = (uint16_t)(newest - at);
        n += known == n;
    }
    unsigned pick = choose(CHOICE_STORE, n);
    *stale = pick ? (uint8_t)(*stale + 1) : 0;
    return back[pick];
}

static inline void check_atomic(struct spot *s, bool write, uintptr_t pc)
{
    lanes plain = write ? later(s->wrote, s->read) : s->wrote;
    if (UNLIKELY(any(plain > self()->now)))
        race(s, plain, write ? "stores to" : "loads", pc);
    if (write)
        s->atomic_wrote[run.self] = self()->now[run.self];
    else
        s->atomic_read[run.self] = self()->now[run.self];
}

/* After others had their turn: somebody may have given the memory back, or made it new. */
static inline struct spot *still(struct spot *s, uintptr_t at, unsigned size)
{
    check_alive(at, size);
    return LIKELY(s->count) ? s : atomic_spot(at, size);
}

static inline uint64_t atomic_load_at(uintptr_t at, unsigned size, unsigned order, uintptr_t pc)
{
    struct spot *s = atomic_spot(at, size);
    learn(s, false);
    point(s, false, pc);
    s = still(s, at, size);
    check_atomic(s, false, pc);
    unsigned back = choose_store(s, order == SEQ_CST, NULL);
    struct store *st = &s->stores[s->count - 1 - (int)back];
    note_read(st, order);
    if (UNLIKELY(run.tracing))
        trace(EVENT_LOAD, pc, at, size, order, st->value, 0, back, st->op);
    return st->value;
}

/* A store, or the second half of an exchange: `before` is what it replaces. */
static inline void write_store(struct spot *s, uint64_t value, unsigned order, const struct store *before)
{
    struct thread *t = self();
    bool releases = order >= RELEASE;
    lanes release = releases ? t->now : t->fenced;
    if (before)
        release = later(release, before->release);
    struct store *st = append(s, value);
    st->release = release;
    st->seen[run.self] = t->now[run.self];
    if (order == SEQ_CST)
        st->sc = (int16_t)run.fences;
    if (releases)
        t->now[run.self]++;
    s->stale[run.self] = 0;
    wrote_something();
    store_memory(s->at, s->size, value);
}

static inline void atomic_store_at(uintptr_t at, unsigned size, uint64_t value, unsigned order, uintptr_t pc)
{
    struct spot *s = atomic_spot(at, size);
    learn(s, true);
    point(s, true, pc);
    s = still(s, at, size);
    check_atomic(s, true, pc);
    if (UNLIKELY(run.tracing))
        trace(EVENT_STORE, pc, at, size, order, value, s->stores[s->count - 1].value, 0, 0);
    write_store(s, value, order, NULL);
}

/* An exchange begins here: the location, once it is our turn. */
static inline struct spot *exchange_begin(uintptr_t at, unsigned size, uintptr_t pc)
{
    struct spot *s = atomic_spot(at, size);
    learn(s, false);
    learn(s, true);
    point(s, true, pc);
    s = still(s, at, size);
    return s;
}

/* And ends here: it replaces the last store by value. */
static inline void exchange_end(struct spot *s, uint64_t value, unsigned order, uintptr_t pc)
{
    check_atomic(s, true, pc);
    struct store *last = &s->stores[s->count - 1];
    note_read(last, order);
    struct store before = *last; /* appending may move it */
    if (UNLIKELY(run.tracing))
        trace(EVENT_RMW, pc, s->at, s->size, order, value, before.value, 0, before.op);
    write_store(s, value, order, &before);
}

/* Returns what was found, which is `expected` if it was done. It fails for another value, that of the last store or of
 * an older one that a load might return. */
static inline uint64_t compare_exchange(uintptr_t at, unsigned size, uint64_t expected, uint64_t value,
                                        unsigned order, unsigned failure, uintptr_t pc)
{
    struct spot *s = exchange_begin(at, size, pc);
    unsigned back = choose_store(s, failure == SEQ_CST, &expected);
    struct store *st = &s->stores[s->count - 1 - (int)back];
    uint64_t found = st->value;
    if (found == expected) {
        exchange_end(s, value, order, pc);
        return found;
    }
    check_atomic(s, false, pc);
    note_read(st, failure);
    if (UNLIKELY(run.tracing))
        trace(EVENT_CAS_FAILED, pc, at, size, failure, expected, found, back, st->op);
    return found;
}

static const struct spot nowhere; /* where nobody else is */

static void fence(unsigned order, uintptr_t pc)
{
    point(order == SEQ_CST ? NULL : &nowhere, false, pc);
    struct thread *t = self();
    if (UNLIKELY(run.tracing))
        trace(EVENT_FENCE, pc, 0, 0, order, 0, 0, 0, 0);
    if (order == ACQUIRE || order >= ACQ_REL)
        t->now = later(t->now, t->pending);
    if (order == SEQ_CST) {
        if (run.fences == FENCES_MAX - 1)
            model_fail("too many fences for this checker");
        run.fences++;
        fence_clock[run.fences] = run.fences > 1 ? later(fence_clock[run.fences - 1], t->now) : t->now;
        t->now[FENCE_LANE] = (int16_t)run.fences;
    }
    if (order >= RELEASE) {
        t->fenced = t->now;
        t->now[run.self]++;
    }
}

/* A fence in every thread that there is, at once: barrier.h. */
static void fence_everywhere(uintptr_t pc)
{
    point(NULL, false, pc);
    if (UNLIKELY(run.tracing))
        trace(EVENT_FENCE, pc, 0, 0, SEQ_CST, 0, 0, 0, 0);
    if (run.fences == FENCES_MAX - 1)
        model_fail("too many fences for this checker");
    lanes all = fence_clock[run.fences++];
    if (run.fences == 1)
        all = self()->now;
    for (unsigned i = 0; i < run.count; i++) {
        struct thread *t = &run.thread[i];
        t->now = later(t->now, t->pending);
        all = later(all, t->now);
    }
    fence_clock[run.fences] = all;
    for (unsigned i = 0; i < run.count; i++) {
        struct thread *t = &run.thread[i];
        t->now[FENCE_LANE] = (int16_t)run.fences;
        t->fenced = t->now;
        t->now[i]++;
    }
}

/* The memory is given back: whoever has used it must have done so before. Beyond a size it is quicker to go through all
 * that was touched. */
static void end_of_spots(uintptr_t at, size_t size, uintptr_t pc)
{
    if (size / 8 > spot_count) {
        for (unsigned i = 0; i < spot_count; i++)
            if (spots[i].execution == run.execution && spots[i].at - at < size)
                check_plain(&spots[i], true, pc);
        return;
    }
    for (uintptr_t end = at + size; at < end; at = (at | 7) + 1)
        for (struct spot *s = granule_of(at)->first; s; s = s->next)
            if (s->execution == run.execution && s->at < end)
                check_plain(s, true, pc);
}
