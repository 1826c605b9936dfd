/* tcp.c - listening, accepting, connecting, and peers that misbehave. */
#include "tests/io/help.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/wait.h>

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    CHECK_EQ(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

/* ---- a conversation ---- */

static int echo_one(void *arg)
{
    int fd = *(int *)arg;
    char buf[256];
    ssize_t n;
    while ((n = weft_read(fd, buf, sizeof buf)) > 0)
        CHECK_EQ(weft_write_all(fd, buf, (size_t)n), 0);
    CHECK_EQ(n, 0);
    return weft_close(fd);
}

struct server {
    int listener, clients;
};

static int serve(void *arg)
{
    struct server *server = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < server->clients; i++) {
        weft_addr peer;
        char text[WEFT_ADDR_TEXT_MAX];
        int fd = weft_accept(server->listener, &peer);
        CHECK(fd >= 0);
        CHECK(weft_addr_format(&peer, text, sizeof text) > 0);
        CHECK_EQ(strncmp(text, "127.0.0.1:", 10), 0);
        CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) > 0);
        weft_go_copy(&s, echo_one, &fd, sizeof fd);
    }
    return weft_scope_close(&s);
}

static int talk(void *arg)
{
    char back[16] = "";
    int fd = weft_tcp_connect(arg);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) > 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weft_write_all(fd, "hello", 5), 0);
        CHECK_EQ(weft_read_full(fd, back, 5), 0);
        CHECK_STR(back, "hello");
    }
    CHECK_EQ(weft_shutdown_write(fd), 0);
    CHECK_EQ(weft_read(fd, back, 1), 0); /* the server read to the end and closed */
    return weft_close(fd);
}

static int conversation(void *arg)
{
    enum { CLIENTS = 50 };
    char at[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    struct server server = {listen_loopback(at), CLIENTS};
    WEFT_SCOPE(s);
    weft_go(&s, serve, &server);
    for (int i = 0; i < CLIENTS; i++)
        weft_go(&s, talk, at);
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_close(server.listener);
}

TEST_WITHIN(tcp, many_clients_talk_to_a_server, 60)
{
    run_in_all_shapes(conversation, NULL);
}

/* ---- listening ---- */

static int listens(void *arg)
{
    char at[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    int fd = listen_loopback(at), twin = weft_tcp_listen(at, 1);
    CHECK_EQ(twin, -EADDRINUSE);
    CHECK_EQ(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    CHECK_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_tcp_listen("nonsense", 0), -EINVAL);
    CHECK_EQ(weft_tcp_listen("two..dots:80", 0), -ENOENT);
    CHECK_EQ(weft_tcp_listen("192.0.2.1:0", 0), -EADDRNOTAVAIL); /* an address for documentation only */
    CHECK_EQ(weft_accept(-1, NULL), -EBADF);
    int pair[2];
    socket_pair(pair);
    CHECK_EQ(weft_accept(pair[0], NULL), -EINVAL);
    CHECK_EQ(weft_shutdown_write(-1), -EBADF);
    return weft_close(pair[0]) | weft_close(pair[1]);
}

TEST(tcp, listens_where_it_can)
{
    run_in_all_shapes(listens, NULL);
}

/* "every address" answers on IPv4, and on IPv6 where there is any. */
static int listens_everywhere(void *arg)
{
    weft_addr a;
    char to[32];
    (void)arg;
    int fd = weft_tcp_listen(":0", 0);
    CHECK(fd >= 0);
    CHECK_EQ(weft_addr_local(fd, &a), 0);
    snprintf(to, sizeof to, "127.0.0.1:%d", weft_addr_port(&a));
    int client = weft_tcp_connect(to), server = weft_accept(fd, NULL);
    CHECK(client >= 0 && server >= 0);
    CHECK_EQ(weft_close(client) | weft_close(server), 0);
    snprintf(to, sizeof to, "localhost:%d", weft_addr_port(&a)); /* a name, with one address or with two */
    client = weft_tcp_connect(to), server = weft_accept(fd, NULL);
    CHECK(client >= 0 && server >= 0);
    return weft_close(client) | weft_close(server) | weft_close(fd);
}

TEST(tcp, listens_on_every_address)
{
    run_in_all_shapes(listens_everywhere, NULL);
}

static int accepts_without_blocking(void *arg)
{
    char at[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    int listener = listen_loopback(at);
    CHECK_EQ(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    struct server server = {listener, 3};
    WEFT_SCOPE(s);
    weft_go(&s, serve, &server);
    weft_sleep(WEFT_MSEC); /* it finds nobody at first */
    for (int i = 0; i < 3; i++)
        CHECK_EQ(talk(at), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_close(listener);
}

TEST(tcp, accepts_on_a_listener_that_does_not_block)
{
    run_in_all_shapes(accepts_without_blocking, NULL);
}

/* ---- connecting ---- */

static int connects_to_nobody(void *arg)
{
    char at[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    CHECK_EQ(weft_close(listen_loopback(at)), 0); /* nobody listens there any more */
    CHECK_EQ(weft_tcp_connect(at), -ECONNREFUSED);
    CHECK_EQ(weft_tcp_connect("nonsense"), -EINVAL);
    CHECK_EQ(weft_tcp_connect("two..dots:80"), -ENOENT);
    char name[64];
    snprintf(name, sizeof name, "localhost%s", strrchr(at, ':'));
    CHECK_EQ(weft_tcp_connect(name), -ECONNREFUSED); /* of however many addresses it has */
    return 0;
}

TEST(tcp, connecting_to_nobody_fails)
{
    run_in_all_shapes(connects_to_nobody, NULL);
}

/* A listener whose backlog is full drops what comes, so that a connect does not end: until it is stopped. */
static int connects_for_ever(void *arg)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    char at[WEFT_ADDR_TEXT_MAX];
    int fillers[64], count = 0;
    (void)arg;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&in, sizeof in) | listen(listener, 0), 0);
    getsockname(listener, (struct sockaddr *)&in, &len);
    local_text(listener, at);
    for (int stuck = 0; stuck < 2 && count < 64; count++) {
        fillers[count] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct pollfd connected = {.events = POLLOUT, .fd = fillers[count]};
        connect(fillers[count], (struct sockaddr *)&in, sizeof in);
        stuck += poll(&connected, 1, 20) == 0;
    }
    for (int i = 0; i < 20; i++) {
        WEFT_SCOPE(s);
        weft_scope_set_deadline(&s, weft_after(WEFT_MSEC));
        CHECK_EQ(weft_tcp_connect(at), -ETIMEDOUT);
        CHECK(weft_scope_expired(&s));
        weft_scope_close(&s);
    }
    while (count > 0)
        close(fillers[--count]);
    return weft_close(listener);
}

TEST(tcp, a_connect_that_does_not_end_can_be_stopped)
{
    run_in_all_shapes(connects_for_ever, NULL);
}

/* ---- peers that misbehave ---- */

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_EQ(close(fd), 0);
}

static int reset_later(void *arg)
{
    weft_sleep(WEFT_MSEC);
    reset(*(int *)arg);
    return 0;
}

static int peer_resets(void *arg)
{
    char at[WEFT_ADDR_TEXT_MAX], byte;
    static char data[1 << 20];
    (void)arg;
    int listener = listen_loopback(at);
    for (int i = 0; i < 3; i++) {
        int client = weft_tcp_connect(at), server = weft_accept(listener, NULL);
        CHECK(client >= 0 && server >= 0);
        WEFT_SCOPE(s);
        weft_go(&s, reset_later, &client);
        if (i == 0)
            CHECK_EQ(weft_read(server, &byte, 1), -ECONNRESET);
        if (i == 1)
            CHECK(weft_poll(server, POLLIN) & (POLLERR | POLLHUP));
        if (i == 2) {
            int err;
            while ((err = weft_write_all(server, data, sizeof data)) == 0)
                ;
            CHECK(err == -ECONNRESET || err == -EPIPE);
            CHECK_EQ(weft_write(server, data, 1), -EPIPE);
        }
        CHECK_EQ(weft_scope_close(&s), 0);
        CHECK_EQ(weft_close(server), 0);
    }
    return weft_close(listener);
}

TEST(tcp, a_peer_that_resets_is_an_error)
{
    run_in_all_shapes(peer_resets, NULL);
}

/* A connection that is reset while it waits in the backlog is accepted and then fails, or is passed over; in
 * either case the next one comes through. */
static int resets_in_the_backlog(void *arg)
{
    char at[WEFT_ADDR_TEXT_MAX], byte;
    (void)arg;
    int listener = listen_loopback(at);
    for (int i = 0; i < 10; i++)
        reset(weft_tcp_connect(at));
    int client = weft_tcp_connect(at), good = 0;
    CHECK(client >= 0);
    CHECK_EQ(weft_write(client, "x", 1), 1);
    while (!good) {
        int fd = weft_accept(listener, NULL);
        CHECK(fd >= 0);
        good = weft_read(fd, &byte, 1) == 1;
        CHECK_EQ(weft_close(fd), 0);
    }
    return weft_close(client) | weft_close(listener);
}

TEST(tcp, a_peer_that_resets_in_the_backlog_stops_nobody)
{
    run_in_all_shapes(resets_in_the_backlog, NULL);
}

/* ---- out of descriptors ---- */

struct shortage {
    int listener, fillers[64], count;
    struct rlimit limit;
};

static int relieve(void *arg)
{
    struct shortage *s = arg;
    CHECK_EQ(weft_sleep(30 * WEFT_MSEC), 0);
    while (s->count > 0)
        CHECK_EQ(weft_close(s->fillers[--s->count]), 0);
    return 0;
}

static int runs_short(void *arg)
{
    struct shortage s = {.count = 0};
    char at[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    s.listener = listen_loopback(at);
    int client = weft_tcp_connect(at);
    CHECK(client >= 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &s.limit), 0);
    struct rlimit low = {.rlim_cur = (rlim_t)client + 8, .rlim_max = s.limit.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    while ((s.fillers[s.count] = dup(client)) >= 0)
        s.count++;
    CHECK(s.count > 0);
    weft_stats before, after;
    weft_stats_read(weft_runtime_self(), &before);
    WEFT_SCOPE(scope);
    weft_time begin = weft_now(); /* before the relief, whom another worker may start at once */
    weft_go(&scope, relieve, &s);
    int server = weft_accept(s.listener, NULL);
    CHECK(server >= 0);
    CHECK(weft_since(begin) >= 30 * WEFT_MSEC);
    CHECK_EQ(weft_scope_close(&scope), 0);
    weft_stats_read(weft_runtime_self(), &after);
    CHECK(after.completions - before.completions < 100); /* it waited, it did not ask again and again */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &s.limit), 0);
    return weft_close(server) | weft_close(client) | weft_close(s.listener);
}

static void runs_short_and_is_stopped(void)
{
    run_in_all_shapes(runs_short, NULL);
}

TEST(tcp, an_accept_without_descriptors_waits_and_says_so_once)
{
    char text[4096];
    int status = test_in_child(runs_short_and_is_stopped, 20, text, sizeof text);
    if (status)
        test_failed(__FILE__, __LINE__, "wait status %#x; stderr: %s", (unsigned)status, text);
    const char *line = strstr(text, "weft: weft_accept: ");
    CHECK(line != NULL);
    CHECK(strstr(line + 1, "weft: ") == NULL);
}

/* ---- A server with fewer descriptors than it has clients ---- */

enum { CROWD = 200, CALLS_EACH = 5, SERVER_LIMIT = 64 };

static int call_again_and_again(void *arg)
{
    for (int i = 0; i < CALLS_EACH; i++) {
        char byte = 'x';
        int fd = weft_tcp_connect(arg);
        CHECK(fd >= 0);
        CHECK_EQ(weft_write_all(fd, &byte, 1), 0);
        CHECK_EQ(weft_read_full(fd, &byte, 1), 0);
        CHECK_EQ(weft_close(fd), 0);
    }
    return 0;
}

static int be_a_crowd(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < CROWD; i++)
        weft_go(&s, call_again_and_again, arg);
    return weft_scope_close(&s);
}

static int answer_one(void *arg)
{
    int fd = *(int *)arg;
    char byte;
    CHECK_EQ(weft_read_full(fd, &byte, 1), 0);
    CHECK_EQ(weft_write_all(fd, &byte, 1), 0);
    CHECK_EQ(weft_read(fd, &byte, 1), 0); /* until the client has gone, so that many are there at once */
    return weft_close(fd);
}

static int serve_a_crowd(void *arg)
{
    int listener = *(int *)arg;
    weft_stats stats;
    WEFT_SCOPE(s);
    for (int i = 0; i < CROWD * CALLS_EACH; i++) {
        int fd = weft_accept(listener, NULL);
        CHECK(fd >= 0);
        weft_go_copy(&s, answer_one, &fd, sizeof fd);
    }
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_stats_read(weft_runtime_self(), &stats);
    CHECK(stats.completions < 20 * CROWD * CALLS_EACH); /* four for each; not asked again and again */
    return 0;
}

/* The server runs out of descriptors, says so, and serves everybody all the same. */
static void serve_with_few_descriptors(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char text[32];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
    CHECK_EQ(bind(listener, (struct sockaddr *)&at, size), 0);
    CHECK_EQ(listen(listener, SOMAXCONN), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(at.sin_port));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(weft_run(&(weft_config){.workers = 1}, be_a_crowd, text) == 0 ? 0 : 1);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){SERVER_LIMIT, SERVER_LIMIT}), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, serve_a_crowd, &listener), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST_WITHIN(tcp, a_server_with_few_descriptors_serves_a_thousand_connections, 60)
{
    static char said[4096];
    CHECK_EQ(test_in_child(serve_with_few_descriptors, 50, said, sizeof said), 0);
    CHECK(strstr(said, "weft: weft_accept: ") != NULL); /* or there were enough, and this proves nothing */
}
