/* alloc.cpp - memory of an iteration: what wf_alloc() gives, thread-locals, frames that are gone, static variables.
 *
 * As in tests/model/core/alloc.c: addresses are never used twice within an iteration and are the same in each, which
 * shared.cpp relies on. Relacy has an allocator too; it gives addresses again, at random. */

static const size_t UNIT = 16;
enum { ARENA_BYTES = 1 << 20, BLOCKS_MAX = 256, GONE_MAX = 16, LOCALS_MAX = 32 };

struct block {
    uintptr_t at;
    size_t size;
    bool freed, local;
};

static struct {
    char *arena;
    size_t used;
    struct block block[BLOCKS_MAX];
    unsigned blocks;
    struct { uintptr_t at; size_t size; unsigned owner; } gone[GONE_MAX];
    unsigned gone_count;
    struct { const void *control; void *at; unsigned thread; } local[LOCALS_MAX];
    unsigned locals;
    char *statics; /* as they were at the start */
} memory;

extern "C" char model_data_begin[] __asm__("__start_model_data") __attribute__((weak));
extern "C" char model_data_end[] __asm__("__stop_model_data") __attribute__((weak));

static size_t statics_size(void)
{
    return (size_t)(model_data_end - model_data_begin);
}

static void map_memory(void)
{
    void *at = mmap((void *)(UINT64_C(0x7d) << 36), ARENA_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    memory.statics = (char *)malloc(statics_size() + 1);
    if (at == MAP_FAILED || !memory.statics)
        abort();
    memory.arena = (char *)at;
    memcpy(memory.statics, model_data_begin, statics_size());
}

static void begin_allocations(void)
{
    memcpy(model_data_begin, memory.statics, statics_size());
    memset(memory.arena, 0, memory.used);
    memory.used = 0;
    memory.blocks = memory.gone_count = memory.locals = 0;
}

static void *allocate(size_t size, size_t align, bool local)
{
    size_t at = (memory.used + align - 1) & ~(align - 1), room = (size + 2 * UNIT - 1) & ~(size_t)(UNIT - 1);
    if (memory.blocks == BLOCKS_MAX || at + room > ARENA_BYTES)
        model_fail("the model allocates too much memory for this engine");
    memory.block[memory.blocks++] = {(uintptr_t)memory.arena + at, size, false, local};
    memory.used = at + room;
    return memory.arena + at;
}

static struct block *block_at(uintptr_t at)
{
    for (unsigned i = memory.blocks; i--;)
        if (at >= memory.block[i].at)
            return &memory.block[i];
    return nullptr;
}

static void release(struct block *b)
{
    end_of_memory(b->at, b->size);
    b->freed = true;
}

/* ---- checks ---- */

static void check_heap(uintptr_t at, size_t size)
{
    struct block *b = block_at(at);
    if (!b || at + size > b->at + b->size)
        model_fail("out of bounds: %p", (void *)at);
    if (b->freed)
        model_fail("use after it was freed: %p", (void *)at);
}

static void check_gone(uintptr_t at, size_t size)
{
    for (unsigned i = 0; i < memory.gone_count; i++) {
        auto *g = &memory.gone[i];
        if (at + size <= g->at || at >= g->at + g->size)
            continue;
        if (g->owner != model_self())
            model_fail("use of memory that T%u has left: %p", g->owner, (void *)at);
        *g = memory.gone[--memory.gone_count]; /* its owner begins it anew */
        i--;
    }
}

static void check_alive(uintptr_t at, size_t size)
{
    if (at - (uintptr_t)memory.arena < ARENA_BYTES)
        check_heap(at, size);
    if (memory.gone_count)
        check_gone(at, size);
}

static void check_leaks(void)
{
    for (unsigned i = 0; !now.model->keeps && i < memory.blocks; i++)
        if (!memory.block[i].freed && !memory.block[i].local)
            model_fail("leak: %p, %zu bytes", (void *)memory.block[i].at, memory.block[i].size);
}

/* The thread has ended: its thread-locals are gone. */
static void end_locals(unsigned thread)
{
    for (unsigned i = 0; i < memory.locals; i++)
        if (memory.local[i].thread == thread)
            release(block_at((uintptr_t)memory.local[i].at));
}

/* ---- what models call ---- */

extern "C" {

void model_gone(const void *p, size_t size)
{
    end_of_memory((uintptr_t)p, size);
    if (memory.gone_count == GONE_MAX)
        model_fail("too much is gone for this engine");
    memory.gone[memory.gone_count++] = {(uintptr_t)p, size, model_self()};
}

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
    if (!b || b->at != (uintptr_t)p || b->freed || b->size != size)
        model_fail("wf_free of what is not there, or no more, or of another size: %p", p);
    release(b);
}

/* The compiler's, for each use of a thread-local. */
struct emutls {
    uintptr_t size, align;
    void *object;
    const void *begin;
};

void *__emutls_get_address(const struct emutls *control)
{
    for (unsigned i = 0; i < memory.locals; i++)
        if (memory.local[i].control == control && memory.local[i].thread == model_self())
            return memory.local[i].at;
    if (memory.locals == LOCALS_MAX)
        model_fail("too many thread-locals for this engine");
    void *at = allocate(control->size, control->align < UNIT ? UNIT : control->align, true);
    if (control->begin)
        memcpy(at, control->begin, control->size);
    memory.local[memory.locals++] = {control, at, model_self()};
    return at;
}
}
