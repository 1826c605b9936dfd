/* close.c - closing a descriptor while others are inside a call on it. */
#include "tests/io/help.h"

#include "io/fdtable.h"

#include <fcntl.h>
#include <sys/eventfd.h>

/* How many calls are inside fd: what the closer will have to wait for. */
static uint64_t inside(int fd)
{
    int err;
    return wf_load(&wf_fd_of(fd, &err)->word, relaxed) & WF_FD_COUNT;
}

static int until_inside(int fd, uint64_t count)
{
    while (inside(fd) != count)
        CHECK_EQ(weft_yield(), 0);
    return 0;
}

static int reader(void *arg)
{
    char buf[16];
    return (int)weft_read(*(int *)arg, buf, sizeof buf);
}

static int poller(void *arg)
{
    return weft_poll(*(int *)arg, POLLPRI);
}

static int acceptor(void *arg)
{
    return weft_accept(*(int *)arg, NULL);
}

static int selector(void *arg)
{
    weft_case on[] = {weft_on_fd(*(int *)arg, POLLPRI)};
    CHECK_EQ(weft_select(on, 1), 0);
    return on[0].result;
}

static int writer(void *arg)
{
    static char data[1 << 20];
    ssize_t n;
    while ((n = weft_write(*(int *)arg, data, sizeof data)) > 0)
        ;
    return (int)n;
}

/* Everybody inside fd comes out with -EBADF, and then it is closed. */
static int closes_under(int fd, const weft_fn *bodies, int count)
{
    weft_task *tasks[16];
    WEFT_SCOPE(s);
    for (int i = 0; i < count; i++)
        tasks[i] = weft_spawn(&s, bodies[i], &fd);
    until_inside(fd, (uint64_t)count);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_await(tasks[i]), -EBADF);
    CHECK_EQ(inside(fd), 0);
    return weft_scope_close(&s);
}

static int closes_a_socket(void *arg)
{
    static const weft_fn bodies[] = {reader, reader, poller, selector, writer};
    int fds[2];
    (void)arg;
    socket_pair(fds);
    closes_under(fds[0], bodies, 5);
    static char data[1 << 16];
    while (weft_read(fds[1], data, sizeof data) > 0)
        ; /* what the writer wrote, then the end: the peer learns of it */
    return weft_close(fds[1]);
}

TEST(close, ends_every_call_inside_a_socket)
{
    run_in_all_shapes(closes_a_socket, NULL);
}

static int closes_a_listener(void *arg)
{
    static const weft_fn bodies[] = {acceptor, acceptor, poller};
    char at[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    return closes_under(listen_loopback(at), bodies, 3);
}

TEST(close, ends_every_call_inside_a_listener)
{
    run_in_all_shapes(closes_a_listener, NULL);
}

static int closes_a_pipe(void *arg)
{
    static const weft_fn readers[] = {reader, poller, reader}, writers[] = {writer, writer};
    int fds[2];
    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    closes_under(fds[0], readers, 3);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(pipe(fds), 0);
    closes_under(fds[1], writers, 2);
    return weft_close(fds[0]);
}

TEST(close, ends_every_call_inside_a_pipe)
{
    run_in_all_shapes(closes_a_pipe, NULL);
}

/* Another descriptor of the same socket goes on: only this number is closed. */
static int closes_one_of_two(void *arg)
{
    static const weft_fn bodies[] = {reader};
    int fds[2];
    (void)arg;
    socket_pair(fds);
    int twin = dup(fds[0]);
    closes_under(fds[0], bodies, 1);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    char byte;
    CHECK_EQ(weft_read(twin, &byte, 1), 1);
    return weft_close(twin) | weft_close(fds[1]);
}

TEST(close, leaves_another_descriptor_of_the_same_socket_alone)
{
    run_in_all_shapes(closes_one_of_two, NULL);
}

/* A stop does not keep a close from doing its work. */
static int closes_when_stopped(void *arg)
{
    int fds[2];
    (void)arg;
    socket_pair(fds);
    WEFT_SCOPE(outer);
    weft_task *inside_it = weft_spawn(&outer, reader, &fds[0]);
    until_inside(fds[0], 1);
    {
        WEFT_SCOPE(inner);
        weft_scope_cancel(&inner);
        CHECK_EQ(weft_close(fds[0]), 0);
        weft_scope_close(&inner);
    }
    CHECK_EQ(weft_await(inside_it), -EBADF);
    CHECK_EQ(weft_scope_close(&outer), 0);
    return weft_close(fds[1]);
}

TEST(close, works_for_a_task_that_was_told_to_stop)
{
    run_in_all_shapes(closes_when_stopped, NULL);
}

/* Readers come and go while somebody closes; numbers are given out again at once. Whatever a reader gets, it is
 * never the other connection's byte, and nobody hangs. */
struct storm {
    _Atomic int fd;     /* of the moment */
    _Atomic bool over;
};

static int storm_reader(void *arg)
{
    struct storm *s = arg;
    char byte;
    while (!s->over) {
        ssize_t n = weft_read(s->fd, &byte, 1);
        CHECK(n == -EBADF || n == 0);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static int storm(void *arg)
{
    struct storm storm = {.fd = -1};
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 4; i++)
        weft_go(&s, storm_reader, &storm);
    for (int i = 0; i < TEST_TIMES(5000); i++) {
        int fds[2];
        socket_pair(fds);
        storm.fd = fds[0];
        if (i % 3)
            weft_yield();
        CHECK_EQ(weft_close(fds[0]), 0);
        CHECK_EQ(weft_close(fds[1]), 0);
    }
    storm.over = true;
    return weft_scope_close(&s);
}

TEST_WITHIN(close, races_with_calls_that_come_and_numbers_that_come_back, 60)
{
    run_in_all_shapes(storm, NULL);
}

/* Two close the same number: exactly one of them does it. */
struct twice {
    int fd;
    _Atomic int closed;
};

static int closes_once(void *arg)
{
    struct twice *t = arg;
    int err = weft_close(t->fd);
    CHECK(err == 0 || err == -EBADF);
    t->closed += err == 0;
    return 0;
}

/* An event descriptor with a number that nobody else is given: the second close must not meet a newcomer. */
static int high_eventfd(void)
{
    int low = eventfd(0, EFD_CLOEXEC), high = fcntl(low, F_DUPFD_CLOEXEC, 500);
    CHECK(high >= 500);
    CHECK_EQ(close(low), 0);
    return high;
}

static int twice(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(2000); i++) {
        struct twice t = {.fd = high_eventfd()};
        WEFT_SCOPE(s);
        weft_task *inside_it = i % 2 ? weft_spawn(&s, reader, &t.fd) : NULL;
        if (inside_it)
            until_inside(t.fd, 1);
        weft_go(&s, closes_once, &t);
        weft_go(&s, closes_once, &t);
        if (inside_it)
            CHECK_EQ(weft_await(inside_it), -EBADF);
        CHECK_EQ(weft_scope_close(&s), 0);
        CHECK_EQ(t.closed, 1);
    }
    return 0;
}

TEST_WITHIN(close, by_two_happens_once, 60)
{
    run_in_all_shapes(twice, NULL);
}
