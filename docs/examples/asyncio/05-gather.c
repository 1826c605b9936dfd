/* 05-gather.c - several results, in the order asked for. */
#include <stdio.h>

#include <weft.h>

struct square {
    int n, result;
};

static int square(void *arg)
{
    struct square *q = arg;
    int err = weft_sleep(50 * WEFT_MSEC);
    q->result = q->n * q->n;
    return err;
}

static int app(void *arg)
{
    (void)arg;
    struct square q[] = {{1, 0}, {2, 0}, {3, 0}};
    int err = weft_gather(square, q, 3); /* a task each; each writes its own element */
    if (err == 0)
        printf("%d %d %d\n", q[0].result, q[1].result, q[2].result);
    return err;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
