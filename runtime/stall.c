/* stall.c - what is said of a task that holds its worker, and of tasks that all wait for each other.
 *
 *     weft: worker 1 held 1204 ms by task 4711 resize (spawned at http.c:88), which computes; 3 tasks wait, 309 ran
 *     elsewhere
 *     weft:     resize_row (image.c:120)
 *     weft:     resize (image.c:95)
 *     weft:     weft_offload() does such things off the workers; or give way with weft_yield()
 *
 * The task goes on meanwhile and may even end, but its memory stays. So its backtrace is only used if the worker still
 * runs it after having been looked at. */
#include "runtime/watchdog.h"

#include "runtime/child.h"
#include "runtime/panic.h"
#include "runtime/platform/where.h"
#include "runtime/worker.h"

#include <stdio.h>
#include <string.h>

static const int64_t WRITTEN_AGAIN_NS = 60 * WEFT_SEC;

static const char *doing_text(const struct wf_where *at, char text[WF_WHERE_TEXT])
{
    char name[WF_WHERE_TEXT];
    switch (at->doing) {
    case WF_DOING_COMPUTE: return "computes";
    case WF_DOING_FAULT: return "waits for memory";
    case WF_DOING_SYSCALL:
        snprintf(text, WF_WHERE_TEXT, "is blocked in the system call %.64s", wf_where_syscall(at->syscall, name));
        return text;
    case WF_DOING_UNKNOWN: break;
    }
    return "";
}

static const char *advice(enum wf_doing doing)
{
    switch (doing) {
    case WF_DOING_COMPUTE: return "weft_offload() does such things off the workers; or give way with weft_yield()";
    case WF_DOING_SYSCALL: return "use weft's own call for it, or weft_blocking_begin() and _end() around it";
    case WF_DOING_FAULT:
    case WF_DOING_UNKNOWN: break;
    }
    return NULL;
}

static void write_lines(const weft_stall *s, const struct wf_where *at)
{
    char text[WF_WHERE_TEXT];
    wf_warn("worker %u held %lld ms by task %llu %s (spawned at %s)%s%s; %u tasks wait, %u ran elsewhere", s->worker,
            (long long)(s->held_ns / WEFT_MSEC), (unsigned long long)s->number, s->task, s->where,
            *s->doing ? ", which " : "", s->doing, s->waiting, s->elsewhere);
    for (unsigned i = 0; i < s->depth; i++)
        wf_warn("    %s", wf_where_text(s->backtrace[i], i > 0 || !at->sampled, text));
    if (advice(at->doing))
        wf_warn("    %s", advice(at->doing));
}

void wf_stall_report(struct wf_worker *w, weft_task *t, struct wf_watchdog_seen *seen, int64_t now)
{
    weft_runtime *rt = w->rt;
    char name[WF_TASK_TEXT_MAX], doing[WF_WHERE_TEXT];
    struct wf_where at;
    struct wf_stack *stack = wf_load(&t->stack, relaxed);
    wf_where_look(&at, wf_load(&w->thread_id, relaxed), stack);
    if (wf_load(&w->run_seq, relaxed) != seen->seq || !wf_load(&w->current, relaxed))
        at.depth = 0; /* that was somebody else, or nobody */
    weft_stall stall = {
        .task = name,
        .worker = w->index,
        .held_ns = now - seen->since_ns,
        .number = wf_load(&t->number, relaxed),
        .doing = doing_text(&at, doing),
        .waiting = wf_queue_count_all(&w->queue),
        .elsewhere = (unsigned)(wf_load(&w->taken, relaxed) - seen->taken),
        .backtrace = at.pc,
        .depth = at.depth,
    };
    stall.where = wf_task_describe(t, name);
    if (rt->config.on_stall) {
        rt->config.on_stall(&stall, rt->config.ctx);
        wf_child_refuse("weft_config.on_stall returned");
    } else if (stall.number != seen->written || now - seen->written_ns >= WRITTEN_AGAIN_NS) {
        seen->written = stall.number;
        seen->written_ns = now;
        write_lines(&stall, &at);
    }
}

/* ---- nothing can go on ---- */

enum { NAMED_MAX = 16 }; /* the others are counted */

struct waiting {
    unsigned count;
    weft_task *first[NAMED_MAX];
};

static void note_waiting(weft_task *t, void *ctx)
{
    struct waiting *w = ctx;
    if (wf_load(&t->state, relaxed) != WF_TASK_WAITING)
        return;
    if (w->count < NAMED_MAX)
        w->first[w->count] = t;
    w->count++;
}

/* The call of weft's that it waits in, and who made it. False: that cannot be seen. */
static bool find_call(weft_task *t, char call[WF_WHERE_TEXT], char caller[WF_WHERE_TEXT])
{
    struct wf_stack *s = wf_load(&t->stack, relaxed);
    struct wf_where at = {0};
    char text[WF_WHERE_TEXT];
    bool found = false;
    if (s)
        wf_where_standing(&at, (void *const *)&s->context.sp);
    for (unsigned i = 0; i + 1 < at.depth; i++) {
        bool is_call = strncmp(wf_where_text(at.pc[i], true, text), "weft_", 5) == 0;
        if (found && !is_call)
            break; /* it calls weft, and the one before was called */
        if (is_call) {
            snprintf(call, WF_WHERE_TEXT, "%.*s", (int)strcspn(text, " "), text);
            wf_where_text(at.pc[i + 1], true, caller);
        }
        found = is_call;
    }
    return found;
}

static void write_waiting(weft_task *t)
{
    char name[WF_TASK_TEXT_MAX], call[WF_WHERE_TEXT], caller[WF_WHERE_TEXT];
    const char *place = wf_task_describe(t, name);
    unsigned long long number = wf_load(&t->number, relaxed);
    if (find_call(t, call, caller))
        wf_warn("    task %llu %s (spawned at %s) waits in %s, called by %s", number, name, place, call, caller);
    else
        wf_warn("    task %llu %s (spawned at %s) waits", number, name, place);
}

void wf_deadlock_report(weft_runtime *rt)
{
    struct waiting w = {0};
    if (rt->config.on_deadlock) {
        rt->config.on_deadlock(rt->config.ctx);
        wf_child_refuse("weft_config.on_deadlock returned");
        return;
    }
    wf_task_pool_each(&rt->tasks, note_waiting, &w);
    wf_warn("nothing can go on: %u tasks wait, all %u workers sleep, and no timer, request or job is under way; only a "
            "thread of the program's own can wake one", w.count, rt->worker_count);
    for (unsigned i = 0; i < w.count && i < NAMED_MAX; i++)
        write_waiting(w.first[i]);
}
