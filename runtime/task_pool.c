/* task_pool.c - where tasks come from, and where they go: see task.h. */
#include "runtime/task.h"

#include "runtime/alloc.h"

enum { CHUNK_BYTES = 64 * 1024, CHUNK_TASKS = CHUNK_BYTES / sizeof(weft_task) - 1 };

struct wf_task_chunk {
    struct wf_task_chunk *next;
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
    p->free = NULL;
}

static bool add_chunk(struct wf_task_pool *p)
{
    struct wf_task_chunk *c = wf_alloc_aligned(CHUNK_BYTES, 256);
    if (!c)
        return false;
    for (int i = CHUNK_TASKS - 1; i >= 0; i--) {
        c->task[i].wait.task = &c->task[i];
        c->task[i].next = p->free;
        p->free = &c->task[i];
    }
    c->next = p->chunks;
    p->chunks = c;
    return true;
}

weft_task *wf_task_pool_refill(struct wf_task_pool *p, struct wf_task_cache *c)
{
    wf_lock(&p->lock);
    weft_task *first = p->free || add_chunk(p) ? p->free : NULL;
    if (first)
        p->free = first->next;
    for (int i = 1; c && first && i < WF_TASK_BATCH && p->free; i++) {
        weft_task *t = p->free;
        p->free = t->next;
        t->next = c->head;
        c->head = t;
        c->count++;
    }
    wf_unlock(&p->lock);
    return first;
}

WF_UNOBSERVED void wf_task_pool_spill(struct wf_task_pool *p, struct wf_task_cache *c)
{
    wf_lock(&p->lock);
    for (int i = 0; i < WF_TASK_BATCH && c->head; i++) {
        weft_task *t = c->head;
        c->head = t->next;
        c->count--;
        t->next = p->free;
        p->free = t;
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
