/* topology.c - see topology.h.
 *
 * Two questions with two sources. How many: the scheduler's affinity mask and the quotas of cgroups, read
 * from files. Which are near: hwloc, asked once, at start; nothing of it is kept.
 *
 * Where workers go: into the smallest part of the machine that has a core for each of them (a cache, a
 * package), so that few workers share as much as possible; in there one per core in hwloc's order, which puts
 * near ones side by side, then the cores' second threads in the same order, then from the start again. */
#include "runtime/platform/topology.h"

#include "runtime/platform/fault.h"

#include <errno.h>
#include <hwloc.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Quota --------------------------------------------------------------------------------------- */

enum { CGROUP_TEXT_MAX = 8192 };

/* The first line of root + folder + name; false if there is none. */
static bool read_line(const char *folder, const char *name, char *line, size_t size)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    FILE *f = wf_fault(WF_FAULT_FD) ? NULL : fopen(path, "re");
    if (!f)
        return false;
    bool got = fgets(line, (int)size, f) != NULL;
    fclose(f);
    return got;
}

/* CPUs from a quota and its period, 0 for none. */
static double ratio(double quota, double period)
{
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* What one folder of version 2 says: "200000 100000", or "max 100000". */
static double quota_v2(const char *folder)
{
    char line[128];
    double quota, period = 100000;
    if (!read_line(folder, "cpu.max", line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) < 1)
        return 0;
    return ratio(quota, period);
}

/* What one folder of version 1 says, in two files; -1 in the first is none. */
static double quota_v1(const char *folder)
{
    char quota[64], period[64];
    if (!read_line(folder, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_line(folder, "cpu.cfs_period_us", period, sizeof period))
        return 0;
    return ratio(strtod(quota, NULL), strtod(period, NULL));
}

static double less(double a, double b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The least quota from mount + path up to the mount itself. In a container the path is often one of the host,
 * which does not exist here: such folders say nothing, and the mount is the container's own. */
static double quota_upwards(const char *mount, const char *path, double (*one)(const char *folder))
{
    char folder[PATH_MAX];
    size_t top = strlen(mount);
    if (strstr(path, "/..") || snprintf(folder, sizeof folder, "%s%s", mount, path) >= (int)sizeof folder)
        return one(mount);
    double least = 0;
    for (;;) {
        char *end = folder + strlen(folder);
        while (end > folder + top && end[-1] == '/')
            *--end = '\0';
        least = less(least, one(folder));
        if (end <= folder + top)
            return least;
        while (end > folder + top && end[-1] != '/')
            *--end = '\0';
    }
}

/* Is `name` one of the words in "a,b,c"? */
static bool has_word(const char *words, const char *name)
{
    size_t n = strlen(name);
    for (const char *w = words; w; w = strchr(w, ',')) {
        w += *w == ',';
        if (strncmp(w, name, n) == 0 && (w[n] == ',' || w[n] == '\0'))
            return true;
    }
    return false;
}

/* One line of /proc/self/cgroup: "number:controllers:path". Version 2 has the number 0 and no controllers. */
static double quota_of_line(const char *root, char *line)
{
    char mount[PATH_MAX];
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(++controllers, ':') : NULL;
    if (!path)
        return 0;
    *path++ = '\0';
    if (*controllers == '\0') { /* alone at the root, or beside version 1 in a folder of its own */
        snprintf(mount, sizeof mount, "%s/unified", root);
        return less(quota_upwards(root, path, quota_v2), quota_upwards(mount, path, quota_v2));
    }
    if (!has_word(controllers, "cpu"))
        return 0;
    snprintf(mount, sizeof mount, "%s/%s", root, controllers); /* mounted together: "cpu,cpuacct" */
    double together = quota_upwards(mount, path, quota_v1);
    snprintf(mount, sizeof mount, "%s/cpu", root);
    return less(together, quota_upwards(mount, path, quota_v1));
}

double wf_topology_quota(const char *root, const char *proc_cgroup)
{
    char text[CGROUP_TEXT_MAX], *rest = NULL;
    double least = 0;
    snprintf(text, sizeof text, "%s", proc_cgroup);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        least = less(least, quota_of_line(root, line));
    return least;
}

static double quota_here(void)
{
    char text[CGROUP_TEXT_MAX];
    FILE *f = wf_fault(WF_FAULT_FD) ? NULL : fopen("/proc/self/cgroup", "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return wf_topology_quota("/sys/fs/cgroup", text);
}

unsigned wf_topology_cpus(void)
{
    cpu_set_t mask;
    bool known = sched_getaffinity(0, sizeof mask, &mask) == 0; /* not with more than 1,024 CPUs */
    int n = known ? CPU_COUNT(&mask) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    double quota = quota_here();
    if (quota > 0 && quota < n)
        n = (int)quota + (quota > (int)quota); /* rounded up */
    if (n > WF_TOPOLOGY_WORKERS_MAX)
        n = WF_TOPOLOGY_WORKERS_MAX;
    return n > 0 ? (unsigned)n : 1;
}

/* ---- Places -------------------------------------------------------------------------------------- */

/* The CPUs that may be used: the thread's affinity on this machine, all on a made-up one. */
static hwloc_bitmap_t allowed_cpus(hwloc_topology_t machine, bool real)
{
    hwloc_const_bitmap_t all = hwloc_topology_get_allowed_cpuset(machine);
    hwloc_bitmap_t set = wf_fault(WF_FAULT_MEMORY) ? NULL : hwloc_bitmap_dup(all);
    cpu_set_t mask;
    if (!set || !real || sched_getaffinity(0, sizeof mask, &mask) != 0)
        return set;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (!CPU_ISSET(cpu, &mask))
            hwloc_bitmap_clr(set, (unsigned)cpu);
    return set;
}

/* To go through all objects of a type within part; NULL to begin, and at the end. */
static hwloc_obj_t next_inside(hwloc_topology_t machine, hwloc_obj_t part, hwloc_obj_type_t type,
                               hwloc_obj_t o)
{
    return hwloc_get_next_obj_inside_cpuset_by_type(machine, part->cpuset, type, o);
}

/* The n-th allowed thread of a core, or of a PU that has no core above it; NULL when it has fewer. */
static hwloc_obj_t thread_of(hwloc_topology_t machine, hwloc_obj_t core, hwloc_const_bitmap_t allowed,
                             unsigned n)
{
    hwloc_obj_t pu = NULL;
    while ((pu = next_inside(machine, core, HWLOC_OBJ_PU, pu)))
        if (hwloc_bitmap_isset(allowed, pu->os_index) && n-- == 0)
            return pu;
    return NULL;
}

static hwloc_obj_type_t core_type(hwloc_topology_t machine)
{
    return hwloc_get_nbobjs_by_type(machine, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

/* How many cores within part have an allowed thread. */
static unsigned cores_in(hwloc_topology_t machine, hwloc_obj_t part, hwloc_const_bitmap_t allowed)
{
    unsigned n = 0;
    hwloc_obj_t core = NULL;
    while ((core = next_inside(machine, part, core_type(machine), core)))
        n += hwloc_bitmap_intersects(core->cpuset, allowed) != 0;
    return n;
}

/* The smallest part of the machine with so many cores; the machine if there is none. */
static hwloc_obj_t smallest_part(hwloc_topology_t machine, unsigned cores, hwloc_const_bitmap_t allowed)
{
    hwloc_obj_t part = hwloc_get_root_obj(machine);
    for (hwloc_obj_t child = part->first_child; child;) {
        if (cores_in(machine, child, allowed) >= cores) {
            part = child;
            child = part->first_child;
        } else {
            child = child->next_sibling;
        }
    }
    return part;
}

/* Fill pu[] with up to `max` CPUs within part, in the order in which workers take them. How many. */
static unsigned list_cpus(hwloc_topology_t machine, hwloc_obj_t part, hwloc_const_bitmap_t allowed,
                          unsigned max, hwloc_obj_t *pu)
{
    unsigned count = 0;
    for (unsigned thread = 0, before = UINT_MAX; count < max && before != count; thread++) {
        before = count;
        hwloc_obj_t core = NULL;
        while (count < max && (core = next_inside(machine, part, core_type(machine), core))) {
            pu[count] = thread_of(machine, core, allowed, thread);
            count += pu[count] != NULL;
        }
    }
    return count;
}

/* ---- Distances ----------------------------------------------------------------------------------- */

enum { SAME_CPU, SIBLING, SHARED_CACHE, SAME_PACKAGE, ELSEWHERE };

static unsigned char distance(hwloc_topology_t machine, hwloc_obj_t a, hwloc_obj_t b)
{
    if (a == b)
        return SAME_CPU;
    unsigned char d = ELSEWHERE;
    for (hwloc_obj_t o = hwloc_get_common_ancestor_obj(machine, a, b); o; o = o->parent) {
        if (o->type == HWLOC_OBJ_CORE)
            return SIBLING;
        if (hwloc_obj_type_is_dcache(o->type))
            d = SHARED_CACHE;
        else if (o->type == HWLOC_OBJ_PACKAGE && d == ELSEWHERE)
            d = SAME_PACKAGE;
    }
    return d;
}

/* ---- Reading ------------------------------------------------------------------------------------- */

/* Everybody anywhere and far from everybody else: what we say when we know nothing. */
static void know_nothing(struct wf_topology *t, unsigned workers)
{
    t->workers = workers;
    t->cores = workers;
    for (unsigned i = 0; i < workers; i++) {
        t->cpu[i] = -1;
        for (unsigned j = 0; j < workers; j++)
            t->distance[i][j] = i == j ? SAME_CPU : ELSEWHERE;
    }
}

static void place(struct wf_topology *t, hwloc_topology_t machine, hwloc_const_bitmap_t allowed)
{
    hwloc_obj_t pu[WF_TOPOLOGY_WORKERS_MAX];
    hwloc_obj_t root = hwloc_get_root_obj(machine);
    unsigned cores = cores_in(machine, root, allowed);
    unsigned wanted = t->workers < cores ? t->workers : cores;
    hwloc_obj_t part = smallest_part(machine, wanted, allowed);
    unsigned count = list_cpus(machine, part, allowed, t->workers, pu);
    if (count == 0)
        return; /* nothing is allowed, it says: then we know nothing */
    t->cores = count;
    for (unsigned i = 0; i < t->workers; i++) {
        t->cpu[i] = (int)pu[i % count]->os_index;
        for (unsigned j = 0; j < t->workers; j++)
            t->distance[i][j] = distance(machine, pu[i % count], pu[j % count]);
    }
}

/* Only what has CPUs below it is of interest; that takes about 1.5 ms. 0; -EINVAL for a made-up machine that
 * makes no sense; -ENOSYS when hwloc does not understand this one. */
static int load(hwloc_topology_t machine, const char *synthetic)
{
    if (synthetic && hwloc_topology_set_synthetic(machine, synthetic) != 0)
        return -EINVAL;
    /* The component that asks the processor itself would move the calling thread from CPU to CPU. */
    hwloc_topology_set_components(machine, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
    hwloc_topology_set_io_types_filter(machine, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(machine, HWLOC_OBJ_MISC, HWLOC_TYPE_FILTER_KEEP_NONE);
    if (wf_fault(WF_FAULT_MEMORY) || hwloc_topology_load(machine) != 0)
        return synthetic ? -EINVAL : -ENOSYS;
    return 0;
}

int wf_topology_read(struct wf_topology *t, unsigned workers, const char *synthetic)
{
    hwloc_topology_t machine;
    if (workers == 0 || workers > WF_TOPOLOGY_WORKERS_MAX)
        return -EINVAL;
    if (wf_fault(WF_FAULT_MEMORY) || hwloc_topology_init(&machine) != 0)
        return -ENOMEM;
    know_nothing(t, workers);
    int err = load(machine, synthetic);
    if (err == 0) {
        hwloc_bitmap_t allowed = allowed_cpus(machine, !synthetic);
        if (allowed)
            place(t, machine, allowed);
        hwloc_bitmap_free(allowed);
    }
    hwloc_topology_destroy(machine);
    return err == -ENOSYS ? 0 : err;
}

void wf_topology_victims(const struct wf_topology *t, unsigned self, unsigned char *ret)
{
    unsigned char near[WF_TOPOLOGY_WORKERS_MAX];
    for (unsigned d = SAME_CPU; d <= ELSEWHERE; d++) {
        unsigned n = 0;
        for (unsigned other = 0; other < t->workers; other++)
            if (other != self && t->distance[self][other] == d)
                near[n++] = (unsigned char)other;
        for (unsigned i = 0; i < n; i++)
            *ret++ = near[(self + i) % n];
    }
}
