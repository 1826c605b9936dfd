/* context_x86_64.S - the switch, for the System V ABI of x86-64.
 *
 * What a standing context keeps lies below its stack pointer, in the 128 bytes that the ABI promises to leave
 * alone (no signal handler writes there, and nobody else runs on that stack):
 *
 *      sp      where to go on
 *      sp -  8 rbp     sp - 16 rbx     sp - 24 r12     sp - 32 r13     sp - 40 r14     sp - 48 r15
 *      sp - 52 x87 control word
 *      sp - 56 MXCSR
 *
 * So the stack pointer never moves but in the one exchange: one unwind description holds for the whole
 * function, and it measured 1.8 ns a switch where six pushes and pops measured 3.6.
 *
 * It leaves by `ret`. A jump through a register is quicker where two contexts call from two different places
 * and do nothing else (6.6 against 11.5 ns). But it leaves the processor's stack of return addresses one
 * entry too deep, so that every return after it is mispredicted: 27 against 7 ns where each side switches
 * three calls deep, as a runtime does, in which all switches come from one place.
 *
 * Reading MXCSR is dear, about 4 ns here, and there is no way around it: it is callee-saved. Writing it would
 * cost as much again, so it is only written when its control bits differ; the status bits are nobody's. */
#if defined(__x86_64__)

#if defined(__CET__) && (__CET__ & 1)
#define BRANCH_TARGET endbr64
#else
#define BRANCH_TARGET
#endif

#define CONTROL_BITS 0xffc0 /* MXCSR without its status bits */

    .text

/* Leave by going on where the stack pointer in rsi says; eax and edx hold MXCSR and the control word as they
 * are. Past the exchange everything is read from the new stack, whose layout is the same. */
    .macro go_on
    movq    %rsi, %rsp
    xorl    -56(%rsi), %eax
    xorw    -52(%rsi), %dx
    movq    -8(%rsi), %rbp
    movq    -16(%rsi), %rbx
    movq    -24(%rsi), %r12
    movq    -32(%rsi), %r13
    movq    -40(%rsi), %r14
    movq    -48(%rsi), %r15
    andl    $CONTROL_BITS, %eax
    orl     %edx, %eax
    jnz     1f
    ret
1:  ldmxcsr -56(%rsi)
    fldcw   -52(%rsi)
    ret
    .endm

/* void wf_context_swap(void **from, void **to): stand at *from, go on at *to. */
    .globl  wf_context_swap
    .hidden wf_context_swap
    .type   wf_context_swap, @function
    .p2align 5
wf_context_swap:
    .cfi_startproc
    BRANCH_TARGET
    fnstcw  -52(%rsp)
    stmxcsr -56(%rsp)
    movq    (%rsi), %rsi
    movq    %rbp, -8(%rsp)
    .cfi_offset rbp, -16
    movq    %rbx, -16(%rsp)
    .cfi_offset rbx, -24
    movq    %r12, -24(%rsp)
    .cfi_offset r12, -32
    movq    %r13, -32(%rsp)
    .cfi_offset r13, -40
    movq    %r14, -40(%rsp)
    .cfi_offset r14, -48
    movq    %r15, -48(%rsp)
    .cfi_offset r15, -56
    movl    -56(%rsp), %eax
    movzwl  -52(%rsp), %edx
    movq    %rsp, (%rdi)
    go_on
    .cfi_endproc
    .size   wf_context_swap, . - wf_context_swap

/* void wf_context_leave(void **to): go on at *to, and forget where we are. */
    .globl  wf_context_leave
    .hidden wf_context_leave
    .type   wf_context_leave, @function
    .p2align 5
wf_context_leave:
    .cfi_startproc
    BRANCH_TARGET
    fnstcw  -52(%rsp)
    stmxcsr -56(%rsp)
    movq    (%rdi), %rsi
    movl    -56(%rsp), %eax
    movzwl  -52(%rsp), %edx
    .cfi_undefined rip
    go_on
    .cfi_endproc
    .size   wf_context_leave, . - wf_context_leave

/* Where a fresh context goes on: rbx is its entry, r12 the argument, and above the stack pointer is a frame
 * of zeros. Unwinding ends here, in every way it is done: the return address is undefined to who reads unwind
 * tables, and rbp is zero for who follows frame pointers. The no-op belongs to the function because a fresh
 * context stands at its first instruction, and unwinders look up the byte before a return address. */
    .globl  wf_context_begin
    .hidden wf_context_begin
    .type   wf_context_begin, @function
    .p2align 5
    .cfi_startproc
    .cfi_undefined rip
    .cfi_undefined rbp
    nop
wf_context_begin:
    BRANCH_TARGET
    movq    %r12, %rdi
    callq   *%rbx
    ud2
    .cfi_endproc
    .size   wf_context_begin, . - wf_context_begin

#if defined(__CET__) && (__CET__ & 1)
/* Ready for indirect branch tracking. Not for shadow stacks, which a switch would have to change as well: as
 * this file does not say so, the linker turns them off for the program. */
    .section .note.gnu.property, "a", @note
    .p2align 3
    .long   4, 16, 5
    .asciz  "GNU"
    .long   0xc0000002, 4, 1, 0
#endif

#endif

    .section .note.GNU-stack, "", @progbits
