/* machine.c - where all this was measured, and how busy that place was with other things.
 *
 * Figures without their machine mean little. What cannot be found out is left as "unknown", never guessed.
 * The load of others is what /proc/stat counts as busy during the measurement, less what this process and
 * its helpers used; it tells a reader whether a wide spread was ours. */
#include "bench/contrast.d/contrast.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

#ifndef CONTRAST_FLAGS
#define CONTRAST_FLAGS "unknown"
#endif

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* What follows key in the first line of path that begins with it; "unknown" when there is none. */
static void read_value(const char *path, const char *key, char *buf, size_t n)
{
    char line[512];
    FILE *f = fopen(path, "re");
    snprintf(buf, n, "unknown");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        char *at = line + strlen(key);
        at += strspn(at, " \t:=\"");
        at[strcspn(at, "\"\n")] = '\0';
        snprintf(buf, n, "%s", at);
        break;
    }
    if (f != NULL)
        fclose(f);
}

/* "0-3,6" */
static void read_affinity(char *buf, size_t n)
{
    cpu_set_t set;
    size_t used = 0;
    snprintf(buf, n, "unknown");
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE && used + 16 < n; cpu++) {
        int last = cpu;
        if (!CPU_ISSET(cpu, &set))
            continue;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
            last++;
        used += (size_t)snprintf(buf + used, n - used, last > cpu ? "%s%d-%d" : "%s%d", used ? "," : "", cpu,
                                 last);
        cpu = last;
    }
}

/* The tightest cgroup limit on the way from our group to the root, as "MICROSECONDS PERIOD"; both
 * versions of cgroups, where they are usually mounted. */
static void read_quota(char *buf, size_t n)
{
    char group[256], path[512], value[64];
    double tightest = 0;
    snprintf(buf, n, "none");
    read_value("/proc/self/cgroup", "0::", group, sizeof group);
    while (group[0] == '/') {
        long long quota = 0, period = 0;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", strcmp(group, "/") ? group : "");
        read_value(path, "", value, sizeof value);
        if (sscanf(value, "%lld %lld", &quota, &period) == 2 && period > 0 &&
            (tightest <= 0 || (double)quota / (double)period < tightest)) {
            tightest = (double)quota / (double)period;
            snprintf(buf, n, "%s", value);
        }
        char *slash = strrchr(group, '/');
        *(slash == group && group[1] != '\0' ? slash + 1 : slash) = '\0';
    }
    read_value("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "", value, sizeof value);
    if (tightest <= 0 && atoll(value) > 0)
        snprintf(buf, n, "%.40s (cgroup v1)", value);
}

/* The priority that counts against others: where the kernel groups tasks by session, that of the group. */
static int read_nice(void)
{
    int nice = getpriority(PRIO_PROCESS, 0);
    FILE *f = fopen("/proc/self/autogroup", "re");
    if (f != NULL && fscanf(f, "/autogroup-%*d nice %d", &nice) != 1)
        nice = getpriority(PRIO_PROCESS, 0);
    if (f != NULL)
        fclose(f);
    return nice;
}

void ct_machine_read(struct ct_machine *m)
{
    struct utsname u;
    time_t now = time(NULL);
    struct tm utc;
    *m = (struct ct_machine){0};
    read_value("/proc/cpuinfo", "model name", m->cpu, sizeof m->cpu);
    if (strcmp(m->cpu, "unknown") == 0)
        read_value("/proc/cpuinfo", "CPU part", m->cpu, sizeof m->cpu);
    read_value("/etc/os-release", "PRETTY_NAME", m->os, sizeof m->os);
    read_value("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "", m->governor, sizeof m->governor);
    uname(&u);
    snprintf(m->kernel, sizeof m->kernel, "%.20s %.60s %.40s", u.sysname, u.release, u.machine);
    read_affinity(m->affinity, sizeof m->affinity);
    read_quota(m->quota, sizeof m->quota);
    m->nice = read_nice();
    m->online = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(m->compiler, sizeof m->compiler, "%s", COMPILER);
    snprintf(m->flags, sizeof m->flags, "%s", CONTRAST_FLAGS);
    const char *ring = getenv("WEFT_RING");
    snprintf(m->ring, sizeof m->ring, "%s", ring != NULL ? ring : "shared");
    snprintf(m->weft, sizeof m->weft, "%s", weft_version());
    gmtime_r(&now, &utc);
    strftime(m->when, sizeof m->when, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

struct meter {
    int64_t at_ns;
    double busy, steal, own; /* seconds */
};

static struct meter began;

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* Busy and stolen time of all cores so far, and what this process and its ended children used. */
static void meter_read(struct meter *m)
{
    double user = 0, nice = 0, sys = 0, idle, iowait, irq = 0, soft = 0, steal = 0;
    double tick = (double)sysconf(_SC_CLK_TCK);
    struct rusage self, children;
    FILE *f = fopen("/proc/stat", "re");
    *m = (struct meter){.at_ns = ct_now()};
    if (f != NULL && fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &sys, &idle, &iowait,
                            &irq, &soft, &steal) == 8) {
        m->busy = (user + nice + sys + irq + soft) / tick;
        m->steal = steal / tick;
    }
    if (f != NULL)
        fclose(f);
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    m->own = seconds_of(&self.ru_utime) + seconds_of(&self.ru_stime) + seconds_of(&children.ru_utime) +
             seconds_of(&children.ru_stime);
}

void ct_machine_watch_begin(void)
{
    meter_read(&began);
}

/* After the helpers were waited for, so that their time is in ours. */
void ct_machine_watch_end(struct ct_machine *m)
{
    struct meter now;
    meter_read(&now);
    double wall = (double)(now.at_ns - began.at_ns) / (double)CT_SEC;
    double others = (now.busy - began.busy - (now.own - began.own)) / wall;
    m->other_load = others > 0 ? others : 0;
    m->steal = (now.steal - began.steal) / wall;
}
