/* weft_close() promises that the descriptor is gone, whatever it returns. It said -ENOMEM and left it open when there
 * was no memory for the page of the table that its word is in, which nobody had needed yet. */
#include "runtime/platform/fault.h"
#include "tests/test.h"

#include <fcntl.h>
#include <unistd.h>
#include <weft.h>

#if defined(WF_FAULTS)

static int close_it(void *arg)
{
    int fd = *(int *)arg;
    wf_fault_at(WF_FAULT_MEMORY, 1, WF_FAULT_ONWARDS);
    int err = weft_close(fd);
    CHECK_EQ(wf_fault_failed(), 1);
    wf_fault_at(WF_FAULT_ANY, 1, WF_FAULT_NEVER);
    CHECK_EQ(err, 0);
    CHECK(fcntl(fd, F_GETFD) < 0);
    CHECK_EQ(weft_close(fd), -EBADF);
    return 0;
}

TEST(regress, a_descriptor_is_closed_though_memory_is_out)
{
    int fd = dup(STDERR_FILENO);
    CHECK_EQ(weft_run(NULL, close_it, &fd), 0);
}

#endif
