// boost_offload.cpp - what Boost.Asio's thread_pool does, as a program with an event loop would use it.
//
//     boost_offload THREADS N       offload.c says what is measured
//
// A job is posted to the pool, and what it came to is posted back to the loop, by a C++20 coroutine. Says
// "boost.asio VERSION", then makes a round for each line it reads, as bench/peer.h wants it.
#include <boost/asio.hpp>
#include <boost/version.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using clock_type = std::chrono::steady_clock;

static constexpr int WIDTH = 1000;
static constexpr int PAUSED = 100;

static double us_since(clock_type::time_point start)
{
    return std::chrono::duration<double, std::micro>(clock_type::now() - start).count();
}

static void nothing()
{
}

static void compute()
{
    auto start = clock_type::now();
    while (clock_type::now() - start < std::chrono::microseconds(1))
        ;
}

// Go to the pool, run the job there, and come back to the loop.
static asio::awaitable<void> offload(asio::thread_pool &pool, void (*job)())
{
    auto loop = co_await asio::this_coro::executor;
    co_await asio::post(asio::bind_executor(pool, asio::use_awaitable));
    job();
    co_await asio::post(asio::bind_executor(loop, asio::use_awaitable));
}

static asio::awaitable<void> one_after_another(asio::thread_pool &pool, int n, void (*job)())
{
    for (int i = 0; i < n; i++)
        co_await offload(pool, job);
}

static asio::awaitable<void> with_pauses(asio::thread_pool &pool, int n, double &us)
{
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (int i = 0; i < n; i++) {
        timer.expires_after(std::chrono::milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
        auto start = clock_type::now();
        co_await offload(pool, nothing);
        us += us_since(start);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return std::fprintf(stderr, "usage: boost_offload THREADS N\n"), 2;
    int threads = std::atoi(argv[1]), n = std::atoi(argv[2]);
    asio::thread_pool pool(static_cast<std::size_t>(threads));
    asio::io_context loop;
    std::printf("boost.asio %d.%d\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000);
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
        double parked = 0;
        auto start = clock_type::now();
        asio::co_spawn(loop, one_after_another(pool, n, nothing), asio::detached);
        loop.run();
        loop.restart();
        double hot = us_since(start) / n;
        asio::co_spawn(loop, with_pauses(pool, PAUSED, parked), asio::detached);
        loop.run();
        loop.restart();
        start = clock_type::now();
        for (int i = 0; i < WIDTH; i++)
            asio::co_spawn(loop, one_after_another(pool, n / WIDTH, compute), asio::detached);
        loop.run();
        loop.restart();
        std::printf("%g %g %g\n", hot, parked / PAUSED, us_since(start) * 1e3 / (n / WIDTH * WIDTH));
        std::fflush(stdout);
    }
}
