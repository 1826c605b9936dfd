/* alloc.c - memory for runtime objects.
 *
 * jemalloc through its sized interface: it need not look up what it is told. jemalloc must be a shared
 * library and never part of link-time optimisation, or its own thread-locals are cached over a switch (see
 * docs/tls.md). Sanitizers bring their own allocator, and get it. */
#include "runtime/alloc.h"

#include "runtime/platform/fault.h"

#ifdef WF_NO_JEMALLOC

#include <stdlib.h>
#include <string.h>

void *wf_alloc_aligned(size_t size, size_t align)
{
    size_t rounded = (size + align - 1) & ~(align - 1);
    if (rounded < size || wf_fault(WF_FAULT_MEMORY))
        return NULL;
    void *p = aligned_alloc(align, rounded);
    return p ? memset(p, 0, rounded) : NULL;
}

void *wf_alloc(size_t size)
{
    return wf_fault(WF_FAULT_MEMORY) ? NULL : calloc(1, size ? size : 1);
}

void wf_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

#else

#include <jemalloc/jemalloc.h>
#include <string.h>

void *wf_alloc_aligned(size_t size, size_t align)
{
    return wf_fault(WF_FAULT_MEMORY) ? NULL : mallocx(size ? size : 1, MALLOCX_ALIGN(align) | MALLOCX_ZERO);
}

void *wf_alloc(size_t size)
{
    return wf_fault(WF_FAULT_MEMORY) ? NULL : mallocx(size ? size : 1, MALLOCX_ZERO);
}

void wf_free(void *p, size_t size)
{
    (void)size; /* a size with another alignment would be another size class: let jemalloc look */
#ifdef WF_SIM
    if (p)
        memset(p, 0xdd, size); /* whoever still uses it shall stumble */
#endif
    if (p)
        dallocx(p, 0);
}

#endif
