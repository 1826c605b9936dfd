/* 14-lanes.c - each kind of work in a lane of its own.
 *
 * One worker. Primes are counted in lane cpu: one job of eight calls, started now and awaited later. A store that two
 * threads may use at once has a lane of its own. A search that nobody wants any more is told so, and gives up. */
#include <stdio.h>

#include <weft.h>

enum { RANGES = 8, RANGE = 25000 };

struct range {
    int from, primes;
};

static int count_primes(void *arg)
{
    struct range *r = arg;
    for (int n = r->from; n < r->from + RANGE; n++) {
        int d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        r->primes += n > 1 && d * d > n;
    }
    return 0;
}

/* Stands for the client library of a store: it blocks, and is used by two threads at most. */
static int ask_store(void *arg)
{
    return *(const int *)arg * 2;
}

static int ask(void *arg)
{
    int question = 21;
    return weft_offload_on(arg, ask_store, &question);
}

static int search_for_ever(void *arg)
{
    (void)arg;
    while (!weft_offload_cancelled())
        ;
    return -ECANCELED;
}

static int search(void *arg)
{
    return weft_offload_on(weft_lane_cpu(), search_for_ever, arg);
}

/* Eight calls, as many at once as there are CPUs, and one job. */
static int count_them_all(void)
{
    struct range r[RANGES] = {{0}};
    weft_job job;
    int primes = 0;
    for (int i = 0; i < RANGES; i++)
        r[i].from = i * RANGE;
    int err = weft_job_start_all(&job, weft_lane_cpu(), count_primes, r, sizeof *r, RANGES);
    if (err < 0)
        return err;
    puts("counting"); /* while we are here */
    err = weft_job_await(&job);
    for (int i = 0; i < RANGES; i++)
        primes += r[i].primes;
    return err < 0 ? err : primes;
}

/* What more than two ask at once waits, and holds up nobody else. */
static int ask_the_store(void)
{
    weft_lane *store;
    int err = weft_lane_open(&store, &(weft_lane_config){.name = "store", .threads = 2});
    if (err < 0)
        return err;
    WEFT_SCOPE(s);
    for (int i = 0; i < 100; i++)
        weft_go(&s, ask, store);
    err = weft_scope_close(&s);
    weft_lane_stats figures;
    weft_lane_stats_read(store, &figures);
    printf("asked %d times\n", (int)figures.done);
    weft_lane_close(store);
    return err;
}

static int app(void *arg)
{
    int primes = count_them_all();
    if (primes < 0)
        return primes;
    printf("%d primes below %d\n", primes, RANGES * RANGE);
    int err = ask_the_store();
    if (err < 0)
        return err;
    err = weft_within(20 * WEFT_MSEC, search, arg);
    printf("searched: %s\n", weft_strerror(err));
    return err == -ETIMEDOUT ? 0 : err;
}

int main(void)
{
    weft_config config = {.workers = 1};
    return weft_run(&config, app, NULL) < 0;
}
