/* context.c - what must survive a switch, and what must be visible of it. */
#include "runtime/platform/context.h"
#include "runtime/platform/stack.h"

#include "tests/test.h"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unwind.h>

enum { STACK_SIZE = 64 << 10 };

/* ---- A second context to switch with --------------------------------------------------------------- */

static struct wf_stack_pool pool;
static struct wf_stack_cache cache;
static struct wf_context host;
static struct wf_stack *other;

static void open_other(void (*entry)(void *), void *arg)
{
    CHECK_EQ(wf_stack_pool_open(&pool, STACK_SIZE), 0);
    other = wf_stack_get(&pool, &cache);
    CHECK(other);
    wf_context_adopt_thread(&host);
    wf_context_make(&other->context, other->low, other->size, entry, arg);
}

static void close_other(void)
{
    wf_stack_put(&pool, &cache, other);
    wf_stack_pool_close(&pool);
    cache = (struct wf_stack_cache){0};
    wf_context_finish(&host);
}

/* A switch orders nothing by itself, so what both sides look at is handed over with a baton: each writes it
 * (release) before it leaves and again (acquire) when it is back. */
static WF_ATOMIC(unsigned) baton;

__attribute__((noinline)) static void to_other(void)
{
    wf_add(&baton, 1u, release);
    wf_context_switch(&host, &other->context);
    wf_add(&baton, 1u, acquire);
}

__attribute__((noinline)) static void to_host(void)
{
    wf_add(&baton, 1u, release);
    wf_context_switch(&other->context, &host);
    wf_add(&baton, 1u, acquire);
}

/* ---- Registers ------------------------------------------------------------------------------------- */

/* switch_with: fill every callee-saved register from `in`, call `go`, store what they are then to `out`. */
#if defined(__x86_64__)
enum { REGISTERS = 6 };
__asm__(".text\n"
        ".globl switch_with\n"
        "switch_with:\n"
        "    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15; pushq %rdx\n"
        "    movq 0(%rsi), %rbx; movq 8(%rsi), %rbp; movq 16(%rsi), %r12\n"
        "    movq 24(%rsi), %r13; movq 32(%rsi), %r14; movq 40(%rsi), %r15\n"
        "    callq *%rdi\n"
        "    popq %rdx\n"
        "    movq %rbx, 0(%rdx); movq %rbp, 8(%rdx); movq %r12, 16(%rdx)\n"
        "    movq %r13, 24(%rdx); movq %r14, 32(%rdx); movq %r15, 40(%rdx)\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
        "    ret\n");
#else
enum { REGISTERS = 19 };
__asm__(".text\n"
        ".globl switch_with\n"
        "switch_with:\n"
        "    sub sp, sp, #176\n"
        "    stp x29, x30, [sp]; stp x19, x20, [sp, #16]; stp x21, x22, [sp, #32]\n"
        "    stp x23, x24, [sp, #48]; stp x25, x26, [sp, #64]; stp x27, x28, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]; stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]; str x2, [sp, #160]\n"
        "    ldp x19, x20, [x1]; ldp x21, x22, [x1, #16]; ldp x23, x24, [x1, #32]\n"
        "    ldp x25, x26, [x1, #48]; ldp x27, x28, [x1, #64]; ldp d8, d9, [x1, #80]\n"
        "    ldp d10, d11, [x1, #96]; ldp d12, d13, [x1, #112]; ldp d14, d15, [x1, #128]\n"
        "    ldr x29, [x1, #144]\n"
        "    blr x0\n"
        "    ldr x2, [sp, #160]\n"
        "    stp x19, x20, [x2]; stp x21, x22, [x2, #16]; stp x23, x24, [x2, #32]\n"
        "    stp x25, x26, [x2, #48]; stp x27, x28, [x2, #64]; stp d8, d9, [x2, #80]\n"
        "    stp d10, d11, [x2, #96]; stp d12, d13, [x2, #112]; stp d14, d15, [x2, #128]\n"
        "    str x29, [x2, #144]\n"
        "    ldp x29, x30, [sp]; ldp x19, x20, [sp, #16]; ldp x21, x22, [sp, #32]\n"
        "    ldp x23, x24, [sp, #48]; ldp x25, x26, [sp, #64]; ldp x27, x28, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]; ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    ret\n");
#endif
void switch_with(void (*go)(void), const uint64_t *in, uint64_t *out);

/* Switch with registers that are all different, and different every time; are they there afterwards? */
static void keep_registers(void (*go)(void), uint64_t seed)
{
    uint64_t in[REGISTERS], out[REGISTERS];
    for (int i = 0; i < REGISTERS; i++)
        in[i] = seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)i;
    switch_with(go, in, out);
    for (int i = 0; i < REGISTERS; i++)
        CHECK_EQ(out[i], in[i]);
}

static void keep_forever(void *arg)
{
    (void)arg;
    wf_add(&baton, 1u, acquire);
    for (uint64_t seed = 1;; seed += 2)
        keep_registers(to_host, seed);
}

TEST(context, callee_saved_registers_survive)
{
    open_other(keep_forever, NULL);
    for (uint64_t seed = 0; seed < 2000; seed += 2)
        keep_registers(to_other, seed);
    close_other();
}

/* ---- Floating point -------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static unsigned long control(void)
{
    unsigned mxcsr;
    unsigned short x87;
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(x87));
    return (unsigned long)x87 << 16 | (mxcsr & 0xffc0);
}

static void flush_to_zero(void) /* in MXCSR only: the x87 unit knows no such thing */
{
    unsigned mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr |= 0x8040;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void single_precision(void) /* in the control word only */
{
    unsigned short x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    x87 &= 0xfcff;
    __asm__ volatile("fldcw %0" : : "m"(x87));
}

static void round_down(void) /* the SSE unit only */
{
    unsigned mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr |= 0x2000;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}
#else
static unsigned long control(void)
{
    unsigned long fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}

static void flush_to_zero(void)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(control() | 1ul << 24));
}

static void single_precision(void) /* there is no such thing */
{
}

static void round_down(void)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(control() | 2ul << 22));
}
#endif

static unsigned long begun_with;

static void change_control(void *arg)
{
    (void)arg;
    wf_add(&baton, 1u, acquire);
    begun_with = control();
    to_host();
    for (;;) {
        void (*const change[])(void) = {single_precision, flush_to_zero, round_down};
        for (int i = 0; i < 3; i++) {
            change[i]();
            unsigned long mine = control();
            to_host();
            CHECK_EQ(control(), mine);
        }
    }
}

TEST(context, control_words_are_each_ones_own)
{
    open_other(change_control, NULL);
    unsigned long mine = control();
    for (int i = 0; i < 10; i++) {
        to_other();
        CHECK_EQ(control(), mine);
        if (i == 5) {
            round_down();
            CHECK(control() != mine);
            mine = control();
        }
    }
    close_other();
}

TEST(context, it_begins_with_the_control_words_of_the_adopted_thread)
{
    unsigned long adopted = control();
    open_other(change_control, NULL);
    flush_to_zero();
    wf_context_make(&other->context, other->low, other->size, change_control, NULL);
    to_other();
    CHECK_EQ(begun_with, adopted);
#if !defined(WF_VALGRIND) /* whose processor has no such bits */
    CHECK(control() != adopted);
#endif
    close_other();
}

/* ---- Going to and fro ------------------------------------------------------------------------------ */

static long turns;

static void count_turns(void *arg)
{
    wf_add(&baton, 1u, acquire);
    CHECK(arg == &turns);
    for (;;) {
        turns++;
        to_host();
    }
}

TEST(context, a_million_switches_arrive)
{
    const long n = TEST_TIMES(500000);
    open_other(count_turns, &turns);
    for (long i = 0; i < n; i++) {
        to_other();
        CHECK_EQ(turns, i + 1);
    }
    close_other();
}

static void leave_for_good(void *arg)
{
    wf_add(&baton, 1u, acquire);
    CHECK(arg == &turns);
    turns++;
    wf_add(&baton, 1u, release);
    wf_context_switch_last(&other->context, &host);
}

TEST(context, one_left_for_good_begins_anew)
{
    open_other(leave_for_good, NULL);
    for (long i = 0; i < TEST_TIMES(20000); i++) {
        wf_context_make(&other->context, other->low, other->size, leave_for_good, &turns);
        to_other();
        CHECK_EQ(turns, i + 1);
    }
    close_other();
}

static struct wf_context thread_host;
static pthread_t ran_on[2];

static void wander(void *arg)
{
    (void)arg;
    wf_add(&baton, 1u, acquire);
    ran_on[0] = pthread_self();
    to_host();
    __asm__ volatile("" : : : "memory");
    pthread_t (*volatile self)(void) = pthread_self; /* compilers may remember what it said before */
    ran_on[1] = self();
    wf_add(&baton, 1u, release);
    wf_context_switch(&other->context, &thread_host);
}

static void *resume_here(void *arg)
{
    (void)arg;
    wf_context_adopt_thread(&thread_host);
    wf_context_switch(&thread_host, &other->context);
    wf_add(&baton, 1u, acquire);
    wf_context_finish(&thread_host);
    return NULL;
}

TEST(context, one_may_go_on_on_another_thread)
{
    pthread_t thread;
    open_other(wander, NULL);
    to_other();
    CHECK_EQ(pthread_create(&thread, NULL, resume_here, NULL), 0);
    pthread_join(thread, NULL);
    CHECK(pthread_equal(ran_on[0], pthread_self()));
    CHECK(pthread_equal(ran_on[1], thread));
    close_other();
}

/* ---- Unwinding ------------------------------------------------------------------------------------- */

static int depth;

static void trace(void *arg)
{
    void *frames[64];
    (void)arg;
    wf_add(&baton, 1u, acquire);
    depth = backtrace(frames, 64);
    to_host();
}

TEST(context, backtraces_end_at_the_entry)
{
    open_other(trace, NULL);
    to_other();
    CHECK(depth >= 2 && depth <= 5); /* trace, the entry frame; a sanitizer has its own on top */
    close_other();
}

/* How many frames a chain of frame pointers has; -1: it leaves the stack before it ends. */
static int chain_length(const void *fp)
{
    int n = 0;
    for (const void *const *frame = fp; frame; frame = *frame, n++)
        if ((char *)frame < (char *)other->low || (char *)frame >= (char *)other->low + other->size || n > 64)
            return -1;
    return n;
}

TEST(context, a_standing_one_can_be_walked)
{
    void wf_context_begin(void);
    open_other(trace, NULL);
    struct wf_context_frame fresh = wf_context_frame(&other->context);
    CHECK(fresh.pc == (const void *)wf_context_begin);
    CHECK(fresh.fp == NULL);
    CHECK((uintptr_t)fresh.sp % 16 == 0);
    to_other();
    struct wf_context_frame standing = wf_context_frame(&other->context);
    CHECK(standing.pc != NULL && standing.pc != fresh.pc);
    CHECK(standing.sp < fresh.sp && standing.sp > other->low);
    int frames = chain_length(standing.fp);
    CHECK(frames >= 1 && frames <= 4);
    close_other();
}

#if defined(__x86_64__) && !defined(WF_ASAN) && !defined(WF_TSAN) && !defined(WF_VALGRIND)

static volatile sig_atomic_t stepped, lost, inside;
static const char *swap_begin, *swap_end;

struct walk {
    int frames;
    bool found_caller;
};

static _Unwind_Reason_Code step_out(struct _Unwind_Context *c, void *arg)
{
    struct walk *w = arg;
    void *function = _Unwind_FindEnclosingFunction((char *)_Unwind_GetIP(c) - 1);
    if (function == (void *)to_other || function == (void *)to_host)
        w->found_caller = true;
    return w->frames++ < 64 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* After every single instruction; within the switch the caller must be in sight. That signal handlers run in
 * the middle of it, on whichever stack it is, is part of the test. */
static void on_step(int sig, siginfo_t *info, void *ucontext)
{
    const char *pc = (const char *)((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP];
    (void)sig;
    (void)info;
    stepped = stepped + 1;
    if (pc < swap_begin || pc >= swap_end)
        return;
    struct walk w = {0, false};
    _Unwind_Backtrace(step_out, &w);
    inside = inside + 1;
    lost = lost + (!w.found_caller || w.frames > 60);
}

static void set_stepping(bool on)
{
    if (on)
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" : : : "memory", "cc");
    else
        __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

/* Noinline, and no red zone of its own: set_stepping pushes. */
__attribute__((noinline)) static void step_through(void)
{
    char room[256];
    __asm__ volatile("" : : "r"(room) : "memory");
    set_stepping(true);
    keep_registers(to_other, 3);
    set_stepping(false);
    __asm__ volatile("" : : "r"(room) : "memory");
}

TEST(context, every_instruction_of_the_switch_can_be_unwound_and_interrupted)
{
    struct sigaction act = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO}, before;
    struct walk warm_up = {0, false};
    open_other(keep_forever, NULL);
    to_other(); /* so that it stands in to_host */
    _Unwind_Backtrace(step_out, &warm_up);
    swap_begin = (const char *)wf_context_swap;
    swap_end = (const char *)wf_context_leave; /* the function after it */
    CHECK_EQ(sigaction(SIGTRAP, &act, &before), 0);
    step_through();
    sigaction(SIGTRAP, &before, NULL);
    CHECK(stepped > 100);
    CHECK(inside >= 2 * 20); /* out and back */
    CHECK_EQ(lost, 0);
    close_other();
}

#endif
