/* spawn_join.c - what does a task cost that does next to nothing?
 *
 * One task starts trivial ones with weft_go() and closes their scope: in batches of 1,000, a scope each, and all at
 * once. Each stores its own number, and every number is looked at afterwards. Measured on one worker and on two: a
 * second worker has nothing to win here, since the work is far below the cost of a wake, but it must not lose either.
 * Beside it: Tokio, whose tasks' handles are awaited one by one, as its users do it.
 *
 * WEFT_WORKERS outranks the configuration of a runtime, so main() takes it out of the environment. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <weft.h>

enum { TASKS = 1000000, TASKS_QUICK = 100000, BATCH = 1000, WAYS = 2 };

static uint32_t tasks = TASKS;
static uint32_t *slot; /* every task writes its own */

static int store(void *arg)
{
    uint32_t *mine = arg;
    *mine = (uint32_t)(mine - slot) + 1;
    return 0;
}

static int burst(uint32_t first, uint32_t n)
{
    WEFT_SCOPE(s);
    for (uint32_t i = first; i < first + n; i++)
        weft_go(&s, store, &slot[i]);
    return weft_scope_close(&s);
}

static int measure(void *arg)
{
    double *ns = arg;
    int warm = burst(0, tasks); /* the peers keep their memory from round to round; a new runtime has none yet */
    if (warm < 0)
        return warm;
    for (int way = 0; way < WAYS; way++) {
        uint32_t size = way == 0 ? BATCH : tasks;
        int err = 0;
        memset(slot, 0, tasks * sizeof *slot);
        int64_t start = bench_now_ns();
        for (uint32_t i = 0; i < tasks && err == 0; i += size)
            err = burst(i, size);
        ns[way] = (double)(bench_now_ns() - start) / tasks;
        if (err < 0)
            return err;
        for (uint32_t i = 0; i < tasks; i++)
            if (slot[i] != i + 1)
                bench_die("task %u of %u did not run", i, tasks);
    }
    return 0;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("spawn_join: %s", weft_strerror(err));
}

/* weft with each number of workers, then Tokio's current-thread runtime, then Tokio and Go with as many. */
static unsigned list_entries(struct bench_entry *entry, const unsigned *count, unsigned counts)
{
    unsigned n = 0;
    for (unsigned i = 0; i < counts; i++)
        entry[n++] = (struct bench_entry){.who = "weft", .version = weft_version(), .workers = count[i], .run = run};
    entry[n++] = (struct bench_entry){.workers = 1, .command = bench_command("peers/tokio_peer spawn 0 %u", tasks)};
    for (unsigned i = 0; i < counts; i++) {
        entry[n++] = (struct bench_entry){.workers = count[i],
                                          .command = bench_command("peers/tokio_peer spawn %u %u", count[i], tasks)};
        entry[n++] = (struct bench_entry){.workers = count[i],
                                          .command = bench_command("peers/go_spawn %u %u", count[i], tasks)};
    }
    return n;
}

int main(int argc, char **argv)
{
    static struct bench_entry entry[1 + 3 * BENCH_COUNTS_MAX];
    static const struct bench_metric metric[WAYS] = {{"batches_of_1000", "ns/task", 25},
                                                     {"all_at_once", "ns/task", 100}};
    struct bench_options o = bench_options(&argc, argv, 11, NULL);
    unsigned count[BENCH_COUNTS_MAX], counts = bench_worker_counts(&o, count);
    unsetenv("WEFT_WORKERS");
    if (o.quick)
        tasks = TASKS_QUICK;
    slot = calloc(tasks, sizeof *slot);
    if (slot == NULL)
        bench_die("no memory");
    bench_rounds("spawn_join", &o, entry, list_entries(entry, count, counts), metric, WAYS);
    for (int way = 0; way < WAYS; way++) {
        char name[64];
        snprintf(name, sizeof name, "%s_by_1_worker", metric[way].name);
        bench_report_ratio(name, 1.0, &entry[1], &entry[0], (unsigned)way);
    }
    free(slot);
    return 0;
}
