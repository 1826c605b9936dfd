/* 13-taskgroup.c - a scope owns its tasks; one failure stops the others. */
#include <stdio.h>

#include <weft.h>

static int sibling(void *arg)
{
    (void)arg;
    int err = weft_sleep(5 * WEFT_SEC);
    if (err < 0)
        puts("sibling: told to stop");
    return err;
}

static int failing(void *arg)
{
    (void)arg;
    int err = weft_sleep(50 * WEFT_MSEC);
    return err < 0 ? err : -EINVAL;
}

static int app(void *arg)
{
    (void)arg;
    WEFT_SCOPE(group);
    weft_go(&group, sibling, NULL);
    weft_go(&group, failing, NULL);
    int err = weft_scope_close(&group);
    if (err != -EINVAL)
        return err;
    puts("group: failed");
    return 0;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
