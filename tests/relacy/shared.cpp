/* shared.cpp - shared variables: what stand-in/runtime/platform/atomic.h calls.
 *
 * A shared variable has an rl::atomic beside it, by its address. Relacy wants all atomics to be there before threads
 * begin; which there are shows as they are met, so an iteration that meets a new one is given up, and all begins again
 * with one more. The variable itself always holds the latest value, for those who look at memory directly. */

enum { CELLS_MAX = 256, PLACES_MAX = 512 };

/* ---- an rl::atomic for each ---- */

static struct cell {
    uintptr_t at;
    unsigned size;
    char name[20]; /* for histories */
    unsigned outdated[THREADS_MAX]; /* how often in a row each has been given an old value */
    rl::var_data *life;             /* read by each access, written by who gives the memory back */
    alignas(16) char object[sizeof(rl::atomic<uint64_t>)];
} cells[CELLS_MAX];
static unsigned cell_count; /* of this model; they stay */
static bool learned;        /* one more: begin again */
static struct cell *begun[CELLS_MAX];
static unsigned begun_count;

template<typename F> static auto with(struct cell *c, F f)
{
    switch (c->size) {
    case 1: /* a byte would be a letter in a history, and nobody adds to one */
    case 2: return f(*reinterpret_cast<rl::atomic<uint16_t> *>(c->object));
    case 4: return f(*reinterpret_cast<rl::atomic<uint32_t> *>(c->object));
    default: return f(*reinterpret_cast<rl::atomic<uint64_t> *>(c->object));
    }
}

static uint64_t in_memory(const struct cell *c)
{
    uint64_t v = 0;
    memcpy(&v, (void *)c->at, c->size); /* little-endian, as both our ports */
    return v;
}

static void make(struct cell *c)
{
    uint64_t v = in_memory(c);
    memset(c->outdated, 0, sizeof c->outdated);
    c->life = rl::ctx().var_ctor();
    with(c, [&](auto &a) {
        using A = std::remove_reference_t<decltype(a)>;
        new (&a) A((decltype(a.debug_value()))v);
    });
}

static void unmake(struct cell *c)
{
    rl::ctx().var_dtor(c->life);
    with(c, [](auto &a) {
        using A = std::remove_reference_t<decltype(a)>;
        a.~A();
    });
}

static void begin_cells(void)
{
    begun_count = 0;
    for (unsigned i = 0; i < cell_count; i++)
        make(&cells[i]);
}

static void end_cells(void)
{
    for (unsigned i = 0; i < cell_count; i++)
        unmake(&cells[i]);
}

static void forget_cells(void)
{
    cell_count = 0;
}

static struct cell *learn(uintptr_t at, unsigned size)
{
    if (cell_count == CELLS_MAX)
        model_fail("more shared variables than this engine can look after");
    struct cell *c = &cells[cell_count++];
    c->at = at;
    c->size = size;
    snprintf(c->name, sizeof c->name, "0x%lx", (unsigned long)at);
    for (unsigned i = 0; i < size; i++)
        mark_shared(at + i);
    learned = true;
    rl::ctx().rl_until("one more shared variable", rl::debug_info());
    abort();
}

static struct cell *find_cell(const void *p, unsigned size)
{
    static uint16_t table[1024];
    uintptr_t at = (uintptr_t)p;
    uint16_t *hint = &table[(at >> 2) % 1024];
    check_alive(at, size);
    if (*hint < cell_count && cells[*hint].at == at && cells[*hint].size == size)
        return &cells[*hint];
    for (unsigned i = 0; i < cell_count; i++) {
        if (at >= cells[i].at + cells[i].size || at + size <= cells[i].at)
            continue;
        if (cells[i].at != at || cells[i].size != size)
            model_fail("a shared variable is accessed in two sizes: %p", p);
        *hint = (uint16_t)i;
        return &cells[i];
    }
    return learn(at, size);
}

/* A plain write to a shared variable begins its life, as of one in a frame: like a relaxed store by one who must not
 * meet others there. The compiler tells of it just before it, so the store is made as soon as there is more to do. */
static void begin_life(uintptr_t at, size_t size, uintptr_t pc)
{
    for (unsigned i = 0; i < cell_count; i++) {
        if (at >= cells[i].at + cells[i].size || at + size <= cells[i].at)
            continue;
        if (!cells[i].life->store(*rl::ctx().threadx_))
            model_fail("data race at pc:%lx, on the shared variable %s", (unsigned long)pc, cells[i].name);
        if (begun_count == CELLS_MAX)
            model_fail("more shared variables begin at once than this engine can look after");
        begun[begun_count++] = &cells[i];
    }
}

static void settle(void)
{
    if (!begun_count)
        return;
    rl::ctx().disable_preemption();
    for (unsigned i = 0; i < begun_count; i++)
        with(begun[i], [&](auto &a) {
            a.store((decltype(a.debug_value()))in_memory(begun[i]), rl::mo_relaxed, rl::debug_info(begun[i]->name));
        });
    rl::ctx().enable_preemption();
    begun_count = 0;
}

/* The one that is about to be accessed. */
static struct cell *cell_of(const void *p, unsigned size)
{
    settle();
    struct cell *c = find_cell(p, size);
    if (!c->life->load(*rl::ctx().threadx_))
        model_fail("use of %p, which others have left or freed", p);
    return c;
}

/* Their memory goes: has everything been before that was done to them? */
static bool end_life(uintptr_t at, size_t size)
{
    bool ordered = true;
    for (unsigned i = 0; i < cell_count; i++)
        if (cells[i].at >= at && cells[i].at < at + size)
            ordered &= cells[i].life->store(*rl::ctx().threadx_);
    return ordered;
}

/* ---- places, and weaker orders ---- */

static const char *const order_names[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst"};

static struct place {
    const char *file, *what;
    unsigned line, order; /* as in the source */
    int weaker;           /* -1: as in the source */
} places[PLACES_MAX];
static unsigned place_count;
static bool places_wanted; /* somebody wants to know them, or to weaken one */

static struct place *place_of(const char *file, unsigned line, const char *what, unsigned order)
{
    for (unsigned i = 0; i < place_count; i++)
        if (places[i].line == line && strcmp(places[i].what, what) == 0 && strcmp(places[i].file, file) == 0)
            return &places[i];
    if (place_count == PLACES_MAX)
        abort();
    places[place_count] = {file, what, line, order, -1};
    return &places[place_count++];
}

static rl::memory_order order_of(const char *file, unsigned line, const char *what, unsigned order)
{
    static const rl::memory_order orders[] = {rl::mo_relaxed, rl::mo_acquire, rl::mo_release, rl::mo_acq_rel,
                                              rl::mo_seq_cst};
    if (places_wanted) {
        struct place *p = place_of(file, line, what, order);
        if (p->weaker >= 0)
            order = (unsigned)p->weaker;
    }
    return orders[order];
}

/* "runtime/queue.h:51:load=relaxed" */
static bool weaken(char *text)
{
    char *line = strchr(text, ':'), *what = line ? strchr(line + 1, ':') : nullptr;
    char *order = what ? strchr(what, '=') : nullptr;
    if (!order)
        return false;
    *line = *what = *order = 0;
    for (unsigned i = 0; i < 5; i++)
        if (strcmp(order + 1, order_names[i]) == 0) {
            place_of(text, (unsigned)atoi(line + 1), what + 1, 0)->weaker = (int)i;
            return places_wanted = true;
        }
    return false;
}

static void print_places(void)
{
    for (unsigned i = 0; i < place_count; i++)
        printf("place %s:%u %s %s\n", places[i].file, places[i].line, places[i].what, order_names[places[i].order]);
}

/* ---- what stand-in/runtime/platform/atomic.h calls ---- */

/* Stores become visible in the end: who was given an old value so often is now given none it has seen before. */
static void limit_outdated(struct cell *c, unsigned thread)
{
    unsigned most = now.model->stale > 0 ? (unsigned)now.model->stale : 2;
    if (c->outdated[thread] >= most)
        rl::ctx().threadx_->last_yield_ = rl::ctx().threadx_->own_acq_rel_order_;
}

static void written(struct cell *c)
{
    uint64_t v = with(c, [](auto &a) { return (uint64_t)a.debug_value(); });
    memcpy((void *)c->at, &v, c->size);
    if (!now.alone_runs)
        wake_blocked();
}

extern "C" {

uint64_t relacy_load(const void *p, unsigned size, unsigned order, const char *file, unsigned line)
{
    struct cell *c = cell_of(p, size);
    unsigned thread = (unsigned)rl::ctx().threadx_->index_;
    rl::memory_order mo = order_of(file, line, "load", order);
    limit_outdated(c, thread);
    uint64_t v = with(c, [&](auto &a) { return (uint64_t)a.load(mo, rl::debug_info(c->name, file, line)); });
    c->outdated[thread] = v == in_memory(c) ? 0 : c->outdated[thread] + 1;
    return v;
}

/* weft/fork.h is in users' code, where it has the compiler's own word. */
uint8_t __tsan_atomic8_load(const volatile uint8_t *p, int order)
{
    if (order != __ATOMIC_RELAXED)
        model_fail("a load of one byte that is not relaxed");
    return (uint8_t)relacy_load((const void *)p, 1, 0, "runtime/include/weft/fork.h", 0);
}

void relacy_store(void *p, unsigned size, uint64_t v, unsigned order, const char *file, unsigned line)
{
    struct cell *c = cell_of(p, size);
    rl::memory_order mo = order_of(file, line, "store", order);
    with(c, [&](auto &a) { a.store((decltype(a.debug_value()))v, mo, rl::debug_info(c->name, file, line)); });
    written(c);
}

uint64_t relacy_rmw(unsigned what, void *p, unsigned size, uint64_t v, unsigned order, const char *file, unsigned line)
{
    static const char *const names[] = {"exchange", "fetch_add", "fetch_sub", "fetch_or", "fetch_and"};
    struct cell *c = cell_of(p, size);
    rl::memory_order mo = order_of(file, line, names[what], order);
    rl::debug_info info(c->name, file, line);
    uint64_t before = with(c, [&](auto &a) -> uint64_t {
        auto value = (decltype(a.debug_value()))v;
        switch (what) {
        case 0: return a.rmw(rl::rmw_type_t<rl::rmw_type_swap>(), value, mo, info);
        case 1: return a.rmw(rl::rmw_type_t<rl::rmw_type_add>(), value, mo, info);
        case 2: return a.rmw(rl::rmw_type_t<rl::rmw_type_sub>(), value, mo, info);
        case 3: return a.rmw(rl::rmw_type_t<rl::rmw_type_or>(), value, mo, info);
        default: return a.rmw(rl::rmw_type_t<rl::rmw_type_and>(), value, mo, info);
        }
    });
    written(c);
    return before;
}

bool relacy_cas(void *p, unsigned size, void *expected, uint64_t v, bool weak, unsigned order, const char *file,
                unsigned line)
{
    struct cell *c = cell_of(p, size);
    rl::memory_order mo = order_of(file, line, "cas", order);
    rl::debug_info info(c->name, file, line);
    bool may_fail = weak && now.model->spurious >= 0;
    bool done = with(c, [&](auto &a) {
        using T = decltype(a.debug_value());
        T is;
        memcpy(&is, expected, sizeof is);
        bool swapped = may_fail ? a.compare_exchange_weak(is, (T)v, mo, info)
                                : a.compare_exchange_strong(is, (T)v, mo, info);
        memcpy(expected, &is, sizeof is);
        return swapped;
    });
    if (done)
        written(c);
    return done;
}

void relacy_fence(const char *file, unsigned line)
{
    settle();
    rl::atomic_thread_fence(order_of(file, line, "fence", 4), rl::debug_info("", file, line));
}
}

