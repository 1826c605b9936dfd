/* skynet.c - a million tasks in a tree: what do they cost, and how much memory is in use at the height of it?
 *
 * Every node of a tree with ten branches at each fork and a million leaves is a task: 1,111,111 of them. A leaf's value
 * is its number, a fork's the sum of its branches, handed up in one of two ways:
 *
 *     channels    each fork has a channel of ten, to which its branches send
 *     await       each fork holds its branches and awaits one after another; they write into its frame
 *
 * The first tree of a runtime is built without looking at the clock: peers keep their memory from round to round, and
 * a new runtime has none yet. Memory is the greatest that the process was during the round (VmHWM).
 *
 * Beside it: Go and Tokio, both ways, as their users would write it; Go awaits with a sync.WaitGroup. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <weft.h>

enum { LEAVES = 1000000, BRANCHES = 10, METRICS = 4 };
enum metric { CHANNELS_MS, CHANNELS_MB, AWAIT_MS, AWAIT_MB };

static unsigned leaves = LEAVES;

struct node {
    uint64_t first, leaves;
    weft_chan *to; /* where the value goes; with await it is `sum` */
    uint64_t *sum;
};

static int by_channels(void *arg)
{
    struct node *n = arg;
    uint64_t sum = 0, part;
    if (n->leaves == 1)
        return weft_chan_send(n->to, &n->first);
    weft_chan *c = weft_chan_new(BRANCHES, sizeof part);
    if (!c)
        return -ENOMEM;
    uint64_t each = n->leaves / BRANCHES;
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < BRANCHES; i++)
        weft_go_with(&s, by_channels, struct node, .first = n->first + i * each, .leaves = each, .to = c);
    for (unsigned i = 0; i < BRANCHES && weft_chan_recv(c, &part) == 0; i++)
        sum += part;
    int err = weft_scope_close(&s);
    weft_chan_free(c);
    return err ? err : weft_chan_send(n->to, &sum);
}

static int by_await(void *arg)
{
    struct node *n = arg;
    uint64_t part[BRANCHES], each = n->leaves / BRANCHES;
    weft_task *branch[BRANCHES];
    *n->sum = n->first;
    if (n->leaves == 1)
        return 0;
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < BRANCHES; i++)
        branch[i] = weft_spawn_with(&s, by_await, struct node, .first = n->first + i * each, .leaves = each,
                                    .sum = &part[i]);
    *n->sum = 0;
    for (unsigned i = 0; i < BRANCHES && weft_await(branch[i]) == 0; i++)
        *n->sum += part[i];
    return weft_scope_close(&s);
}

static int tree_by_channels(uint64_t *sum)
{
    weft_chan *c = weft_chan_new(1, sizeof *sum);
    if (!c)
        return -ENOMEM;
    int err = by_channels(&(struct node){.leaves = leaves, .to = c});
    if (!err)
        err = weft_chan_recv(c, sum);
    weft_chan_free(c);
    return err;
}

static int tree_by_await(uint64_t *sum)
{
    return by_await(&(struct node){.leaves = leaves, .sum = sum});
}

/* What a round needed at most is told from its beginning. */
static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (f == NULL || fputs("5\n", f) < 0 || fclose(f) != 0)
        bench_die("skynet: /proc/self/clear_refs cannot be written");
}

static int measure(int (*tree)(uint64_t *), double *value)
{
    for (int i = 0; i < 2; i++) {
        uint64_t sum = 0;
        int64_t start = bench_now_ns();
        int err = tree(&sum);
        value[0] = (double)(bench_now_ns() - start) / 1e6;
        if (err)
            return err;
        if (sum != (uint64_t)leaves * (leaves - 1) / 2)
            bench_die("skynet: a wrong sum: %llu", (unsigned long long)sum);
    }
    value[1] = (double)bench_status("VmHWM") / 1024;
    return 0;
}

static int measure_channels(void *value)
{
    return measure(tree_by_channels, (double *)value + CHANNELS_MS);
}

static int measure_await(void *value)
{
    return measure(tree_by_await, (double *)value + AWAIT_MS);
}

static void run(unsigned workers, double *value)
{
    static const weft_fn way[] = {measure_channels, measure_await};
    for (int i = 0; i < 2; i++) {
        forget_peak();
        int err = weft_run(&(weft_config){.workers = workers}, way[i], value);
        if (err < 0)
            bench_die("skynet: %s", weft_strerror(err));
    }
}

int main(int argc, char **argv)
{
    static const struct bench_metric metric[METRICS] = {[CHANNELS_MS] = {"channels", "ms", 30},
                                                        [CHANNELS_MB] = {"channels_peak", "MiB", 572},
                                                        [AWAIT_MS] = {"await", "ms", 30},
                                                        [AWAIT_MB] = {"await_peak", "MiB", 572}};
    struct bench_options o = bench_options(&argc, argv, 5, NULL);
    struct bench_entry entry[] = {
        {.who = "weft", .version = weft_version(), .workers = 2, .run = run},
        {.who = "weft", .version = weft_version(), .workers = 1, .run = run},
        {.workers = 2, .command = o.quick ? "peers/go_skynet 2 10000" : "peers/go_skynet 2 1000000"},
        {.workers = 1, .command = o.quick ? "peers/go_skynet 1 10000" : "peers/go_skynet 1 1000000"},
        {.workers = 2, .command = o.quick ? "peers/tokio_peer skynet 2 10000" : "peers/tokio_peer skynet 2 1000000"},
        {.workers = 1, .command = o.quick ? "peers/tokio_peer skynet 0 10000" : "peers/tokio_peer skynet 0 1000000"},
    };
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        leaves = LEAVES / 100;
    bench_rounds("skynet", &o, entry, sizeof entry / sizeof entry[0], metric, METRICS);
    return 0;
}
