/* local.c - see local.h. The empty assembly makes each call a reading of its own: without it GCC and Clang
 * may find two calls to be the same (a function that has no effects and reads no memory). */
#include "runtime/platform/local.h"

#include "runtime/platform/context.h"

#include <weft/base.h>

/* Initial-exec: one load instead of a call in the shared library. It takes 16 bytes of what every process has
 * for libraries that are loaded late. */
static _Thread_local struct wf_local local __attribute__((tls_model("initial-exec")));

WF_UNOBSERVED __attribute__((noinline)) struct wf_local *wf_local(void)
{
    struct wf_local *l = &local;
    __asm__ volatile("" : "+r"(l) : : "memory");
    return l;
}

__attribute__((noinline)) void *wf_local_room(void)
{
    static _Thread_local _Alignas(16) char room[WF_LOCAL_ROOM]; /* noinline: see above */
    void *p = room;
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

WF_UNOBSERVED __attribute__((noinline)) struct wf_worker *wf_worker_self(void)
{
    struct wf_worker *w = local.worker;
    __asm__ volatile("" : "+r"(w) : : "memory");
    if (w)
        wf_side_get(w); /* a spare has come up long after the sides of tasks learned what all know: crew.c */
    return w;
}

__attribute__((noinline)) int *weft_errno(void)
{
    int *e = __errno_location();
    __asm__ volatile("" : "+r"(e) : : "memory");
    return e;
}

WF_UNOBSERVED __attribute__((noinline)) int wf_errno_read(void)
{
    __asm__ volatile("" : : : "memory");
    return *__errno_location();
}

WF_UNOBSERVED __attribute__((noinline)) void wf_errno_write(int value)
{
    __asm__ volatile("" : : : "memory");
    *__errno_location() = value;
}
