/* weft/future.h - a value that arrives once.
 *
 * {0} is an empty future. Any thread may fulfil it, any number of tasks and threads may wait for it.
 * It must stay in place until nobody waits for it. Whoever knows it to be done, by waiting or by asking, may
 * free it, even while the call that fulfilled it has not returned. */
#ifndef WEFT_FUTURE_H
#define WEFT_FUTURE_H

#include <weft/base.h>

typedef struct weft_future {
    uintptr_t priv[4];
} weft_future;

WEFT_BEGIN

WEFT_API int weft_future_set(weft_future *f, void *value); /* [A--] 0, -EALREADY */
WEFT_API int weft_future_fail(weft_future *f, int err);    /* [A--] err < 0; 0, -EALREADY */

/* [Asc] 0 and *ret, or the failure it was given. A future that is done answers even a caller that is
 * being stopped. ret may be NULL, and is untouched on failure. */
WEFT_API int weft_future_await(weft_future *f, void **ret);

WEFT_API bool weft_future_done(const weft_future *f); /* [A--] set or failed? */

WEFT_END

#endif
