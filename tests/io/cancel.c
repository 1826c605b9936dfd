/* cancel.c - a request and its cancel, at the same moment, many times. What happened is either the result or the
 * cancel, never both and never neither: bytes and connections are counted. */
#include "tests/io/help.h"

#include <sys/mman.h>

enum { ROUNDS = 20000 };

/* A task in a scope that is cancelled at about the moment when what it waits for comes true. */
struct race {
    int fd, peer;
    uint32_t chance;
    long succeeded, stopped;
    weft_fn attempt; /* returns what weft returned */
    int result;      /* of the last attempt */
    void (*provoke)(struct race *r);
    void (*settle)(struct race *r); /* after a round that was stopped: what was not taken is still there */
    char at[WEFT_ADDR_TEXT_MAX];
};

static uint32_t next_chance(struct race *r)
{
    r->chance = r->chance * 1664525 + 1013904223;
    return r->chance >> 16;
}

/* Nothing, a yield or two, or up to some microseconds. */
static void dawdle(uint32_t chance)
{
    if (chance % 4 == 1)
        weft_yield();
    else if (chance % 4 == 2)
        weft_sleep((int64_t)(chance % 64) * WEFT_USEC);
    else if (chance % 4 == 3)
        for (volatile uint32_t i = chance % 2048; i > 0; i--)
            ;
}

static int provoker(void *arg)
{
    struct race *r = arg;
    uint32_t chance = r->chance * 2654435761u >> 8;
    dawdle(chance);
    r->provoke(r);
    return 0;
}

static int attempt(void *arg)
{
    struct race *r = arg;
    r->result = r->attempt(r);
    return 0;
}

static int run_race(struct race *r, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        WEFT_SCOPE(outer);
        WEFT_SCOPE(inner);
        uint32_t chance = next_chance(r);
        weft_go(&inner, attempt, r);
        weft_go(&outer, provoker, r);
        dawdle(chance);
        if (chance & 256)
            weft_scope_cancel(&inner);
        char byte;
        CHECK_EQ(weft_scope_close(&inner), 0);
        CHECK_EQ(weft_scope_close(&outer), 0);
        CHECK(r->result >= 0 || r->result == -ECANCELED);
        r->succeeded += r->result >= 0;
        r->stopped += r->result == -ECANCELED;
        if (r->result == -ECANCELED)
            r->settle(r);
        CHECK_EQ(recv(r->fd, &byte, 1, MSG_DONTWAIT), -1); /* nothing is there that was taken */
    }
    CHECK_EQ(r->succeeded + r->stopped, rounds);
    CHECK(r->succeeded > 0 && r->stopped > 0);
    return 0;
}

/* ---- read ---- */

static int reads_one(void *arg)
{
    char byte;
    return (int)weft_read(((struct race *)arg)->fd, &byte, 1);
}

static char *quarantine; /* a page that nobody may touch, unless it is just being read into */
static long page_size;

/* If the kernel still had the buffer afterwards, the byte would be lost to a page that it cannot write. */
static int reads_one_into_quarantine(void *arg)
{
    CHECK_EQ(mprotect(quarantine, (size_t)page_size, PROT_READ | PROT_WRITE), 0);
    int result = (int)weft_read(((struct race *)arg)->fd, quarantine, 1);
    CHECK_EQ(mprotect(quarantine, (size_t)page_size, PROT_NONE), 0);
    return result;
}

static void writes_one(struct race *r)
{
    CHECK_EQ(weft_write(r->peer, "x", 1), 1);
}

static void takes_one(struct race *r)
{
    char byte;
    CHECK_EQ(recv(r->fd, &byte, 1, MSG_DONTWAIT), 1);
}

static int run_socket_race(struct race *r)
{
    int fds[2];
    socket_pair(fds);
    r->fd = fds[0];
    r->peer = fds[1];
    r->provoke = writes_one;
    r->settle = takes_one;
    run_race(r, TEST_TIMES(ROUNDS));
    return weft_close(r->fd) | weft_close(r->peer);
}

static int reads_into_quarantine(void *arg)
{
    (void)arg;
    return run_socket_race(&(struct race){.attempt = reads_one_into_quarantine, .chance = 4});
}

static int reads(void *arg)
{
    (void)arg;
    return run_socket_race(&(struct race){.attempt = reads_one, .chance = 1});
}

TEST_WITHIN(cancel, of_a_read_leaves_its_buffer_alone, 60)
{
    page_size = sysconf(_SC_PAGESIZE);
    quarantine = mmap(NULL, (size_t)page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(quarantine != MAP_FAILED);
    run_in_all_shapes(reads_into_quarantine, NULL);
}

TEST_WITHIN(cancel, of_a_read_loses_no_byte, 120)
{
    run_in_all_shapes(reads, NULL);
}

/* ---- poll ---- */

static int polls_one(void *arg)
{
    struct race *r = arg;
    char byte;
    int got = weft_poll(r->fd, POLLIN);
    if (got < 0)
        return got;
    CHECK_EQ(got, POLLIN);
    CHECK_EQ(read(r->fd, &byte, 1), 1);
    return 1;
}

static int polls(void *arg)
{
    (void)arg;
    return run_socket_race(&(struct race){.attempt = polls_one, .chance = 2});
}

TEST_WITHIN(cancel, of_a_poll_ends_it_or_comes_too_late, 120)
{
    run_in_all_shapes(polls, NULL);
}

/* ---- select ---- */

static int selects_one(void *arg)
{
    struct race *r = arg;
    char byte;
    weft_case on[] = {weft_on_time(weft_never()), weft_on_fd(r->fd, POLLIN)};
    int got = weft_select(on, 2);
    if (got < 0)
        return got;
    CHECK_EQ(got, 1);
    CHECK_EQ(on[1].result, POLLIN);
    CHECK_EQ(read(r->fd, &byte, 1), 1);
    return 1;
}

static int selects(void *arg)
{
    (void)arg;
    return run_socket_race(&(struct race){.attempt = selects_one, .chance = 3});
}

TEST_WITHIN(cancel, of_a_select_leaves_no_watch_behind, 120)
{
    run_in_all_shapes(selects, NULL);
}

/* ---- accept ---- */

static int accepts_one(void *arg)
{
    int fd = weft_accept(((struct race *)arg)->fd, NULL);
    return fd < 0 ? fd : weft_close(fd);
}

static void connects_from_outside(struct race *r)
{
    int fd = weft_tcp_connect(r->at);
    CHECK(fd >= 0);
    struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT: there are not that many ports */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    CHECK_EQ(weft_close(fd), 0);
}

static void accepts_the_one(struct race *r)
{
    int fd = accept(r->fd, NULL, NULL);
    CHECK(fd >= 0);
    close(fd);
}

static int accepts(void *arg)
{
    struct race r = {
        .attempt = accepts_one, .provoke = connects_from_outside, .settle = accepts_the_one, .chance = 4};
    (void)arg;
    r.fd = listen_loopback(r.at);
    fcntl(r.fd, F_SETFL, O_NONBLOCK);
    run_race(&r, TEST_TIMES(ROUNDS / 4));
    CHECK_EQ(accept(r.fd, NULL, NULL), -1);
    return weft_close(r.fd);
}

TEST_WITHIN(cancel, of_an_accept_loses_no_connection, 120)
{
    run_in_all_shapes(accepts, NULL);
}

/* ---- connect ---- */

static int connects_one(void *arg)
{
    struct race *r = arg;
    int fd = weft_tcp_connect(r->at);
    if (fd < 0)
        return fd;
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return weft_close(fd);
}

static void nothing(struct race *r)
{
    (void)r;
}

static int connects(void *arg)
{
    struct race r = {.attempt = connects_one, .provoke = nothing, .settle = nothing, .chance = 5};
    (void)arg;
    r.fd = listen_loopback(r.at);
    fcntl(r.fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < TEST_TIMES(ROUNDS / 4) / 100 + 1; i++) {
        r.succeeded = r.stopped = 0;
        run_race(&r, 100);
        for (int fd; (fd = accept(r.fd, NULL, NULL)) >= 0;)
            close(fd);
    }
    return weft_close(r.fd);
}

TEST_WITHIN(cancel, of_a_connect_leaves_no_descriptor_behind, 120)
{
    run_in_all_shapes(connects, NULL);
}

/* ---- stops of other kinds ---- */

static int stopped_before(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    socket_pair(fds);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -ECANCELED);
    CHECK_EQ(weft_write(fds[0], "x", 1), -ECANCELED);
    CHECK_EQ(weft_poll(fds[0], POLLIN), -ECANCELED);
    CHECK_EQ(weft_accept(fds[0], NULL), -ECANCELED);
    CHECK_EQ(weft_tcp_connect("127.0.0.1:1"), -ECANCELED);
    weft_scope_close(&s);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 1); /* nothing had been taken */
    return weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(cancel, before_a_call_means_it_is_not_made)
{
    run_in_all_shapes(stopped_before, NULL);
}

static int deadline(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < TEST_TIMES(200); i++) {
        WEFT_SCOPE(s);
        weft_scope_set_deadline(&s, weft_after(i % 40 * 10 * WEFT_USEC));
        CHECK_EQ(weft_read(fds[0], &byte, 1), -ETIMEDOUT);
        CHECK_EQ(weft_scope_close(&s), -ETIMEDOUT);
    }
    return weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(cancel, by_a_deadline_is_a_timeout)
{
    run_in_all_shapes(deadline, NULL);
}

struct crowd {
    int fds[2];
    _Atomic int begun, stopped;
};

static int reads_for_ever(void *arg)
{
    struct crowd *c = arg;
    char byte;
    c->begun++;
    c->stopped += weft_read(c->fds[0], &byte, 1) == -ECANCELED;
    return 0;
}

/* More than a submission queue holds, at once. */
static int many(void *arg)
{
    enum { COUNT = 3000 };
    struct crowd c = {.begun = 0};
    (void)arg;
    CHECK_EQ(pipe(c.fds), 0);
    WEFT_SCOPE(s);
    for (int i = 0; i < COUNT; i++)
        weft_go(&s, reads_for_ever, &c);
    while (c.begun < COUNT)
        weft_yield();
    weft_scope_cancel(&s);
    weft_scope_leave(&s);
    CHECK_EQ(c.stopped, COUNT);
    return weft_close(c.fds[0]) | weft_close(c.fds[1]);
}

TEST_WITHIN(cancel, of_thousands_at_once, 60)
{
    run_in_all_shapes(many, NULL);
}
