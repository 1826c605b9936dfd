/* noise.h - a thread that is about to touch shared memory sometimes loses its core first.
 *
 * Only in a build with WEFT_NOISE=ON. There every word of atomic.h calls wf_point() before it touches memory, which
 * now and then gives the core away or sleeps: so the windows between two accesses, which are nanoseconds otherwise,
 * are open for up to a millisecond, and two cores show what many would.
 *
 *     WEFT_NOISE_SEED    a number that all threads' choices follow from; by the clock, if it is not set
 *     WEFT_NOISE_YIELD   of a million points, how many give the core away: 10,000
 *     WEFT_NOISE_SLEEP   of a million points, how many sleep: 1,000; 0 and 0 is silence
 *     WEFT_NOISE_US      the longest sleep in microseconds: 1,000
 *
 * The n-th thread that comes to a point makes the same choices with the same seed. What the kernel makes of them
 * is not repeatable, so a seed makes a failure likelier, not certain. A process that aborts prints its seed. */
#ifndef WF_NOISE_H
#define WF_NOISE_H

/* Any thread, in signal handlers too; it takes no lock and leaves errno alone. */
void wf_point(void);

#endif
