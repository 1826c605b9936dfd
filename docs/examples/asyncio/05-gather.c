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
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        weft_go(&s, square, &q[i]); /* each writes its own element */
    int err = weft_scope_close(&s);
    if (err == 0)
        printf("%d %d %d\n", q[0].result, q[1].result, q[2].result);
    return err;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
