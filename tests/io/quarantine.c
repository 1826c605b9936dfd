/* quarantine.c - the quarantine of buffers sees what it is for: the kernel, or a thread, in a buffer that was freed. */
#include "tests/quarantine.h"

#include "tests/io/help.h"

#include <liburing.h>

static void pair_with_byte(int pair[2])
{
    socket_pair(pair);
    CHECK_EQ(write(pair[1], "x", 1), 1);
}

/* A request by the plain ring of a program that frees its buffer too early: before the byte comes. */
static int receive_late(bool freed)
{
    struct io_uring ring;
    struct io_uring_cqe *done;
    int pair[2];
    socket_pair(pair);
    CHECK_EQ(io_uring_queue_init(4, &ring, 0), 0);
    char *buffer = quarantine_get(10);
    io_uring_prep_recv(io_uring_get_sqe(&ring), pair[0], buffer, 10, 0);
    CHECK_EQ(io_uring_submit(&ring), 1);
    if (freed)
        quarantine_put(buffer);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_EQ(io_uring_wait_cqe(&ring, &done), 0);
    int result = done->res;
    io_uring_cqe_seen(&ring, done);
    io_uring_queue_exit(&ring);
    if (!freed)
        quarantine_put(buffer);
    close(pair[0]);
    close(pair[1]);
    return result;
}

TEST(quarantine, a_completion_into_a_freed_buffer_is_refused)
{
    CHECK_EQ(receive_late(false), 1);
    CHECK_EQ(receive_late(true), -EFAULT);
}

static int receive_into_freed(void *arg)
{
    int *fd = arg;
    char *buffer = quarantine_get(1);
    quarantine_put(buffer);
    CHECK_EQ(weft_read(*fd, buffer, 1), -EFAULT);
    return 0;
}

TEST(quarantine, and_weft_says_what_the_kernel_said)
{
    int pair[2];
    pair_with_byte(pair);
    CHECK_EQ(weft_run(NULL, receive_into_freed, pair), 0);
}

static void write_into_freed(void)
{
    volatile char *buffer = quarantine_get(1);
    quarantine_put((char *)buffer);
    *buffer = 1;
}

static void write_behind(void)
{
    volatile char *buffer = quarantine_get(7);
    buffer[7] = 1;
}

TEST(quarantine, a_thread_faults_in_a_freed_buffer_and_behind_one)
{
    char said[4096];
    CHECK(test_in_child(write_into_freed, 10, said, sizeof said) != 0);
    CHECK(test_in_child(write_behind, 10, said, sizeof said) != 0);
}

TEST(quarantine, a_buffer_stays_out_of_reach_until_so_many_others_were_freed)
{
    char *buffer = quarantine_get(100);
    CHECK(!quarantine_is_closed(buffer) && !quarantine_is_closed(buffer + 99) && quarantine_is_closed(buffer + 100));
    quarantine_put(buffer);
    int until = 0;
    while (quarantine_is_closed(buffer)) {
        char *other = quarantine_get(100);
        quarantine_put(other);
        until++;
        CHECK(until <= QUARANTINE_SLOTS);
        if (other == buffer)
            break;
    }
    CHECK(until > QUARANTINE_HELD);
}
