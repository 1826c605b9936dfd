/* weft/scope.h - a block that owns tasks and can be told to stop.
 *
 *     WEFT_SCOPE(s);
 *     for (int i = 0; i < 3; i++)
 *         weft_go(&s, fetch, &url[i]);
 *     return weft_scope_close(&s);
 *
 * One task opens a scope and the same task closes it, nested like braces. Closing waits for every task
 * started in it, so tasks may use the opener's locals. A scope is stopped by cancelling it, by its
 * deadline, by the failure of a task that nobody holds (weft_go) or that there was no memory for, or
 * with a scope around it. From then on every [..c] call within it fails, and keeps failing: in its tasks,
 * in its opener, in the scopes nested inside. No task is killed; each runs on to its own return.
 *
 * Stopping is a state, not an event, so an ignored error cannot turn into a hang. */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/run.h>
#include <weft/time.h>

typedef struct weft_scope {
    void *priv[28];
} weft_scope; /* must not move while open */

/* Declare and open; leaving the block in any other way than through weft_scope_close() cancels and
 * waits. */
#define WEFT_SCOPE(s)                                                                              \
    weft_scope s __attribute__((cleanup(weft_scope_leave)));                                       \
    weft_scope_open(&s)

WEFT_BEGIN

WEFT_API void weft_scope_open(weft_scope *s);  /* [T--] s needs no initial value */
WEFT_API void weft_scope_leave(weft_scope *s); /* [Ts-] cancel and wait; nothing, once closed */

/* [Ts-] Wait for all tasks, also when stopped. 0; or the first failure of a task that nobody held or that
 * there was no memory for; or, in the order of spawning, of one that nobody awaited; or -ETIMEDOUT,
 * -ECANCELED when a deadline or an outer scope stopped it. Cancelling a scope oneself is not a failure,
 * whatever else stops it. Prepared tasks that were never started are dropped, with one line on stderr each. */
WEFT_API int weft_scope_close(weft_scope *s);

/* [A--] Stop everything in s. May be repeated; nothing once closed. From another thread only while
 * something keeps s open; from a plain thread, or a task of another runtime, it takes effect soon after
 * the call returns, by a worker. */
WEFT_API void weft_scope_cancel(weft_scope *s);

/* [T--] Stop s at t, with -ETIMEDOUT; earlier or later than before, weft_never() takes it back.
 * By any task inside s, one at a time. -ETIMEDOUT is not taken back once it happened. */
WEFT_API void weft_scope_set_deadline(weft_scope *s, weft_time t);

WEFT_API void weft_scope_shield(weft_scope *s);        /* [T--] by the opener: outer scopes cannot stop it */
WEFT_API bool weft_scope_expired(const weft_scope *s); /* [A--] was it stopped by its own deadline? */

/* [Tsc] fn(arg) right here, under a deadline ns from now. What fn returned; -ETIMEDOUT if fn failed
 * because of that deadline. */
WEFT_API int weft_within(int64_t ns, weft_fn fn, void *arg);

/* [Tsc] fn(&items[i]) for each of n items, a task each, and wait once for all. Results belong into the items, which
 * stay the caller's. 0; or the first failure, which stops the others; -ENOMEM; or why the caller was stopped. */
#define weft_gather(fn, items, n) weft_gather_at((fn), (items), sizeof *(items), (n), WEFT_SITE(fn))
WEFT_API int weft_gather_at(weft_fn fn, void *items, size_t size, size_t n, const char *site);

/* [T-c] 0, or why the caller should stop: -ECANCELED, -ETIMEDOUT. */
WEFT_API int weft_checkpoint(void);

WEFT_END

#endif
