/* atomic.h - the one layer for memory that threads share.
 *
 * Every access to a shared variable is written with these words, so that a build may put something else
 * under them. The order is an argument without its prefix: wf_load(&q->top, acquire). Whoever writes one
 * names its partner, and docs/memory-order.md lists the pairs.
 *
 * ThreadSanitizer does not understand fences that stand alone. wf_fence() is therefore an exchange on a
 * variable of its own there, which orders at least as much and which it can see. The model checker
 * (tests/model) is compiled like that, but follows fences; it wants to know of pauses and of weak exchanges,
 * which the compiler does not tell it.
 *
 * WF_POINT() stands before every access: the moment at which another thread may come first. What users get has
 * nothing there, not an instruction; a build that wants to decide about that moment has a function (noise.h). */
#ifndef WF_ATOMIC_H
#define WF_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(WF_NOISE)
#include "runtime/platform/noise.h"
#define WF_POINT() wf_point()
#elif defined(WF_SIM)
#include "runtime/platform/sim_point.h"
#define WF_POINT() wf_sim_point()
#define WF_SIM_HOLD() wf_sim_hold()
#define WF_SIM_RELEASE() wf_sim_release()
#else
#define WF_POINT() ((void)0)
#endif

/* Between these a simulation stands still: for what depends on what the process did before it. */
#ifndef WF_SIM_HOLD
#define WF_SIM_HOLD() ((void)0)
#define WF_SIM_RELEASE() ((void)0)
#endif

#define WF_ATOMIC(T) _Atomic(T)

#define wf_load(p, order) (WF_POINT(), atomic_load_explicit((p), memory_order_##order))
#define wf_store(p, v, order) (WF_POINT(), atomic_store_explicit((p), (v), memory_order_##order))
#define wf_swap(p, v, order) (WF_POINT(), atomic_exchange_explicit((p), (v), memory_order_##order))
#define wf_add(p, v, order) (WF_POINT(), atomic_fetch_add_explicit((p), (v), memory_order_##order))
#define wf_sub(p, v, order) (WF_POINT(), atomic_fetch_sub_explicit((p), (v), memory_order_##order))
#define wf_or(p, v, order) (WF_POINT(), atomic_fetch_or_explicit((p), (v), memory_order_##order))
#define wf_and(p, v, order) (WF_POINT(), atomic_fetch_and_explicit((p), (v), memory_order_##order))

/* Compare and swap; *expected becomes what was found. A failure orders as acquire, or as relaxed when
 * the success does. The weak form may fail for no reason: for loops. */
#define wf_cas(p, expected, v, order)                                                                        \
    (WF_POINT(), atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_##order,         \
                                                         WF_FAILED_##order))
#define wf_cas_weak(p, expected, v, order)                                                                   \
    (WF_POINT(), atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_##order,           \
                                                       WF_FAILED_##order))
#define WF_FAILED_relaxed memory_order_relaxed
#define WF_FAILED_acquire memory_order_acquire
#define WF_FAILED_release memory_order_relaxed
#define WF_FAILED_acq_rel memory_order_acquire
#define WF_FAILED_seq_cst memory_order_seq_cst

/* Memory the kernel shares with us: it is no _Atomic, but is used as one. */
#define wf_shared_load(p, order) (WF_POINT(), __atomic_load_n((p), WF_BUILTIN_##order))
#define wf_shared_store(p, v, order) (WF_POINT(), __atomic_store_n((p), (v), WF_BUILTIN_##order))
#define WF_BUILTIN_relaxed __ATOMIC_RELAXED
#define WF_BUILTIN_acquire __ATOMIC_ACQUIRE
#define WF_BUILTIN_release __ATOMIC_RELEASE

#if defined(WF_MODEL)
void wf_model_pause(void);
bool wf_model_fails(void);
#undef wf_cas_weak
#define wf_cas_weak(p, expected, v, order) (!wf_model_fails() && wf_cas(p, expected, v, order))
#elif defined(__SANITIZE_THREAD__)
#define WF_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WF_TSAN 1
#endif
#endif

#ifdef WF_TSAN
extern WF_ATOMIC(unsigned) wf_fence_word;
#define wf_fence() ((void)wf_swap(&wf_fence_word, 0u, seq_cst))
#else
#define wf_fence() (WF_POINT(), atomic_thread_fence(memory_order_seq_cst))
#endif

/* One side's half of a fence whose other half is a fence for all threads (barrier.h): for the compiler alone. */
#define wf_fence_light() atomic_signal_fence(memory_order_seq_cst)

/* For the wait inside a spin loop. */
static inline void wf_pause(void)
{
#if defined(WF_MODEL)
    wf_model_pause();
#elif defined(WF_SIM)
    wf_sim_yield();
#elif defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

#endif
