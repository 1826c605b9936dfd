/* job.c - one program in a process of its own, with a fault, and what is wrong with how it ended. */
#include "tests/fault/case.h"

#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 16, REPORT_FD = 9, LIMIT_SECONDS = 60, SANITIZER_STATUS = 99 };

extern char **environ;

double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int memory(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* The environment with ours in front, which is where getenv looks first. */
static void fill_environment(const struct job *j, char fail[64], char *env[], size_t max)
{
    size_t n = 0;
    snprintf(fail, 64, "WEFT_FAIL=%s", j->fail);
    if (*j->fail)
        env[n++] = fail;
    env[n++] = (char *)(uintptr_t)"WEFT_FAIL_REPORT=9";
    for (char **e = environ; *e && n < max - 1; e++)
        if (strncmp(*e, "WEFT_", 5) != 0)
            env[n++] = *e;
    env[n] = NULL;
}

void job_start(struct job *j, const char *self)
{
    const struct program *p = j->program;
    char *const example[] = {(char *)(uintptr_t)p->path, NULL};
    char *const scenario[] = {(char *)(uintptr_t)self, (char *)(uintptr_t)"--scenario", (char *)(uintptr_t)p->name,
                              NULL};
    char fail[64], *env[512];
    posix_spawn_file_actions_t to;
    posix_spawnattr_t group;
    sigset_t nothing;
    j->said = memory("stderr");
    j->printed = memory("stdout");
    j->report = memory("report");
    j->late = false;
    posix_spawn_file_actions_init(&to);
    posix_spawn_file_actions_addopen(&to, STDIN_FILENO, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&to, j->printed, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&to, j->said, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&to, j->report, REPORT_FD);
    posix_spawnattr_init(&group);
    posix_spawnattr_setflags(&group, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&group, 0); /* what it starts is ended with it */
    sigemptyset(&nothing);
    posix_spawnattr_setsigmask(&group, &nothing); /* the runner blocks what it waits for */
    fill_environment(j, fail, env, sizeof env / sizeof *env);
    CHECK_EQ(posix_spawn(&j->pid, p->path ? p->path : self, &to, &group, p->path ? example : scenario, env), 0);
    posix_spawnattr_destroy(&group);
    posix_spawn_file_actions_destroy(&to);
    j->deadline = now_seconds() + LIMIT_SECONDS * (1 + p->seconds); /* what computes gets its share of a busy machine */
}

/* ---- Judging -------------------------------------------------------------------------------------- */

static void read_all(int fd, char text[TEXT_MAX])
{
    ssize_t n = pread(fd, text, TEXT_MAX - 1, 0);
    text[n > 0 ? n : 0] = 0;
}

/* How many requests failed; how many there were goes to the program, if none was to fail. */
static uint64_t read_report(struct job *j)
{
    char line[512] = "", name[16];
    uint64_t number = 0, asked[WF_FAULT_ANY + 2] = {0};
    int used = 0, at = 0;
    if (pread(j->report, line, sizeof line - 1, 0) < 0)
        return 0;
    for (int i = 0; i < WF_FAULT_ANY + 2 && sscanf(line + at, "%15s %" SCNu64 "%n", name, &number, &used) == 2; i++) {
        asked[i] = number;
        at += used;
    }
    if (!*j->fail)
        memcpy(j->program->asked, asked, sizeof j->program->asked);
    return asked[WF_FAULT_ANY + 1];
}

/* The same lines, each as often, in whatever order: on a busy machine who slept longer may be through first. Where the
 * file has a line that begins with ~, for a time or a number, any will do. Marks what it has found in printed. */
static bool is_as_expected(const char *file, char *printed)
{
    char line[512];
    int left = 0;
    bool found = true;
    for (char *end = printed; (end = strchr(end, '\n')); end++)
        left++;
    FILE *f = fopen(file, "re");
    CHECK(f != NULL);
    for (; found && fgets(line, sizeof line, f); left--) {
        if (*line == '~')
            continue;
        char *at = printed;
        while ((found = *at) && strncmp(at, line, strlen(line)) != 0) {
            at += strcspn(at, "\n");
            at += *at == '\n';
        }
        if (found)
            *at = '\1'; /* taken */
    }
    fclose(f);
    return found && left == 0;
}

/* weft_blocking_begin() that can have no thread leaves its task where it is, which is what this one tells about; and
 * that a task was forgotten is said on stderr alone. */
static bool may_print_else(const struct program *p)
{
    return strcmp(p->name, "tls") == 0;
}

const char *job_judge(struct job *j, int status)
{
    static char said[TEXT_MAX], printed[TEXT_MAX];
    struct program *p = j->program;
    read_all(j->said, said);
    read_all(j->printed, printed);
    uint64_t failed = read_report(j);
    close(j->said);
    close(j->printed);
    close(j->report);
    p->hits += failed > 0;
    if (j->late)
        return "did not end";
    if (strstr(said, "Sanitizer") || strstr(said, "runtime error:"))
        return "a sanitizer's report";
    if (WIFSIGNALED(status))
        return strstr(said, "CHECK failed") ? "a check failed" : "ended by a signal";
    int code = WEXITSTATUS(status);
    if (code == SANITIZER_STATUS || code > 1 || (code == 1 && !p->path))
        return "exit status";
    if (code == 1)
        return failed ? NULL : "failed although nothing had";
    if (p->path && p->out && !may_print_else(p) && !is_as_expected(p->out, printed))
        return "ended well, but printed something else: has it ignored an error?";
    return NULL;
}
