/* base.c - the clock, whole reads and writes, helper processes.
 *
 * Helpers are forked at the very start, while this process has one thread, and live until their line
 * closes or their parent dies; so no way out of the tool leaves one behind. */
#include "bench/contrast.d/contrast.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t ct_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * CT_SEC + ts.tv_nsec;
}

/* err as our functions return it: negative, or 0 when there is nothing to add. */
void ct_die(const char *what, int err)
{
    if (err != 0) {
        fprintf(stderr, "contrast: %s: %s\n", what, strerror(-err));
    } else {
        fprintf(stderr, "contrast: %s\n", what);
    }
    exit(1);
}

/* Blocking. 0, -EPIPE at the end of the stream, or read(2)'s error. */
int ct_read_full(int fd, void *buf, size_t n)
{
    char *at = buf;
    while (n > 0) {
        ssize_t got = read(fd, at, n);
        if (got == 0)
            return -EPIPE;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

/* Blocking. 0 or write(2)'s error; never a signal, since fd is a socket. */
int ct_write_all(int fd, const void *buf, size_t n)
{
    const char *at = buf;
    while (n > 0) {
        ssize_t put = send(fd, at, n, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

/* Run body in a process of its own, joined to us by a stream socket. */
void ct_child_start(struct ct_child *c, void (*body)(int line))
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        ct_die("socketpair", -errno);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        ct_die("fork", -errno);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1); /* it died before the line above */
        close(pair[0]);
        body(pair[1]);
        _exit(0);
    }
    close(pair[1]);
    c->pid = pid;
    c->line = pair[0];
}

void ct_child_stop(struct ct_child *c)
{
    close(c->line);
    waitpid(c->pid, NULL, 0);
}
