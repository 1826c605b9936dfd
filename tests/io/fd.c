/* fd.c - reading, writing and waiting on descriptors of every kind. */
#include "tests/io/help.h"

#include <sys/eventfd.h>

static int drain(void *arg)
{
    static char buf[64 << 10];
    ssize_t n, total = 0;
    while ((n = weft_read(*(int *)arg, buf, sizeof buf)) > 0)
        total += n;
    return n < 0 ? (int)n : (int)total;
}

/* More than any buffer of a pipe or socket holds. */
static int moves_a_lot(int from, int to)
{
    enum { SIZE = 3 << 20 };
    char *data = malloc(SIZE);
    memset(data, 'x', SIZE);
    WEFT_SCOPE(s);
    weft_task *reader = weft_spawn(&s, drain, &from);
    CHECK_EQ(weft_write_all(to, data, SIZE), 0);
    CHECK_EQ(weft_close(to), 0);
    CHECK_EQ(weft_await(reader), SIZE);
    CHECK_EQ(weft_close(from), 0);
    free(data);
    return weft_scope_close(&s);
}

static int through_a_pipe(void *arg)
{
    int fds[2];
    CHECK_EQ(pipe2(fds, *(int *)arg), 0);
    return moves_a_lot(fds[0], fds[1]);
}

TEST(fd, moves_bytes_through_a_pipe)
{
    run_in_all_shapes(through_a_pipe, &(int){O_CLOEXEC});
}

TEST(fd, moves_bytes_through_a_pipe_that_does_not_block)
{
    run_in_all_shapes(through_a_pipe, &(int){O_CLOEXEC | O_NONBLOCK});
}

static int through_a_socket(void *arg)
{
    int fds[2];
    socket_pair(fds);
    if (*(int *)arg)
        CHECK_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK) | fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    return moves_a_lot(fds[0], fds[1]);
}

TEST(fd, moves_bytes_through_a_socket)
{
    run_in_all_shapes(through_a_socket, &(int){0});
}

TEST(fd, moves_bytes_through_a_socket_that_does_not_block)
{
    run_in_all_shapes(through_a_socket, &(int){1});
}

static int files(void *arg)
{
    char path[] = "/tmp/weft-test-XXXXXX", buf[16] = "";
    (void)arg;
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unlink(path);
    CHECK_EQ(weft_write_all(fd, "hello ", 6), 0);
    CHECK_EQ(weft_write_all(fd, "world", 5), 0); /* behind it: the file has a position */
    CHECK_EQ(weft_pread(fd, buf, sizeof buf, 6), 5);
    CHECK_STR(buf, "world");
    CHECK_EQ(weft_pwrite(fd, "W", 1, 6), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(weft_read_full(fd, buf, 11), 0);
    CHECK_STR(buf, "hello World");
    CHECK_EQ(weft_read(fd, buf, sizeof buf), 0);
    CHECK_EQ(weft_read_full(fd, buf, 1), -EPIPE);
    CHECK_EQ(weft_pread(fd, buf, 1, -1), -EINVAL);
    CHECK_EQ(weft_pwrite(fd, buf, 1, INT64_MIN), -EINVAL);
    CHECK(weft_poll(fd, POLLIN | POLLOUT) > 0); /* as poll(2) has it, a file is always ready */
    return weft_close(fd);
}

TEST(fd, reads_and_writes_files_at_their_position_and_elsewhere)
{
    run_in_all_shapes(files, NULL);
}

/* The same number is a pipe, a socket, and a pipe again, closed behind weft's back in between. */
static int numbers_change(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    for (int i = 0; i < 6; i++) {
        if (i % 2)
            socket_pair(fds);
        else
            CHECK_EQ(pipe(fds), 0);
        for (int k = 0; k < 2; k++) {
            CHECK_EQ(weft_write(fds[1], "x", 1), 1);
            CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
        }
        if (i == 2)
            CHECK_EQ(weft_close(fds[0]) | weft_close(fds[1]), 0);
        else
            CHECK_EQ(close(fds[0]) | close(fds[1]), 0);
    }
    return 0;
}

TEST(fd, is_read_and_written_whatever_its_number_was_before)
{
    run_in_all_shapes(numbers_change, NULL);
}

static int errors(void *arg)
{
    char byte;
    int fds[2];
    (void)arg;
    CHECK_EQ(weft_read(-1, &byte, 1), -EBADF);
    CHECK_EQ(weft_write(-1, &byte, 1), -EBADF);
    CHECK_EQ(weft_poll(-1, POLLIN), -EBADF);
    CHECK_EQ(weft_close(-1), -EBADF);
    CHECK_EQ(weft_read(1000000, &byte, 1), -EBADF);
    CHECK_EQ(weft_close(1000000), -EBADF);
    CHECK_EQ(weft_read(INT32_MAX, &byte, 1), -EBADF);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(weft_write(fds[0], "x", 1), -EBADF);
    CHECK_EQ(weft_read(fds[1], &byte, 1), -EBADF);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(weft_read(fds[0], (void *)8, 1), -EFAULT);
    int gone = -1;
    weft_closep(&gone);
    weft_closep(&fds[0]);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_close(fds[1]), -EBADF);
    CHECK_EQ(weft_read(fds[1], &byte, 1), -EBADF);
    return 0;
}

TEST(fd, errors_are_those_of_the_system_calls)
{
    run_in_all_shapes(errors, NULL);
}

static int empty(void *arg)
{
    int fds[2];
    (void)arg;
    socket_pair(fds);
    CHECK_EQ(weft_read(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_write(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_read_full(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_write_all(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
    char byte;
    CHECK_EQ(weft_read(fds[0], &byte, 1), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 0); /* it stays ended */
    return weft_close(fds[0]);
}

TEST(fd, moves_no_bytes_and_meets_the_end)
{
    run_in_all_shapes(empty, NULL);
}

static _Atomic int sigpipes;

static void count_sigpipe(int signo)
{
    (void)signo;
    sigpipes++;
}

static int broken(void *arg)
{
    int fds[2];
    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), -EPIPE);
    CHECK_EQ(weft_close(fds[1]), 0);
    socket_pair(fds);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_write_all(fds[1], "x", 1), -EPIPE);
    return weft_close(fds[1]);
}

TEST(fd, a_broken_pipe_is_an_error_not_a_signal)
{
    signal(SIGPIPE, count_sigpipe);
    run_in_all_shapes(broken, NULL);
    CHECK_EQ(sigpipes, 0);
    raise(SIGPIPE); /* and the host has its signal back */
    CHECK_EQ(sigpipes, 1);
}

struct later {
    int fd;
    const char *text;
};

static int write_later(void *arg)
{
    struct later *l = arg;
    int err = weft_sleep(WEFT_MSEC);
    return err ? err : weft_write_all(l->fd, l->text, strlen(l->text));
}

static int polls(void *arg)
{
    int fds[2];
    (void)arg;
    socket_pair(fds);
    CHECK_EQ(weft_poll(fds[0], POLLOUT), POLLOUT);
    WEFT_SCOPE(s);
    struct later later = {.fd = fds[1], .text = "x"};
    weft_go(&s, write_later, &later);
    CHECK_EQ(weft_poll(fds[0], POLLIN), POLLIN);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_poll(fds[0], POLLIN) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
    return weft_close(fds[0]);
}

TEST(fd, polls_for_events)
{
    run_in_all_shapes(polls, NULL);
}

/* ---- cases of a select ---- */

static int selects(void *arg)
{
    int fds[2], other[2];
    (void)arg;
    socket_pair(fds);
    socket_pair(other);
    weft_case on[] = {weft_on_fd(fds[0], POLLIN), weft_on_fd(other[0], POLLIN), weft_on_time(weft_after(WEFT_MSEC))};
    CHECK_EQ(weft_try_select(on, 2), -EAGAIN);
    CHECK_EQ(weft_select(on, 3), 2);
    WEFT_SCOPE(s);
    struct later later = {.fd = fds[1], .text = "x"};
    weft_go(&s, write_later, &later);
    CHECK_EQ(weft_select(on, 2), 0);
    CHECK_EQ(on[0].result, POLLIN);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_case both[] = {weft_on_fd(fds[0], POLLIN | POLLOUT)};
    CHECK_EQ(weft_select(both, 1), 0);
    CHECK_EQ(both[0].result, POLLIN | POLLOUT);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_select(on, 2), 0);
    CHECK_EQ(on[0].result, -EBADF);
    CHECK_EQ(weft_close(fds[1]) | weft_close(other[0]) | weft_close(other[1]), 0);
    return 0;
}

TEST(fd, is_a_case_of_a_select)
{
    run_in_all_shapes(selects, NULL);
}

/* A descriptor against a channel, many times, both ready at about the same time. */
struct contest {
    int fds[2];
    weft_chan *chan;
    int rounds;
};

static int contestant(void *arg)
{
    struct contest *c = arg;
    for (int i = 0; i < c->rounds; i++) {
        uint64_t one = 1;
        CHECK_EQ(weft_write(c->fds[0], &one, sizeof one), (int)sizeof one);
        CHECK_EQ(weft_chan_send(c->chan, &i), 0);
    }
    return 0;
}

static int contest(void *arg)
{
    (void)arg;
    struct contest c = {.chan = weft_chan_new(1, sizeof(int)), .rounds = TEST_TIMES(3000)};
    c.fds[0] = eventfd(0, EFD_CLOEXEC);
    WEFT_SCOPE(s);
    weft_go(&s, contestant, &c);
    uint64_t counted = 0, value;
    for (int received = 0, got; received < c.rounds || counted < (uint64_t)c.rounds;) {
        weft_case on[] = {weft_on_fd(c.fds[0], POLLIN), weft_on_recv(c.chan, &got)};
        if (weft_select(on, 2) == 1) {
            CHECK_EQ(on[1].result, 0);
            CHECK_EQ(got, received);
            received++;
        } else {
            CHECK_EQ(on[0].result, POLLIN);
            CHECK_EQ(weft_read(c.fds[0], &value, sizeof value), (int)sizeof value);
            counted += value;
        }
    }
    CHECK_EQ(counted, c.rounds);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_chan_free(c.chan);
    return weft_close(c.fds[0]);
}

TEST_WITHIN(fd, as_a_case_loses_to_a_channel_and_loses_nothing, 60)
{
    run_in_all_shapes(contest, NULL);
}
