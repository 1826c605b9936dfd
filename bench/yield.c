/* yield.c - what does it cost to let the next task run?
 *
 * Two tasks on one worker yield in turn. The figure is the CPU time of one weft_yield(), switch and queue included;
 * the bare switch is measured by limits/switch. Beside it: Tokio's yield_now() in both of its runtimes. Nobody sleeps
 * here, so CPU time is wall time, but for what others take of this CPU. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <weft.h>

enum { YIELDS = 2000000, YIELDS_QUICK = 100000 };

static unsigned yields = YIELDS; /* of each of the two */

static int yielder(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < yields; i++)
        weft_yield();
    return 0;
}

static int measure(void *arg)
{
    double *ns = arg;
    int64_t start = bench_cpu_ns();
    WEFT_SCOPE(s);
    weft_go(&s, yielder, NULL);
    weft_go(&s, yielder, NULL);
    int err = weft_scope_close(&s);
    *ns = (double)(bench_cpu_ns() - start) / (2.0 * yields);
    return err;
}

static void run(unsigned workers, double *value)
{
    int err = weft_run(&(weft_config){.workers = workers}, measure, value);
    if (err < 0)
        bench_die("yield: %s", weft_strerror(err));
}

int main(int argc, char **argv)
{
    struct bench_options o = bench_options(&argc, argv, 11, NULL);
    struct bench_entry entry[] = {
        {.who = "weft", .version = weft_version(), .workers = 1, .run = run},
        {.workers = 1, .command = "peers/tokio_peer yield 0 100000"},
        {.workers = 1, .command = "peers/tokio_peer yield 1 100000"},
    };
    if (o.quick)
        yields = YIELDS_QUICK;
    bench_rounds("yield", &o, entry, 3, (struct bench_metric[]){{"yield", "ns", 10}}, 1);
    return 0;
}
