/* context_aarch64.S - the switch, for the procedure call standard of AArch64.
 *
 * The same three functions as in context_x86_64.S. There are no bytes below the stack pointer that signal
 * handlers spare, so a standing context keeps a frame:
 *
 *      sp +   0  x29  x30 (where to go on)
 *      sp +  16  x19 .. x28
 *      sp +  96  d8 .. d15 (the lower halves of v8 .. v15 are callee-saved, the upper ones are not)
 *      sp + 160  FPCR
 *
 * FPCR is only written when it differs, since that drains the pipeline. */
#if defined(__aarch64__)

#define FRAME 176

    .text

    .macro go_on
    mov     sp, x10
    ldr     x11, [sp, #160]
    cmp     x9, x11
    b.eq    1f
    msr     fpcr, x11
1:  ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp]
    add     sp, sp, #FRAME
    .endm

/* Store a pair and say where it is, as seen from the frame's end. */
    .macro keep first, second, at
    stp     \first, \second, [sp, #\at]
    .cfi_offset \first, \at - FRAME
    .cfi_offset \second, \at + 8 - FRAME
    .endm

    .macro kept_no_more register
    .cfi_restore \register
    .endm

/* void wf_context_swap(void **from, void **to): stand at *from, go on at *to. */
    .globl  wf_context_swap
    .hidden wf_context_swap
    .type   wf_context_swap, %function
    .p2align 5
wf_context_swap:
    .cfi_startproc
    hint    #34 /* bti c */
    sub     sp, sp, #FRAME
    .cfi_def_cfa_offset FRAME
    keep    x29, x30, 0
    keep    x19, x20, 16
    keep    x21, x22, 32
    keep    x23, x24, 48
    keep    x25, x26, 64
    keep    x27, x28, 80
    keep    d8, d9, 96
    keep    d10, d11, 112
    keep    d12, d13, 128
    keep    d14, d15, 144
    mrs     x9, fpcr
    str     x9, [sp, #160]
    mov     x11, sp
    ldr     x10, [x1]
    str     x11, [x0]
    go_on
    .cfi_def_cfa_offset 0
    .irp    register, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30
    kept_no_more \register
    .endr
    .irp    register, d8, d9, d10, d11, d12, d13, d14, d15
    kept_no_more \register
    .endr
    ret
    .cfi_endproc
    .size   wf_context_swap, . - wf_context_swap

/* void wf_context_leave(void **to): go on at *to, and forget where we are. */
    .globl  wf_context_leave
    .hidden wf_context_leave
    .type   wf_context_leave, %function
    .p2align 5
wf_context_leave:
    .cfi_startproc
    .cfi_undefined x30
    hint    #34 /* bti c */
    mrs     x9, fpcr
    ldr     x10, [x0]
    go_on
    ret
    .cfi_endproc
    .size   wf_context_leave, . - wf_context_leave

/* Where a fresh context goes on: x19 is its entry, x20 the argument. Unwinding ends here: x30 is undefined
 * to who reads unwind tables, and x29 is zero for who follows frame pointers. About the no-op, see
 * context_x86_64.S. */
    .globl  wf_context_begin
    .hidden wf_context_begin
    .type   wf_context_begin, %function
    .p2align 5
    .cfi_startproc
    .cfi_undefined x30
    .cfi_undefined x29
    nop
wf_context_begin:
    mov     x0, x20
    blr     x19
    brk     #1
    .cfi_endproc
    .size   wf_context_begin, . - wf_context_begin

#if defined(__ARM_FEATURE_BTI_DEFAULT) && __ARM_FEATURE_BTI_DEFAULT
    .section .note.gnu.property, "a", %note
    .p2align 3
    .word   4, 16, 5
    .asciz  "GNU"
    .word   0xc0000000, 4, 1, 0
#endif

#endif

    .section .note.GNU-stack, "", %progbits
