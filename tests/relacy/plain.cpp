/* plain.cpp - every other access, of which the compiler tells (-fsanitize=thread, as in tests/model/core/hooks.c).
 *
 * Relacy's detector of data races, which it has for its rl::var, is asked about each: word by word, or byte by byte
 * where smaller pieces are met. */

enum { WORDS = 4096 };

/* ---- words ---- */

static struct word {
    uintptr_t at;      /* of four aligned bytes; 0: none */
    bool in_use;       /* in this iteration */
    bool in_pieces;    /* smaller ones than the word are accessed */
    uint8_t is_shared; /* these bytes are of shared variables: a bit each */
    rl::var_data *whole, *byte[4];
} words[WORDS];
static struct word *used[WORDS];
static unsigned used_count;

static struct word *word_at(uintptr_t at)
{
    unsigned i = (unsigned)((at >> 2) * UINT64_C(0x9e3779b97f4a7c15) >> 52);
    for (unsigned n = 0; words[i].at && words[i].at != at; n++) {
        if (n == WORDS / 2)
            model_fail("more memory is used than this engine can look after");
        i = (i + 1) % WORDS;
    }
    words[i].at = at;
    return &words[i];
}

static struct word *word_in_use(uintptr_t at)
{
    struct word *w = word_at(at);
    if (!w->in_use) {
        w->in_use = true;
        used[used_count++] = w;
    }
    return w;
}

static void mark_shared(uintptr_t byte)
{
    word_at(byte & ~(uintptr_t)3)->is_shared |= 1u << (byte & 3);
}

static void begin_words(void)
{
    for (unsigned i = 0; i < used_count; i++) {
        struct word *w = used[i];
        w->in_use = false;
        w->whole = w->byte[0] = w->byte[1] = w->byte[2] = w->byte[3] = nullptr;
    }
    used_count = 0;
}

static void end_words(void)
{
    for (unsigned i = 0; i < used_count; i++) {
        if (used[i]->whole)
            rl::ctx().var_dtor(used[i]->whole);
        for (rl::var_data *v : used[i]->byte)
            if (v)
                rl::ctx().var_dtor(v);
    }
}

static void forget_words(void)
{
    memset(words, 0, sizeof words);
    used_count = 0;
}

/* ---- accesses ---- */

struct plain_event {
    uintptr_t at, pc;
    unsigned size;
    bool write;

    void output(std::ostream &s) const
    {
        char text[100];
        snprintf(text, sizeof text, "<%lx> plain %s of %u bytes at pc:%lx", (unsigned long)at,
                 write ? "write" : "read", size, (unsigned long)pc);
        s << text;
    }
};

static void note_plain(uintptr_t at, size_t size, bool write, uintptr_t pc)
{
    rl::context &c = rl::ctx();
    rl::debug_info info("", "", 0);
    RL_HIST(plain_event) {at, pc, (unsigned)size, write} RL_HIST_END();
}

static bool is_ordered(rl::var_data **v, bool write)
{
    rl::context &c = rl::ctx();
    if (!*v)
        *v = c.var_ctor();
    return write ? (*v)->store(*c.threadx_) : (*v)->load(*c.threadx_);
}

/* These bytes of the word, a bit each. */
static bool access_word(struct word *w, unsigned bytes, bool write)
{
    if (bytes != 15)
        w->in_pieces = true;
    if (!w->in_pieces)
        return is_ordered(&w->whole, write);
    bool ordered = true;
    for (unsigned i = 0; i < 4; i++)
        if (bytes & 1u << i)
            ordered &= is_ordered(&w->byte[i], write);
    return ordered;
}

static void plain_access(uintptr_t at, size_t size, bool write, uintptr_t pc)
{
    if (!rl::is_ctx() || !now.model)
        return;
    settle();
    check_alive(at, size);
    note_plain(at, size, write, pc);
    for (uintptr_t p = at & ~(uintptr_t)3; p < at + size; p += 4) {
        unsigned bytes = 15;
        if (p < at)
            bytes &= 15u << (at - p);
        if (p + 4 > at + size)
            bytes &= 15u >> (p + 4 - at - size);
        struct word *w = word_in_use(p);
        if ((w->is_shared & bytes) && write)
            begin_life(std::max(p, at), std::min(p + 4, at + size) - std::max(p, at), pc);
        else if ((w->is_shared & bytes) && !now.alone_runs)
            model_fail("a plain read, at pc:%lx, to a shared variable, %p", (unsigned long)pc, (void *)p);
        if (!access_word(w, bytes & ~w->is_shared & 15u, write))
            model_fail("data race at pc:%lx, on %p", (unsigned long)pc, (void *)p);
    }
}

/* It goes: whatever was done to it must have been before. */
static void end_of_memory(uintptr_t at, size_t size)
{
    bool ordered = end_life(at, size);
    for (uintptr_t p = at & ~(uintptr_t)3; p < at + size; p += 4) {
        struct word *w = word_at(p);
        if (!w->in_use)
            continue;
        if (w->whole)
            ordered &= is_ordered(&w->whole, true);
        for (rl::var_data *&v : w->byte)
            if (v)
                ordered &= is_ordered(&v, true);
    }
    if (!ordered)
        model_fail("%p goes, and others may still be at it", (void *)at);
}

/* ---- what the compiler calls ---- */

#define PC() ((uintptr_t)__builtin_return_address(0) - 1)
#define PLAIN(n)                                                                                                    \
    extern "C" void __tsan_read##n(void *p) { plain_access((uintptr_t)p, n, false, PC()); }                         \
    extern "C" void __tsan_write##n(void *p) { plain_access((uintptr_t)p, n, true, PC()); }                         \
    extern "C" void __tsan_unaligned_read##n(void *p) { plain_access((uintptr_t)p, n, false, PC()); }               \
    extern "C" void __tsan_unaligned_write##n(void *p) { plain_access((uintptr_t)p, n, true, PC()); }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

extern "C" {

void __tsan_init(void)
{
}

void *__tsan_memset(void *p, int byte, size_t size)
{
    plain_access((uintptr_t)p, size, true, PC());
    return memset(p, byte, size);
}

void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    plain_access((uintptr_t)from, size, false, PC());
    plain_access((uintptr_t)to, size, true, PC());
    return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size)
{
    plain_access((uintptr_t)from, size, false, PC());
    plain_access((uintptr_t)to, size, true, PC());
    return memmove(to, from, size);
}
}
