/* leaks.c - a runtime leaves nothing behind, however often one is started and stopped: no descriptor, no thread, no
 * mapping, no memory. */
#include "tests/runtime/with.h"

#include <dirent.h>
#include <sched.h>
#include <unistd.h>

enum { WARM = 50, CYCLES = 1000, MAPS_SLACK = 16, BYTES_PER_CYCLE_MAX = 4096 };

struct held {
    unsigned descriptors, threads, mappings;
    size_t bytes;
};

static unsigned count_entries(const char *folder)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    CHECK(d != NULL);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static struct held look(void)
{
    struct held h = {.descriptors = count_entries("/proc/self/fd"), .threads = count_entries("/proc/self/task")};
    size_t pages;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f && fscanf(f, "%*u %zu", &pages) == 1);
    fclose(f);
    f = fopen("/proc/self/maps", "re");
    CHECK(f != NULL);
    for (int c; (c = getc(f)) != EOF;)
        h.mappings += c == '\n';
    fclose(f);
    h.bytes = pages * (size_t)sysconf(_SC_PAGESIZE);
    return h;
}

/* Something of everything that is made on demand: stacks, threads of the pool, timers, requests. */
static int use_everything(void *arg)
{
    int fd[2];
    char byte = 'x';
    WEFT_SCOPE(s);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(&s, return_zero, arg), 0);
    weft_task *t = weft_spawn(&s, sleep_for_ever, arg);
    CHECK_EQ(weft_sleep(WEFT_USEC), 0);
    CHECK_EQ(weft_offload(return_zero, NULL), 0);
    CHECK_EQ(pipe(fd), 0);
    CHECK_EQ(weft_write(fd[1], &byte, 1), 1);
    CHECK_EQ(weft_read(fd[0], &byte, 1), 1);
    CHECK_EQ(weft_close(fd[0]) | weft_close(fd[1]), 0);
    weft_cancel(t);
    CHECK_EQ(weft_await(t), -ECANCELED);
    return weft_scope_close(&s);
}

static void cycle(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = 1 + i % 3}, use_everything, NULL), 0);
}

TEST_WITHIN(leaks, are_none_in_a_thousand_runtimes, 120)
{
    cycle(WARM);
    struct held before = look();
    cycle(TEST_TIMES(CYCLES));
    struct held after = look();
    CHECK_EQ(after.descriptors, before.descriptors);
    while (count_entries("/proc/self/task") > before.threads) /* a joined one is listed for a moment more */
        sched_yield();
#if TEST_SLOWNESS == 1 /* A checker keeps what was freed, to see who touches it. */
    CHECK(after.mappings <= before.mappings + MAPS_SLACK);
    if (after.bytes > before.bytes + (size_t)TEST_TIMES(CYCLES) * BYTES_PER_CYCLE_MAX)
        test_failed(__FILE__, __LINE__, "%zu bytes before, %zu after", before.bytes, after.bytes);
#endif
}
