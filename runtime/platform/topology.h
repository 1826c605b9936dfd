/* topology.h - which cores there are, and which are near one another. The only file that asks hwloc.
 *
 * The count is what this process may really use: the affinity mask, cut by the CPU quota of every cgroup
 * above it (v1 and v2), rounded up, at least 1. */
#ifndef WF_TOPOLOGY_H
#define WF_TOPOLOGY_H

enum { WF_TOPOLOGY_WORKERS_MAX = 256 };

struct wf_topology {
    unsigned workers;                                 /* how many were asked for */
    unsigned cores;                                   /* distinct CPUs they are placed on */
    int cpu[WF_TOPOLOGY_WORKERS_MAX];                 /* the CPU number of each worker, -1: anywhere */
    unsigned char distance[WF_TOPOLOGY_WORKERS_MAX][WF_TOPOLOGY_WORKERS_MAX]; /* 0 same CPU, 1 SMT sibling,
                                                         2 shared cache, 3 same package, 4 elsewhere */
};

/* CPUs this process may use now, quota counted. Never fails: at least 1. */
unsigned wf_topology_cpus(void);

/* Place workers on CPUs, nearest together, one per core before SMT siblings, round again when there are
 * more workers than CPUs. synthetic may name a made-up machine in hwloc's notation, for tests; else NULL
 * for this one. 0, -ENOMEM, -EINVAL. Without hwloc's help (it fails) every distance is 4. */
int wf_topology_read(struct wf_topology *t, unsigned workers, const char *synthetic);

/* The other workers in the order in which worker `self` should try to steal from them: nearest first,
 * equally near ones rotated so that not everybody asks the same one first. Writes workers - 1 entries. */
void wf_topology_victims(const struct wf_topology *t, unsigned self, unsigned char *ret);

/* The CPU quota in force for the cgroup files under root ("/sys/fs/cgroup", or a test's folder), for the
 * process whose /proc/self/cgroup text is given: in CPUs, 0 for none. For tests; wf_topology_cpus uses it. */
double wf_topology_quota(const char *root, const char *proc_cgroup);

#endif
