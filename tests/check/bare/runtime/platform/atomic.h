/* atomic.h - the layer expanded by hand: bare C11, and nothing that a build for tests could take hold of.
 *
 * tests/check/layer compiles weft with this in place of runtime/platform/atomic.h and compares the instructions. */
#ifndef WF_ATOMIC_H
#define WF_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WF_ATOMIC(T) _Atomic(T)
#define wf_load(p, order) atomic_load_explicit(p, memory_order_##order)
#define wf_store(p, v, order) atomic_store_explicit(p, v, memory_order_##order)
#define wf_swap(p, v, order) atomic_exchange_explicit(p, v, memory_order_##order)
#define wf_add(p, v, order) atomic_fetch_add_explicit(p, v, memory_order_##order)
#define wf_sub(p, v, order) atomic_fetch_sub_explicit(p, v, memory_order_##order)
#define wf_or(p, v, order) atomic_fetch_or_explicit(p, v, memory_order_##order)
#define wf_and(p, v, order) atomic_fetch_and_explicit(p, v, memory_order_##order)

#define wf_cas(p, expected, v, order)                                                              \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_##order, IF_NOT_##order)
#define wf_cas_weak(p, expected, v, order)                                                         \
    atomic_compare_exchange_weak_explicit(p, expected, v, memory_order_##order, IF_NOT_##order)
#define IF_NOT_relaxed memory_order_relaxed
#define IF_NOT_acquire memory_order_acquire
#define IF_NOT_release memory_order_relaxed
#define IF_NOT_acq_rel memory_order_acquire
#define IF_NOT_seq_cst memory_order_seq_cst

#define wf_shared_load(p, order) __atomic_load_n(p, BUILTIN_##order)
#define wf_shared_store(p, v, order) __atomic_store_n(p, v, BUILTIN_##order)
#define BUILTIN_relaxed __ATOMIC_RELAXED
#define BUILTIN_acquire __ATOMIC_ACQUIRE
#define BUILTIN_release __ATOMIC_RELEASE

#define wf_fence() atomic_thread_fence(memory_order_seq_cst)
#define wf_fence_light() atomic_signal_fence(memory_order_seq_cst)

#define WF_SIM_HOLD() (void)0
#define WF_SIM_RELEASE() (void)0

#if defined(__x86_64__)
#define wf_pause() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define wf_pause() __asm__ volatile("isb" ::: "memory")
#endif

#endif
