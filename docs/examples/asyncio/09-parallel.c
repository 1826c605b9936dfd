/* 09-parallel.c - parallelism: the same tasks on all cores, with no process in between. */
#include <stdio.h>

#include <weft.h>

struct part {
    int start, found;
};

static int count_primes(void *arg)
{
    struct part *p = arg;
    for (int n = p->start < 2 ? 2 : p->start; n < p->start + 20000; n++) {
        int d = 2;
        while (d <= n / d && n % d != 0)
            d++;
        p->found += d > n / d;
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct part parts[4] = {{0, 0}, {20000, 0}, {40000, 0}, {60000, 0}};
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++)
        weft_go(&s, count_primes, &parts[i]);
    int err = weft_scope_close(&s);
    printf("%d primes\n", parts[0].found + parts[1].found + parts[2].found + parts[3].found);
    return err;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0; /* as many workers as this process may use CPUs */
}
