/* child.c - see child.h.
 *
 * Nothing here costs a call that works. The handler that runs in the child takes the worker away from the one thread
 * there is, so every call that asks for its worker goes the way of a call from outside a task, and only that way asks
 * whether this is a child. The task stays known as a guest of its thread, as between weft_blocking_begin and end, so
 * that the line can name it. What does not ask for a worker, and would wake, wait or submit, asks here itself.
 *
 * What works on memory alone, an uncontended lock or a channel with room, goes on working, since nothing there would
 * notice. Nor does a child know itself that was made without fork(): by vfork() or clone(2). */
#include "runtime/child.h"

#include "runtime/panic.h"
#include "runtime/platform/lock.h"
#include "runtime/platform/thread.h"
#include "runtime/run.h"
#include "runtime/worker.h"

static bool in_child; /* written by the only thread of a new process, and constant but for that */
static bool watched;  /* under watch_lock */
static struct wf_lock watch_lock;

static void after_fork(void)
{
    struct wf_local *l = wf_local();
    in_child = in_child || wf_runtime_any();
    if (l->worker) {
        l->guest = wf_load(&l->worker->current, relaxed);
        l->worker = NULL;
    }
}

int wf_child_watch(void)
{
    wf_lock(&watch_lock);
    int err = watched ? 0 : wf_thread_at_fork(after_fork);
    watched = watched || !err;
    wf_unlock(&watch_lock);
    return err;
}

void wf_child_refuse(const char *what)
{
    WF_REQUIRE(!in_child, "%s in a child of fork(), which may only exec", what);
}
