/* switch.c - what does it cost to leave one stack and go on with another?
 *
 * Two contexts hand the processor to and fro. Beside weft's switch, which keeps all that the ABI says, stands
 * a bare one that does what none can do without: six registers pushed, stack pointers exchanged, six popped.
 * It is there twice, leaving by `ret` and by a jump through a register. Three shapes:
 *
 *     loop    both sides call it from one place and do nothing else
 *     places  the same from two places: where `ret` is mispredicted and the jump is not
 *     deep    both sides call it from one place at the bottom of three calls, as tasks do that wait in a
 *             function of a function of a library: where a jump spoils the prediction of three returns
 *
 * A figure is the time of one switch, calls around it included. The ratio is weft's over the bare one's with
 * `ret`; its distance from 1 is mostly reading MXCSR. */
#include "bench/bench.h"

#include "runtime/platform/context.h"

#include <sys/mman.h>

#if !defined(__x86_64__)

int main(void)
{
    bench_die("switch: the bare switch is written for x86-64 only");
}

#else

enum { SWITCHES = 4000000, SWITCHES_QUICK = 200000, STACK_SIZE = 64 << 10, CALLS_DEEP = 3 };

__asm__(".text\n"
        ".macro bare_switch leave:vararg\n"
        "    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "    movq %rsp, (%rdi); movq (%rsi), %rsp\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
        "    \\leave\n"
        ".endm\n"
        ".p2align 5\n"
        "bare_ret: bare_switch ret\n"
        ".p2align 5\n"
        "bare_jump: bare_switch popq %rcx; jmp *%rcx\n"
        ".p2align 5\n"
        "bare_begin: movq %r12, %rdi; callq *%rbx; ud2\n");
void bare_ret(void **from, void **to);
void bare_jump(void **from, void **to);
void bare_begin(void);

static struct wf_context host, other;
static char *stack;

/* What a bare switch finds on a fresh stack. */
static void make_bare(void (*entry)(void *))
{
    uint64_t *sp = (uint64_t *)(stack + STACK_SIZE) - 3;
    sp[0] = (uintptr_t)bare_begin;
    sp[-2] = (uintptr_t)entry; /* rbx */
    sp[-1] = sp[-3] = sp[-4] = sp[-5] = sp[-6] = 0;
    other.sp = sp - 6;
}

static void make_weft(void (*entry)(void *))
{
    wf_context_make(&other, stack, STACK_SIZE, entry, NULL);
}

/* ---- One set of functions per subject -------------------------------------------------------------- */

#define NOINLINE __attribute__((noinline))
#define NO_TAIL_CALL() __asm__ volatile("" : : : "memory")

/* The switch stands in the text of the shape that uses it, as a direct call. */
#define SHAPES(subject, make, SWITCH)                                                               \
    static NOINLINE void subject##_loop(struct wf_context *from, struct wf_context *to, long n)     \
    {                                                                                               \
        while (n-- != 0)                                                                            \
            SWITCH(from, to);                                                                       \
    }                                                                                               \
    static NOINLINE void subject##_deep_1(struct wf_context *from, struct wf_context *to)           \
    {                                                                                               \
        SWITCH(from, to);                                                                           \
        NO_TAIL_CALL();                                                                             \
    }                                                                                               \
    static NOINLINE void subject##_deep_2(struct wf_context *from, struct wf_context *to)           \
    {                                                                                               \
        subject##_deep_1(from, to);                                                                 \
        NO_TAIL_CALL();                                                                             \
    }                                                                                               \
    static NOINLINE void subject##_deep_3(struct wf_context *from, struct wf_context *to)           \
    {                                                                                               \
        subject##_deep_2(from, to);                                                                 \
        NO_TAIL_CALL();                                                                             \
    }                                                                                               \
    static NOINLINE void subject##_deep(struct wf_context *from, struct wf_context *to, long n)     \
    {                                                                                               \
        while (n-- != 0)                                                                            \
            subject##_deep_3(from, to);                                                             \
    }                                                                                               \
    static void subject##_begin_loop(void *arg)                                                     \
    {                                                                                               \
        (void)arg;                                                                                  \
        subject##_loop(&other, &host, -1);                                                          \
    }                                                                                               \
    static void subject##_begin_places(void *arg)                                                   \
    {                                                                                               \
        (void)arg;                                                                                  \
        for (;;)                                                                                    \
            SWITCH(&other, &host);                                                                  \
    }                                                                                               \
    static void subject##_begin_deep(void *arg)                                                     \
    {                                                                                               \
        (void)arg;                                                                                  \
        subject##_deep(&other, &host, -1);                                                          \
    }                                                                                               \
    static double subject##_measure(int shape, long n)                                              \
    {                                                                                               \
        void (*const begin[])(void *) = {subject##_begin_loop, subject##_begin_places,              \
                                         subject##_begin_deep};                                     \
        make(begin[shape]);                                                                         \
        int64_t start = bench_now_ns();                                                             \
        if (shape == 2)                                                                             \
            subject##_deep(&host, &other, n / 2);                                                   \
        else                                                                                        \
            subject##_loop(&host, &other, n / 2);                                                   \
        return (double)(bench_now_ns() - start) / (double)(n / 2 * 2);                              \
    }

#define SWITCH_BARE_RET(from, to) bare_ret(&(from)->sp, &(to)->sp)
#define SWITCH_BARE_JUMP(from, to) bare_jump(&(from)->sp, &(to)->sp)
#define SWITCH_WEFT(from, to) wf_context_switch((from), (to))

SHAPES(ret, make_bare, SWITCH_BARE_RET)
SHAPES(jump, make_bare, SWITCH_BARE_JUMP)
SHAPES(weft, make_weft, SWITCH_WEFT)

/* ---- Rounds ---------------------------------------------------------------------------------------- */

enum { SUBJECTS = 3, SHAPES_MAX = 3 };

int main(int argc, char **argv)
{
    static const char *const who[SUBJECTS] = {"six registers, ret", "six registers, jump", "weft"};
    static const char *const shape[SHAPES_MAX] = {"loop", "places", "deep"};
    static const char *const ratio_name[SHAPES_MAX] = {"loop, ratio", "places, ratio", "deep, ratio"};
    double (*const measure[SUBJECTS])(int, long) = {ret_measure, jump_measure, weft_measure};
    static struct bench_figure figure[SHAPES_MAX][SUBJECTS], ratio[SHAPES_MAX];
    struct bench_options o = bench_options(&argc, argv, 15, NULL);
    const long n = o.quick ? SWITCHES_QUICK : SWITCHES;

    stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED)
        bench_die("switch: no memory for a stack");
    wf_context_adopt_thread(&host);
    bench_pin(0, 1);
    for (unsigned round = 0; round <= o.rounds; round++)
        for (int s = 0; s < SHAPES_MAX; s++)
            for (int w = 0; w < SUBJECTS; w++) {
                double ns = measure[w](s, n);
                if (round > 0)
                    bench_add(&figure[s][w], ns);
            }
    for (int s = 0; s < SHAPES_MAX; s++) {
        for (int w = 0; w < SUBJECTS; w++) {
            struct bench_figure *f = &figure[s][w];
            f->bench = "switch", f->who = who[w], f->version = "", f->metric = shape[s], f->unit = "ns";
            f->workers = 1;
            bench_report(f);
        }
        ratio[s] = (struct bench_figure){.bench = "switch", .who = "weft", .version = "", .unit = "x"};
        ratio[s].metric = ratio_name[s];
        ratio[s].workers = 1;
        ratio[s].bar = 1.15;
        bench_ratio(&ratio[s], &figure[s][2], &figure[s][0]);
        bench_report(&ratio[s]);
    }
    return 0;
}

#endif
