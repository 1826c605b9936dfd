// boost_echo.cpp - an echo server of Boost.Asio's: one thread, a C++20 coroutine per connection.
//
// Says "boost.asio VERSION PORT" and serves until it is killed.
#include <boost/asio.hpp>
#include <boost/version.hpp>

#include <cstdio>

namespace asio = boost::asio;
using asio::ip::tcp;

static asio::awaitable<void> echo(tcp::socket s)
{
    char buffer[4096];
    try {
        for (;;) {
            std::size_t n = co_await s.async_read_some(asio::buffer(buffer), asio::use_awaitable);
            co_await asio::async_write(s, asio::buffer(buffer, n), asio::use_awaitable);
        }
    } catch (const boost::system::system_error &) {
        // the client has gone
    }
}

static asio::awaitable<void> serve(tcp::acceptor listener)
{
    for (;;) {
        tcp::socket s = co_await listener.async_accept(asio::use_awaitable);
        s.set_option(tcp::no_delay(true));
        asio::co_spawn(listener.get_executor(), echo(std::move(s)), asio::detached);
    }
}

int main()
{
    asio::io_context loop(1); // one thread, it is told: then it may leave out most of its locks
    tcp::acceptor listener(loop, {asio::ip::address_v4::loopback(), 0});
    listener.listen(4096);
    std::printf("boost.asio %d.%d %u\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
                static_cast<unsigned>(listener.local_endpoint().port()));
    std::fflush(stdout);
    asio::co_spawn(loop, serve(std::move(listener)), asio::detached);
    loop.run();
}
