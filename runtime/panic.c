/* panic.c - one line, then the end. */
#include "runtime/panic.h"

#include "runtime/child.h"
#include "runtime/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512 };

/* Write "weft: <text><tail>\n" at once, so that lines of several threads do not mix. */
static void say(const char *format, va_list args, const char *tail)
{
    char line[LINE_MAX_BYTES] = "weft: ";
    size_t used = strlen(line);
    int n = vsnprintf(line + used, sizeof line - used - 1, format, args);
    used += n > 0 ? (size_t)n : 0;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    n = snprintf(line + used, sizeof line - used - 1, "%s", tail);
    used += n > 0 ? (size_t)n : 0;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0)
        return; /* nowhere left to say it */
}

void wf_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args, "");
    va_end(args);
}

void wf_panic(const char *format, ...)
{
    char tail[LINE_MAX_BYTES / 2] = "";
    weft_task *t = wf_task_self();
    if (t)
        snprintf(tail, sizeof tail, ", in task %s (spawned at %s)", wf_task_name(t), wf_task_place(t));
    va_list args;
    va_start(args, format);
    say(format, args, tail);
    va_end(args);
    abort();
}

void wf_worker_refuse(const char *function)
{
    wf_child_refuse(function);
    wf_panic(wf_local()->guest ? "%s called between weft_blocking_begin and weft_blocking_end"
                               : "%s called outside a task",
             function);
}
