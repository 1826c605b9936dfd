/* local.h - the one thread-local of weft, and its readers.
 *
 * A task may go on as another thread after any suspension, and compilers keep the address of a thread-local
 * over calls. So nobody touches it but the functions here, which are never inlined and whose result the
 * compiler cannot predict. Whatever they return is true until the next suspension and no longer. */
#ifndef WF_LOCAL_H
#define WF_LOCAL_H

struct wf_job;
struct wf_worker;
typedef struct weft_task weft_task;

struct wf_local {
    struct wf_worker *worker; /* whose thread this is, NULL on a plain thread */
    weft_task *guest;         /* a task that runs here though this is no worker (weft_blocking_begin) */
    struct wf_job *job;       /* what this thread of a lane runs */
};

struct wf_local *wf_local(void);

/* A few words of the calling thread's own, zero at first, for the wait of a plain thread (runtime/wait.c): the
 * address is good for as long as the thread lives. */
enum { WF_LOCAL_ROOM = 32 };
void *wf_local_room(void);

/* The worker that runs the caller; NULL on a plain thread. */
struct wf_worker *wf_worker_self(void);

/* The C library's errno of this very moment. */
int wf_errno_read(void);
void wf_errno_write(int value);

#endif
