/* chan.c - how many items go through a bounded channel?
 *
 * Producers send words through one channel of 1,024 and consumers receive them, until the channel is closed and
 * drained: 1 to 1, 4 to 1 and 4 to 4, on one worker and on two. Every word is counted and summed at its arrival. The
 * figure is wall time for an item; 25 ns are 40 million a second.
 *
 * Beside it: Go, Tokio (which has no channel of many consumers: they share one behind its mutex) and Boost.Fiber; and
 * threads, one for each task, with a ring under a pthread mutex and two condition variables. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <pthread.h>
#include <weft.h>

enum { ITEMS = 500000, CAPACITY = 1024, TASKS_MAX = 4, METRICS = 3 };

static unsigned items = ITEMS;

static const struct {
    unsigned producers, consumers;
} shape[METRICS] = {{1, 1}, {4, 1}, {4, 4}};

/* What one task, or thread, does: on a cache line of its own. */
struct part {
    _Alignas(64) void *channel;
    uint64_t first, end; /* a producer's words */
    uint64_t count, sum; /* a consumer's */
};

/* ---- tasks ---- */

static int produce(void *arg)
{
    struct part *p = arg;
    int err = 0;
    for (uint64_t i = p->first; i < p->end && err == 0; i++)
        err = weft_chan_send(p->channel, &i);
    return err;
}

static int consume(void *arg)
{
    struct part *p = arg;
    uint64_t v;
    for (p->count = p->sum = 0; weft_chan_recv(p->channel, &v) == 0; p->count++)
        p->sum += v;
    return 0;
}

static void divide(struct part *producer, unsigned producers, struct part *consumer, unsigned consumers, void *channel)
{
    for (unsigned i = 0; i < producers; i++)
        producer[i] = (struct part){.channel = channel, .first = (uint64_t)items / producers * i,
                                    .end = (uint64_t)items / producers * (i + 1)};
    for (unsigned i = 0; i < consumers; i++)
        consumer[i] = (struct part){.channel = channel};
}

static void count(const struct part *consumer, unsigned consumers)
{
    uint64_t n = 0, sum = 0;
    for (unsigned i = 0; i < consumers; i++) {
        n += consumer[i].count;
        sum += consumer[i].sum;
    }
    if (n != items || sum != (uint64_t)items * (items - 1) / 2)
        bench_die("chan: %llu items of %u arrived, sum %llu", (unsigned long long)n, items, (unsigned long long)sum);
}

static int transfer(unsigned producers, unsigned consumers, double *ns)
{
    struct part producer[TASKS_MAX], consumer[TASKS_MAX];
    weft_chan *c = weft_chan_new(CAPACITY, sizeof(uint64_t));
    if (!c)
        return -ENOMEM;
    divide(producer, producers, consumer, consumers, c);
    int64_t start = bench_now_ns();
    WEFT_SCOPE(receiving);
    for (unsigned i = 0; i < consumers; i++)
        weft_go(&receiving, consume, &consumer[i]);
    WEFT_SCOPE(sending);
    for (unsigned i = 0; i < producers; i++)
        weft_go(&sending, produce, &producer[i]);
    int err = weft_scope_close(&sending);
    weft_chan_close(c);
    int end = weft_scope_close(&receiving);
    *ns = (double)(bench_now_ns() - start) / items;
    weft_chan_free(c);
    count(consumer, consumers);
    return err ? err : end;
}

static int measure(void *arg)
{
    double *value = arg;
    int err = 0;
    for (int m = 0; m < METRICS && err == 0; m++)
        err = transfer(shape[m].producers, shape[m].consumers, &value[m]);
    return err;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("chan: %s", weft_strerror(err));
}

/* ---- threads ---- */

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t room, any;
    bool closed;
    size_t first, count;
    uint64_t item[CAPACITY];
};

static void *thread_produce(void *arg)
{
    struct part *p = arg;
    struct ring *r = p->channel;
    for (uint64_t i = p->first; i < p->end; i++) {
        pthread_mutex_lock(&r->lock);
        while (r->count == CAPACITY)
            pthread_cond_wait(&r->room, &r->lock);
        r->item[(r->first + r->count++) % CAPACITY] = i;
        pthread_mutex_unlock(&r->lock);
        pthread_cond_signal(&r->any);
    }
    return NULL;
}

static bool ring_take(struct ring *r, uint64_t *v)
{
    pthread_mutex_lock(&r->lock);
    while (r->count == 0 && !r->closed)
        pthread_cond_wait(&r->any, &r->lock);
    bool any = r->count > 0;
    if (any) {
        *v = r->item[r->first++ % CAPACITY];
        r->count--;
    }
    pthread_mutex_unlock(&r->lock);
    pthread_cond_signal(&r->room);
    return any;
}

static void *thread_consume(void *arg)
{
    struct part *p = arg;
    uint64_t v;
    for (p->count = p->sum = 0; ring_take(p->channel, &v); p->count++)
        p->sum += v;
    return NULL;
}

static pthread_t begin(void *(*fn)(void *), struct part *p)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, fn, p) != 0)
        bench_die("chan: no thread");
    return thread;
}

static double transfer_by_threads(unsigned producers, unsigned consumers)
{
    static struct ring r;
    struct part producer[TASKS_MAX], consumer[TASKS_MAX];
    pthread_t sending[TASKS_MAX], receiving[TASKS_MAX];
    r = (struct ring){.lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER,
                      .any = PTHREAD_COND_INITIALIZER};
    divide(producer, producers, consumer, consumers, &r);
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < consumers; i++)
        receiving[i] = begin(thread_consume, &consumer[i]);
    for (unsigned i = 0; i < producers; i++)
        sending[i] = begin(thread_produce, &producer[i]);
    for (unsigned i = 0; i < producers; i++)
        pthread_join(sending[i], NULL);
    pthread_mutex_lock(&r.lock);
    r.closed = true;
    pthread_cond_broadcast(&r.any);
    pthread_mutex_unlock(&r.lock);
    for (unsigned i = 0; i < consumers; i++)
        pthread_join(receiving[i], NULL);
    double ns = (double)(bench_now_ns() - start) / items;
    count(consumer, consumers);
    return ns;
}

static void run_threads(unsigned workers, double *value)
{
    (void)workers;
    for (int m = 0; m < METRICS; m++)
        value[m] = transfer_by_threads(shape[m].producers, shape[m].consumers);
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric[METRICS] = {{"1_to_1", "ns/item", 25}, {"4_to_1", "ns/item", 0},
                                                        {"4_to_4", "ns/item", 40}};
    struct bench_options o = bench_options(&argc, argv, 11, NULL);
    struct bench_entry entry[] = {
        {.who = "weft", .version = weft_version(), .workers = 2, .run = run},
        {.who = "weft", .version = weft_version(), .workers = 1, .run = run},
        {.who = "pthreads", .version = "-", .workers = 2, .run = run_threads},
        {.workers = 2, .command = "peers/go_chan bounded 2 500000"},
        {.workers = 1, .command = "peers/go_chan bounded 1 500000"},
        {.workers = 2, .command = "peers/tokio_peer bounded 2 500000"},
        {.workers = 1, .command = "peers/tokio_peer bounded 0 500000"},
        {.workers = 1, .command = "peers/boost_chan bounded 500000"},
    };
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        items = ITEMS / 10;
    bench_rounds("chan", &o, entry, sizeof entry / sizeof entry[0], metric, METRICS);
    return 0;
}
