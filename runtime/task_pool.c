/* task_pool.c - where tasks come from, and where they go: see task.h.
 *
 * A chunk says with a bit for each of its tasks whether it is free here, that is, neither in use nor in a worker's
 * cache. Free tasks are handed out by the word, 64 neighbours or fewer, and nobody walks through them: a million tasks
 * that have ended lie in no cache any more, and a chain through them would be followed at the speed of memory. */
#include "runtime/task.h"

#include "runtime/alloc.h"

enum { CHUNK_BYTES = 64 * 1024, CHUNK_TASKS = CHUNK_BYTES / sizeof(weft_task) - 1, GROUP = 64 };
enum { GROUPS = (CHUNK_TASKS + GROUP - 1) / GROUP };

struct wf_task_chunk {
    struct wf_task_chunk *next, *next_with_free;
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
    p->with_free = NULL;
}

static struct wf_task_chunk *add_chunk(struct wf_task_pool *p)
{
    struct wf_task_chunk *c = wf_alloc_aligned(CHUNK_BYTES, CHUNK_BYTES); /* a task's address says its chunk's */
    if (!c)
        return NULL;
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

static void give_back(struct wf_task_pool *p, weft_task *t)
{
    struct wf_task_chunk *c = (struct wf_task_chunk *)((uintptr_t)t & ~(uintptr_t)(CHUNK_BYTES - 1));
    size_t i = (size_t)(t - c->task);
    if (!any_free(c)) {
        c->next_with_free = p->with_free;
        p->with_free = c;
    }
    c->free[i / GROUP] |= UINT64_C(1) << i % GROUP;
}

WF_UNOBSERVED void wf_task_pool_spill(struct wf_task_pool *p, struct wf_task_cache *c)
{
    wf_lock(&p->lock);
    for (int i = 0; i < WF_TASK_BATCH && c->head; i++) {
        weft_task *t = c->head;
        c->head = t->next;
        c->count--;
        give_back(p, t);
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
