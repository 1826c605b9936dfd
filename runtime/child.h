/* child.h - a child of fork() has a runtime's memory and none of its threads.
 *
 * So it may exec, or leave by _exit(), and that is all. A call that would need the runtime ends such a child with one
 * line, which is better than what it would do instead: wait for threads that do not exist, or write into a ring that
 * is the parent's. */
#ifndef WF_CHILD_H
#define WF_CHILD_H

/* See to it that children will know what they are. 0, -ENOMEM. Once per process, by whoever comes first. */
int wf_child_watch(void);

/* Ends a child of fork(), with a line that begins with `what`, if a runtime was up at the fork; else nothing. */
void wf_child_refuse(const char *what);

#endif
