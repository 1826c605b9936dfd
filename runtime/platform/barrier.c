/* barrier.c - see barrier.h. The wrapper of a system call writes errno, which may be a task's: it is put back.
 *
 * A door is the rseq area that libc registers for each thread (glibc 2.35): the kernel writes there on which CPU it
 * runs. That one alone is interrupted. Without it all are that run a thread of this process. */
#include "runtime/platform/barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdint.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

static int membarrier(int command, unsigned flags, int cpu)
{
    int before = errno;
    long r = syscall(SYS_membarrier, command, flags, cpu);
    int err = r < 0 ? -errno : 0;
    errno = before;
    return err;
}

int wf_barrier_prepare(void)
{
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

void wf_barrier(void)
{
    while (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == -ENOMEM)
        sched_yield(); /* it wants a few bytes for the list of cores */
}

/* Stands for the door of a thread without one. */
static const struct rseq nowhere = {.cpu_id = (uint32_t)RSEQ_CPU_ID_UNINITIALIZED};

static const struct rseq *own_area(void)
{
    if (!__rseq_size || membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) < 0)
        return &nowhere;
    return (const struct rseq *)(const void *)((const char *)__builtin_thread_pointer() + __rseq_offset);
}

const void *wf_barrier_door(void)
{
    return wf_barrier_prepare() == 0 ? own_area() : NULL;
}

void wf_barrier_at(const void *door)
{
    const struct rseq *area = door;
    int cpu = (int)*(const volatile uint32_t *)&area->cpu_id;
    if (cpu < 0 || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, cpu) < 0)
        wf_barrier();
}
