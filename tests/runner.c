/* runner.c - the second body of test.h: runs tests without Criterion.
 *
 *     test_runtime [--list] [--here] [--without=TEXT...] [TEXT...]
 *
 * Each test whose "group: name" contains one of the TEXTs (all, when there is none) is run in a forked child,
 * so that a crash ends one test, not the run. --here runs them in this process instead, for a debugger. The
 * environment's TEST_PATTERN is one more TEXT, so that ctest can hand it down. --without leaves tests out: for an
 * emulator that cannot do what they are about.
 *
 * A child is given its limit in seconds and then killed with everything it started, which is why it leads a
 * process group of its own. A test passes when its child exits with 0: the child leaves by exit(), so that
 * leak checkers have their say. */
#include "tests/test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct test *first, **last = &first;

void test_add(struct test *t)
{
    *last = t;
    last = &t->next;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_wanted(const struct test *t, char *const texts[])
{
    char title[512];
    snprintf(title, sizeof title, "%s: %s", t->group, t->name);
    bool any = false, found = false;
    for (; *texts; texts++) {
        if (strncmp(*texts, "--without=", 10) == 0) {
            if (strstr(title, *texts + 10)) {
                return false;
            }
        } else if (strncmp(*texts, "--", 2) != 0) {
            any = true;
            found = found || strstr(title, *texts);
        }
    }
    return found || !any;
}

static void block_child_signal(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(how, &set, NULL);
}

_Noreturn static void run_child(const struct test *t)
{
    setpgid(0, 0);
    block_child_signal(SIG_UNBLOCK);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    t->body();
    exit(0);
}

/* Wait for pid to end, `seconds` at most. True when it ended by itself; its status is in *status either way.
 * Its process group is killed in any case: whoever a test leaves behind must not disturb the next. SIGCHLD is
 * blocked and taken here (a pidfd would be simpler, but Valgrind and emulators do not know it). */
static bool wait_for(pid_t pid, int seconds, int *status)
{
    double deadline = now() + seconds;
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    for (;;) {
        pid_t r = waitpid(pid, status, WNOHANG);
        double left = deadline - now();
        if (r == 0 && left > 0) {
            struct timespec limit = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
            sigtimedwait(&ended, NULL, &limit);
            continue;
        }
        kill(-pid, SIGKILL);
        if (r == 0) {
            waitpid(pid, status, 0);
        }
        return r == pid;
    }
}

static bool run_test(const struct test *t)
{
    double start = now();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        run_child(t);
    }
    setpgid(pid, pid); /* Both sides do it: whoever is first. */
    int status = 0;
    bool ended = wait_for(pid, t->seconds, &status);
    bool passed = ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    printf("[%s] %s: %s (%.2f s)", passed ? "PASS" : "FAIL", t->group, t->name, now() - start);
    if (!ended) {
        printf(" did not end within %d s, %s:%d", t->seconds, t->file, t->line);
    } else if (WIFSIGNALED(status)) {
        printf(" ended by signal %d, %s, %s:%d", WTERMSIG(status), strsignal(WTERMSIG(status)), t->file, t->line);
    } else if (!passed) {
        printf(" exited with %d, %s:%d", WEXITSTATUS(status), t->file, t->line);
    }
    printf("\n");
    fflush(stdout);
    return passed;
}

static bool has_option(char *const words[], const char *option)
{
    for (; *words; words++) {
        if (strcmp(*words, option) == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    char *texts[argc + 1];
    memcpy(texts, argv + 1, (size_t)argc * sizeof *argv);
    char *pattern = getenv("TEST_PATTERN");
    if (pattern && *pattern) {
        texts[argc - 1] = pattern;
        texts[argc] = NULL;
    }
    bool list = has_option(texts, "--list"), here = has_option(texts, "--here");
    unsigned passed = 0, failed = 0;
    block_child_signal(SIG_BLOCK);
    for (const struct test *t = first; t; t = t->next) {
        if (!is_wanted(t, texts)) {
            continue;
        }
        if (list) {
            printf("%s: %s\n", t->group, t->name);
        } else if (here) {
            t->body();
            passed++;
        } else if (run_test(t)) {
            passed++;
        } else {
            failed++;
        }
    }
    if (!list) {
        printf("%u passed, %u failed\n", passed, failed);
    }
    return failed ? 1 : 0;
}
