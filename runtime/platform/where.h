/* where.h - what a thread of this process is just doing, seen from another one.
 *
 * For reports about tasks that hold their worker, so it may take some milliseconds, but the thread that is looked at
 * must not notice: no signal is sent to it. Whether it computes or waits in the kernel, and for which system call, is
 * read from /proc. Where it computes is told by one sample of a clock of that thread (perf_event_open(2)), whose call
 * chain is as long as the code keeps frame pointers. If that is not one step, as in a library built without, or the
 * thread waits in the kernel, then what looks like a return address on its stack is taken for one: the first lines are
 * right, one further down may be left from before. */
#ifndef WF_WHERE_H
#define WF_WHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WF_WHERE_DEPTH = 24, WF_WHERE_TEXT = 256 };

enum wf_doing {
    WF_DOING_UNKNOWN, /* there is no /proc, or it does not say */
    WF_DOING_COMPUTE,
    WF_DOING_SYSCALL,
    WF_DOING_FAULT    /* waits in the kernel, but not for a system call: for a page, most likely */
};

struct wf_where {
    enum wf_doing doing;
    long syscall;    /* its number */
    bool sampled;    /* pc[0] is where it is; else all are return addresses */
    unsigned depth;
    void *pc[WF_WHERE_DEPTH];
};

/* The calling thread's number, for others to look at it by. */
int wf_where_self(void);

/* Look at thread `id`, whose stack ends at `stack_end`: NULL, not known. depth is 0 if nothing can be seen. */
void wf_where_look(struct wf_where *ret, int id, const void *stack_end);

/* Where a task stands that has left its stack, whose saved stack pointer is at `sp`: as far as frame pointers lead. It
 * may go on meanwhile, and its stack away; then what is seen is nothing, or nonsense. */
void wf_where_standing(struct wf_where *ret, void *const *sp);

/* "nanosleep", or "35" for one that is seldom waited for. */
const char *wf_where_syscall(long number, char text[WF_WHERE_TEXT]);

/* "function+0x12 (file.c:34)", or as much of that as can be found out. Of a return address the call is meant. */
const char *wf_where_text(const void *pc, bool is_return, char text[WF_WHERE_TEXT]);

#endif
