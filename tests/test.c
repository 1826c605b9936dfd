/* test.c - checks that fail and children that must die; see test.h. Linked into every test program. */
#include "tests/test.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEATH_SECONDS = 10, DEATH_TEXT_MAX = 65536 };

void test_failed(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "%s:%d: CHECK failed: %s\n", file, line, text);
    abort();
}

static void too_long(int sig)
{
    static const char text[] = "did not end within its limit\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    signal(sig, SIG_DFL);
    raise(sig);
}

void test_end_after(unsigned seconds)
{
    signal(SIGALRM, too_long);
    alarm(seconds);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Collect what comes from fd until its end or the deadline; beyond size it is read and dropped. The end comes
 * when every holder of the other side is gone, so a grandchild left behind counts as not ended. */
static bool read_until(int fd, int64_t deadline_ms, char *text, size_t size)
{
    size_t have = 0;
    text[0] = '\0';
    for (;;) {
        int64_t left = deadline_ms - now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
            return false;
        }
        char piece[4096];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n <= 0) {
            return n == 0;
        }
        size_t room = size - 1 - have;
        size_t take = (size_t)n < room ? (size_t)n : room;
        memcpy(text + have, piece, take);
        have += take;
        text[have] = '\0';
    }
}

#ifdef TEST_COVERAGE
/* What a dying child has run counts too. abort() comes back with the signal once this has returned. */
static void end_of_child(int sig)
{
    signal(sig, SIG_DFL);
    __gcov_dump();
}
#else
#define end_of_child SIG_DFL
#endif

int test_in_child(void (*body)(void), unsigned seconds, char *text, size_t size)
{
    int out[2];
    CHECK_EQ(pipe(out), 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, end_of_child); /* The runner may have its own ideas. */
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        body();
        _exit(0);
    }
    close(out[1]);
    if (!read_until(out[0], now_ms() + INT64_C(1000) * seconds * TEST_PATIENCE, text, size)) {
        kill(pid, SIGKILL);
    }
    close(out[0]);
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

void test_dies(void (*body)(void), const char *const texts[])
{
    static char said[DEATH_TEXT_MAX];
    int status = test_in_child(body, DEATH_SECONDS, said, sizeof said);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
        test_failed(__FILE__, __LINE__, "expected an abort, found wait status %#x; stderr: %s", (unsigned)status, said);
    }
    char *ours = NULL;
    int count = 0;
    for (char *line = said, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        end += *end == '\n';
        if (strncmp(line, "weft: ", 6) == 0) {
            ours = line;
            count++;
        }
    }
    if (count != 1) {
        test_failed(__FILE__, __LINE__, "expected one line of weft's, found %d; stderr: %s", count, said);
    }
    ours[strcspn(ours, "\n")] = '\0';
    for (; *texts; texts++) {
        if (!strstr(ours, *texts)) {
            test_failed(__FILE__, __LINE__, "expected \"%s\" in: %s", *texts, ours);
        }
    }
}
