/* hello.c - a user's program, seen from outside: it knows an installed weft and nothing of its source tree.
 *
 * Prints the library's version and what a task computed; a library that links but cannot run is of no use. */
#include <stdio.h>

#include <weft.h>

static int add(void *arg)
{
    int *n = arg;
    *n += 20;
    return 0;
}

static int app(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, add, arg);
    return weft_scope_close(&s);
}

int main(void)
{
    int n = 22;
    int err = weft_run(NULL, app, &n);
    printf("weft %s: %d\n", weft_version(), n);
    return err < 0;
}
