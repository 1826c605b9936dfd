/* help.h - what the tests of io share. */
#ifndef TEST_IO_HELP_H
#define TEST_IO_HELP_H

#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

/* How many descriptors this process has open. */
static inline int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    int count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* Run body under a few shapes of runtime, each of which must leave no descriptor behind. */
static inline void run_in_all_shapes(weft_fn body, void *arg)
{
    static const struct {
        unsigned workers;
        weft_ring_mode ring;
    } shapes[] = {{1, WEFT_RING_SHARED}, {2, WEFT_RING_SHARED}, {4, WEFT_RING_SHARED}, {1, WEFT_RING_DEFER},
                  {3, WEFT_RING_DEFER}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        int before = open_descriptors();
        weft_config config = {.workers = shapes[i].workers, .ring = shapes[i].ring};
        CHECK_EQ(weft_run(&config, body, arg), 0);
        CHECK_EQ(open_descriptors(), before);
    }
}

/* A pair of connected sockets. */
static inline void socket_pair(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

/* The text of the address that fd is bound to. */
static inline void local_text(int fd, char text[WEFT_ADDR_TEXT_MAX])
{
    weft_addr a;
    CHECK_EQ(weft_addr_local(fd, &a), 0);
    CHECK(weft_addr_format(&a, text, WEFT_ADDR_TEXT_MAX) > 0);
}

/* A listener on loopback, and where it listens. */
static inline int listen_loopback(char text[WEFT_ADDR_TEXT_MAX])
{
    int fd = weft_tcp_listen("127.0.0.1:0", 0);
    CHECK(fd >= 0);
    local_text(fd, text);
    return fd;
}

#endif
