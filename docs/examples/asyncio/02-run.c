/* 02-run.c - from main() into the first task, and back with its result. */
#include <stdio.h>

#include <weft.h>

static int app(void *arg)
{
    int err = weft_sleep(10 * WEFT_MSEC);
    return err < 0 ? err : *(int *)arg;
}

int main(void)
{
    int seven = 7;
    int first = weft_run(NULL, app, &seven), second = weft_run(NULL, app, &seven); /* one runtime after the other */
    printf("%d\n%d\n", first, second);
    return first < 0 || second < 0;
}
