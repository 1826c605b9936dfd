/* weft_scope_close() promises the first failure that nobody awaited. It said that of the task spawned last, since the
 * list of held tasks has the latest first. */
#include "tests/test.h"

#include <weft.h>

static int fail(void *arg)
{
    return *(int *)arg;
}

static int fail_thrice(void *arg)
{
    static int errors[] = {0, -EIO, -EPIPE, -EBADF};
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++)
        weft_spawn(&s, fail, &errors[i]);
    return weft_scope_close(&s);
}

TEST(regress, close_says_the_failure_of_the_task_spawned_first)
{
    CHECK_EQ(weft_run(NULL, fail_thrice, NULL), -EIO);
}
