/* interpret.h - one request to the kernel, executed by system calls that do not sleep.
 *
 * What io_uring does inside the kernel, for kernels that are ours: soft.c, which waits by epoll, and a simulation,
 * which waits by its own clock. Both keep the requests that wait; here is only what a request means. It calls the
 * system through sys.h and nothing else, keeps nothing and waits for nothing. */
#ifndef WF_INTERPRET_H
#define WF_INTERPRET_H

#include <linux/io_uring.h>
#include <stdbool.h>

/* A request and how far it has come. Only `sqe` is filled in by whoever takes it from the queue; all else is zero. */
struct wf_request {
    struct io_uring_sqe sqe; /* a copy: the slot in the queue is used again */
    unsigned moved;          /* bytes, of one that goes on until all are */
    bool begun;              /* a connect that is under way */
};

enum wf_verdict {
    WF_DONE,   /* `value` is the completion's result */
    WF_WAIT,   /* for these events of poll(2), in `value`, on the descriptor sqe.fd; then try again */
    WF_THREAD, /* it has to sleep: wf_interpret_sleeping, on a thread that may */
};

struct wf_tried {
    enum wf_verdict verdict;
    int value;
};

/* Try the request without sleeping. Never one to cancel others: those are whose who keeps the requests. */
struct wf_tried wf_interpret(struct wf_request *r);

/* The result, however long it takes. */
int wf_interpret_sleeping(struct wf_request *r);

/* The result of one that waited and is cancelled. */
int wf_interpret_cancelled(const struct wf_request *r);

/* The events it would wait for, if it would: for callers who know that trying is in vain. 0: it never waits. */
unsigned wf_interpret_events(const struct wf_request *r);

/* Does this IORING_OP_ASYNC_CANCEL mean that request? */
bool wf_interpret_means(const struct io_uring_sqe *cancel, const struct io_uring_sqe *request);

/* Is it to complete again and again until it is cancelled (a poll)? Then each ready event is one completion. */
bool wf_interpret_repeats(const struct io_uring_sqe *request);

#endif
