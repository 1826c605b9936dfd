/* hooks.c - what the compiler calls for every access to memory, with -fsanitize=thread.
 *
 * ThreadSanitizer's own library is not linked: these are its functions' names with our bodies. So the files of weft are
 * checked as they are, and nothing of this is in any other build. Where a call came from is the access's place, and the
 * order is an argument: one place's order can be weakened for a run, which is how it is found out whether anything
 * depends on it. */
#include "tests/model/core/core.h"

#include <stdio.h>
#include <stdlib.h>

#define PC() ((uintptr_t)__builtin_return_address(0) - 1)

/* ---- places ---- */

enum { PLACES = 4096 };

static struct place {
    uintptr_t pc;
    const char *what;
    uint8_t order;  /* as it is in the source, by the compiler */
    uint8_t weaker; /* and for this run */
} places[PLACES];
static bool places_kept; /* somebody wants to know them, or to weaken one */

static struct place *place_of(uintptr_t pc)
{
    unsigned i = (unsigned)(pc * UINT64_C(0x9e3779b97f4a7c15) >> 52);
    while (places[i].pc && places[i].pc != pc)
        i = (i + 1) % PLACES;
    return &places[i];
}

static __attribute__((noinline)) unsigned look_up(uintptr_t pc, const char *what, unsigned order)
{
    struct place *p = place_of(pc);
    if (!p->pc || !p->what) {
        if (!p->pc)
            p->weaker = (uint8_t)order;
        p->pc = pc;
        p->what = what;
        p->order = (uint8_t)order;
    }
    return p->weaker;
}

static inline unsigned order_at(uintptr_t pc, const char *what, unsigned order)
{
    return LIKELY(!places_kept) ? order : look_up(pc, what, order);
}

static const char *order_names[] = {"relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst"};

/* "4011f3=relaxed" */
static bool weaken(const char *text)
{
    char *end;
    uintptr_t pc = strtoul(text, &end, 16);
    for (unsigned order = 0; *end == '=' && order <= SEQ_CST; order++)
        if (strcmp(end + 1, order_names[order]) == 0) {
            struct place *p = place_of(pc);
            p->pc = pc;
            p->weaker = (uint8_t)order;
            return places_kept = true;
        }
    return false;
}

static void print_places(void)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (places[i].what)
            printf("place %lx %s %s\n", (unsigned long)places[i].pc, places[i].what, order_names[places[i].order]);
}

/* ---- plain accesses ---- */

#define PLAIN(n)                                                                                                 \
    void __tsan_read##n(void *p);                                                                                \
    void __tsan_read##n(void *p) { plain_access((uintptr_t)p, n, false, PC()); }                                 \
    void __tsan_write##n(void *p);                                                                               \
    void __tsan_write##n(void *p) { plain_access((uintptr_t)p, n, true, PC()); }                                 \
    void __tsan_unaligned_read##n(void *p);                                                                      \
    void __tsan_unaligned_read##n(void *p) { plain_access((uintptr_t)p, n, false, PC()); }                       \
    void __tsan_unaligned_write##n(void *p);                                                                     \
    void __tsan_unaligned_write##n(void *p) { plain_access((uintptr_t)p, n, true, PC()); }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_init(void)
{
}

void *__tsan_memset(void *p, int byte, size_t size);
void *__tsan_memset(void *p, int byte, size_t size)
{
    plain_access((uintptr_t)p, size, true, PC());
    return memset(p, byte, size);
}

void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    plain_access((uintptr_t)from, size, false, PC());
    plain_access((uintptr_t)to, size, true, PC());
    return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size);
void *__tsan_memmove(void *to, const void *from, size_t size)
{
    plain_access((uintptr_t)from, size, false, PC());
    plain_access((uintptr_t)to, size, true, PC());
    return memmove(to, from, size);
}

/* ---- atomics ---- */

/* What atomic.h calls in a model: the weak form and the strong one are the same to the compiler. */
bool wf_model_fails(void);
bool wf_model_fails(void)
{
    if (!run.spurious || !choose(CHOICE_WEAK, 2))
        return false;
    run.spurious--;
    NOTE("the weak exchange fails for no reason");
    return true;
}

void wf_model_pause(void);
void wf_model_pause(void)
{
    model_pause();
}

#define RMW(bits, name, expression)                                                                              \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t v, int order);        \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t v, int order)         \
    {                                                                                                            \
        unsigned o = order_at(PC(), #name, (unsigned)order);                                                     \
        struct spot *s = exchange_begin((uintptr_t)p, bits / 8, PC());                                           \
        uint##bits##_t old = (uint##bits##_t)s->stores[s->count - 1].value;                                      \
        exchange_end(s, (uint##bits##_t)(expression), o, PC());                                                  \
        return old;                                                                                              \
    }

#define ATOMIC(bits)                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order);                      \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order)                       \
    {                                                                                                            \
        unsigned o = order_at(PC(), "load", (unsigned)order);                                                    \
        return (uint##bits##_t)atomic_load_at((uintptr_t)p, bits / 8, o, PC());                                  \
    }                                                                                                            \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t v, int order);                   \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t v, int order)                    \
    {                                                                                                            \
        unsigned o = order_at(PC(), "store", (unsigned)order);                                                   \
        atomic_store_at((uintptr_t)p, bits / 8, v, o, PC());                                                     \
    }                                                                                                            \
    RMW(bits, exchange, v)                                                                                       \
    RMW(bits, fetch_add, old + v)                                                                                \
    RMW(bits, fetch_sub, old - v)                                                                                \
    RMW(bits, fetch_or, old | v)                                                                                 \
    RMW(bits, fetch_and, old & v)                                                                                \
    RMW(bits, fetch_xor, old ^ v)                                                                                \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p, uint##bits##_t expected, \
                                                              uint##bits##_t v, int order, int failure);         \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p, uint##bits##_t expected, \
                                                              uint##bits##_t v, int order, int failure)          \
    {                                                                                                            \
        unsigned o = order_at(PC(), "cas", (unsigned)order);                                                     \
        if ((int)o != order) /* weakened: the failure with it */                                                 \
            failure = o == SEQ_CST ? SEQ_CST : o == ACQUIRE || o == ACQ_REL ? ACQUIRE : RELAXED;                 \
        return (uint##bits##_t)compare_exchange((uintptr_t)p, bits / 8, expected, v, o, (unsigned)failure, PC()); \
    }

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    fence(order_at(PC(), "fence", (unsigned)order), PC());
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
