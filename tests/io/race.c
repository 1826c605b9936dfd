/* race.c - connecting to a name with several addresses. getaddrinfo(3) is the test's own: of a name that ends in
 * ".test" it returns the addresses the test has laid out, in that order; of any other what the system says. */
#include "tests/io/help.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>

enum { ADDRESSES_MAX = 32 };
static const char *addresses[ADDRESSES_MAX + 1];

typedef int (*lookup_fn)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret)
{
    lookup_fn system_one;
    *(void **)&system_one = dlsym(RTLD_NEXT, "getaddrinfo");
    size_t len = host ? strlen(host) : 0;
    if (len < 5 || strcmp(host + len - 5, ".test") != 0)
        return system_one(host, service, hints, ret);
    struct addrinfo **end = ret;
    for (int i = 0; addresses[i]; i++) {
        CHECK_EQ(system_one(addresses[i], service, hints, end), 0);
        while (*end)
            end = &(*end)->ai_next;
    }
    return 0;
}

static int takes_turns(void *arg)
{
    static const char *const mixed[] = {"::1", "::2", "::3", "1.1.1.1", "2.2.2.2"};
    static const char *const wanted[] = {"[::1]:9", "1.1.1.1:9", "[::2]:9", "2.2.2.2:9", "[::3]:9"};
    weft_addr a[8];
    char text[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    memcpy(addresses, mixed, sizeof mixed);
    CHECK_EQ(weft_resolve("many.test:9", a, 8), 5);
    for (int i = 0; i < 5; i++) {
        weft_addr_format(&a[i], text, sizeof text);
        CHECK_STR(text, wanted[i]);
    }
    CHECK_EQ(weft_resolve("many.test:9", a, 2), 2);
    weft_addr_format(&a[1], text, sizeof text);
    CHECK_STR(text, wanted[1]);
    for (int i = 0; i < ADDRESSES_MAX; i++)
        addresses[i] = "1.2.3.4";
    CHECK_EQ(weft_resolve("many.test:9", a, 8), 8);
    return 0;
}

TEST(race, families_take_turns)
{
    CHECK_EQ(weft_run(NULL, takes_turns, NULL), 0);
}

/* A listener on 127.0.0.1, and one on the same port of 127.0.0.2 with a full backlog, where a connect stands
 * still; nobody listens on 127.0.0.3. */
struct place {
    int listener, black_hole, fillers[64], count;
    char at[32];
};

static void open_place(struct place *p)
{
    weft_addr local;
    *p = (struct place){.listener = weft_tcp_listen("127.0.0.1:0", 0)};
    CHECK(p->listener >= 0);
    CHECK_EQ(weft_addr_local(p->listener, &local), 0);
    snprintf(p->at, sizeof p->at, "some.test:%d", weft_addr_port(&local));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)weft_addr_port(&local))};
    inet_pton(AF_INET, "127.0.0.2", &in.sin_addr);
    p->black_hole = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(p->black_hole, (struct sockaddr *)&in, sizeof in) | listen(p->black_hole, 0), 0);
    for (int stuck = 0; stuck < 2 && p->count < 64; p->count++) {
        struct pollfd connected = {.events = POLLOUT, .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};
        p->fillers[p->count] = connected.fd;
        connect(connected.fd, (struct sockaddr *)&in, sizeof in);
        stuck += poll(&connected, 1, 20) == 0;
    }
}

static void close_place(struct place *p)
{
    while (p->count > 0)
        close(p->fillers[--p->count]);
    CHECK_EQ(weft_close(p->black_hole) | weft_close(p->listener), 0);
}

/* Connect to these addresses, one of which answers: how long that took. */
static int64_t time_connect(struct place *p, const char *const *list)
{
    memset(addresses, 0, sizeof addresses);
    for (int i = 0; list[i]; i++)
        addresses[i] = list[i];
    int before = open_descriptors();
    weft_time begin = weft_now();
    int fd = weft_tcp_connect(p->at);
    int64_t took = weft_since(begin);
    CHECK(fd >= 0);
    CHECK_EQ(open_descriptors(), before + 1); /* the losers are closed by now */
    int server = weft_accept(p->listener, NULL);
    CHECK(server >= 0);
    CHECK_EQ(weft_write_all(fd, "x", 1), 0);
    char byte;
    CHECK_EQ(weft_read_full(server, &byte, 1), 0);
    CHECK_EQ(weft_close(fd) | weft_close(server), 0);
    return took;
}

static int races(void *arg)
{
    struct place p;
    (void)arg;
    open_place(&p);
    const char *first[] = {"127.0.0.1", "127.0.0.2", NULL};
    CHECK(time_connect(&p, first) < 250 * WEFT_MSEC);
    const char *second[] = {"127.0.0.2", "127.0.0.1", NULL};
    CHECK(time_connect(&p, second) >= 250 * WEFT_MSEC);
    const char *third[] = {"127.0.0.2", "127.0.0.2", "127.0.0.1", NULL};
    CHECK(time_connect(&p, third) >= 500 * WEFT_MSEC);
    const char *refused[] = {"127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.1", NULL};
    CHECK(time_connect(&p, refused) < 250 * WEFT_MSEC); /* a failure is not waited for */
    close_place(&p);
    return 0;
}

TEST_WITHIN(race, the_first_that_answers_wins, 60)
{
    run_in_all_shapes(races, NULL);
}

static int all_fail(void *arg)
{
    struct place p;
    (void)arg;
    open_place(&p);
    memset(addresses, 0, sizeof addresses);
    addresses[0] = addresses[1] = "127.0.0.3";
    int before = open_descriptors();
    CHECK_EQ(weft_tcp_connect(p.at), -ECONNREFUSED);
    addresses[0] = addresses[1] = "127.0.0.2";
    for (int i = 0; i < 3; i++) {
        WEFT_SCOPE(s);
        weft_scope_set_deadline(&s, weft_after(i * 130 * WEFT_MSEC));
        CHECK_EQ(weft_tcp_connect(p.at), -ETIMEDOUT);
        weft_scope_close(&s);
        CHECK_EQ(open_descriptors(), before);
    }
    close_place(&p);
    return 0;
}

TEST_WITHIN(race, all_can_fail_or_be_stopped, 60)
{
    run_in_all_shapes(all_fail, NULL);
}
