/* stack.h - stacks for tasks, cut from reservations of address space.
 *
 *     low end                                                        high end
 *     | guard, 48 KiB or more | usable         ... | struct wf_stack | colour |
 *       touching it faults      grows down, touched page by page
 *
 * A pool reserves address space in slabs, no swap reserved, no huge pages, and hands out stacks of one
 * size. A slab is as large as all before it together, from 64 MiB on, so there are few however many stacks:
 * their places fit a small table that a signal handler may read. A guard as large as 48 KiB catches what
 * skips a page; a larger one would cost more of the page tables. It costs no mapping where the kernel has
 * MADV_GUARD_INSTALL (6.13 and later): millions of stacks. Elsewhere mprotect makes two mappings per stack,
 * and somewhat below vm.max_map_count / 2 stacks wf_stack_get fails after one line on stderr that names the
 * limit.
 *
 * Three things keep caches useful, since the hottest bytes of every stack are at its top. The stack that was
 * given back last is handed out first: it is warm. Tops are coloured: they differ by multiples of 64 bytes,
 * or all would meet in the same sets of the first cache. And the distance between stacks is an odd number
 * of pages, or their pages would meet in the same sets of the address cache: going round 1,000 stacks took
 * 20 ns each at 32 pages and 5 to 10 at odd numbers.
 *
 * Stacks that nobody has wanted for a while give their pages back: of the idle ones in the pool that were never fewer
 * for a second, all but some thousand. They are cold then, a batch at a time: only the page of its first stack stays,
 * where the others are listed. Whoever sleeps next after that second does it (wf_stack_pool_trim).
 *
 * Descriptor and colour take less than 1 KiB of the top page, so a task that needs less than 3 KiB of stack
 * touches one page. They come on top of the size that was asked for. */
#ifndef WF_STACK_H
#define WF_STACK_H

#include "runtime/platform/context.h"
#include "runtime/platform/lock.h"

enum {
    WF_STACK_BATCH = 32,                      /* how many go between a cache and the pool at once */
    WF_STACK_CACHE_MAX = 2 * WF_STACK_BATCH,  /* how many a cache keeps */
    WF_STACK_CUT = 16,                        /* how many fresh ones are cut at once; each touches a page */
    WF_STACK_WARM = 32 * WF_STACK_BATCH,      /* how many idle ones of a pool keep their pages for good */
};

enum { WF_STACK_ROOM = 80 };

/* The descriptor, at the top of the stack it describes; by whoever holds the stack. */
struct wf_stack {
    struct wf_context context; /* where to go on; zeroed at first */
    struct wf_stack *next;     /* in a cache or a batch */
    char room[WF_STACK_ROOM] __attribute__((aligned(16))); /* for who runs on it: runtime/fork.h; zeroed at first */
    void *low;                 /* lowest usable byte; constant */
    size_t size;               /* usable bytes from there up to this descriptor; constant */
    struct wf_stack *batch;    /* in the pool, of the first in a batch: the next batch */
    unsigned batch_size;
    unsigned valgrind;         /* Valgrind's name for it; constant */
} __attribute__((aligned(16)));

struct wf_stack_pool {
    struct wf_lock lock;        /* for all below but what is constant */
    size_t stack_size, stride;  /* usable bytes at least; bytes per stack with guard; constant */
    size_t guard;               /* bytes of guard; constant */
    size_t limit;               /* how many guards mprotect may make in this process; constant */
    bool guard_by_madvise;      /* constant after the first get; a test may clear it before */
    bool guard_at_once;         /* ... for many stacks by one call; constant */
    bool keeps_pages;           /* tools that watch us keep notes about stacks, some of them there; constant */
    bool complained;            /* the line about the limit is printed once */
    struct wf_stack *free;      /* batches given back, newest first */
    struct wf_stack *surplus;   /* older ones, about to become cold */
    struct wf_stack *cold;      /* of which only the first stack has a page */
    WF_ATOMIC(size_t) warm;     /* stacks in free and surplus; others look whether there is anything to trim */
    size_t warm_min;            /* the least of that since trim_ns was set */
    int64_t trim_ns;            /* when it is looked at; 0: there was nothing to trim */
    char *slab_next, *slab_end; /* never used part of the newest slab */
    struct wf_stack_slab *slabs; /* newest first */
    size_t reserved;            /* bytes in slabs */
    size_t mapped;              /* stacks cut so far */
};

/* A worker's own few; not shared. Zeroed is empty. */
struct wf_stack_cache {
    struct wf_stack *head; /* newest first */
    unsigned count;        /* of those; at most WF_STACK_BATCH */
    struct wf_stack *spare; /* a whole batch, or NULL: what was put before those at head */
};

/* 0, or -EINVAL (no size, or an absurd one), -ENOMEM. */
int wf_stack_pool_open(struct wf_stack_pool *p, size_t stack_size);
void wf_stack_pool_close(struct wf_stack_pool *p); /* unmaps all; no stack may be in use */

/* Hand all of a cache to the others. Not needed before closing the pool, which unmaps those in caches too. */
void wf_stack_cache_drain(struct wf_stack_pool *p, struct wf_stack_cache *c);

struct wf_stack *wf_stack_get_slow(struct wf_stack_pool *p, struct wf_stack_cache *c);
void wf_stack_put_slow(struct wf_stack_pool *p, struct wf_stack_cache *c, struct wf_stack *s);

/* NULL: no memory. */
static inline struct wf_stack *wf_stack_get(struct wf_stack_pool *p, struct wf_stack_cache *c)
{
    struct wf_stack *s = c->head;
    if (__builtin_expect(!s, 0))
        return wf_stack_get_slow(p, c);
    c->head = s->next;
    c->count--;
    return s;
}

/* The caller may still stand on s, as long as nobody else gets from c before it has left. */
static inline void wf_stack_put(struct wf_stack_pool *p, struct wf_stack_cache *c, struct wf_stack *s)
{
    if (__builtin_expect(c->count == WF_STACK_BATCH, 0)) {
        wf_stack_put_slow(p, c, s);
        return;
    }
    s->next = c->head;
    c->head = s;
    c->count++;
}

/* ---- Pages (stack_pages.c) ------------------------------------------------------------------------ */

/* Of what lies idle give back what is due, some of it. When to call again; INT64_MAX: not before more lies idle. */
int64_t wf_stack_pool_trim_slow(struct wf_stack_pool *p, int64_t now_ns);

static inline bool wf_stack_pool_is_trim(struct wf_stack_pool *p)
{
    return __builtin_expect(wf_load(&p->warm, relaxed) <= WF_STACK_WARM, 1); /* a hint: it is looked at again */
}

/* Between stack.c and this: the stacks of a cold batch, as if they had been cut just now. */
void wf_stack_rewarm(struct wf_stack_pool *p, struct wf_stack *batch, unsigned size);

/* Give all pages of s to the system; whoever touches them faults. False: not all of it could be done; what was in them
 * is lost all the same, and they are to be taken back. Only where guards are made by madvise. */
bool wf_stack_give_up(const struct wf_stack_pool *p, struct wf_stack *s);

/* They can be used again; what was given up is zero. False: something is broken. */
bool wf_stack_take_back(const struct wf_stack_pool *p, struct wf_stack *s);

/* Is that an address of s, which itself is not touched? */
bool wf_stack_has(const struct wf_stack_pool *p, const struct wf_stack *s, uintptr_t addr);

/* ---- Overflow ------------------------------------------------------------------------------------ */

/* Is addr in the guard of a stack of any open pool? For the overflow report: async-signal-safe. */
bool wf_stack_is_guard(const void *addr);

/* Catch SIGSEGV and SIGBUS once for the process, counted: the last uninstall restores what was there. A
 * fault in a guard calls report() on the thread's alternate stack, and then aborts; any other fault goes to
 * the handler that was there before. The first install's report() is the one. 0, or -errno of sigaction. */
int wf_stack_guard_install(void (*report)(const void *addr));
void wf_stack_guard_uninstall(void);

/* Of faults in a stack itself, whose pages may have been given up: report() says true if so, having said whose it was,
 * and then we abort. For the process, from now on. */
void wf_stack_guard_stray(bool (*report)(const void *addr));

/* Give the calling thread an alternate signal stack, unless it has one (then *ret is NULL); and take ours
 * back, on the same thread. 0 or -ENOMEM. */
int wf_stack_guard_enter(void **ret);
void wf_stack_guard_leave(void *altstack);

/* ---- Between stack.c and stack_guard.c ------------------------------------------------------------ */

/* A reservation. Kept in a static table that a signal handler reads at any moment: hence atomic. */
struct wf_stack_slab {
    WF_ATOMIC(uintptr_t) base; /* 0: the entry is unused */
    WF_ATOMIC(size_t) size, stride, guard;
    struct wf_stack_slab *next; /* of the same pool; under its lock */
};

/* NULL: the table is full. */
struct wf_stack_slab *wf_stack_slab_add(void *base, size_t size, size_t stride, size_t guard);
void wf_stack_slab_remove(struct wf_stack_slab *s);

#endif
