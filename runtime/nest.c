/* nest.c - see nest.h. */
#include "runtime/nest.h"

#include "runtime/alloc.h"

enum { FAMILIES_MAX = 1 << 30 };

static size_t families_size(uint32_t mask)
{
    return ((size_t)mask + 1) * sizeof(weft_task *);
}

int wf_nest_open(struct wf_nest *n)
{
    n->mask = WF_NEST_FAMILIES - 1;
    n->families_max = FAMILIES_MAX;
    n->family = wf_alloc(families_size(n->mask));
    return n->family ? 0 : -ENOMEM;
}

void wf_nest_close(struct wf_nest *n)
{
    if (n->family)
        wf_free(n->family, families_size(n->mask));
    n->family = NULL;
}

static weft_task **family_at(struct wf_nest *n, uint32_t i)
{
    return &n->family[i & n->mask];
}

static bool grow_families(struct wf_nest *n)
{
    struct wf_nest larger = *n;
    larger.mask = n->mask * 2 + 1;
    larger.family = larger.mask < n->families_max ? wf_alloc(families_size(larger.mask)) : NULL;
    if (!larger.family)
        return false;
    for (uint32_t i = n->first; i != n->end; i++)
        *family_at(&larger, i) = *family_at(n, i);
    wf_nest_close(n);
    *n = larger;
    return true;
}

static bool has_family_room(struct wf_nest *n)
{
    return n->end - n->first <= n->mask || grow_families(n);
}

bool wf_nest_push(struct wf_nest *n, weft_task *t, bool same_family)
{
    if (same_family && n->youngest)
        n->youngest->next = t;
    else if (has_family_room(n))
        *family_at(n, n->end++) = t;
    else
        return false;
    t->next = NULL;
    n->youngest = t;
    n->count++;
    return true;
}

void wf_nest_push_first(struct wf_nest *n, weft_task *first, weft_task *last, uint32_t count)
{
    last->next = NULL;
    if (!has_family_room(n))
        last->next = *family_at(n, --n->end); /* with the latest family, which is there as there is no room */
    *family_at(n, n->end++) = first;
    n->youngest = NULL;
    n->count += count;
}

/* The eldest of family i, one of those at the ends. True: it was the last of them. */
static bool take_eldest(struct wf_nest *n, uint32_t i, weft_task **ret)
{
    weft_task *t = *family_at(n, i);
    *ret = t;
    *family_at(n, i) = t->next;
    n->count--;
    if (n->youngest == t)
        n->youngest = NULL;
    return !t->next;
}

weft_task *wf_nest_pop(struct wf_nest *n)
{
    weft_task *t = NULL;
    if (n->end != n->first && take_eldest(n, n->end - 1, &t))
        n->end--;
    return t;
}

weft_task *wf_nest_steal(struct wf_nest *n)
{
    weft_task *t = NULL;
    if (n->end != n->first && take_eldest(n, n->first, &t))
        n->first++;
    return t;
}
