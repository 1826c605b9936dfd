/* race_kinds.c - the calls that race.c lets race, and how each side's books are kept.
 *
 * weft's descriptor is always a twin with a number of its own range, so that a number which a race closes is not given
 * to another lane while somebody may still be about to use it. */
#include "tests/fault/race.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NUMBERS = 200, UNTOUCHED = 0xaa, FILE_SLOTS = 64, SOON_MS = 10000 };

int race_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    CHECK(dir != NULL);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static bool is_ready(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, ms) > 0 && (p.revents & events);
}

/* weft's twin is there again, if the last race has closed it. */
static void begin(struct race *r)
{
    struct lane *l = r->lane;
    if (l->fd < 0)
        l->fd = fcntl(l->twin, F_DUPFD_CLOEXEC, NUMBERS + 2 * (int)l->number);
    CHECK(l->fd >= NUMBERS);
    r->fd = l->fd;
    r->caller = -1;
    r->token = wf_random_next(&r->chance);
}

static void close_lane(struct lane *l)
{
    if (l->fd >= 0)
        CHECK_EQ(close(l->fd), 0);
    close(l->twin);
    if (l->peer >= 0)
        close(l->peer);
}

static bool is_untouched(const char *buffer, size_t from, size_t to)
{
    while (from < to && (unsigned char)buffer[from] == UNTOUCHED)
        from++;
    return from >= to;
}

/* ---- Streams -------------------------------------------------------------------------------------- */

static char byte_at(const struct lane *l, uint64_t i)
{
    return (char)(i * 7 + i / 251 + l->number);
}

static void fill(const struct lane *l, char *buffer, size_t n, uint64_t from)
{
    for (size_t i = 0; i < n; i++)
        buffer[i] = byte_at(l, from + i);
}

/* The next n bytes of the sequence have come. */
static void take(struct lane *l, const char *buffer, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(buffer[i], byte_at(l, l->got + i));
    l->got += n;
}

static void drain(struct lane *l, int fd)
{
    char buffer[4096];
    while (is_ready(fd, POLLIN, 0)) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        CHECK(n > 0);
        take(l, buffer, (size_t)n);
    }
}

static void put(struct lane *l, int fd, size_t n)
{
    char buffer[4096];
    fill(l, buffer, n, l->sent);
    CHECK_EQ(write(fd, buffer, n), n);
    l->sent += n;
}

static void open_sockets(struct lane *l, int own)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    l->twin = pair[own];
    l->peer = pair[1 - own];
}

static void open_socket(struct lane *l)
{
    int small = 1;
    open_sockets(l, 0);
    setsockopt(l->twin, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
}

static void open_pipe(struct lane *l, int own)
{
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    l->twin = ends[own];
    l->peer = ends[1 - own];
    CHECK(fcntl(l->twin, F_SETPIPE_SZ, 4096) > 0);
}

static void open_pipe_out(struct lane *l)
{
    open_pipe(l, 0);
}

static void open_pipe_in(struct lane *l)
{
    open_pipe(l, 1);
}

static void call_read(struct race *r)
{
    memset(r->buffer, UNTOUCHED, r->size);
    r->result = (int)weft_read(r->fd, r->buffer, r->size);
    CHECK(r->result != 0);
    size_t n = r->result > 0 ? (size_t)r->result : 0;
    take(r->lane, r->buffer, n);
    CHECK(is_untouched(r->buffer, n, r->size));
}

static void complete_read(struct race *r)
{
    put(r->lane, r->lane->peer, 1 + wf_random_below(&r->chance, RACE_BYTES));
}

static void judge_read(struct race *r)
{
    drain(r->lane, r->lane->twin);
    CHECK_EQ(r->lane->got, r->lane->sent);
}

static void call_poll(struct race *r)
{
    r->result = weft_poll(r->fd, POLLIN);
    CHECK(r->result < 0 || (r->result & POLLIN));
}

/* No room, more often than not. */
static void begin_write(struct race *r)
{
    struct lane *l = r->lane;
    begin(r);
    bool full = wf_random_below(&r->chance, 4) != 0;
    while (full && is_ready(l->twin, POLLOUT, 0)) {
        char buffer[4096];
        fill(l, buffer, sizeof buffer, l->sent);
        ssize_t n = send(l->twin, buffer, 256, MSG_DONTWAIT);
        if (n < 0 && errno == ENOTSOCK)
            n = write(l->twin, buffer, sizeof buffer);
        if (n > 0)
            l->sent += (uint64_t)n;
    }
}

static void call_write(struct race *r)
{
    fill(r->lane, r->buffer, r->size, r->lane->sent);
    r->result = (int)weft_write(r->fd, r->buffer, r->size);
    CHECK(r->result != 0);
    if (r->result > 0)
        r->lane->sent += (uint64_t)r->result;
}

static void complete_write(struct race *r)
{
    drain(r->lane, r->lane->peer);
}

static void judge_write(struct race *r)
{
    drain(r->lane, r->lane->peer);
    CHECK_EQ(r->lane->got, r->lane->sent);
}

/* ---- Connections ---------------------------------------------------------------------------------- */

static void open_listener(struct lane *l)
{
    l->twin = weft_tcp_listen("127.0.0.1:0", 0);
    CHECK(l->twin >= 0);
    weft_addr a;
    CHECK_EQ(weft_addr_local(l->twin, &a), 0);
    CHECK(weft_addr_format(&a, l->text, sizeof l->text) > 0);
}

static int local_port(int fd)
{
    weft_addr a;
    CHECK_EQ(weft_addr_local(fd, &a), 0);
    return weft_addr_port(&a);
}

static int remote_port(int fd)
{
    struct sockaddr_in in;
    socklen_t len = sizeof in;
    CHECK_EQ(getpeername(fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

/* Without leaving the port in TIME_WAIT. */
static void hang_up(int fd)
{
    struct linger now = {1, 0};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_EQ(close(fd), 0);
}

static int take_connection(struct lane *l)
{
    CHECK(is_ready(l->twin, POLLIN, SOON_MS));
    int fd = accept4(l->twin, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static void check_token(int fd, uint64_t token)
{
    uint64_t got = 0;
    CHECK(is_ready(fd, POLLIN, SOON_MS));
    CHECK_EQ(read(fd, &got, sizeof got), sizeof got);
    CHECK(got == token);
}

static void call_accept(struct race *r)
{
    weft_addr *peer = quarantine_get(sizeof *peer);
    memset(peer, UNTOUCHED, sizeof *peer);
    r->result = weft_accept(r->fd, peer);
    if (r->result >= 0)
        r->port = weft_addr_port(peer);
    else
        CHECK(is_untouched((char *)peer, 0, sizeof *peer));
    quarantine_put(peer);
}

static void complete_accept(struct race *r)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)local_port(r->lane->twin))};
    inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
    r->caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(r->caller >= 0);
    CHECK_EQ(connect(r->caller, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(write(r->caller, &r->token, sizeof r->token), sizeof r->token);
}

static void judge_accept(struct race *r)
{
    if (r->completes) {
        int fd = r->result >= 0 ? r->result : take_connection(r->lane);
        check_token(fd, r->token);
        CHECK(r->result < 0 || r->port == local_port(r->caller));
        hang_up(fd);
        hang_up(r->caller);
    }
    CHECK(!is_ready(r->lane->twin, POLLIN, 0));
}

static void call_connect(struct race *r)
{
    r->result = weft_tcp_connect(r->lane->text);
}

static void no_one(struct race *r)
{
    (void)r;
}

/* One that was given up, perhaps after it had been made: it must be at its end. */
static void bury(int fd)
{
    char byte;
    CHECK(is_ready(fd, POLLIN, SOON_MS));
    CHECK(read(fd, &byte, 1) <= 0);
    hang_up(fd);
}

static void judge_connect(struct race *r)
{
    if (r->result >= 0) {
        int mine = local_port(r->result), fd;
        while (remote_port(fd = take_connection(r->lane)) != mine)
            bury(fd);
        CHECK_EQ(write(r->result, &r->token, sizeof r->token), sizeof r->token);
        check_token(fd, r->token);
        hang_up(fd);
        hang_up(r->result);
    }
    while (is_ready(r->lane->twin, POLLIN, 0))
        bury(take_connection(r->lane));
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static void open_file(struct lane *l)
{
    char zeros[FILE_SLOTS * RACE_BYTES] = {0};
    l->twin = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    CHECK(l->twin >= 0);
    CHECK_EQ(pwrite(l->twin, zeros, sizeof zeros, 0), sizeof zeros);
}

static void begin_file(struct race *r)
{
    begin(r);
    r->at = wf_random_below(&r->chance, FILE_SLOTS) * RACE_BYTES;
    CHECK_EQ(pread(r->lane->twin, r->before, RACE_BYTES, r->at), RACE_BYTES);
}

static char fresh_byte(const struct race *r, size_t i)
{
    return (char)(r->token >> (8 * (i % 8)));
}

static void call_pwrite(struct race *r)
{
    for (size_t i = 0; i < r->size; i++)
        r->buffer[i] = fresh_byte(r, i);
    r->result = (int)weft_pwrite(r->fd, r->buffer, r->size, r->at);
}

static void judge_pwrite(struct race *r)
{
    char now[RACE_BYTES];
    size_t n = r->result > 0 ? (size_t)r->result : 0;
    CHECK_EQ(pread(r->lane->twin, now, sizeof now, r->at), sizeof now);
    for (size_t i = 0; i < sizeof now; i++)
        CHECK_EQ(now[i], i < n ? fresh_byte(r, i) : r->before[i]);
}

static void call_pread(struct race *r)
{
    memset(r->buffer, UNTOUCHED, r->size);
    r->result = (int)weft_pread(r->fd, r->buffer, r->size, r->at);
    size_t n = r->result > 0 ? (size_t)r->result : 0;
    CHECK_EQ(memcmp(r->buffer, r->before, n), 0);
    CHECK(is_untouched(r->buffer, n, r->size));
}

/* The next one to be read. */
static void judge_pread(struct race *r)
{
    uint64_t fresh[RACE_BYTES / 8];
    for (size_t i = 0; i < RACE_BYTES / 8; i++)
        fresh[i] = wf_random_next(&r->chance);
    CHECK_EQ(pwrite(r->lane->twin, fresh, sizeof fresh, r->at), sizeof fresh);
}

const struct race_kind race_kinds[] = {
    {"recv", true, false, open_socket, begin, call_read, complete_read, judge_read, close_lane},
    {"read", true, false, open_pipe_out, begin, call_read, complete_read, judge_read, close_lane},
    {"send", true, true, open_socket, begin_write, call_write, complete_write, judge_write, close_lane},
    {"write", true, true, open_pipe_in, begin_write, call_write, complete_write, judge_write, close_lane},
    {"poll", true, false, open_socket, begin, call_poll, complete_read, judge_read, close_lane},
    {"accept", true, false, open_listener, begin, call_accept, complete_accept, judge_accept, close_lane},
    {"connect", false, true, open_listener, begin, call_connect, no_one, judge_connect, close_lane},
    {"pread", true, true, open_file, begin_file, call_pread, no_one, judge_pread, close_lane},
    {"pwrite", true, true, open_file, begin_file, call_pwrite, no_one, judge_pwrite, close_lane},
    {0},
};
