/* weft/offload.h - code that blocks, or computes for long, away from the workers.
 *
 * Offloaded code runs on a plain thread of a pool that grows to weft_config.offload_max and shrinks
 * when idle. It must not call anything marked T. */
#ifndef WEFT_OFFLOAD_H
#define WEFT_OFFLOAD_H

#include <weft/run.h>

WEFT_BEGIN

/* [Tsc] fn(arg) on a pool thread; its result. While all threads are busy the job waits its turn, and
 * a caller that is stopped meanwhile gets -ECANCELED or -ETIMEDOUT and fn never runs. Once fn runs it
 * is not stopped and its result is returned. -EAGAIN when the pool has no thread and can start none. */
WEFT_API int weft_offload(weft_fn fn, void *arg);

/* [Ts-] From begin on, the calling task itself runs on a pool thread, so it may block; from end on it is
 * back on a worker. Pairs may nest. In between, calls marked T are misuse. If the pool has no thread
 * and can start none, begin leaves the task where it is, and it blocks its worker. */
WEFT_API void weft_blocking_begin(void);
WEFT_API void weft_blocking_end(void);

WEFT_END

#endif
