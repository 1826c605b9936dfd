/* barrier.h - a full fence for all threads of the process at once.
 *
 * Where one side of a Dekker is taken all the time and the other hardly ever, the rare one pays for both: its
 * wf_barrier() is a fence in every thread that runs, so the frequent one only has to keep the compiler from
 * exchanging its store and its load: wf_fence_light() of atomic.h. */
#ifndef WF_BARRIER_H
#define WF_BARRIER_H

/* Ask the kernel for it; may be repeated, from any thread. 0, or what it said: before 4.14, or to a sandbox. */
int wf_barrier_prepare(void);

/* Once prepared. Some microseconds. */
void wf_barrier(void);

/* Where the calling thread runs, for others as long as it lives. NULL: nobody can be interrupted here. */
const void *wf_barrier_door(void);

/* The same as wf_barrier() for one thread: interrupt the CPU that it runs on. If that thread waits, or has just come
 * from the kernel, perhaps nothing. */
void wf_barrier_at(const void *door);

#endif
