/* context.c - the first frame of a context, and what sanitizers want to hear.
 *
 * A fresh context is written so that the switch's ordinary way to go on enters wf_context_begin, with the
 * entry and its argument in callee-saved registers; context_<architecture>.S has the layout. Above that the
 * stack ends with a frame of zeros, where unwinders stop that follow frame pointers.
 *
 * Sanitizers. ASan keeps a shadow stack (the "fake stack") per stack: it is handed over in two halves, one
 * before the switch and one after, on the other side. TSan keeps a history and a shadow call stack per fiber;
 * it is told last thing before the switch, by a function it does not instrument, since that one would else
 * be entered on one shadow call stack and left on another. Such a switch is ordered, as what one thread does; worker.c
 * uses switches of which TSan is not told, and says whose accesses they are by sides instead. */
#include "runtime/platform/context.h"

#include <errno.h>
#include <string.h>

#if defined(WF_ASAN)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(WF_TSAN)
#include <sanitizer/tsan_interface.h>

/* An entry of TSan's interface for managed memory; it forgets who touched the memory, and does no more. */
void __tsan_java_alloc(unsigned long low, unsigned long size);

enum {
    CHANGE_ORDERS_NOTHING = 1, /* __tsan_switch_to_fiber_no_sync */
    BELOW = 4096,              /* what a side that is taken for a while uses of the stack, at most */
    GRANULE = 8
};
#endif

#if defined(__clang__) && __has_attribute(disable_sanitizer_instrumentation)
#define UNINSTRUMENTED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define UNINSTRUMENTED __attribute__((noinline, no_sanitize_address, no_sanitize_thread))
#endif

void wf_context_begin(void); /* in assembly; not to be called */

/* ---- Control words ------------------------------------------------------------------------------- */

/* As a context keeps them: what the thread adopted last has. Relaxed: a single word about which nothing else
 * is concluded, and threads of one host that want different control words must set them in their tasks. */
#if defined(__x86_64__)
static WF_ATOMIC(uint64_t) control = UINT64_C(0x037f00001f80); /* what the ABI starts a process with */

static uint64_t control_read(void)
{
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return (uint64_t)x87 << 32 | (mxcsr & 0xffc0); /* without the status bits */
}
#elif defined(__aarch64__)
static WF_ATOMIC(uint64_t) control;

static uint64_t control_read(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}
#else
#error "weft switches stacks on x86-64 and AArch64 only: write context_<architecture>.S"
#endif

/* ---- First frame --------------------------------------------------------------------------------- */

/* Write what a switch to here finds, below top, and return the stack pointer it finds it with.
 * Uninstrumented, and volatile lest it become a call of memset: to TSan the stack is its fiber's alone. */
UNINSTRUMENTED static void *write_frame(char *top, void (*entry)(void *), void *arg)
{
#if defined(__x86_64__)
    volatile uint64_t *sp = (volatile uint64_t *)top - 3;
    sp[2] = sp[1] = 0;
    sp[0] = (uintptr_t)wf_context_begin;
    sp[-1] = 0;                  /* rbp */
    sp[-2] = (uintptr_t)entry;   /* rbx */
    sp[-3] = (uintptr_t)arg;     /* r12 */
    sp[-4] = sp[-5] = sp[-6] = 0;
    sp[-7] = wf_load(&control, relaxed);
#else
    volatile uint64_t *sp = (volatile uint64_t *)top - 2 - 22;
    for (int i = 0; i < 24; i++)
        sp[i] = 0;
    sp[1] = (uintptr_t)wf_context_begin; /* x30; x29 is zero */
    sp[2] = (uintptr_t)entry;            /* x19 */
    sp[3] = (uintptr_t)arg;              /* x20 */
    sp[20] = wf_load(&control, relaxed);
#endif
    return (void *)sp;
}

struct wf_context_frame wf_context_frame(const struct wf_context *c)
{
    void *const *sp = c->sp;
#if defined(__x86_64__)
    return (struct wf_context_frame){.pc = sp[0], .sp = sp + 1, .fp = sp[-1]};
#else
    return (struct wf_context_frame){.pc = sp[1], .sp = sp + 22, .fp = sp[0]};
#endif
}

/* ---- Ordinary builds ----------------------------------------------------------------------------- */

#if !defined(WF_ASAN) && !defined(WF_TSAN)

void wf_context_make(struct wf_context *c, void *low, size_t size, void (*entry)(void *), void *arg)
{
    c->sp = write_frame((char *)low + size, entry, arg);
}

void wf_context_adopt_thread(struct wf_context *c)
{
    c->sp = NULL;
    wf_store(&control, control_read(), relaxed);
}

#else

/* ---- Under sanitizers ---------------------------------------------------------------------------- */

#if defined(WF_ASAN) && defined(WF_SIM)
const void *wf_context_left_low;
size_t wf_context_left_size;
#endif

/* At the end of a fresh stack: what its first function is to call. */
struct first_call {
    void (*entry)(void *);
    void *arg;
    struct wf_context *self;
    void *unused; /* keeps it a multiple of 16 bytes */
};

/* The first function: complete the switch that brought us here, as all others complete theirs. */
UNINSTRUMENTED static void complete_and_call(void *arg)
{
    struct first_call *call = arg;
#if defined(WF_ASAN) && defined(WF_SIM)
    __sanitizer_finish_switch_fiber(NULL, &wf_context_left_low, &wf_context_left_size); /* for who switches threads */
#elif defined(WF_ASAN)
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
#if defined(WF_TSAN)
    __tsan_acquire(call->self);
#endif
    call->entry(call->arg);
    __builtin_trap(); /* entry must not return */
}

UNINSTRUMENTED void wf_context_make(struct wf_context *c, void *low, size_t size, void (*entry)(void *),
                                    void *arg)
{
    char *top = (char *)low + size;
    struct first_call *call = (struct first_call *)top - 1;
#if defined(WF_ASAN)
    /* Frames that were left for good have not wiped their marks from ASan's map. */
    __asan_unpoison_memory_region(low, size);
    c->fake_stack = NULL;
    c->low = low;
    c->size = size;
#endif
#if defined(WF_TSAN)
    wf_context_finish(c);
    c->fiber = __tsan_create_fiber(0);
#endif
    call->entry = entry;
    call->arg = arg;
    call->self = c;
    c->sp = write_frame((char *)call, complete_and_call, call);
}

void wf_context_adopt_thread(struct wf_context *c)
{
    memset(c, 0, sizeof *c);
    wf_store(&control, control_read(), relaxed);
#if defined(WF_ASAN)
    pthread_attr_t attr;
    void *low = NULL;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &low, &c->size);
        pthread_attr_destroy(&attr);
    }
    c->low = low;
#endif
#if defined(WF_TSAN)
    c->fiber = __tsan_get_current_fiber();
    c->adopted = true;
#endif
}

#if defined(WF_TSAN)
UNINSTRUMENTED void wf_context_finish(struct wf_context *c)
{
    if (c->origin)
        __tsan_destroy_fiber(c->origin);
    if (c->second) {
        __tsan_switch_to_fiber(c->second, CHANGE_ORDERS_NOTHING); /* what it did was done by this thread */
        __tsan_release(c);
        __tsan_switch_to_fiber(c->fiber, CHANGE_ORDERS_NOTHING);
        __tsan_acquire(c);
        __tsan_destroy_fiber(c->second);
    }
    c->origin = c->second = NULL;
    if (c->fiber && !c->adopted)
        __tsan_destroy_fiber(c->fiber);
    c->fiber = NULL;
    c->adopted = false;
}

/* ---- Sides --------------------------------------------------------------------------------------- */

UNINSTRUMENTED void wf_side_clear(void *low, size_t size)
{
    uintptr_t from = (uintptr_t)low & ~(uintptr_t)(GRANULE - 1), to = (uintptr_t)low + size;
    __tsan_java_alloc(from, (to - from) & ~(uintptr_t)(GRANULE - 1));
}

UNINSTRUMENTED void wf_side_clear_below(void *low)
{
    wf_side_clear(low, (size_t)((char *)__builtin_frame_address(0) - (char *)low));
}

/* TSan keeps a signal until its thread calls one of the functions it stands in for, such as strlen; and it keeps it
 * with the side. errno is the thread's, and each side's as long as it runs there. */
UNINSTRUMENTED void *wf_side_take(void *side)
{
    static const char *volatile nothing = "";
    void *before = __tsan_get_current_fiber();
    if (side != before) {
        (void)strlen(nothing);
        __tsan_switch_to_fiber(side, CHANGE_ORDERS_NOTHING);
    }
    wf_side_clear((char *)__builtin_frame_address(0) - BELOW, BELOW);
    wf_side_clear(__errno_location(), GRANULE);
    return before;
}

UNINSTRUMENTED void *wf_side_of(const struct wf_context *c)
{
    return c->fiber;
}

/* A side that is made knows what its maker knows. So an idle one makes them, which never learns anything. */
UNINSTRUMENTED void wf_side_new(void **ret, struct wf_context *c)
{
    void *before = __tsan_get_current_fiber();
    if (!c->origin)
        c->origin = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(c->origin, CHANGE_ORDERS_NOTHING);
    *ret = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(before, CHANGE_ORDERS_NOTHING);
}

void *wf_side_second(struct wf_context *c)
{
    if (!c->second)
        wf_side_new(&c->second, c);
    return c->second;
}

UNINSTRUMENTED void wf_side_end(void *side)
{
    __tsan_destroy_fiber(side);
}

void wf_side_give(void *key)
{
    __tsan_release(key);
}

void wf_side_get(void *key)
{
    __tsan_acquire(key);
}

UNINSTRUMENTED void wf_context_make_aside(struct wf_context *c, void *low, size_t size, void (*entry)(void *),
                                          void *arg)
{
    c->sp = write_frame((char *)low + size, entry, arg);
}

#endif

UNINSTRUMENTED void wf_context_switch(struct wf_context *from, struct wf_context *to)
{
#if defined(WF_ASAN)
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->size);
#endif
#if defined(WF_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    wf_context_swap(&from->sp, &to->sp);
#if defined(WF_ASAN)
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

UNINSTRUMENTED void wf_context_switch_last(struct wf_context *from, struct wf_context *to)
{
    (void)from;
#if defined(WF_TSAN)
    __tsan_release(from);
#endif
#if defined(WF_ASAN)
    __sanitizer_start_switch_fiber(NULL, to->low, to->size); /* NULL: its fake stack may go */
#endif
#if defined(WF_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    wf_context_leave(&to->sp);
}

#endif
