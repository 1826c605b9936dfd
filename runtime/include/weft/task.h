/* weft/task.h - tasks.
 *
 * A task is a call that runs on a stack of its own. It gets that stack when it first runs, so a task
 * that waits for its turn costs about 300 bytes. A weft_task belongs to its scope and is valid until
 * that scope closes.
 *
 * If there is no memory for its stack then, its body never runs: it ends with -ENOMEM, held or not, and its
 * scope fails with -ENOMEM, which stops its siblings. So nobody waits for what it was to do; and whoever
 * hands a descriptor or memory to a task keeps it where it can be given back all the same.
 *
 *     weft_go        start, hold nothing        memory goes back as it returns
 *     weft_spawn     start, hold the task       create_task
 *     weft_prepare   hold it, start it later    a coroutine object
 *     weft_await     start if need be, wait     await
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/scope.h>

typedef struct weft_task weft_task;

WEFT_BEGIN

/* [T--] Start fn(arg) in s. Nobody holds it: its memory goes back as it returns, and its failure stops
 * the scope. The caller must be the opener of s or a task inside s. 0, or -ENOMEM, which also fails the
 * scope: a caller about to close it need not look. */
#define weft_go(s, fn, arg) weft_go_at((s), (fn), (arg), WEFT_SITE(fn))
WEFT_API int weft_go_at(weft_scope *s, weft_fn fn, void *arg, const char *site);

/* [T--] The same, held: its failure goes to whoever awaits it, and to close only if nobody does.
 * Never NULL: when memory is out, for it or later for its stack, awaiting gives -ENOMEM, and the scope
 * fails as with weft_go. */
#define weft_spawn(s, fn, arg) weft_spawn_at((s), (fn), (arg), WEFT_SITE(fn))
WEFT_API weft_task *weft_spawn_at(weft_scope *s, weft_fn fn, void *arg, const char *site);

/* [T--] As spawn, but not started; if it never is, closing the scope drops it unrun and says so. */
#define weft_prepare(s, fn, arg) weft_prepare_at((s), (fn), (arg), WEFT_SITE(fn))
WEFT_API weft_task *weft_prepare_at(weft_scope *s, weft_fn fn, void *arg, const char *site);

/* [T--] Start a prepared task. Once; starting a task twice is misuse. */
WEFT_API void weft_start(weft_task *t);

/* [Tsc] Start t if need be, wait, return what its body returned; a finished t answers even a caller
 * that is being stopped. Any number of tasks may await, any number of times. -ECANCELED can be t's or
 * the caller's own: weft_checkpoint() tells. Awaiting oneself is misuse. */
WEFT_API int weft_await(weft_task *t);

WEFT_API bool weft_done(const weft_task *t);  /* [A--] has its body returned? */
WEFT_API void weft_cancel(weft_task *t);      /* [A--] this task and its scopes, not its siblings */
WEFT_API int weft_yield(void);                /* [Tsc] to the back of this worker's queue; stopped or not */

/* [Tsc] For a loop that computes: as weft_yield() if the caller has run for 100 us or so, about, and else nothing, in a
 * nanosecond or two. 0, or why the caller should stop, which it only looks for when it gives way. */
WEFT_API int weft_yield_if_due(void);

/* [T--] Stay on this worker until the last unpin; pairs may nest, 63 deep. For code that keeps thread-local
 * addresses over a suspension. It may still suspend; nobody can steal it meanwhile. */
WEFT_API void weft_pin(void);
WEFT_API void weft_unpin(void);

WEFT_API void weft_set_name(const char *name); /* [T--] for dumps and stall reports; copied, 31 bytes */
WEFT_API const char *weft_name(void);          /* [T--] that name, else the text of the body */
WEFT_API unsigned weft_worker(void);           /* [T--] who runs the caller now, from 0; for reports: a spare one
                                                * (weft_stats) has a number behind the others' */

/* [T--] By value: size bytes at args are copied into the task, whose body gets a pointer to its own
 * copy, aligned for any type. The macros give named arguments:
 *
 *     weft_go_with(&s, serve, struct client, .fd = fd, .id = i);
 */
#define weft_go_copy(s, fn, args, size) weft_go_copy_at((s), (fn), (args), (size), WEFT_SITE(fn))
#define weft_spawn_copy(s, fn, args, size) weft_spawn_copy_at((s), (fn), (args), (size), WEFT_SITE(fn))
WEFT_API int weft_go_copy_at(weft_scope *s, weft_fn fn, const void *args, size_t size, const char *site);
WEFT_API weft_task *weft_spawn_copy_at(weft_scope *s, weft_fn fn, const void *args, size_t size,
                                       const char *site);
#ifndef __cplusplus
#define weft_go_with(s, fn, T, ...)                                                                \
    weft_go_copy_at((s), (fn), &(T){__VA_ARGS__}, sizeof(T), WEFT_SITE(fn))
#define weft_spawn_with(s, fn, T, ...)                                                             \
    weft_spawn_copy_at((s), (fn), &(T){__VA_ARGS__}, sizeof(T), WEFT_SITE(fn))
#endif

WEFT_END

#endif
