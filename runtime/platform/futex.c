/* futex.c - see futex.h. The wrapper of a system call writes errno, which may be a task's: it is put back. */
#include "runtime/platform/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int wf_futex_wait(const void *word, uint32_t value, int64_t deadline_ns)
{
    struct timespec at = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    const struct timespec *until = deadline_ns == INT64_MAX ? NULL : &at;
    int before = errno;
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, until, NULL,
                     FUTEX_BITSET_MATCH_ANY);
    int err = r < 0 ? -errno : 0;
    errno = before;
    return err;
}

void wf_futex_wake(const void *word, int n)
{
    int before = errno;
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
    errno = before;
}
