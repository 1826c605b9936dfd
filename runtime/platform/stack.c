/* stack.c - cutting, keeping and unmapping stacks; see stack.h for what they look like.
 *
 * Stacks move in batches. A cache holds a list and perhaps one spare batch, so a worker whose count swings
 * around a full batch does not go to the pool each time; a batch is linked through its first stack, so the
 * pool's lock is held for a few instructions whatever the batch's size. Only a new slab is reserved
 * under it, which happens less often every time.
 *
 * Fresh stacks are taken as a range of addresses under the lock, and get their guards outside of it, since
 * that is a system call. Where that fails the range goes back if nobody has taken a later one meanwhile;
 * otherwise it is given up: addresses only, nothing of it was touched.
 *
 * Must hold: [slab_next, slab_end) is a whole number of strides that nobody has. What is below slab_next is
 *            cut, in a cache or a batch, in use, or given up (its descriptor is zero then). */
#include "runtime/platform/stack.h"

#include "runtime/platform/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(WF_ASAN)
#include <sanitizer/asan_interface.h>
#endif
#if !defined(WF_ASAN) && !defined(WF_TSAN) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define STACK_REGISTER(low, high) VALGRIND_STACK_REGISTER(low, high)
#define STACK_DEREGISTER(id) VALGRIND_STACK_DEREGISTER(id)
#define UNDER_VALGRIND (RUNNING_ON_VALGRIND)
#endif
#endif
#ifndef STACK_REGISTER
#define STACK_REGISTER(low, high) 0
#define STACK_DEREGISTER(id) ((void)(id))
#define UNDER_VALGRIND 0
#endif
#if defined(WF_ASAN) || defined(WF_TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define MUST_FORGET (SANITIZED || UNDER_VALGRIND)

#define SLAB_MIN ((size_t)64 << 20)
#define SLAB_MAX ((size_t)4 << 30)
#define STACK_SIZE_MAX ((size_t)1 << 36)

enum {
    GUARD_MIN = 48 << 10,
    COLOURS = 15,
    COLOUR_STEP = 64,
    TOP_MAX = SANITIZED ? 1088 : 1024, /* descriptor and colour; sanitizers keep more in it */
    MAPS_SPARE = 2048, /* mappings left to everybody else: threads, allocators, libraries */
    GUARD_INSTALL = 102,        /* MADV_GUARD_INSTALL of Linux 6.13: Debian 12's headers are older */
    PIDFD_SELF_THREAD = -10000, /* of Linux 6.14, likewise */
};

_Static_assert(sizeof(struct wf_stack) + (COLOURS - 1) * COLOUR_STEP <= TOP_MAX,
               "descriptor and colour fit the top page of a stack, beside what a small task needs");
_Static_assert(COLOUR_STEP % 16 == 0, "tops are aligned as the ABI wants stacks to be");

/* Guards by mprotect in the whole process, against the pool's limit. Relaxed: a count that orders nothing. */
static WF_ATOMIC(size_t) mprotected;

/* ---- Opening ------------------------------------------------------------------------------------- */

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* How many guards mprotect may make: each splits a mapping in two more. */
static size_t limit_of_mappings(void)
{
    size_t maps = 65530;
    FILE *f = wf_fault(WF_FAULT_FD) ? NULL : fopen("/proc/sys/vm/max_map_count", "re");
    if (f) {
        if (fscanf(f, "%zu", &maps) != 1)
            maps = 65530;
        fclose(f);
    }
    return maps > 2 * MAPS_SPARE ? (maps - MAPS_SPARE) / 2 : maps / 4;
}

/* Reserve another slab of about that many bytes. Under the pool's lock. */
static bool reserve(struct wf_stack_pool *p, size_t wanted)
{
    size_t size = wanted > p->stride ? wanted / p->stride * p->stride : p->stride;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    char *base = wf_fault(WF_FAULT_MAP) ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED)
        return false;
    madvise(base, size, MADV_NOHUGEPAGE); /* refused where there are none: fine */

    struct wf_stack_slab *slab = wf_stack_slab_add(base, size, p->stride, p->guard);
    if (!slab) {
        munmap(base, size);
        return false;
    }
    slab->next = p->slabs;
    p->slabs = slab;
    p->reserved += size;
    p->slab_next = base;
    p->slab_end = base + size;
    return true;
}

/* The guards of n stacks by one call, which Linux 6.14 has. */
static bool install_at_once(struct wf_stack_pool *p, char *bottom, size_t n)
{
    struct iovec guards[WF_STACK_CUT];
    if (wf_fault(WF_FAULT_MAP))
        return false;
    for (size_t i = 0; i < n; i++)
        guards[i] = (struct iovec){bottom + i * p->stride, p->guard};
    long done = syscall(SYS_process_madvise, PIDFD_SELF_THREAD, guards, n, GUARD_INSTALL, 0);
    return done == (long)(n * p->guard);
}

static bool install_one(char *guard, size_t size)
{
    return !wf_fault(WF_FAULT_MAP) && madvise(guard, size, GUARD_INSTALL) == 0;
}

static bool protect_one(char *guard, size_t size)
{
    return !wf_fault(WF_FAULT_MAP) && mprotect(guard, size, PROT_NONE) == 0;
}

/* May the kernel not read there either? Asked of an eventfd, which would be given a zero. An emulator may take
 * MADV_GUARD_INSTALL, say yes and do nothing: we do not want to find out by an overflow. */
static bool is_closed(const void *guard)
{
    int fd = wf_fault(WF_FAULT_FD) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return false;
    bool closed = write(fd, guard, sizeof(uint64_t)) < 0 && errno == EFAULT;
    close(fd);
    return closed;
}

int wf_stack_pool_open(struct wf_stack_pool *p, size_t stack_size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (stack_size == 0 || stack_size > STACK_SIZE_MAX)
        return -EINVAL;
    memset(p, 0, sizeof *p);
    p->stack_size = round_up(stack_size + TOP_MAX, page);
    p->guard = round_up(GUARD_MIN, page);
    p->stride = p->guard + p->stack_size;
    if (p->stride / page % 2 == 0) {
        p->guard += page;
        p->stride += page;
    }
    p->limit = limit_of_mappings();
    p->keeps_pages = MUST_FORGET;
    if (!reserve(p, SLAB_MIN))
        return -ENOMEM;
    p->guard_by_madvise = install_one(p->slab_next, p->guard) && is_closed(p->slab_next);
    p->guard_at_once = p->guard_by_madvise && !UNDER_VALGRIND && install_at_once(p, p->slab_next, 1);
    return 0;
}

/* ---- Closing ------------------------------------------------------------------------------------- */

/* The descriptor of the stack whose guard begins at bottom; index within its slab. */
static struct wf_stack *descriptor(const struct wf_stack_pool *p, char *bottom, size_t index)
{
    return (struct wf_stack *)(bottom + p->stride - index % COLOURS * COLOUR_STEP) - 1;
}

/* Tell the tools that watch us that the stacks in [base, end) are none any more. */
static void forget(struct wf_stack_pool *p, char *base, char *end)
{
    size_t index = 0;
    for (char *bottom = base; bottom < end; bottom += p->stride) {
        struct wf_stack *s = descriptor(p, bottom, index++);
        if (!s->low)
            continue; /* given up */
        wf_context_finish(&s->context);
        STACK_DEREGISTER(s->valgrind);
#if defined(WF_ASAN)
        __asan_unpoison_memory_region(s->low, s->size);
#endif
    }
}

void wf_stack_pool_close(struct wf_stack_pool *p)
{
    while (p->slabs) {
        struct wf_stack_slab *slab = p->slabs;
        char *base = (char *)wf_load(&slab->base, relaxed); /* relaxed: written by us, under the lock */
        size_t size = wf_load(&slab->size, relaxed);
        char *cut_end = p->slab_end == base + size ? p->slab_next : base + size;
        if (MUST_FORGET)
            forget(p, base, cut_end);
        p->slabs = slab->next;
        wf_stack_slab_remove(slab);
        munmap(base, size);
    }
    if (!p->guard_by_madvise)
        wf_sub(&mprotected, p->mapped, relaxed);
    memset(p, 0, sizeof *p);
}

/* ---- Guards -------------------------------------------------------------------------------------- */

/* One line, in one write, once. */
static void complain(struct wf_stack_pool *p)
{
    wf_lock(&p->lock);
    bool first = !p->complained;
    p->complained = true;
    wf_unlock(&p->lock);
    if (!first)
        return;
    char line[400];
    int n = snprintf(line, sizeof line,
                     "weft: no more than %zu stacks: before Linux 6.13 (MADV_GUARD_INSTALL) each takes two "
                     "memory mappings; raise vm.max_map_count\n",
                     p->limit);
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return; /* nobody to tell */
}


/* Returns how many of the n stacks from bottom on have a guard now. */
static size_t install(struct wf_stack_pool *p, char *bottom, size_t n)
{
    if (p->guard_by_madvise && p->guard_at_once && install_at_once(p, bottom, n))
        return n;
    for (size_t i = 0; i < n; i++) {
        char *guard = bottom + i * p->stride;
        if (p->guard_by_madvise) {
            if (!install_one(guard, p->guard))
                return i;
            continue;
        }
        if (wf_add(&mprotected, 1u, relaxed) >= p->limit || !protect_one(guard, p->guard)) {
            wf_sub(&mprotected, 1u, relaxed);
            complain(p);
            return i;
        }
    }
    return n;
}

/* ---- Cutting ------------------------------------------------------------------------------------- */

/* Take the addresses of up to WF_STACK_CUT stacks; index of the first within its slab. How many. */
static size_t take_range(struct wf_stack_pool *p, char **ret, size_t *ret_index)
{
    size_t n = 0;
    wf_lock(&p->lock);
    if (p->slab_next == p->slab_end) {
        size_t wanted = p->reserved < SLAB_MAX ? p->reserved : SLAB_MAX;
        if (!reserve(p, wanted) && !reserve(p, SLAB_MIN) && !reserve(p, p->stride))
            goto out;
    }
    n = (size_t)(p->slab_end - p->slab_next) / p->stride;
    if (n > WF_STACK_CUT)
        n = WF_STACK_CUT;
    *ret = p->slab_next;
    *ret_index = (size_t)(p->slab_next - (char *)wf_load(&p->slabs->base, relaxed)) / p->stride;
    p->slab_next += n * p->stride;
    p->mapped += n;
out:
    wf_unlock(&p->lock);
    return n;
}

/* Give back all but the first `good` of the n stacks that take_range took. */
static void return_range(struct wf_stack_pool *p, char *bottom, size_t n, size_t good)
{
    wf_lock(&p->lock);
    if (p->slab_next == bottom + n * p->stride)
        p->slab_next = bottom + good * p->stride;
    p->mapped -= n - good;
    wf_unlock(&p->lock);
}

/* A list of fresh stacks, in the order of their addresses from the highest down. */
static struct wf_stack *cut(struct wf_stack_pool *p, unsigned *ret_count)
{
    char *bottom = NULL;
    size_t index = 0, n = take_range(p, &bottom, &index);
    if (n == 0)
        return NULL;
    size_t good = install(p, bottom, n);
    if (good < n)
        return_range(p, bottom, n, good);

    struct wf_stack *list = NULL;
    for (size_t i = 0; i < good; i++) {
        struct wf_stack *s = descriptor(p, bottom + i * p->stride, index + i);
        s->low = bottom + i * p->stride + p->guard;
        s->size = (size_t)((char *)s - (char *)s->low);
        s->valgrind = STACK_REGISTER(s->low, (char *)s - 1);
        s->next = list;
        list = s;
    }
    *ret_count = (unsigned)good;
    return list;
}

/* ---- Batches ------------------------------------------------------------------------------------- */

static void give(struct wf_stack_pool *p, struct wf_stack *batch, unsigned size)
{
    batch->batch_size = size;
    wf_lock(&p->lock);
    batch->batch = p->free;
    p->free = batch;
    wf_store(&p->warm, wf_load(&p->warm, relaxed) + size, relaxed); /* under the lock */
    wf_unlock(&p->lock);
}

static struct wf_stack *take(struct wf_stack_pool *p, unsigned *ret_count)
{
    wf_lock(&p->lock);
    struct wf_stack **from = p->free ? &p->free : p->surplus ? &p->surplus : &p->cold, *batch = *from;
    bool is_cold = from == &p->cold;
    if (batch) {
        *from = batch->batch;
        *ret_count = batch->batch_size;
        size_t warm = wf_load(&p->warm, relaxed) - (is_cold ? 0 : batch->batch_size);
        wf_store(&p->warm, warm, relaxed); /* under the lock */
        p->warm_min = warm < p->warm_min ? warm : p->warm_min;
    }
    wf_unlock(&p->lock);
    if (batch && is_cold)
        wf_stack_rewarm(p, batch, *ret_count);
    return batch;
}

struct wf_stack *wf_stack_get_slow(struct wf_stack_pool *p, struct wf_stack_cache *c)
{
    if (c->spare) {
        c->head = c->spare;
        c->count = WF_STACK_BATCH;
        c->spare = NULL;
    } else {
        c->head = take(p, &c->count);
        if (!c->head)
            c->head = cut(p, &c->count);
        if (!c->head)
            return NULL;
    }
    return wf_stack_get(p, c);
}

void wf_stack_put_slow(struct wf_stack_pool *p, struct wf_stack_cache *c, struct wf_stack *s)
{
    if (c->spare)
        give(p, c->spare, WF_STACK_BATCH);
    c->spare = c->head;
    s->next = NULL;
    c->head = s;
    c->count = 1;
}

void wf_stack_cache_drain(struct wf_stack_pool *p, struct wf_stack_cache *c)
{
    if (c->spare)
        give(p, c->spare, WF_STACK_BATCH);
    if (c->head)
        give(p, c->head, c->count);
    memset(c, 0, sizeof *c);
}
