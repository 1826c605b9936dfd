/* 08-timeout.c - a time limit round one call, or round any code.
 *
 * No call takes a timeout of its own. A limit belongs to a scope, so limits nest, and the earliest wins. */
#include <stdio.h>
#include <unistd.h>

#include <weft.h>

static int nap(void *arg)
{
    (void)arg;
    return weft_sleep(10 * WEFT_SEC);
}

/* An hour for the reader, a tenth of a second for whoever called it. */
static int patient_read(void *arg)
{
    int *fd = arg;
    char buf[64];
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(3600 * WEFT_SEC));
    ssize_t n = weft_read(*fd, buf, sizeof buf);
    printf("read: %s\n", weft_strerror((int)n));
    printf("was it this limit? %s\n", weft_scope_expired(&s) ? "yes" : "no, an outer one");
    return n < 0 ? (int)n : weft_scope_close(&s);
}

static int app(void *arg)
{
    int *pipe_end = arg;
    int err = weft_within(100 * WEFT_MSEC, nap, NULL);
    printf("nap: %s\n", weft_strerror(err));

    err = weft_within(100 * WEFT_MSEC, patient_read, pipe_end);
    printf("within: %s\n", weft_strerror(err));
    if (err != -ETIMEDOUT)
        return err;

    /* Those limits ended with their blocks: this task may wait again. */
    return weft_sleep(WEFT_MSEC);
}

int main(void)
{
    int ends[2]; /* nobody ever writes to it */
    if (pipe(ends) < 0)
        return 1;
    int err = weft_run(NULL, app, &ends[0]);
    close(ends[0]);
    close(ends[1]);
    return err < 0;
}
