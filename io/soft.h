/* soft.h - the parts of the soft kernel: soft.c has the queues and the sleep, soft_wait.c the requests that wait. */
#ifndef WF_SOFT_H
#define WF_SOFT_H

#include "io/interpret.h"
#include "io/kernel.h"
#include "runtime/lane.h"

#include <stddef.h>
#include <sys/epoll.h>

enum {
    WF_SOFT_THREADS_MAX = 32, /* per ring, for what sleeps; a thread ends when it was idle for a while */
    WF_SOFT_NAMES = 1024,     /* chains of requests by user_data */
    WF_SOFT_PAGE = 256,       /* descriptors whose places are allocated together */
    WF_SOFT_BATCH = 256,      /* events taken at once */
};

enum wf_soft_state {
    WF_SOFT_FREE,    /* in the list of those, or in one function's hands */
    WF_SOFT_WAITS,   /* in its descriptor's list, and by name */
    WF_SOFT_HANDED,  /* in the lane's queue or on one of its threads, and by name */
    WF_SOFT_SPILLED, /* completed, behind the completion queue */
};

/* One request. Under the ring's lock `work`, but while a thread executes it, and spilled ones under `post`. */
struct wf_soft_request {
    struct wf_request what;
    enum wf_soft_state state;
    unsigned events;                               /* that it waits for */
    uint32_t generation;                           /* of its descriptor's place: see soft_wait.c */
    uint32_t flags;                                /* spilled: of the completion; */
    int result;                                    /* and its result */
    struct wf_soft_request *next;                  /* of the descriptor, the free or the spilled ones */
    struct wf_soft_request *same_name, **name_link;
    struct wf_job job;
    struct wf_soft *home;
};

/* What is known of a descriptor in this ring. Under `work`. */
struct wf_soft_place {
    struct wf_soft_request *first; /* that wait, oldest first */
    uint32_t generation;           /* so many files were found behind the number */
    bool watched;                  /* it is in the epoll set, or was when we last looked */
    bool drained;                  /* the last one to read took less than it had room for */
};

struct wf_soft {
    struct wf_kernel k; /* first */
    struct wf_driver *d;

    struct wf_lock work; /* for whoever executes: held over a batch of system calls, none of which sleeps */
    struct wf_soft_place **pages;
    unsigned page_count;
    unsigned waiting;    /* requests in some place's list; */
    unsigned handed;     /* in the lane's queue or on one of its threads */
    struct wf_soft_request *names[WF_SOFT_NAMES], *free;
    weft_lane lane;
    struct wf_awake awake; /* of that alone; all zero */
    int epoll, bell;     /* constant; the bell is an eventfd in the epoll set */

    struct wf_lock post; /* for whoever completes; the last lock anybody takes */
    bool asleep;         /* the owner sleeps, or is about to, and nobody has rung since */
    struct wf_soft_request *spilled, **spilled_last;

    unsigned sq_head, sq_tail, sq_flags; /* what the driver shows; sq_flags under `post` */
    unsigned cq_head, cq_tail;
};

/* soft.c: complete r, whose record is used again. Wakes the owner. Under `work`. */
void wf_soft_finish(struct wf_soft *s, struct wf_soft_request *r, int result);

/* soft.c: one completion of several. False: no memory to remember it, so make it the last. Under `work`. */
bool wf_soft_repeat(struct wf_soft *s, struct wf_soft_request *r, int result);

/* soft.c: a record, or NULL: no memory. Under `work`. */
struct wf_soft_request *wf_soft_request(struct wf_soft *s);

/* soft_wait.c, all under `work`. Begin to execute r; events have come for a descriptor, with the token that epoll was
 * given; no more. */
void wf_soft_begin(struct wf_soft *s, struct wf_soft_request *r);
void wf_soft_ready(struct wf_soft *s, uint64_t token, uint32_t events);
void wf_soft_free_places(struct wf_soft *s);

#endif
