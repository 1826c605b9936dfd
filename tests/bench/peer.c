/* peer.c - tests of bench/peer.h: which peer a command is, and which are wanted. */
#include "bench/peer.h"
#include "tests/test.h"

static void expect_name(const char *command, const char *wanted)
{
    char name[64];
    CHECK(bench_peer_name(command, name, sizeof name));
    CHECK_STR(name, wanted);
    CHECK(bench_is_peer_name(name, strlen(name)));
}

TEST(bench, a_peer_is_named_by_its_program)
{
    expect_name("peers/tokio_peer spawn 2 1000", "tokio");
    expect_name("peers/rayon_peer 2 sort 1000", "rayon");
    expect_name("peers/go_spawn 1 1000", "go");
    expect_name("peers/tbb_peer 1 fork 30", "tbb");
    expect_name("peers/uv_peer echo", "libuv");
    expect_name("peers/boost_chan 1000", "boost");
    expect_name("peers/asyncio_echo.py", "asyncio");
    expect_name("peers/asyncio_echo.py uvloop", "uvloop");
}

TEST(bench, limits_and_servers_of_our_own_are_no_peers)
{
    char name[64];
    CHECK(!bench_peer_name("limits/echo_uring", name, sizeof name));
    CHECK(!bench_peer_name("echo", name, sizeof name));
    CHECK(!bench_peer_name("/usr/bin/env WEFT_DRIVER=soft echo", name, sizeof name));
}

TEST(bench, only_listed_peers_are_wanted_and_none_lists_none)
{
    CHECK(bench_peer_wanted("peers/go_spawn 1"));
    bench_choose_peers("tokio,libuv");
    CHECK(bench_peer_wanted("peers/tokio_peer echo 1"));
    CHECK(bench_peer_wanted("peers/uv_peer echo"));
    CHECK(!bench_peer_wanted("peers/go_spawn 1"));
    CHECK(bench_peer_wanted("limits/echo_uring"));
    bench_choose_peers("none");
    CHECK(!bench_peer_wanted("peers/tokio_peer echo 1"));
    CHECK(bench_peer_wanted("limits/echo_uring"));
}

static void choose_a_stranger(void)
{
    bench_choose_peers("tokio,node");
}

TEST(bench, a_name_that_no_peer_has_is_refused)
{
    char said[256];
    int status = test_in_child(choose_a_stranger, 5, said, sizeof said);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    CHECK(strstr(said, "no peer is called node"));
}

TEST(bench, the_better_of_two_is_the_lower_and_absence_loses)
{
    struct bench_entry a = {.figure = {{.n = 1, .value = {5}}}}, b = {.figure = {{.n = 1, .value = {4}}}};
    struct bench_entry absent = {0};
    CHECK(bench_better(&a, &b, 0) == &b);
    CHECK(bench_better(&b, &a, 0) == &b);
    CHECK(bench_better(&absent, &a, 0) == &a);
    CHECK(bench_better(&a, &absent, 0) == &a);
    CHECK(bench_better(NULL, &a, 0) == &a);
    CHECK(bench_better(NULL, &absent, 0) == NULL);
}
