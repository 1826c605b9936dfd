/* futex.h - sleep while a word holds a value. One system call each, private to the process. */
#ifndef WF_FUTEX_H
#define WF_FUTEX_H

#include <stdint.h>

/* Sleep while *word == value, until woken or, with deadline_ns other than INT64_MAX, until that point of
 * the monotonic clock. Returns 0, -EAGAIN (other value), -EINTR or -ETIMEDOUT; all may be spurious. */
int wf_futex_wait(const void *word, uint32_t value, int64_t deadline_ns);

/* Wake at most n who sleep on word. The memory may be gone by now: at worst somebody wakes for nothing. */
void wf_futex_wake(const void *word, int n);

#endif
