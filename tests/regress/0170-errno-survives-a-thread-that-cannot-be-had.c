/* weft_blocking_begin() returns nothing and may find that no thread can be started: the task then blocks its worker. It
 * left that system call's error in the task's errno. */
#include "tests/test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <weft.h>

/* From now on no thread can be started in this process. */
static void refuse_threads(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int block_in_vain(void *arg)
{
    (void)arg;
    refuse_threads();
    errno = 4711;
    weft_blocking_begin();
    CHECK_EQ(errno, 4711);
    weft_blocking_end();
    CHECK_EQ(errno, 4711);
    CHECK_EQ(weft_offload(block_in_vain, NULL), -EAGAIN);
    return 0;
}

static void run_it(void)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, block_in_vain, NULL), 0);
}

TEST(regress, errno_survives_a_thread_that_cannot_be_had)
{
    char said[4096];
    int status = test_in_child(run_it, 15, said, sizeof said); /* it cannot be undone */
    if (status != 0)
        test_failed(__FILE__, __LINE__, "status %#x: %s", (unsigned)status, said);
}
