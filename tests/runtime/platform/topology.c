/* topology.c - made-up machines, and folders that look like cgroups. */
#include "runtime/platform/topology.h"

#include "tests/test.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Quotas ---------------------------------------------------------------------------------------- */

static char root[64];

static void open_root(void)
{
    strcpy(root, "/tmp/weft-cgroup-XXXXXX");
    CHECK(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static void close_root(void)
{
    CHECK_EQ(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Write root/path, with the folders it lies in. */
static void put(const char *path, const char *text)
{
    char full[PATH_MAX];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        CHECK(mkdir(full, 0755) == 0 || errno == EEXIST);
    }
    FILE *f = fopen(full, "we");
    CHECK(f && fputs(text, f) >= 0);
    CHECK_EQ(fclose(f), 0);
}

/* In hundredths of a CPU. */
static long quota(const char *proc_cgroup)
{
    return (long)(wf_topology_quota(root, proc_cgroup) * 100 + 0.5);
}

TEST(topology, version_2_quotas_count_at_every_level)
{
    open_root();
    CHECK_EQ(quota("0::/a/b/c\n"), 0);
    put("a/b/c/cpu.max", "max 100000\n");
    CHECK_EQ(quota("0::/a/b/c\n"), 0);
    put("a/cpu.max", "250000 100000\n");
    CHECK_EQ(quota("0::/a/b/c\n"), 250);
    put("a/b/c/cpu.max", "400000 100000\n");
    CHECK_EQ(quota("0::/a/b/c\n"), 250);
    put("a/b/cpu.max", "30000 20000\n");
    CHECK_EQ(quota("0::/a/b/c\n"), 150);
    CHECK_EQ(quota("0::/a\n"), 250);
    CHECK_EQ(quota("0::/ab\n"), 0);
    put("cpu.max", "50000 100000\n");
    CHECK_EQ(quota("0::/a/b/c\n"), 50);
    CHECK_EQ(quota("0::/\n"), 50);
    close_root();
}

TEST(topology, version_1_quotas_count_at_every_level)
{
    const char *text = "4:memory:/x\n3:cpu,cpuacct:/x/y\n1:name=systemd:/z\n";
    open_root();
    CHECK_EQ(quota(text), 0);
    put("cpu,cpuacct/x/y/cpu.cfs_quota_us", "-1\n");
    put("cpu,cpuacct/x/y/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(quota(text), 0);
    put("cpu,cpuacct/x/cpu.cfs_quota_us", "300000\n");
    put("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(quota(text), 300);
    put("cpu,cpuacct/x/y/cpu.cfs_quota_us", "175000\n");
    CHECK_EQ(quota(text), 175);
    close_root();
}

TEST(topology, version_1_may_have_a_mount_named_cpu)
{
    open_root();
    put("cpu/job/cpu.cfs_quota_us", "200000\n");
    put("cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(quota("2:cpuacct,cpu:/job\n"), 200);
    CHECK_EQ(quota("2:cpu:/job\n"), 200);
    CHECK_EQ(quota("2:cpuset:/job\n2:cpuacct:/job\n"), 0);
    close_root();
}

TEST(topology, both_versions_at_once_give_the_lesser)
{
    open_root();
    put("unified/u/cpu.max", "300000 100000\n");
    put("cpu/job/cpu.cfs_quota_us", "200000\n");
    put("cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(quota("2:cpu:/job\n0::/u\n"), 200);
    CHECK_EQ(quota("0::/u\n"), 300);
    close_root();
}

TEST(topology, a_path_of_the_host_means_the_containers_root)
{
    open_root();
    put("cpu.max", "150000 100000\n");
    put("cpu/cpu.cfs_quota_us", "120000\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(quota("0::/docker/0123456789abcdef\n"), 150);
    CHECK_EQ(quota("0::/../../elsewhere\n"), 150);
    CHECK_EQ(quota("5:cpu:/docker/0123456789abcdef\n"), 120);
    close_root();
}

TEST(topology, nonsense_is_no_quota)
{
    open_root();
    put("a/cpu.max", "lots of it\n");
    put("b/cpu.max", "");
    put("c/cpu.max", "100000 0\n");
    put("cpu/d/cpu.cfs_quota_us", "100000\n");
    CHECK_EQ(quota("0::/a\n"), 0);
    CHECK_EQ(quota("0::/b\n"), 0);
    CHECK_EQ(quota("0::/c\n"), 0);
    CHECK_EQ(quota("1:cpu:/d\n"), 0);
    CHECK_EQ(quota(""), 0);
    CHECK_EQ(quota("\n\nno colons at all\n:\n::\n"), 0);
    close_root();
}

TEST(topology, no_more_cpus_than_the_affinity_mask)
{
    cpu_set_t all, one;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CHECK(wf_topology_cpus() >= 1 && wf_topology_cpus() <= (unsigned)CPU_COUNT(&all));
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(wf_topology_cpus(), 1);
    CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
}

/* ---- Places ---------------------------------------------------------------------------------------- */

static struct wf_topology machine;

static void read_machine(unsigned workers, const char *synthetic)
{
    CHECK_EQ(wf_topology_read(&machine, workers, synthetic), 0);
    CHECK_EQ(machine.workers, workers);
}

static void check_cpus(const int *expected)
{
    for (unsigned i = 0; i < machine.workers; i++)
        CHECK_EQ(machine.cpu[i], expected[i]);
}

/* Two packages, two caches each, two cores each, two threads each. CPUs 0 to 15. (Memory is said to be at the
 * top: hwloc 2.9 puts it there itself with a memcpy that Valgrind objects to.) */
#define TWO_PACKAGES "[numa] package:2 l3:2 core:2 pu:2"

TEST(topology, workers_get_cores_of_their_own_before_siblings)
{
    read_machine(8, TWO_PACKAGES);
    CHECK_EQ(machine.cores, 8);
    check_cpus((const int[]){0, 2, 4, 6, 8, 10, 12, 14});
    read_machine(16, TWO_PACKAGES);
    CHECK_EQ(machine.cores, 16);
    check_cpus((const int[]){0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15});
    read_machine(18, TWO_PACKAGES);
    CHECK_EQ(machine.cores, 16);
    CHECK_EQ(machine.cpu[16], 0);
    CHECK_EQ(machine.cpu[17], 2);
}

TEST(topology, few_workers_are_placed_where_they_share_most)
{
    read_machine(2, "[numa] package:2 l3:2 core:2 pu:1");
    check_cpus((const int[]){0, 1});
    read_machine(3, "[numa] package:2 l3:2 core:2 pu:1");
    check_cpus((const int[]){0, 1, 2});
    CHECK_EQ(machine.distance[0][1], 2);
    CHECK_EQ(machine.distance[0][2], 3);
}

TEST(topology, distances_are_those_of_the_machine)
{
    read_machine(18, TWO_PACKAGES);
    for (unsigned i = 0; i < machine.workers; i++)
        for (unsigned j = 0; j < machine.workers; j++) {
            int a = machine.cpu[i], b = machine.cpu[j];
            int expected = a == b ? 0 : a / 2 == b / 2 ? 1 : a / 4 == b / 4 ? 2 : a / 8 == b / 8 ? 3 : 4;
            CHECK_EQ(machine.distance[i][j], expected);
        }
}

TEST(topology, victims_are_all_others_nearest_first)
{
    unsigned char victims[WF_TOPOLOGY_WORKERS_MAX];
    read_machine(18, TWO_PACKAGES);
    for (unsigned self = 0; self < machine.workers; self++) {
        bool seen[18] = {false};
        wf_topology_victims(&machine, self, victims);
        for (unsigned i = 0; i + 1 < machine.workers; i++) {
            CHECK(victims[i] < machine.workers && victims[i] != self && !seen[victims[i]]);
            seen[victims[i]] = true;
            CHECK(i == 0 || machine.distance[self][victims[i]] >= machine.distance[self][victims[i - 1]]);
        }
    }
}

TEST(topology, equally_near_ones_are_not_asked_by_everybody_first)
{
    unsigned char victims[WF_TOPOLOGY_WORKERS_MAX];
    unsigned first_remote[8] = {0};
    read_machine(8, TWO_PACKAGES);
    for (unsigned self = 0; self < 8; self++) {
        unsigned i = 0;
        wf_topology_victims(&machine, self, victims);
        while (machine.distance[self][victims[i]] < 4)
            i++;
        first_remote[victims[i]]++;
    }
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(first_remote[i], 1);
}

TEST(topology, a_single_worker_has_nobody)
{
    unsigned char victims[1] = {77};
    read_machine(1, TWO_PACKAGES);
    wf_topology_victims(&machine, 0, victims);
    CHECK_EQ(victims[0], 77);
}

TEST(topology, machines_without_cores_or_caches_are_fine)
{
    read_machine(4, "[numa] pu:4");
    CHECK_EQ(machine.cores, 4);
    check_cpus((const int[]){0, 1, 2, 3});
    CHECK_EQ(machine.distance[0][1], 4);
    read_machine(4, "[numa] package:1 core:2 pu:1");
    CHECK_EQ(machine.cores, 2);
    check_cpus((const int[]){0, 1, 0, 1});
    CHECK_EQ(machine.distance[0][2], 0);
    CHECK_EQ(machine.distance[0][1], 3);
}

TEST(topology, the_largest_machine_is_read_and_nonsense_is_refused)
{
    read_machine(WF_TOPOLOGY_WORKERS_MAX, "[numa] package:2 l3:8 core:8 pu:2");
    CHECK_EQ(machine.cores, 256);
    CHECK_EQ(wf_topology_read(&machine, 4, "no such thing"), -EINVAL);
    CHECK_EQ(wf_topology_read(&machine, 0, TWO_PACKAGES), -EINVAL);
    CHECK_EQ(wf_topology_read(&machine, WF_TOPOLOGY_WORKERS_MAX + 1, TWO_PACKAGES), -EINVAL);
}

TEST(topology, this_machine_gives_cpus_that_we_may_use)
{
    cpu_set_t mask, after;
    CHECK_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
    read_machine(5, NULL);
    for (unsigned i = 0; i < machine.workers; i++)
        CHECK(machine.cpu[i] == -1 || CPU_ISSET(machine.cpu[i], &mask));
    CHECK_EQ(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&mask, &after)); /* asking moved nobody */
}

/* ---- Paths without end ---- */

TEST(topology, paths_that_are_too_long_are_no_quota)
{
    static char cgroup[2 * PATH_MAX];
    open_root();
    put("cpu.max", "150000 100000\n");
    size_t n = (size_t)snprintf(cgroup, sizeof cgroup, "0::");
    memset(cgroup + n, 'a', PATH_MAX);
    cgroup[n] = '/';
    CHECK_EQ(quota(cgroup), 150); /* the mount is what is left */
    cgroup[n + PATH_MAX - strlen(root) - 3] = '\0'; /* the folder fits, a file in it does not */
    CHECK_EQ(quota(cgroup), 150);
    close_root();
}
