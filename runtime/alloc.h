/* alloc.h - the only caller of an allocator: jemalloc, or the C library's under sanitizers. */
#ifndef WF_ALLOC_H
#define WF_ALLOC_H

#include <stddef.h>

void *wf_alloc(size_t size);                       /* zeroed, aligned for any type; NULL: no memory */
void *wf_alloc_aligned(size_t size, size_t align); /* zeroed; align a power of two */
void wf_free(void *p, size_t size);                /* the size it was asked for with; NULL is fine */

#endif
