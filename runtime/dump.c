/* dump.c - every task of every runtime, a line each. */
#include "runtime/spare.h"
#include "runtime/worker.h"

#include "runtime/child.h"
#include "runtime/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static void line(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(int fd, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > (int)sizeof text - 1) { /* cut, and a line all the same */
        n = sizeof text - 1;
        text[n - 1] = '\n';
    }
    if (n > 0 && write(fd, text, (size_t)n) < 0)
        return; /* nobody reads it */
}

static const char *state_text(weft_task *t)
{
    switch ((enum wf_task_state)wf_load(&t->state, relaxed)) {
    case WF_TASK_FREE: return "free";
    case WF_TASK_PREPARED: return "prepared, not started";
    case WF_TASK_READY: return "ready";
    case WF_TASK_RUNNING: return "running";
    case WF_TASK_BLOCKING: return "blocking, on a lane";
    case WF_TASK_DONE: return "done, kept by its scope";
    case WF_TASK_WAITING: break;
    }
    uint64_t word = wf_load(&t->wait.word, relaxed);
    if (word & WF_WAIT_CANCELLING)
        return "waiting for the kernel to cancel";
    if (word & WF_WAIT_OPERATION)
        return "waiting for the kernel";
    return word & WF_WAIT_STOPPABLE ? "waiting" : "waiting, whatever happens";
}

static void dump_task(weft_task *t, void *ctx)
{
    char name[WF_TASK_TEXT_MAX];
    const char *place = wf_task_describe(t, name);
    line(*(int *)ctx, "  task %llu %s: %s, spawned at %s\n",
         (unsigned long long)wf_load(&t->number, relaxed), name, state_text(t), place);
}

static void dump_runtime(weft_runtime *rt, void *ctx)
{
    int fd = *(int *)ctx;
    line(fd, "weft runtime %p: %u workers\n", (void *)rt, rt->worker_count);
    for (unsigned i = 0; i < wf_spares_present(rt); i++) {
        const char *who = i < rt->worker_count ? "worker" : "spare worker";
        weft_task *t = wf_load(&rt->workers[i].current, acquire); /* D2 */
        if (t)
            line(fd, "  %s %u: runs task %llu\n", who, i, (unsigned long long)wf_load(&t->number, relaxed));
        else
            line(fd, "  %s %u: between tasks, or asleep\n", who, i);
    }
    wf_task_pool_each(&rt->tasks, dump_task, ctx);
}

void weft_dump(int fd)
{
    wf_child_refuse("weft_dump");
    wf_runtime_each(dump_runtime, &fd);
}
