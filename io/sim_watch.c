/* sim_watch.c - what must hold at any moment of a simulation, looked at from above.
 *
 * When nobody can go on for a while, no runnable task lies in a queue or an inbox. When something broke, all tasks are
 * listed. When the first thread has ended, no runtime is left. */
#include "io/sim.h"

#include "io/sim_net.h"
#include "runtime/run.h"
#include "runtime/worker.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const int64_t LIES_NS = 1000000;

/* The first worker with a task that could run while a worker of its runtime sleeps; under the list's lock. */
static void look_for_work(weft_runtime *rt, void *ctx)
{
    const struct wf_worker **found = ctx;
    bool runs = wf_load(&rt->started, relaxed) == rt->worker_count && wf_load(&rt->stopped, relaxed) == 0;
    for (unsigned i = 0; runs && i < rt->worker_count && wf_idle_asleep(&rt->idle) > 0; i++) {
        struct wf_worker *w = &rt->workers[i];
        if (wf_queue_any(&w->queue) || wf_inbox_any(&w->inbox))
            *found = w;
    }
}

static void on_idle(int64_t for_ns)
{
    const struct wf_worker *found = NULL;
    if (for_ns >= LIES_NS)
        wf_runtime_each(look_for_work, &found);
    if (found)
        wf_sim_broke(-EPROTO, "a task that could run lies at worker %u, while another sleeps for %lld us", found->index,
                     (long long)(for_ns / 1000));
}

static void count(weft_runtime *rt, void *ctx)
{
    (void)rt;
    ++*(unsigned *)ctx;
}

static void on_end(void)
{
    unsigned runtimes = 0;
    wf_runtime_each(count, &runtimes);
    if (runtimes)
        wf_sim_broke(-EPROTO, "%u runtimes outlive main", runtimes);
    if (wf_sim_requests_count())
        wf_sim_broke(-EPROTO, "%u requests outlive main", wf_sim_requests_count());
    if (wf_sim_net_open() && !wf_sim_lenient())
        wf_sim_broke(-EPROTO, "%u sockets were never closed", wf_sim_net_open());
    wf_sim_net_end();
    wf_sim_rings_end();
}

static void print_line(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static void on_broken(void)
{
    wf_sim_requests_print(print_line);
    weft_dump(STDERR_FILENO);
}

void wf_sim_watch(void)
{
    wf_sim_on_idle = on_idle;
    wf_sim_on_end = on_end;
    wf_sim_on_broken = on_broken;
    wf_sim_on_thread_end = wf_sim_requests_orphaned;
}
