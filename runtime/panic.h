/* panic.h - the checks that stay on in every build.
 *
 * Misuse and broken invariants end the process with one line on stderr: what, which task, where it was
 * spawned. Carrying on would corrupt another task's stack. */
#ifndef WF_PANIC_H
#define WF_PANIC_H

#define WF_LIKELY(x) __builtin_expect(!!(x), 1)
#define WF_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* "weft: <text>, in task <name> (spawned file:line)" and abort. */
_Noreturn void wf_panic(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* One line on stderr, "weft: <text>", in one write(2). */
void wf_warn(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* What must hold inside weft: a bug of ours when it does not. */
#define WF_CHECK(cond) (WF_LIKELY(cond) ? (void)0 : wf_panic("broken: %s at %s:%d", #cond, __FILE__, __LINE__))

/* What the caller must have kept to: misuse otherwise, said in words. */
#define WF_REQUIRE(cond, ...) (WF_LIKELY(cond) ? (void)0 : wf_panic(__VA_ARGS__))

#ifdef WF_DEBUG
#define WF_DEBUG_CHECK(cond) WF_CHECK(cond)
#else
#define WF_DEBUG_CHECK(cond) ((void)0)
#endif

#endif
