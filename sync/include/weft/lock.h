/* weft/lock.h - locks and signals between tasks; every type is valid when zeroed.
 *
 * Taking a mutex is not a cancellation point and cannot fail: hold it briefly, suspend on nothing slow
 * under it. Tasks of different runtimes may share one, and so may plain threads. Whoever was the last to wait
 * for an object may free it, even while the call that woke it has not returned. */
#ifndef WEFT_LOCK_H
#define WEFT_LOCK_H

#include <weft/base.h>

typedef struct weft_mutex {
    uintptr_t priv[4];
} weft_mutex;

typedef struct weft_sem {
    uintptr_t priv[4];
} weft_sem; /* begins at 0; release to fill */

typedef struct weft_event {
    uintptr_t priv[4];
} weft_event;

WEFT_BEGIN

/* A mutex is handed over in the order of asking. Not recursive: locking it twice is misuse. */
WEFT_API void weft_mutex_lock(weft_mutex *m);    /* [As-] */
WEFT_API bool weft_mutex_trylock(weft_mutex *m); /* [A--] */
WEFT_API void weft_mutex_unlock(weft_mutex *m);  /* [A--] by the task or thread that locked; else misuse */

/* [Asc] Take n permits at once, first come, first served; n of 0 takes none and never waits. 0, or why
 * the caller should stop; then no permit was taken. */
WEFT_API int weft_sem_acquire(weft_sem *s, unsigned n);
WEFT_API bool weft_sem_try_acquire(weft_sem *s, unsigned n); /* [A--] never overtakes who waits */
WEFT_API void weft_sem_release(weft_sem *s, unsigned n);     /* [A--] past UINT_MAX is misuse */

WEFT_API int weft_event_wait(weft_event *e);         /* [Asc] 0 once set, or why the caller should stop */
WEFT_API void weft_event_set(weft_event *e);         /* [A--] stays set until cleared */
WEFT_API void weft_event_clear(weft_event *e);       /* [A--] */
WEFT_API bool weft_event_is_set(const weft_event *e); /* [A--] */

WEFT_END

#endif
