/* quarantine.h - buffers that the kernel cannot write to once they are given back.
 *
 * Sanitizers do not see what the kernel writes: a completion into freed memory goes unnoticed. So each buffer here has
 * pages of its own, ends where a page ends that nobody may touch, and when it is freed its pages are taken away: the
 * kernel gets EFAULT then, and a thread of ours a fault. They stay so until as many others have been freed after them
 * as the quarantine holds; only then are they used again. */
#ifndef TEST_QUARANTINE_H
#define TEST_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    QUARANTINE_SLOTS = 512, /* buffers there can be, in use and freed together */
    QUARANTINE_HELD = 256,  /* freed ones that are kept out of use */
    QUARANTINE_BYTES = 4096 /* the longest buffer */
};

/* n bytes, at most QUARANTINE_BYTES, the last of which is the last of its page. Any thread. More than SLOTS - HELD in
 * use at once fail the test. */
void *quarantine_get(size_t n);
void quarantine_put(void *buffer);

/* Is the byte at this address out of reach, as the kernel sees it? */
bool quarantine_is_closed(const void *address);

#endif
