// boost_stall.cpp - the server that bench/stall_load.c measures, on Boost.Asio: a C++20 coroutine per connection.
//
//     boost_stall THREADS       so many threads run one io_context; a pool of four has what is offloaded
//
// bench/stall.h says what a message is. Says "boost.asio VERSION PORT" and serves until it is killed.
#include "bench/stall.h"

#include <boost/asio.hpp>
#include <boost/version.hpp>

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;

static constexpr int POOL = 4; // as many as libuv's

static asio::awaitable<void> compute(stall_message &m, asio::thread_pool &pool)
{
    if (m.away == 0) {
        m.result = stall_compute(m.turns);
        co_return;
    }
    auto loop = co_await asio::this_coro::executor;
    co_await asio::post(asio::bind_executor(pool, asio::use_awaitable));
    m.result = stall_compute(m.turns);
    co_await asio::post(asio::bind_executor(loop, asio::use_awaitable));
}

static asio::awaitable<void> answer(tcp::socket s, asio::thread_pool &pool)
{
    stall_message m;
    try {
        for (;;) {
            co_await asio::async_read(s, asio::buffer(&m, sizeof m), asio::use_awaitable);
            if (m.turns != 0)
                co_await compute(m, pool);
            co_await asio::async_write(s, asio::buffer(&m, sizeof m), asio::use_awaitable);
        }
    } catch (const boost::system::system_error &) {
        // the client has gone
    }
}

static asio::awaitable<void> serve(tcp::acceptor listener, asio::thread_pool &pool)
{
    for (;;) {
        tcp::socket s = co_await listener.async_accept(asio::use_awaitable);
        s.set_option(tcp::no_delay(true));
        asio::co_spawn(listener.get_executor(), answer(std::move(s), pool), asio::detached);
    }
}

int main(int argc, char **argv)
{
    int threads = argc == 2 ? std::atoi(argv[1]) : 0;
    if (threads < 1)
        return std::fprintf(stderr, "usage: boost_stall THREADS\n"), 2;
    asio::io_context loop(threads);
    asio::thread_pool pool(POOL);
    tcp::acceptor listener(loop, {asio::ip::address_v4::loopback(), 0});
    listener.listen(4096);
    std::printf("boost.asio %d.%d %u\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
                static_cast<unsigned>(listener.local_endpoint().port()));
    std::fflush(stdout);
    asio::co_spawn(loop, serve(std::move(listener), pool), asio::detached);
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++)
        others.emplace_back([&loop] { loop.run(); });
    loop.run();
}
