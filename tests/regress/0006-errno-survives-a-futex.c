/* A lock of weft's that has to sleep does so by a system call, which left its error in the calling task's errno:
 * EAGAIN now and then, after calls that do not even return one. */
#include "runtime/platform/futex.h"
#include "tests/test.h"

#include <weft.h>

TEST(regress, errno_survives_a_futex_call)
{
    uint32_t word = 0;
    errno = 4711;
    CHECK_EQ(wf_futex_wait(&word, 1, INT64_MAX), -EAGAIN);
    CHECK_EQ(errno, 4711);
    CHECK_EQ(wf_futex_wait(&word, 0, 1), -ETIMEDOUT);
    CHECK_EQ(errno, 4711);
    wf_futex_wake(&word, 1);
    CHECK_EQ(errno, 4711);
}
