/* run.c - plays scenarios on the real runtime.
 *
 *     scenario [--workers N] [--rounds R] [--seed S] [--size M] [NAME...]
 *
 * Each of the named scenarios, or all, R times, in a runtime of N workers each; round r has seed S + r. M multiplies
 * the sizes; 0 makes each 1. When a runtime has ended, the process has as many descriptors open as before. Whatever
 * does not hold ends the process with a line that says scenario and seed; so does a round that does not end. */
#include "tests/scenario/scenario.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROUND_SECONDS = 120 };

struct options {
    unsigned workers, rounds, size;
    uint64_t seed;
};

/* How many descriptors are open, and the greatest; without the one that looks. */
static int count_fds(int *greatest)
{
    DIR *dir = opendir("/proc/self/fd");
    HOLDS(dir);
    int count = 0;
    *greatest = -1;
    for (struct dirent *e; (e = readdir(dir));) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd == dirfd(dir))
            continue;
        count++;
        *greatest = fd > *greatest ? fd : *greatest;
    }
    closedir(dir);
    return count;
}

static void limit_fds(int more)
{
    static struct rlimit before;
    struct rlimit now;
    int greatest;
    if (more < 0) {
        HOLDS_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        return;
    }
    HOLDS_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    count_fds(&greatest);
    now = (struct rlimit){(rlim_t)(greatest + 1 + more), before.rlim_max};
    HOLDS_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
}

static void play(const struct scenario *s, const struct options *o)
{
    unsigned size = s->size * o->size > 0 ? s->size * o->size : 1;
    for (unsigned round = 0; round < o->rounds; round++) {
        struct scenario_env env = {s, size, false, o->seed + round, limit_fds};
        int greatest, before = count_fds(&greatest);
        alarm(ROUND_SECONDS);
        scenario_run(&env, &(weft_config){.workers = o->workers});
        alarm(0);
        HOLDS_EQ(count_fds(&greatest), before);
    }
}

static void too_long(int number)
{
    (void)number;
    static const char text[] = "weft: no end after two minutes; every task:\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) > 0)
        weft_dump(STDERR_FILENO); /* not allowed in a handler, and all there is to say before the end */
    scenario_failed(__FILE__, __LINE__, "it ends");
}

static const struct scenario *find(const char *name)
{
    for (size_t i = 0; scenarios[i]; i++)
        if (strcmp(scenarios[i]->name, name) == 0)
            return scenarios[i];
    fprintf(stderr, "scenario: there is no '%s'; there are:", name);
    for (size_t i = 0; scenarios[i]; i++)
        fprintf(stderr, " %s", scenarios[i]->name);
    fprintf(stderr, "\n");
    exit(2);
}

static char **parse(char **argv, struct options *o)
{
    argv++;
    for (; argv[0] && argv[1] && argv[0][0] == '-'; argv += 2) {
        uint64_t value = strtoull(argv[1], NULL, 0);
        if (strcmp(argv[0], "--workers") == 0)
            o->workers = (unsigned)value;
        else if (strcmp(argv[0], "--rounds") == 0)
            o->rounds = (unsigned)value;
        else if (strcmp(argv[0], "--seed") == 0)
            o->seed = value;
        else if (strcmp(argv[0], "--size") == 0)
            o->size = (unsigned)value;
        else
            find(argv[0]);
    }
    return argv;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct options o = {.rounds = 1, .size = 1};
    char **names = parse(argv, &o);
    signal(SIGALRM, too_long);
    unsigned played = 0;
    if (*names)
        for (; *names; names++, played++)
            play(find(*names), &o);
    else
        for (; scenarios[played]; played++)
            play(scenarios[played], &o);
    printf("%u scenarios, %u rounds, %u workers: %" PRIu64 " steps\n", played, o.rounds, o.workers,
           scenario_counted());
    return 0;
}
