/* thread.h - threads of our own. They start with every signal blocked but those a fault raises, so the
 * host's handlers run on the host's threads. */
#ifndef WF_THREAD_H
#define WF_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct wf_thread {
    uintptr_t id; /* a pthread_t */
};

/* name is cut to 15 bytes. 0, -EAGAIN, -ENOMEM. */
int wf_thread_start(struct wf_thread *t, void *(*fn)(void *), void *arg, const char *name);
void wf_thread_join(struct wf_thread *t);
void wf_thread_detach(struct wf_thread *t);

/* From now on call fn in every child of fork(), on its only thread. 0, -ENOMEM. */
int wf_thread_at_fork(void (*fn)(void));

/* How many threads this process has, those not counted that the kernel has added for itself; 0: that is not known. */
unsigned wf_thread_count(void);

/* Of thread `id` of this process, as wf_where_self() names it: the CPU time that it has had, by one system call, -1:
 * that is not known; and whether it waits in the kernel, by several, false also if that is not known. */
int64_t wf_thread_cpu_time(int id);
bool wf_thread_is_blocked(int id);

/* The CPU that runs the caller just now; -1: unknown. */
int wf_thread_cpu(void);

/* Let others run; and rest for about so long: for loops that wait for another thread's few instructions. */
void wf_thread_yield(void);
void wf_thread_nap(int64_t ns);

/* Bind the calling thread to one CPU and keep what it was bound to; cpu < 0: nothing. Best effort. */
struct wf_affinity {
    unsigned long mask[16]; /* 1,024 CPUs */
    int saved;
};
void wf_thread_affinity(struct wf_affinity *ret); /* only keep it, for a thread that is started later */
/* The CPUs of a list; -EINVAL: the caller may not use them all. */
int wf_thread_choose(const unsigned *cpus, unsigned n, struct wf_affinity *ret);
void wf_thread_bind(int cpu, struct wf_affinity *ret);
void wf_thread_unbind(const struct wf_affinity *a);

/* Let the calling thread be nicer by so much than it is. Best effort. */
void wf_thread_nice(int more);

/* For a thread that needs little CPU, but soon: no more than this at a time, and so before others that compute, from
 * Linux 6.12 on; 0: as any other. Inherited by threads that it starts. Best effort. */
void wf_thread_hurry(int64_t slice_ns);

/* Block SIGPIPE in the calling thread; on the way back drop one that came meanwhile. */
struct wf_sigpipe {
    int was_blocked, was_pending;
};
void wf_thread_block_sigpipe(struct wf_sigpipe *ret);
void wf_thread_restore_sigpipe(const struct wf_sigpipe *s);

#endif
