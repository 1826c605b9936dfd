/* atomic.h - the layer for memory that threads share, with Relacy Race Detector behind it.
 *
 * tests/relacy/run compiles weft's files, as they are, with this in place of runtime/platform/atomic.h. A shared
 * variable is a plain one here that only these words touch: each is a call of tests/relacy/shared.cpp, with the order
 * that stands in the source and its place. Whoever reads a shared variable without them is reported, since the compiler
 * tells of every other access; and a plain write begins its life, which nobody else may share yet. */
#ifndef WF_ATOMIC_H
#define WF_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define WF_SIM_HOLD() ((void)0)
#define WF_SIM_RELEASE() ((void)0)

enum relacy_order { RELACY_relaxed, RELACY_acquire, RELACY_release, RELACY_acq_rel, RELACY_seq_cst };
enum relacy_rmw { RELACY_SWAP, RELACY_ADD, RELACY_SUB, RELACY_OR, RELACY_AND };

uint64_t relacy_load(const void *p, unsigned size, enum relacy_order order, const char *file, unsigned line);
void relacy_store(void *p, unsigned size, uint64_t v, enum relacy_order order, const char *file, unsigned line);
uint64_t relacy_rmw(enum relacy_rmw what, void *p, unsigned size, uint64_t v, enum relacy_order order,
                    const char *file, unsigned line);
bool relacy_cas(void *p, unsigned size, void *expected, uint64_t v, bool weak, enum relacy_order order,
                const char *file, unsigned line);
void relacy_fence(const char *file, unsigned line);
void relacy_pause(const char *file, unsigned line);

#define WF_ATOMIC(T) __typeof__(T)

#define RELACY_TYPE(p) __typeof__(*(p))
#define RELACY_VALUE(p, v) ((uint64_t)(uintptr_t)(RELACY_TYPE(p))(v))
#define RELACY_RMW(what, p, v, order)                                                                      \
    ((RELACY_TYPE(p))relacy_rmw(what, (p), sizeof *(p), RELACY_VALUE(p, v), RELACY_##order, __FILE__, __LINE__))

#define wf_load(p, order) \
    ((RELACY_TYPE(p))relacy_load((p), sizeof *(p), RELACY_##order, __FILE__, __LINE__))
#define wf_store(p, v, order) \
    relacy_store((p), sizeof *(p), RELACY_VALUE(p, v), RELACY_##order, __FILE__, __LINE__)
#define wf_swap(p, v, order) RELACY_RMW(RELACY_SWAP, p, v, order)
#define wf_add(p, v, order) RELACY_RMW(RELACY_ADD, p, v, order)
#define wf_sub(p, v, order) RELACY_RMW(RELACY_SUB, p, v, order)
#define wf_or(p, v, order) RELACY_RMW(RELACY_OR, p, v, order)
#define wf_and(p, v, order) RELACY_RMW(RELACY_AND, p, v, order)

/* Relacy orders a failure as weft does: as acquire, or as relaxed when the success does or releases only. */
#define wf_cas(p, expected, v, order) \
    relacy_cas((p), sizeof *(p), (expected), RELACY_VALUE(p, v), false, RELACY_##order, __FILE__, __LINE__)
#define wf_cas_weak(p, expected, v, order) \
    relacy_cas((p), sizeof *(p), (expected), RELACY_VALUE(p, v), true, RELACY_##order, __FILE__, __LINE__)

#define wf_shared_load wf_load
#define wf_shared_store wf_store

#define wf_fence() relacy_fence(__FILE__, __LINE__)
#define wf_pause() relacy_pause(__FILE__, __LINE__)

#endif
