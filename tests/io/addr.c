/* addr.c - endpoints as text and back. */
#include "tests/io/help.h"

#include "io/addr.h"

#include <arpa/inet.h>

static void check_endpoint(const char *text, const char *host, const char *service, int port)
{
    struct wf_endpoint e;
    CHECK_EQ(wf_endpoint_parse(text, &e), 0);
    CHECK_STR(e.host, host);
    CHECK_STR(e.service, service);
    CHECK_EQ(e.port, port);
}

TEST(addr, reads_endpoints)
{
    check_endpoint("1.2.3.4:80", "1.2.3.4", "80", 80);
    check_endpoint("[::1]:0", "::1", "0", 0);
    check_endpoint("[fe80::1%lo]:65535", "fe80::1%lo", "65535", 65535);
    check_endpoint("host:http", "host", "http", -1);
    check_endpoint(":80", "", "80", 80);
    check_endpoint(":00080", "", "00080", 80);
}

TEST(addr, refuses_what_is_no_endpoint)
{
    static const char *const texts[] = {
        "", "host", "80", ":", "host:", "::1:80", "::", "[::1]", "[::1]80", "[]:80", "[:80", "]:80", "[a]b:80", "a]:80",
        "host:65536", "host:99999999999999999999", "host:000080", "a:b:80", "[[::1]]:80",
    };
    struct wf_endpoint e;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CHECK_EQ(wf_endpoint_parse(texts[i], &e), -EINVAL);
}

/* A host of exactly the longest length, and one that is longer; the same with the service. */
TEST(addr, refuses_names_that_are_too_long)
{
    char text[600];
    struct wf_endpoint e;
    for (size_t host = 250; host <= 500; host++) {
        memset(text, 'a', host);
        strcpy(text + host, ":80");
        CHECK_EQ(wf_endpoint_parse(text, &e), host <= WF_HOST_MAX ? 0 : -EINVAL);
    }
    for (size_t service = 30; service <= 500; service++) {
        memcpy(text, "a:", 2);
        memset(text + 2, 's', service);
        text[2 + service] = '\0';
        CHECK_EQ(wf_endpoint_parse(text, &e), service <= WF_SERVICE_MAX ? 0 : -EINVAL);
    }
}

static void check_round_trip(const char *text, int family, int port)
{
    struct wf_endpoint e;
    weft_addr a;
    char out[WEFT_ADDR_TEXT_MAX];
    CHECK_EQ(wf_endpoint_parse(text, &e), 0);
    CHECK_EQ(wf_endpoint_numeric(&e, &a, 1), 1);
    CHECK_EQ(wf_addr_family(&a), family);
    CHECK_EQ(weft_addr_port(&a), port);
    int len = (int)strlen(text);
    CHECK_EQ(weft_addr_format(&a, out, sizeof out), len);
    CHECK_STR(out, text);
    CHECK_EQ(weft_addr_format(&a, out, (size_t)len + 1), len);
    CHECK_EQ(weft_addr_format(&a, out, (size_t)len), -ENOSPC);
    CHECK_EQ(out[len - 1], '\0'); /* cut, with its zero */
    CHECK_EQ(strncmp(out, text, (size_t)len - 1), 0);
    CHECK_EQ(weft_addr_format(&a, NULL, 0), -ENOSPC);
}

TEST(addr, formats_what_it_read)
{
    check_round_trip("1.2.3.4:80", AF_INET, 80);
    check_round_trip("255.255.255.255:65535", AF_INET, 65535);
    check_round_trip("[::1]:1", AF_INET6, 1);
    check_round_trip("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535", AF_INET6, 65535);
    check_round_trip("[::ffff:1.2.3.4]:80", AF_INET6, 80);
    check_round_trip("[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535", AF_INET6, 65535);
}

TEST(addr, reads_no_names_as_numbers)
{
    static const char *const texts[] = {"host:80", "1.2.3:80", "[fe80::1%no-such-interface]:80", "[fe80::1%]:80",
                                        "1.2.3.4:http", "[fe80::1%99999999999]:80"};
    struct wf_endpoint e;
    weft_addr a;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK_EQ(wf_endpoint_parse(texts[i], &e), 0);
        CHECK_EQ(wf_endpoint_numeric(&e, &a, 1), 0);
    }
}

TEST(addr, knows_its_families_only)
{
    char text[WEFT_ADDR_TEXT_MAX];
    weft_addr none = {0}, local, cut;
    struct sockaddr path = {.sa_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    wf_addr_store(&local, &path, sizeof path);
    wf_addr_store(&cut, &in, sizeof in - 1);
    CHECK_EQ(weft_addr_format(&none, text, sizeof text), -EAFNOSUPPORT);
    CHECK_EQ(weft_addr_port(&none), -EAFNOSUPPORT);
    CHECK_EQ(weft_addr_format(&local, text, sizeof text), -EAFNOSUPPORT);
    CHECK_EQ(weft_addr_port(&local), -EAFNOSUPPORT);
    CHECK_EQ(weft_addr_port(&cut), -EAFNOSUPPORT);
    none.len = 1000;
    CHECK_EQ(weft_addr_port(&none), -EAFNOSUPPORT);
    CHECK_EQ(weft_addr_local(-1, &none), -EBADF);
}

/* ---- resolving ---- */

static int resolves(void *arg)
{
    weft_addr a[8];
    char text[WEFT_ADDR_TEXT_MAX], name[600];
    (void)arg;
    CHECK_EQ(weft_resolve("1.2.3.4:80", a, 8), 1);
    CHECK_EQ(weft_resolve("1.2.3.4:80", a, 0), 0);
    CHECK_EQ(weft_resolve(":80", a, 8), 2); /* every address, of IPv6 and of IPv4 */
    weft_addr_format(&a[0], text, sizeof text);
    CHECK_STR(text, "[::]:80");
    weft_addr_format(&a[1], text, sizeof text);
    CHECK_STR(text, "0.0.0.0:80");
    CHECK_EQ(weft_resolve(":80", a, 1), 1);
    CHECK_EQ(weft_resolve("no endpoint", a, 8), -EINVAL);
    memset(name, 'a', 400);
    strcpy(name + 400, ":80");
    CHECK_EQ(weft_resolve(name, a, 8), -EINVAL);
    int n = weft_resolve("localhost:81", a, 8); /* on the pool, out of /etc/hosts */
    CHECK(n >= 1);
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_addr_port(&a[i]), 81);
    CHECK_EQ(weft_resolve("localhost:no-such-service", a, 8), -ENOENT);
    CHECK_EQ(weft_resolve(":no-such-service", a, 8), -ENOENT);
    CHECK_EQ(weft_resolve("two..dots:80", a, 8), -ENOENT);
    WEFT_SCOPE(s);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_resolve("localhost:81", a, 8), -ECANCELED);
    weft_scope_close(&s);
    return 0;
}

TEST(addr, resolves_numbers_at_once_and_names_on_the_pool)
{
    run_in_all_shapes(resolves, NULL);
}
