/* task_pool.c - where tasks come from, and where they go: see task.h.
 *
 * A chunk says with a bit for each of its tasks whether it is free here, that is, neither in use nor in a worker's
 * cache. Free tasks are handed out by the word, 64 neighbours or fewer, and nobody walks through them: a million tasks
 * that have ended lie in no cache any more, and a chain through them would be followed at the speed of memory.
 *
 * Whose a task is, its address says: most that come back together are of one chunk, and the others are looked up. A
 * chunk aligned to its size would say so at once, but there the allocator finds no place in what it was given back:
 * runtimes that come and go held megabytes more. */
#include "runtime/task.h"

#include "runtime/alloc.h"

#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, PAGE = 4096, ROOM_FIRST = 16 };
enum { CHUNK_TASKS = CHUNK_BYTES / sizeof(weft_task) - 1, GROUP = 64 };
enum { GROUPS = (CHUNK_TASKS + GROUP - 1) / GROUP };

struct wf_task_chunk {
    struct wf_task_chunk *next; /* made before it; constant */
    struct wf_task_chunk *next_with_free;
    uint64_t free[GROUPS];
    _Alignas(256) weft_task task[CHUNK_TASKS];
};
_Static_assert(sizeof(struct wf_task_chunk) == CHUNK_BYTES, "a chunk has one task's room for its header");

void wf_task_pool_close(struct wf_task_pool *p)
{
    while (p->chunks) {
        struct wf_task_chunk *c = p->chunks;
        p->chunks = c->next;
        wf_free(c, CHUNK_BYTES);
    }
    wf_free(p->by_address, p->room * sizeof *p->by_address);
    *p = (struct wf_task_pool){0};
}

/* How many chunks lie before this address. */
static unsigned count_before(const struct wf_task_pool *p, const void *at)
{
    unsigned low = 0, high = p->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if ((uintptr_t)p->by_address[middle] <= (uintptr_t)at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make_room(struct wf_task_pool *p)
{
    if (p->count < p->room)
        return true;
    unsigned room = p->room ? 2 * p->room : ROOM_FIRST;
    struct wf_task_chunk **larger = wf_alloc(room * sizeof *larger);
    if (!larger)
        return false;
    if (p->count)
        memcpy(larger, p->by_address, p->count * sizeof *larger);
    wf_free(p->by_address, p->room * sizeof *larger);
    p->by_address = larger;
    p->room = room;
    return true;
}

static struct wf_task_chunk *add_chunk(struct wf_task_pool *p)
{
    struct wf_task_chunk *c = make_room(p) ? wf_alloc_aligned(CHUNK_BYTES, PAGE) : NULL;
    if (!c)
        return NULL;
    unsigned before = count_before(p, c);
    memmove(&p->by_address[before + 1], &p->by_address[before], (p->count - before) * sizeof c);
    p->by_address[before] = c;
    p->count++;
    for (int i = 0; i < CHUNK_TASKS; i++) {
        c->task[i].wait.task = &c->task[i];
        c->free[i / GROUP] |= UINT64_C(1) << i % GROUP;
    }
    c->next = p->chunks;
    p->chunks = c;
    p->with_free = c;
    return c;
}

static bool any_free(const struct wf_task_chunk *c)
{
    uint64_t any = 0;
    for (int g = 0; g < GROUPS; g++)
        any |= c->free[g];
    return any != 0;
}

weft_task *wf_task_pool_refill(struct wf_task_pool *p, struct wf_task_cache *c)
{
    struct wf_task_cache one, *to = c ? c : &one;
    weft_task *t = NULL;
    wf_lock(&p->lock);
    struct wf_task_chunk *from = p->with_free ? p->with_free : add_chunk(p);
    if (from) {
        int g = 0;
        while (!from->free[g])
            g++;
        to->group = &from->task[g * GROUP];
        to->free = from->free[g];
        t = wf_task_get_neighbour(to);
        from->free[g] = c ? 0 : to->free; /* without a cache the others stay */
        if (!any_free(from))
            p->with_free = from->next_with_free;
    }
    wf_unlock(&p->lock);
    return t;
}

/* Returns whose it was, for the next one: which that may be is a guess. */
static struct wf_task_chunk *give_back(struct wf_task_pool *p, struct wf_task_chunk *c, weft_task *t)
{
    if ((uintptr_t)t - (uintptr_t)c >= CHUNK_BYTES)
        c = p->by_address[count_before(p, t) - 1];
    size_t i = (size_t)(t - c->task);
    if (!any_free(c)) {
        c->next_with_free = p->with_free;
        p->with_free = c;
    }
    c->free[i / GROUP] |= UINT64_C(1) << i % GROUP;
    return c;
}

WF_UNOBSERVED void wf_task_pool_spill(struct wf_task_pool *p, struct wf_task_cache *c)
{
    wf_lock(&p->lock);
    struct wf_task_chunk *last = NULL;
    for (int i = 0; i < WF_TASK_BATCH && c->head; i++) {
        weft_task *t = c->head;
        c->head = t->next;
        c->count--;
        last = give_back(p, last, t);
    }
    wf_unlock(&p->lock);
}

void wf_task_pool_each(struct wf_task_pool *p, void (*fn)(weft_task *t, void *ctx), void *ctx)
{
    wf_lock(&p->lock);
    for (struct wf_task_chunk *c = p->chunks; c; c = c->next)
        for (int i = 0; i < CHUNK_TASKS; i++)
            if (wf_load(&c->task[i].state, relaxed) != WF_TASK_FREE)
                fn(&c->task[i], ctx);
    wf_unlock(&p->lock);
}

void wf_task_pool_first(struct wf_task_pool *p, struct wf_task_cursor *c)
{
    wf_lock(&p->lock);
    *c = (struct wf_task_cursor){.chunk = p->chunks};
    wf_unlock(&p->lock);
}

bool wf_task_pool_next(struct wf_task_cursor *c, unsigned n, void (*fn)(weft_task *t, void *ctx), void *ctx)
{
    for (; n > 0 && c->chunk; n--) {
        fn(&c->chunk->task[c->index], ctx);
        if (++c->index == CHUNK_TASKS)
            *c = (struct wf_task_cursor){.chunk = c->chunk->next};
    }
    return c->chunk != NULL;
}
