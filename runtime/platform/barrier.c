/* barrier.c - see barrier.h. The wrapper of a system call writes errno, which may be a task's: it is put back. */
#include "runtime/platform/barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static int membarrier(int command)
{
    int before = errno;
    long r = syscall(SYS_membarrier, command, 0, 0);
    int err = r < 0 ? -errno : 0;
    errno = before;
    return err;
}

int wf_barrier_prepare(void)
{
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

void wf_barrier(void)
{
    while (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == -ENOMEM)
        sched_yield(); /* it wants a few bytes for the list of cores */
}
