/* pingpong.c - what does it cost two tasks to answer each other?
 *
 * A client sends a word through a channel of capacity 1 and waits for the answer in another one; the figure is the
 * time of such a round trip. It is asked four times, since the answer depends on where the two are:
 *
 *     same     one worker
 *     free     two workers, and the scheduler may put the two where it likes
 *     awake    each is pinned to a worker of its own, on which a further task yields all the time. So no worker ever
 *              sleeps, and what is measured is how soon a busy one looks at what comes from outside
 *     parked   each is pinned to a worker of its own, and nobody else is there: a worker sleeps in its ring until it
 *              is woken. Whoever has been sent something computes for 100 us before it answers, so that the worker
 *              of the other one is not on its way to sleep but there: the worker, its thread and, on a virtual
 *              machine, the core. Computing is not counted; two wakes are left. That workers did sleep is looked up
 *
 * Beside it: Go, Tokio and Boost.Fiber, told where to run; and two threads without any runtime, which for "awake"
 * spin on a word and for "parked" sleep on it with futex(2). For both of these every thread is bound to a core. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <weft.h>

enum way { SAME, FREE, AWAKE, PARKED, WAYS };
enum { PARKED_PAUSE_NS = 100000, ENTRIES_MAX = 6 };

static unsigned trips[WAYS] = {500000, 500000, 100000, 400};

static void compute(int64_t ns)
{
    if (ns > 0)
        for (int64_t until = bench_now_ns() + ns; bench_now_ns() < until;)
            ;
}

/* ---- two tasks ---- */

struct pair {
    enum way way;
    weft_scope *scope;
    weft_chan *ping, *pong;
    _Atomic unsigned server_at; /* its worker + 1, once it is there to stay */
    _Atomic unsigned keepers;   /* how many have begun */
    atomic_bool over;
    double ns;
};

/* Keeps a worker awake. */
static int keeper(void *arg)
{
    struct pair *p = arg;
    weft_pin();
    p->keepers++;
    while (!p->over)
        weft_yield();
    weft_unpin();
    return 0;
}

/* Give the caller's worker a keeper. The other worker is busy and takes nothing away. */
static void keep_awake(struct pair *p)
{
    unsigned before = p->keepers;
    weft_go(p->scope, keeper, p);
    while (p->keepers == before)
        weft_yield();
}

static int server(void *arg)
{
    struct pair *p = arg;
    int64_t pause = p->way == PARKED ? PARKED_PAUSE_NS : 0;
    uint64_t v;
    bool apart = p->way >= AWAKE;
    if (apart)
        weft_pin();
    if (p->way == AWAKE)
        keep_awake(p);
    p->server_at = weft_worker() + 1;
    while (weft_chan_recv(p->ping, &v) == 0) {
        compute(pause);
        v++;
        weft_chan_send(p->pong, &v);
    }
    if (apart)
        weft_unpin();
    return 0;
}

/* The caller keeps its worker to itself meanwhile, so the server begins on the other one. */
static void part(struct pair *p)
{
    weft_pin();
    while (p->server_at == 0)
        ;
    if (p->server_at == weft_worker() + 1)
        bench_die("pingpong: both tasks are on one worker");
    if (p->way == AWAKE)
        keep_awake(p);
}

static void client(struct pair *p)
{
    int64_t pause = p->way == PARKED ? PARKED_PAUSE_NS : 0, start = bench_now_ns();
    for (uint64_t i = 0; i < trips[p->way]; i++) {
        uint64_t v = i;
        compute(pause);
        if (weft_chan_send(p->ping, &v) < 0 || weft_chan_recv(p->pong, &v) < 0 || v != i + 1)
            bench_die("pingpong: a wrong answer");
    }
    p->ns = (double)(bench_now_ns() - start) / trips[p->way] - 2.0 * (double)pause;
}

static void look_whether_they_slept(uint64_t before)
{
    weft_stats s;
    weft_stats_read(weft_runtime_self(), &s);
    if (s.parks - before < 2 * trips[PARKED])
        bench_die("pingpong: workers slept %llu times, not %u", (unsigned long long)(s.parks - before),
                  2 * trips[PARKED]);
}

static int measure(void *arg)
{
    struct pair *p = arg;
    weft_stats before;
    WEFT_SCOPE(s);
    p->scope = &s;
    p->ping = weft_chan_new(1, sizeof(uint64_t));
    p->pong = weft_chan_new(1, sizeof(uint64_t));
    if (!p->ping || !p->pong || weft_go(&s, server, p) < 0)
        return -ENOMEM;
    if (p->way >= AWAKE)
        part(p);
    weft_stats_read(weft_runtime_self(), &before);
    client(p);
    if (p->way == PARKED)
        look_whether_they_slept(before.parks);
    if (p->way >= AWAKE)
        weft_unpin();
    p->over = true;
    weft_chan_close(p->ping);
    int err = weft_scope_close(&s);
    weft_chan_free(p->ping);
    weft_chan_free(p->pong);
    return err;
}

static void run(enum way way, unsigned workers, double *value)
{
    struct pair p = {.way = way};
    int err = weft_run(&(weft_config){.workers = workers, .pin = way >= AWAKE}, measure, &p);
    if (err < 0)
        bench_die("pingpong: %s", weft_strerror(err));
    value[0] = p.ns;
}

static void run_same(unsigned workers, double *value) { run(SAME, workers, value); }
static void run_free(unsigned workers, double *value) { run(FREE, workers, value); }
static void run_awake(unsigned workers, double *value) { run(AWAKE, workers, value); }
static void run_parked(unsigned workers, double *value) { run(PARKED, workers, value); }

/* ---- two threads ---- */

struct word {
    _Alignas(64) _Atomic uint32_t value;
};

struct threads {
    enum way way;
    struct word ping, pong;
};

static void word_set(struct word *w, uint32_t value, enum way way)
{
    w->value = value;
    if (way == PARKED)
        syscall(SYS_futex, &w->value, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void word_await(struct word *w, uint32_t value, enum way way)
{
    for (uint32_t seen; (seen = w->value) != value;)
        if (way == PARKED)
            syscall(SYS_futex, &w->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void *thread_server(void *arg)
{
    struct threads *t = arg;
    bench_pin(1, 1);
    for (uint32_t i = 1; i <= trips[t->way]; i++) {
        word_await(&t->ping, i, t->way);
        compute(t->way == PARKED ? PARKED_PAUSE_NS : 0);
        word_set(&t->pong, i, t->way);
    }
    return NULL;
}

static void run_threads(enum way way, double *value)
{
    struct threads t = {.way = way};
    int64_t pause = way == PARKED ? PARKED_PAUSE_NS : 0;
    pthread_t other;
    bench_pin(0, 1);
    if (pthread_create(&other, NULL, thread_server, &t) != 0)
        bench_die("pingpong: no thread");
    int64_t start = bench_now_ns();
    for (uint32_t i = 1; i <= trips[way]; i++) {
        compute(pause);
        word_set(&t.ping, i, way);
        word_await(&t.pong, i, way);
    }
    value[0] = (double)(bench_now_ns() - start) / trips[way] - 2.0 * (double)pause;
    pthread_join(other, NULL);
}

static void run_spinning(unsigned workers, double *value)
{
    (void)workers;
    run_threads(AWAKE, value);
}

static void run_futex(unsigned workers, double *value)
{
    (void)workers;
    run_threads(PARKED, value);
}

/* ---- all of it ---- */

static const struct bench_metric metric[WAYS] = {
    {"same", "ns", 60}, {"free", "ns", 300}, {"awake", "ns", 1000}, {"parked", "ns", 90000}};

static const struct bench_entry who[WAYS][ENTRIES_MAX] = {
    {{.who = "weft", .workers = 1, .run = run_same},
     {.workers = 1, .command = "peers/go_chan pingpong 1 200000"},
     {.workers = 1, .command = "peers/tokio_peer pingpong 0 200000"},
     {.workers = 1, .command = "peers/boost_chan pingpong 200000"}},
    {{.who = "weft", .workers = 2, .run = run_free},
     {.workers = 2, .command = "peers/go_chan pingpong 2 200000"},
     {.workers = 2, .command = "peers/tokio_peer pingpong 2 200000"}},
    {{.who = "weft", .workers = 2, .run = run_awake},
     {.who = "two_words", .workers = 2, .run = run_spinning}},
    {{.who = "weft", .workers = 2, .run = run_parked},
     {.who = "futex", .workers = 2, .run = run_futex},
     {.workers = 2, .command = "peers/go_chan parked 2 400"},
     {.workers = 2, .command = "peers/tokio_peer parked 2 400"}}};

static bool asked_for(enum way way, int words, char **word)
{
    bool found = words == 0;
    for (int i = 0; i < words; i++)
        found |= strcmp(word[i], metric[way].name) == 0;
    return found;
}

int main(int argc, char **argv)
{
    struct bench_options o = bench_options(&argc, argv, 11, "[same] [free] [awake] [parked]");
    unsetenv("WEFT_WORKERS");
    for (enum way way = 0; way < WAYS; way++) {
        struct bench_entry entry[ENTRIES_MAX];
        unsigned n = 0;
        for (; n < ENTRIES_MAX && who[way][n].workers != 0; n++) {
            entry[n] = who[way][n];
            entry[n].version = weft_version();
        }
        if (o.quick)
            trips[way] /= 10;
        if (asked_for(way, argc - 1, argv + 1))
            bench_rounds("pingpong", &o, entry, n, &metric[way], 1);
    }
    return 0;
}
