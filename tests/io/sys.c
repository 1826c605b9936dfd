/* sys.c - the moment between poll(2) and accept(2), in which somebody else may take the connection. The file under
 * test is compiled into this one under other names, with a poll(2) that lets the test act before it returns. */
#include <poll.h>

static int poll_slowly(struct pollfd *p, nfds_t n, int ms);

#define wf_sys_accept_now slow_sys_accept_now
#define wf_sys_bind slow_sys_bind
#define wf_sys_close slow_sys_close
#define wf_sys_connect slow_sys_connect
#define wf_sys_connect_now slow_sys_connect_now
#define wf_sys_fallocate slow_sys_fallocate
#define wf_sys_file_position slow_sys_file_position
#define wf_sys_file_size slow_sys_file_size
#define wf_sys_fsync slow_sys_fsync
#define wf_sys_getsockname slow_sys_getsockname
#define wf_sys_getsockopt slow_sys_getsockopt
#define wf_sys_listen slow_sys_listen
#define wf_sys_mkdirat slow_sys_mkdirat
#define wf_sys_openat slow_sys_openat
#define wf_sys_poll_now slow_sys_poll_now
#define wf_sys_readv slow_sys_readv
#define wf_sys_readv_now slow_sys_readv_now
#define wf_sys_recv_now slow_sys_recv_now
#define wf_sys_recvmsg_now slow_sys_recvmsg_now
#define wf_sys_renameat slow_sys_renameat
#define wf_sys_send_now slow_sys_send_now
#define wf_sys_sendmsg_now slow_sys_sendmsg_now
#define wf_sys_setsockopt slow_sys_setsockopt
#define wf_sys_shutdown slow_sys_shutdown
#define wf_sys_socket slow_sys_socket
#define wf_sys_statx slow_sys_statx
#define wf_sys_unlinkat slow_sys_unlinkat
#define wf_sys_writev slow_sys_writev
#define wf_sys_writev_now slow_sys_writev_now
#define poll poll_slowly
#include "io/sys.c"
#undef poll

#include "tests/io/help.h"

static void (*before_it_returns)(void);

static int poll_slowly(struct pollfd *p, nfds_t n, int ms)
{
    int got = poll(p, n, ms);
    if (before_it_returns)
        before_it_returns();
    return got;
}

static int listener, stolen;

static void steal(void)
{
    stolen = accept(listener, NULL, NULL);
}

static int listen_here(struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(fd, (struct sockaddr *)at, len) | listen(fd, 5), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static int call(const struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)at, sizeof *at), 0);
    return fd;
}

TEST(sys, accept_does_not_sleep_though_the_connection_is_stolen)
{
    struct sockaddr_in at;
    listener = listen_here(&at);
    CHECK_EQ(slow_sys_accept_now(listener, NULL, NULL, 0), -EAGAIN);
    int client = call(&at);
    before_it_returns = steal;
    CHECK_EQ(slow_sys_accept_now(listener, NULL, NULL, 0), -EAGAIN);
    CHECK(stolen >= 0);
    before_it_returns = NULL;
    int second = call(&at), taken = slow_sys_accept_now(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(taken >= 0);
    CHECK_EQ(fcntl(taken, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(taken, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(close(client) | close(second) | close(taken) | close(stolen) | close(listener), 0);
}

TEST(sys, accept_leaves_a_flag_alone_that_is_the_users)
{
    struct sockaddr_in at;
    listener = listen_here(&at);
    CHECK_EQ(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(slow_sys_accept_now(listener, NULL, NULL, 0), -EAGAIN);
    int client = call(&at), taken = slow_sys_accept_now(listener, NULL, NULL, 0);
    CHECK(taken >= 0);
    CHECK(fcntl(listener, F_GETFL) & O_NONBLOCK);
    CHECK_EQ(slow_sys_accept_now(client, NULL, NULL, 0), -EINVAL);
    CHECK_EQ(slow_sys_accept_now(client + 100, NULL, NULL, 0), -EBADF);
    CHECK_EQ(slow_sys_accept_now(open("/dev/null", O_RDONLY), NULL, NULL, 0), -ENOTSOCK);
    CHECK_EQ(close(client) | close(taken) | close(listener), 0);
}

TEST(sys, connect_begins_and_then_says_how_it_ended)
{
    struct sockaddr_in at;
    listener = listen_here(&at);
    int fd = socket(AF_INET, SOCK_STREAM, 0), err;
    while ((err = slow_sys_connect_now(fd, (struct sockaddr *)&at, sizeof at)) == -EINPROGRESS)
        ;
    CHECK(err == 0 || err == -EISCONN);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(close(fd) | close(listener), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    while ((err = slow_sys_connect_now(fd, (struct sockaddr *)&at, sizeof at)) == -EINPROGRESS)
        ;
    CHECK_EQ(err, -ECONNREFUSED);
    CHECK_EQ(close(fd), 0);
}

TEST(sys, calls_leave_errno_alone)
{
    errno = E2BIG;
    CHECK_EQ(slow_sys_close(-1), -EBADF);
    CHECK_EQ(slow_sys_recv_now(-1, NULL, 0, 0), -EBADF);
    CHECK_EQ(slow_sys_accept_now(-1, NULL, NULL, 0), -EBADF);
    CHECK_EQ(slow_sys_connect_now(-1, NULL, 0), -EBADF);
    CHECK_EQ(slow_sys_poll_now(1000000, POLLIN), -EBADF);
    CHECK_EQ(slow_sys_file_size(-1), -1);
    CHECK_EQ(errno, E2BIG);
}
