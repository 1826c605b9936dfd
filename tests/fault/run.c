/* run.c - every request to the machine fails once, in every program, and nothing worse than an error comes of it.
 *
 *     fault [--all] [--jobs=N] [NAME...]    the scenarios and examples whose name contains one of these, or all
 *     fault --scenario NAME                 one scenario in this process, with the faults of WEFT_FAIL
 *
 * Each program is run once as it is, which counts its requests of each kind. Then it is run for the n-th request of
 * each kind, n from 1 to as many as there were: once with that one failing, once with all from there on; and a few
 * times with failures strewn over everything. Where there are many requests, the first, the last and some between are
 * tried; --all tries all. Each run is a process of its own.
 *
 * A run is as it should be when it ended by itself and in time; no sanitizer had anything to report, leaks included;
 * and it ended as its program ends when weft returned an error, or as if nothing had been. What that is:
 *
 *     a scenario   0: it checks itself (scenario.h), its errors are ones of shortage, and nothing is left
 *     an example   1; or 0, and it printed the lines its page has. An example that ends well and prints others
 *                  has ignored an error. Lines with a time in them are not compared */
#include "tests/fault/case.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    CHECK(dir != NULL);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static bool is_shortage(int err)
{
    return err == -ENOMEM || err == -EAGAIN || err == -EMFILE;
}

/* A thread that was joined is gone from there a moment later. */
static int threads_left(int before)
{
    for (int i = 0; entries("/proc/self/task") > before && i < 1000; i++)
        poll(NULL, 0, 1);
    return entries("/proc/self/task") - before;
}

/* In a process of its own: with the fault, and without. */
static int run_scenario(const struct scenario *s)
{
    bool faulty = getenv("WEFT_FAIL") != NULL;
    const char *report = getenv("WEFT_FAIL_REPORT");
    signal(SIGPIPE, SIG_DFL); /* weft's promise, not ours */
    int descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
    int err = s->run();
    if (report)
        wf_fault_report(atoi(report));
    bool failed = wf_fault_failed() > 0;
    wf_fault_at(0, 0, WF_FAULT_NEVER);
    if (err != 0 && !(failed && is_shortage(err)))
        test_failed(__FILE__, __LINE__, "%s returned %d, %s", s->name, err, weft_strerror(err));
    CHECK_EQ(entries("/proc/self/fd"), descriptors);
    CHECK_EQ(threads_left(threads), 0);
    if (!faulty)
        return 0;
    CHECK_EQ(s->run(), 0);
    CHECK_EQ(entries("/proc/self/fd"), descriptors);
    CHECK_EQ(threads_left(threads), 0);
    return 0;
}

static const struct scenario *const tables[] = {runtime_scenarios, sync_scenarios, io_scenarios};

static const struct scenario *find_scenario(const char *name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct scenario *s = tables[i]; s->name; s++)
            if (strcmp(s->name, name) == 0)
                return s;
    return NULL;
}

/* ---- Which programs ------------------------------------------------------------------------------- */

static bool is_wanted(const char *name, char *const words[])
{
    bool any = false;
    for (; *words; words++) {
        if (strncmp(*words, "--", 2) == 0)
            continue;
        any = true;
        if (strstr(name, *words))
            return true;
    }
    return !any;
}

static void add_scenarios(struct plan *p, char *const words[])
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct scenario *s = tables[i]; s->name; s++)
            if (is_wanted(s->name, words))
                plan_add(p, s->name, NULL, NULL);
}

/* Examples are where CMake has said; what they print is beside their source. */
static void add_examples(struct plan *p, char *const words[])
{
    static const struct {
        const char *program, *out;
    } examples[] = {FAULT_EXAMPLES};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const char *slash = strrchr(examples[i].program, '/');
        if (is_wanted(slash + 1, words))
            plan_add(p, slash + 1, examples[i].program, examples[i].out);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--scenario") == 0) {
        const struct scenario *s = find_scenario(argv[2]);
        CHECK(s != NULL);
        return run_scenario(s);
    }
    struct plan p = {.self = argv[0], .jobs = 6 * (unsigned)sysconf(_SC_NPROCESSORS_ONLN)};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0)
            p.all = true;
        else if (strncmp(argv[i], "--jobs=", 7) == 0)
            p.jobs = (unsigned)atoi(argv[i] + 7);
    }
    add_scenarios(&p, argv + 1);
    add_examples(&p, argv + 1);
    return plan_run(&p);
}
