/* peers.c - see peers.h. A runtime of its own, with a task per peer.
 *
 * Who closes a connection first keeps its port in use for a minute, and there are not that many: so who leaves before
 * the service does leaves by a reset. */
#include "tests/stress/peers.h"

#include "runtime/platform/random.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

enum {
    FOES = 36,
    FRIENDS = 4,
    REQUESTS_PER_VISIT = 20,
    DESCRIPTORS = 1024,
    PAUSE_NS = WEFT_MSEC
};

const char *const peers_kind_name[PEERS_KINDS] = {"silent",  "dribblers", "deaf",  "breakers",
                                                  "half",    "braggarts", "crowd", "squatters"};
const char peers_password[] = "speak, friend, and enter";

static struct peers *peers;
static WF_ATOMIC(uint64_t) seeds;

static struct wf_random chance(void)
{
    uint64_t n = wf_add(&seeds, 1, relaxed) + 1;
    return (struct wf_random){.s = peers->seed + n * UINT64_C(0x9e3779b97f4a7c15)};
}

static bool enough(void)
{
    return wf_load(&peers->enough, acquire);
}

/* ---- connections ---- */

/* What a service may do to a foe, and the kernel to anybody while more wait in line than there is room for. */
static bool is_over(ssize_t result)
{
    return result == 0 || result == -ECONNRESET || result == -EPIPE || result == -ETIMEDOUT || result == -ENOTCONN;
}

/* A connection, or -1: the line was too long. When it is, a kernel may answer by a cookie and forget us, so that only
 * we believe in the connection (tcp_syncookies): one that nothing is sent on asks from time to time. */
static int connect_to_service(void)
{
    int fd = weft_tcp_connect(peers->at), on = 1, seconds = 1;
    CHECK(fd >= 0 || is_over(fd));
    if (fd < 0)
        return -1;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds), 0);
    return fd;
}

static void leave(int fd)
{
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)), 0);
    CHECK_EQ(weft_close(fd), 0);
}

/* Until the service has closed it: 0 if it did so in good order. */
static ssize_t read_to_the_end(int fd)
{
    char text[512];
    ssize_t n;
    do
        n = weft_read(fd, text, sizeof text);
    while (n > 0);
    CHECK(is_over(n));
    return n;
}

/* A whole frame of that many bytes by chance, with its header. */
static void make_frame(unsigned char *frame, uint32_t length, struct wf_random *r)
{
    frame_set_length(frame, length);
    for (uint32_t i = 0; i < length; i++)
        frame[FRAME_HEADER + i] = (unsigned char)wf_random_next(r);
}

static bool is_answer(const unsigned char *answer, const unsigned char *frame)
{
    uint32_t length = frame_length(frame);
    bool right = memcmp(answer, frame, FRAME_HEADER) == 0;
    for (uint32_t i = FRAME_HEADER; right && i < FRAME_HEADER + length; i++)
        right = (answer[i] ^ frame[i]) == 0xff;
    return right;
}

/* ---- friends ---- */

/* Send a frame and wait for its answer, which is right. 0, or what happened to the connection. */
static int ask(int fd, const unsigned char *frame)
{
    unsigned char answer[FRAME_HEADER + FRAME_MAX];
    size_t size = FRAME_HEADER + frame_length(frame);
    int err = weft_write_all(fd, frame, size);
    if (!err)
        err = weft_read_full(fd, answer, size);
    if (!err)
        CHECK(is_answer(answer, frame));
    return err;
}

/* A connection on which the service knows its friend. Whoever says the password too late was not recognized, and comes
 * again: how late the machine lets us say it is nothing the service can help. */
static int enter(void)
{
    unsigned char frame[FRAME_HEADER + FRAME_MAX];
    frame_set_length(frame, (uint32_t)strlen(peers_password));
    memcpy(frame + FRAME_HEADER, peers_password, strlen(peers_password));
    for (;;) {
        int fd = connect_to_service(), err = fd < 0 ? -EPIPE : ask(fd, frame);
        if (!err)
            return fd;
        CHECK(is_over(err));
        wf_add(&peers->too_slow, 1, relaxed);
        if (fd >= 0)
            leave(fd);
    }
}

static void visit(int fd, struct wf_random *r)
{
    unsigned char frame[FRAME_HEADER + FRAME_MAX];
    for (int i = 0; i < REQUESTS_PER_VISIT; i++) {
        make_frame(frame, 1 + wf_random_below(r, FRAME_MAX), r);
        CHECK_EQ(ask(fd, frame), 0);
        wf_add(&peers->answered, 1, relaxed);
    }
}

/* Stays on one connection all the time. */
static int be_a_faithful_friend(void *arg)
{
    struct wf_random r = chance();
    int fd = enter();
    (void)arg;
    while (!enough()) {
        visit(fd, &r);
        CHECK_EQ(weft_sleep(PAUSE_NS), 0);
    }
    leave(fd);
    return 0;
}

static int be_a_friend(void *arg)
{
    struct wf_random r = chance();
    (void)arg;
    while (!enough()) {
        int fd = enter();
        visit(fd, &r);
        leave(fd);
        CHECK_EQ(weft_sleep(PAUSE_NS), 0);
    }
    return 0;
}

/* ---- foes: each has a connection and closes it ---- */

static void be_silent(int fd, struct wf_random *r)
{
    (void)r;
    if (read_to_the_end(fd) == 0)
        wf_add(&peers->sent_away, 1, relaxed);
    CHECK_EQ(weft_close(fd), 0);
}

static void dribble(int fd, struct wf_random *r)
{
    unsigned char frame[FRAME_HEADER + FRAME_MAX];
    size_t i = 0;
    ssize_t sent;
    make_frame(frame, FRAME_MAX, r);
    do {
        sent = weft_write(fd, &frame[i++ % sizeof frame], 1);
        CHECK_EQ(weft_sleep(PAUSE_NS), 0);
    } while (sent == 1);
    CHECK(is_over(sent));
    CHECK_EQ(weft_close(fd), 0);
}

static void never_read(int fd, struct wf_random *r)
{
    unsigned char frame[FRAME_HEADER + FRAME_MAX];
    int err;
    make_frame(frame, FRAME_MAX, r);
    do
        err = weft_write_all(fd, frame, sizeof frame);
    while (err == 0);
    CHECK(is_over(err));
    CHECK_EQ(weft_close(fd), 0);
}

static void break_off(int fd, struct wf_random *r)
{
    unsigned char frame[FRAME_HEADER + FRAME_MAX];
    uint32_t length = 1 + wf_random_below(r, FRAME_MAX);
    make_frame(frame, length, r);
    size_t sent = FRAME_HEADER + (wf_random_below(r, 2) ? length / 2 : length);
    CHECK(is_over(weft_write_all(fd, frame, sent)));
    leave(fd);
}

/* What comes back is the answer or, if that was too late, less. */
static void close_half(int fd, struct wf_random *r)
{
    unsigned char frame[FRAME_HEADER + FRAME_MAX], answer[FRAME_HEADER + FRAME_MAX + 1];
    bool whole = wf_random_below(r, 2);
    size_t size = FRAME_HEADER + FRAME_MAX, got = 0;
    make_frame(frame, FRAME_MAX, r);
    CHECK(is_over(weft_write_all(fd, frame, whole ? size : size - 1)));
    CHECK(is_over(weft_shutdown_write(fd)));
    ssize_t n;
    while ((n = weft_read(fd, answer + got, sizeof answer - got)) > 0)
        got += (size_t)n;
    CHECK(is_over(n));
    CHECK(got == 0 || (whole && got <= size));
    if (got == size)
        CHECK(is_answer(answer, frame));
    leave(fd);
}

static void brag(int fd, struct wf_random *r)
{
    unsigned char garbage[4 * FRAME_MAX];
    make_frame(garbage, sizeof garbage - FRAME_HEADER, r);
    frame_set_length(garbage, wf_random_below(r, 4) ? FRAME_MAX + 1 + wf_random_below(r, UINT32_MAX - FRAME_MAX) : 0);
    CHECK(is_over(weft_write_all(fd, garbage, sizeof garbage)));
    read_to_the_end(fd);
    CHECK_EQ(weft_close(fd), 0);
}

static int attack(enum peers_kind kind, struct wf_random *r)
{
    static void (*const how[])(int fd, struct wf_random *r) = {
        [SILENT] = be_silent, [DRIBBLER] = dribble, [DEAF] = never_read,
        [BREAKER] = break_off, [HALF] = close_half, [BRAGGART] = brag, [SQUATTER] = be_silent,
    };
    int fd = connect_to_service();
    if (fd >= 0) {
        how[kind](fd, r);
        wf_add(&peers->attacks[kind], 1, relaxed);
    }
    return 0;
}

/* In one way after the other, so that there are as many of each. */
static int be_a_foe(void *arg)
{
    struct wf_random r = chance();
    for (uintptr_t kind = (uintptr_t)arg; !enough(); kind++)
        attack((enum peers_kind)(kind % CROWD), &r);
    return 0;
}

/* ---- foes in numbers ---- */

static int squat(void *arg)
{
    struct wf_random r = chance();
    (void)arg;
    return attack(SQUATTER, &r);
}

static int be_squatters(void *arg)
{
    while (!enough()) {
        WEFT_SCOPE(s);
        for (int i = 0; i < SQUATTERS; i++)
            CHECK_EQ(weft_go(&s, squat, arg), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    return 0;
}

/* Without waiting for anything: the kernel answers for the service, as long as the line is not full. */
static void come_and_go(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    int err = connect(fd, (const struct sockaddr *)to, sizeof *to);
    CHECK(err == 0 || errno == EINPROGRESS || errno == ECONNRESET);
    leave(fd);
    wf_add(&peers->attacks[CROWD], 1, relaxed);
}

static int be_a_crowd(void *arg)
{
    weft_addr to;
    struct sockaddr_in address;
    (void)arg;
    CHECK_EQ(weft_resolve(peers->at, &to, 1), 1);
    CHECK_EQ(to.len, sizeof address);
    memcpy(&address, to.raw, sizeof address);
    while (!enough()) {
        for (int i = 0; i < CROWD_SIZE; i++)
            come_and_go(&address);
        CHECK_EQ(weft_sleep(100 * PAUSE_NS), 0);
    }
    return 0;
}

/* ---- all of them ---- */

static int be_everybody(void *arg)
{
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, be_a_faithful_friend, arg), 0);
    for (int i = 1; i < FRIENDS; i++)
        CHECK_EQ(weft_go(&s, be_a_friend, arg), 0);
    for (uintptr_t i = 0; i < FOES; i++)
        CHECK_EQ(weft_go(&s, be_a_foe, (void *)i), 0);
    CHECK_EQ(weft_go(&s, be_squatters, arg), 0);
    CHECK_EQ(weft_go(&s, be_a_crowd, arg), 0);
    return weft_scope_close(&s);
}

int peers_run(struct peers *p)
{
    struct rlimit files;
    peers = p;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = DESCRIPTORS;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    return weft_run(&(weft_config){.workers = 2}, be_everybody, NULL);
}
