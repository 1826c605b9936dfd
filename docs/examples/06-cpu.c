/* 06-cpu.c - computing gains nothing from one worker, and much from several.
 *
 * The same four pieces of work three times: as plain calls, as tasks on one worker, as tasks on all the CPUs
 * this process may use. Concurrency shortens waiting; only cores shorten computing. */
#include <stdio.h>

#include <weft.h>

enum { PARTS = 4, PART_SIZE = 300000 };

struct part {
    unsigned from, found;
};

static bool is_prime(unsigned n)
{
    for (unsigned d = 2; d <= n / d; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static int count_primes(void *arg)
{
    struct part *p = arg;
    p->found = 0;
    for (unsigned n = p->from; n < p->from + PART_SIZE; n++)
        p->found += is_prime(n);
    return 0;
}

static int count_at_once(void *arg)
{
    struct part *parts = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < PARTS; i++)
        weft_go(&s, count_primes, &parts[i]);
    return weft_scope_close(&s);
}

static int count_in_turn(struct part *parts)
{
    for (int i = 0; i < PARTS; i++)
        count_primes(&parts[i]);
    return 0;
}

/* workers: 0 for all there are, -1 for no runtime at all. */
static int measure(const char *how, int workers)
{
    struct part parts[PARTS];
    for (int i = 0; i < PARTS; i++)
        parts[i].from = (unsigned)i * PART_SIZE;

    weft_time start = weft_now();
    weft_config config = {.workers = workers > 0 ? (unsigned)workers : 0};
    int err = workers < 0 ? count_in_turn(parts) : weft_run(&config, count_at_once, parts);
    double seconds = (double)weft_since(start) / WEFT_SEC;

    unsigned found = 0;
    for (int i = 0; i < PARTS; i++)
        found += parts[i].found;
    printf("%-12s %u primes in %.2f s\n", how, found, seconds);
    return err;
}

int main(void)
{
    int err = measure("plain calls", -1);
    if (err == 0)
        err = measure("one worker", 1);
    if (err == 0)
        err = measure("all workers", 0);
    return err < 0;
}
