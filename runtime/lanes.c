/* lanes.c - see lanes.h.
 *
 * A lane is a queue under a lock, and no more until its first job: threads come with jobs. So every runtime has all of
 * them, used or not. */
#include "runtime/lanes.h"

#include "runtime/alloc.h"
#include "runtime/child.h"
#include "runtime/panic.h"
#include "runtime/worker.h"

#include <string.h>

static const int64_t SPIN_NS = 20 * WEFT_USEC;

enum { NICE_MAX = 19 };

static void open_lane(weft_lane *l, weft_runtime *rt, struct wf_lane_plan with)
{
    with.awake = &rt->lanes.awake;
    if (!with.affinity)
        with.affinity = &rt->lanes.affinity;
    wf_lane_open(l, &with);
    l->rt = rt;
}

static struct wf_lane_plan plan(const char *name, unsigned threads, int nice)
{
    return (struct wf_lane_plan){.name = name, .threads_max = threads, .queue_max = WEFT_LANE_QUEUE, .nice = nice};
}

void wf_lanes_open(weft_runtime *rt)
{
    struct wf_lanes *all = &rt->lanes;
    unsigned cpus = wf_topology_cpus();
    wf_thread_affinity(&all->affinity);
    all->awake.workers = &rt->idle;
    wf_store(&all->awake.cpus, cpus, relaxed); /* before anybody runs; tests change them later */
    wf_store(&all->awake.spin_ns, SPIN_NS, relaxed);
    open_lane(&all->blocking, rt, plan("blocking", rt->config.offload_max, 0));
    open_lane(&all->cpu, rt, plan("cpu", cpus, WF_LANE_CPU_NICE));
    open_lane(&all->dns, rt, plan("dns", WF_LANE_DNS_THREADS, 0));
}

bool wf_lanes_collect(struct wf_lanes *all)
{
    bool any = wf_lane_collect(&all->blocking);
    any = wf_lane_collect(&all->cpu) || any;
    any = wf_lane_collect(&all->dns) || any;
    wf_lock(&all->lock);
    for (weft_lane *l = all->opened; l; l = l->next)
        any = wf_lane_collect(l) || any;
    wf_unlock(&all->lock);
    return any;
}

bool wf_lanes_are_quiet(struct wf_lanes *all)
{
    bool quiet = wf_lane_is_quiet(&all->blocking) && wf_lane_is_quiet(&all->cpu) && wf_lane_is_quiet(&all->dns);
    wf_lock(&all->lock);
    for (weft_lane *l = all->opened; l; l = l->next)
        quiet = quiet && wf_lane_is_quiet(l);
    wf_unlock(&all->lock);
    return quiet;
}

unsigned wf_lanes_count_threads(struct wf_lanes *all)
{
    unsigned n = wf_load(&all->blocking.alive, relaxed) + wf_load(&all->cpu.alive, relaxed) +
                 wf_load(&all->dns.alive, relaxed);
    wf_lock(&all->lock);
    for (weft_lane *l = all->opened; l; l = l->next)
        n += wf_load(&l->alive, relaxed);
    wf_unlock(&all->lock);
    return n;
}

void wf_lanes_close(struct wf_lanes *all)
{
    wf_lock(&all->lock); /* the watchdog may be looking */
    weft_lane *left = all->opened;
    all->opened = NULL;
    wf_unlock(&all->lock);
    for (weft_lane *l = left, *next; l; l = next) {
        next = l->next;
        wf_lane_close(l);
        wf_free(l, sizeof *l);
    }
    wf_lane_close(&all->blocking);
    wf_lane_close(&all->cpu);
    wf_lane_close(&all->dns);
}

/* ---- what users ask for ---- */

weft_lane *weft_lane_cpu(void)
{
    return &wf_worker_require("weft_lane_cpu")->rt->lanes.cpu;
}

weft_lane *weft_lane_blocking(void)
{
    return &wf_worker_require("weft_lane_blocking")->rt->lanes.blocking;
}

weft_lane *weft_lane_dns(void)
{
    return &wf_worker_require("weft_lane_dns")->rt->lanes.dns;
}

/* 0, -EINVAL. */
static int read_config(const weft_lane_config *c, struct wf_lane_plan *ret, struct wf_affinity *affinity)
{
    *ret = plan(c->name, c->threads ? c->threads : wf_topology_cpus(), c->nice);
    if (c->queue)
        ret->queue_max = c->queue;
    ret->full = c->full;
    if (c->cpu_count && wf_thread_choose(c->cpus, c->cpu_count, affinity) < 0)
        return -EINVAL;
    ret->affinity = c->cpu_count ? affinity : NULL;
    bool fine = c->name && c->name[0] && ret->threads_max <= WF_LANE_THREADS_MAX && c->nice >= 0 &&
                c->nice <= NICE_MAX && (unsigned)c->full <= WEFT_LANE_HERE;
    return fine ? 0 : -EINVAL;
}

int weft_lane_open(weft_lane **ret, const weft_lane_config *config)
{
    weft_runtime *rt = wf_worker_require("weft_lane_open")->rt;
    struct wf_lane_plan with;
    struct wf_affinity affinity;
    int err = read_config(config, &with, &affinity);
    if (err)
        return err;
    weft_lane *l = wf_alloc_aligned(sizeof *l, _Alignof(weft_lane));
    if (!l)
        return -ENOMEM;
    open_lane(l, rt, with);
    wf_lock(&rt->lanes.lock);
    l->next = rt->lanes.opened;
    rt->lanes.opened = l;
    wf_unlock(&rt->lanes.lock);
    *ret = l;
    return 0;
}

static void delist(struct wf_lanes *all, weft_lane *l)
{
    wf_lock(&all->lock);
    weft_lane **at = &all->opened;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    wf_unlock(&all->lock);
}

void weft_lane_close(weft_lane *l)
{
    weft_task *t = wf_task_require("weft_lane_close");
    if (!l)
        return;
    struct wf_lanes *all = &wf_worker_self()->rt->lanes;
    WF_REQUIRE(l->rt == wf_worker_self()->rt, "weft_lane_close of a lane of another runtime");
    bool built_in = l == &all->blocking || l == &all->cpu || l == &all->dns;
    WF_REQUIRE(!built_in, "weft_lane_close of a lane of the runtime's own");
    wf_lane_shut(l, t);
    delist(all, l);
    wf_lane_close(l);
    wf_free(l, sizeof *l);
}

void weft_lane_stats_read(weft_lane *l, weft_lane_stats *ret)
{
    wf_child_refuse("weft_lane_stats_read");
    wf_lock(&l->lock);
    *ret = (weft_lane_stats){.threads = l->threads, .running = l->running, .queued = l->queued, .done = l->done,
                             .here = l->here, .refused = l->refused, .cancelled = l->cancelled, .timed = l->timed,
                             .wait_ns = l->wait_ns, .wait_max_ns = l->wait_max_ns, .run_ns = l->run_ns,
                             .run_max_ns = l->run_max_ns};
    wf_unlock(&l->lock);
}
