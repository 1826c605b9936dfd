/* mutex.c - what does a lock cost?
 *
 *     alone        one task locks and unlocks
 *     contended    four tasks lock, add to a counter that is nobody else's meanwhile, unlock; then add to one of their
 *                  own for a while
 *
 * The figure is wall time for a lock and its unlock, with what is done under it and in between. On one worker nobody
 * is ever interrupted under the lock, so the second figure is how a lock is that is shared but free; on two workers
 * tasks do meet. Beside it: Go, Tokio and Boost.Fiber; and four threads with a pthread mutex. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <pthread.h>
#include <weft.h>

enum { LOCKS = 1000000, TASKS = 4, BETWEEN = 16, METRICS = 2 };

static unsigned locks = LOCKS; /* of all tasks together */

static struct {
    _Alignas(64) weft_mutex mutex;
    _Alignas(64) pthread_mutex_t pthread_mutex;
    _Alignas(64) volatile uint64_t counter;
} shared = {.pthread_mutex = PTHREAD_MUTEX_INITIALIZER};

static void work_between(void)
{
    volatile uint64_t own = 0;
    for (int i = 0; i < BETWEEN; i++)
        own = own + 1;
}

static int contend(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < locks / TASKS; i++) {
        weft_mutex_lock(&shared.mutex);
        shared.counter = shared.counter + 1;
        weft_mutex_unlock(&shared.mutex);
        work_between();
    }
    return 0;
}

static void *thread_contend(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < locks / TASKS; i++) {
        pthread_mutex_lock(&shared.pthread_mutex);
        shared.counter = shared.counter + 1;
        pthread_mutex_unlock(&shared.pthread_mutex);
        work_between();
    }
    return NULL;
}

static double finish(int64_t start)
{
    double ns = (double)(bench_now_ns() - start) / locks;
    if (shared.counter != locks / TASKS * TASKS)
        bench_die("mutex: %llu counted of %u", (unsigned long long)shared.counter, locks);
    return ns;
}

static int measure(void *arg)
{
    double *value = arg;
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < locks; i++) {
        weft_mutex_lock(&shared.mutex);
        weft_mutex_unlock(&shared.mutex);
    }
    value[0] = (double)(bench_now_ns() - start) / locks;
    shared.counter = 0;
    start = bench_now_ns();
    WEFT_SCOPE(s);
    for (int i = 0; i < TASKS; i++)
        weft_go(&s, contend, NULL);
    int err = weft_scope_close(&s);
    value[1] = finish(start);
    return err;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("mutex: %s", weft_strerror(err));
}

static void run_threads(unsigned workers, double *value)
{
    pthread_t thread[TASKS];
    (void)workers;
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < locks; i++) {
        pthread_mutex_lock(&shared.pthread_mutex);
        pthread_mutex_unlock(&shared.pthread_mutex);
    }
    value[0] = (double)(bench_now_ns() - start) / locks;
    shared.counter = 0;
    start = bench_now_ns();
    for (int i = 0; i < TASKS; i++)
        if (pthread_create(&thread[i], NULL, thread_contend, NULL) != 0)
            bench_die("mutex: no thread");
    for (int i = 0; i < TASKS; i++)
        pthread_join(thread[i], NULL);
    value[1] = finish(start);
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric[METRICS] = {{"alone", "ns/lock", 0}, {"contended", "ns/lock", 0}};
    struct bench_options o = bench_options(&argc, argv, 11, NULL);
    struct bench_entry entry[] = {
        {.who = "weft", .version = weft_version(), .workers = 1, .run = run},
        {.who = "weft", .version = weft_version(), .workers = 2, .run = run},
        {.who = "pthreads", .version = "-", .workers = 1, .run = run_threads},
        {.who = "pthreads", .version = "-", .workers = 2, .run = run_threads},
        {.workers = 1, .command = "peers/go_chan mutex 1 1000000"},
        {.workers = 2, .command = "peers/go_chan mutex 2 1000000"},
        {.workers = 1, .command = "peers/tokio_peer mutex 0 1000000"},
        {.workers = 2, .command = "peers/tokio_peer mutex 2 1000000"},
        {.workers = 1, .command = "peers/boost_chan mutex 1000000"},
    };
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        locks = LOCKS / 10;
    bench_rounds("mutex", &o, entry, sizeof entry / sizeof entry[0], metric, METRICS);
    return 0;
}
