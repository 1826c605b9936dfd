/* alloc.c - memory of an execution: what wf_alloc() gives, thread-locals, frames that are gone, static variables.
 *
 * Addresses are never used twice within an execution, and are the same in every process, so that what is freed stays
 * recognisable and a string that repeats an execution repeats it. The static variables of a model, and of the files it
 * includes, lie in a section of their own, which is put back to its beginning before each execution. Thread-locals are
 * emulated (the compiler asks __emutls_get_address for each), since a model's threads are one to the system. */
#include "tests/model/core/core.h"

#include "runtime/alloc.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { ARENA_BYTES = 8 << 20, UNIT = 16, BLOCKS_MAX = 4096, GONE_MAX = 64, LOCALS_MAX = 64 };

struct block {
    uintptr_t at;
    size_t size;
    int16_t since;   /* the allocator's clock */
    uint8_t owner;   /* who allocated */
    bool freed, local;
};

static struct {
    char *arena;
    size_t used;
    uint16_t *block_of; /* per unit: index + 1 */
    struct block block[BLOCKS_MAX];
    unsigned blocks;
    struct { uintptr_t at; size_t size; unsigned owner; } gone[GONE_MAX];
    unsigned gone_count;
    struct { const void *control; void *at; unsigned thread; } local[LOCALS_MAX];
    unsigned locals;
    char *statics; /* as they were at the start */
} memory;

extern char model_data_begin[] __asm__("__start_model_data") __attribute__((weak));
extern char model_data_end[] __asm__("__stop_model_data") __attribute__((weak));

static size_t statics_size(void)
{
    return (size_t)(model_data_end - model_data_begin);
}

static void map_memory(void)
{
    memory.arena = mmap((void *)(UINT64_C(0x7d) << 36), ARENA_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    memory.block_of = calloc(ARENA_BYTES / UNIT, sizeof *memory.block_of);
    memory.statics = malloc(statics_size() + 1);
    if (memory.arena == MAP_FAILED || !memory.block_of || !memory.statics)
        abort();
    memcpy(memory.statics, model_data_begin, statics_size());
}

static void reset_memory(void)
{
    memcpy(model_data_begin, memory.statics, statics_size());
    if (memory.used)
        memset(memory.block_of, 0, memory.used / UNIT * sizeof *memory.block_of);
    memory.used = 0;
    memory.blocks = memory.gone_count = memory.locals = 0;
}

static void *allocate(size_t size, size_t align, bool local)
{
    size_t at = (memory.used + align - 1) & ~(align - 1), room = (size + 2 * UNIT - 1) & ~(size_t)(UNIT - 1);
    if (memory.blocks == BLOCKS_MAX || at + room > ARENA_BYTES)
        model_fail("the model allocates too much memory for this checker");
    struct thread *t = self();
    memory.block[memory.blocks++] = (struct block){
        .at = (uintptr_t)memory.arena + at, .size = size, .since = t->now[run.self], .owner = (uint8_t)run.self,
        .local = local};
    for (size_t i = at; i < at + room; i += UNIT)
        memory.block_of[i / UNIT] = (uint16_t)memory.blocks;
    memory.used = at + room;
    return memset(memory.arena + at, 0, room);
}

static void release(struct block *b, uintptr_t pc)
{
    end_of_spots(b->at, b->size, pc);
    b->freed = true;
}

static struct block *block_at(uintptr_t at)
{
    size_t offset = at - (uintptr_t)memory.arena;
    unsigned i = offset < memory.used ? memory.block_of[offset / UNIT] : 0;
    return i ? &memory.block[i - 1] : NULL;
}

/* ---- checks ---- */

static __attribute__((noinline)) void check_heap(uintptr_t at, size_t size)
{
    struct block *b = block_at(at);
    if (!b || at + size > b->at + b->size)
        model_fail("out of bounds: %s", describe(at));
    if (b->freed)
        model_fail("%s after it was freed: %s", b->local ? "use of a thread-local" : "use", describe(at));
    if (self()->now[b->owner] < b->since)
        model_fail("%s is used, and nothing orders that after its allocation by T%u", describe(at), b->owner);
}

static __attribute__((noinline)) void check_gone(uintptr_t at, size_t size)
{
    for (unsigned i = 0; i < memory.gone_count; i++) {
        if (at + size <= memory.gone[i].at || at >= memory.gone[i].at + memory.gone[i].size)
            continue;
        if (memory.gone[i].owner != run.self)
            model_fail("use of memory that T%u has left: %s", memory.gone[i].owner, describe(at));
        memory.gone[i] = memory.gone[--memory.gone_count]; /* its owner begins it anew */
        i--;
    }
}

static inline void check_alive(uintptr_t at, size_t size)
{
    uintptr_t stack = at - (uintptr_t)stacks;
    if (at - (uintptr_t)memory.arena < ARENA_BYTES)
        check_heap(at, size);
    else if (stack < (size_t)MODEL_THREADS_MAX * 2 * STACK_BYTES && (run.ended >> (stack / (2 * STACK_BYTES)) & 1))
        model_fail("use of the stack of T%u, which has ended", (unsigned)(stack / (2 * STACK_BYTES)));
    if (UNLIKELY(memory.gone_count))
        check_gone(at, size);
}

void model_gone(const void *p, size_t size)
{
    uintptr_t at = (uintptr_t)p;
    end_of_spots(at, size, (uintptr_t)__builtin_return_address(0));
    if (memory.gone_count == GONE_MAX)
        model_fail("too much is gone for this checker");
    memory.gone[memory.gone_count].at = at;
    memory.gone[memory.gone_count].size = size;
    memory.gone[memory.gone_count++].owner = run.self;
}

static void check_leaks(void)
{
    for (unsigned i = 0; !run.model->keeps && i < memory.blocks; i++)
        if (!memory.block[i].freed && !memory.block[i].local)
            model_fail("leak: %s, %zu bytes by T%u", describe(memory.block[i].at), memory.block[i].size,
                       memory.block[i].owner);
}

static void end_memory_of_thread(unsigned thread)
{
    for (unsigned i = 0; i < memory.locals; i++)
        if (memory.local[i].thread == thread)
            release(block_at((uintptr_t)memory.local[i].at), 0);
}

/* ---- what models call ---- */

void *wf_alloc_aligned(size_t size, size_t align)
{
    return allocate(size, align < UNIT ? UNIT : align, false);
}

void *wf_alloc(size_t size)
{
    return allocate(size, UNIT, false);
}

void wf_free(void *p, size_t size)
{
    if (!p)
        return;
    struct block *b = block_at((uintptr_t)p);
    if (!b || b->at != (uintptr_t)p)
        model_fail("wf_free of what wf_alloc did not give");
    if (b->freed)
        model_fail("freed twice: %s", describe(b->at));
    if (size != b->size)
        model_fail("wf_free of %zu bytes that were allocated as %zu: %s", size, b->size, describe(b->at));
    NOTE("free %s", describe(b->at));
    release(b, (uintptr_t)__builtin_return_address(0));
}

/* The compiler's, for each use of a thread-local. */
struct emutls {
    uintptr_t size, align;
    void *object;
    const void *begin;
};
void *__emutls_get_address(const struct emutls *control);

void *__emutls_get_address(const struct emutls *control)
{
    for (unsigned i = 0; i < memory.locals; i++)
        if (memory.local[i].control == control && memory.local[i].thread == run.self)
            return memory.local[i].at;
    if (memory.locals == LOCALS_MAX)
        model_fail("too many thread-locals for this checker");
    void *at = allocate(control->size, control->align < UNIT ? UNIT : control->align, true);
    if (control->begin)
        memcpy(at, control->begin, control->size);
    memory.local[memory.locals].control = control;
    memory.local[memory.locals].thread = run.self;
    memory.local[memory.locals++].at = at;
    return at;
}
