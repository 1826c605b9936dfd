/* boost_chan.cpp - what Boost.Fiber does with the work of bench/pingpong.c, chan.c and mutex.c.
 *
 *     boost_chan pingpong N    N round trips of two fibers, through unbuffered channels
 *     boost_chan bounded N     N words through a buffered channel of 1,024: 1 to 1, 4 to 1, 4 to 4; ns a word
 *     boost_chan mutex N       N locks of a fibers::mutex: by one fiber, by four; ns a lock
 *
 * One thread, with the default scheduler. Says "boost.fiber VERSION", then makes a round for each line it reads, as
 * bench/peer.h wants it. */
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace fibers = boost::fibers;
using clock_type = std::chrono::steady_clock;

static double ns_since(clock_type::time_point start)
{
    return std::chrono::duration<double, std::nano>(clock_type::now() - start).count();
}

static void check(bool holds)
{
    if (!holds)
        std::abort();
}

static double ping_pong(std::uint64_t n)
{
    fibers::unbuffered_channel<std::uint64_t> ping, pong;
    fibers::fiber server([&] {
        std::uint64_t v;
        while (ping.pop(v) == fibers::channel_op_status::success)
            pong.push(v + 1);
    });
    auto start = clock_type::now();
    for (std::uint64_t i = 0; i < n; i++) {
        std::uint64_t v;
        ping.push(i);
        pong.pop(v);
        check(v == i + 1);
    }
    double ns = ns_since(start) / double(n);
    ping.close();
    server.join();
    return ns;
}

static double transfer(std::uint64_t n, unsigned producers, unsigned consumers)
{
    fibers::buffered_channel<std::uint64_t> c(1024);
    std::vector<fibers::fiber> sending, receiving;
    std::uint64_t count = 0, sum = 0;
    auto start = clock_type::now();
    for (unsigned i = 0; i < consumers; i++)
        receiving.emplace_back([&] {
            std::uint64_t v, my_count = 0, my_sum = 0;
            while (c.pop(v) == fibers::channel_op_status::success) {
                my_count++;
                my_sum += v;
            }
            count += my_count;
            sum += my_sum;
        });
    for (unsigned i = 0; i < producers; i++)
        sending.emplace_back([&c, first = n / producers * i, each = n / producers] {
            for (std::uint64_t v = first; v < first + each; v++)
                c.push(v);
        });
    for (auto &f : sending)
        f.join();
    c.close();
    for (auto &f : receiving)
        f.join();
    double ns = ns_since(start) / double(n);
    check(count == n && sum == n * (n - 1) / 2);
    return ns;
}

static double contend(std::uint64_t n, unsigned tasks)
{
    fibers::mutex lock;
    std::vector<fibers::fiber> all;
    volatile std::uint64_t counter = 0;
    auto start = clock_type::now();
    for (unsigned t = 0; t < tasks; t++)
        all.emplace_back([&] {
            for (std::uint64_t i = 0; i < n / tasks; i++) {
                lock.lock();
                counter = counter + 1;
                lock.unlock();
                volatile std::uint64_t own = 0;
                for (int k = 0; k < 16; k++)
                    own = own + 1;
            }
        });
    for (auto &f : all)
        f.join();
    double ns = ns_since(start) / double(n);
    check(counter == n);
    return ns;
}

static double alone(std::uint64_t n)
{
    fibers::mutex lock;
    auto start = clock_type::now();
    for (std::uint64_t i = 0; i < n; i++) {
        lock.lock();
        lock.unlock();
    }
    return ns_since(start) / double(n);
}

int main(int argc, char **argv)
{
    char line[64];
    if (argc != 3)
        return 2;
    std::uint64_t n = std::strtoull(argv[2], nullptr, 10);
    std::printf("boost.fiber %d.%d 0\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000);
    std::fflush(stdout);
    while (std::fgets(line, sizeof line, stdin)) {
        if (std::strcmp(argv[1], "pingpong") == 0)
            std::printf("%f\n", ping_pong(n));
        else if (std::strcmp(argv[1], "bounded") == 0)
            std::printf("%f %f %f\n", transfer(n, 1, 1), transfer(n, 4, 1), transfer(n, 4, 4));
        else if (std::strcmp(argv[1], "mutex") == 0)
            std::printf("%f %f\n", alone(n), contend(n, 4));
        else
            return 2;
        std::fflush(stdout);
    }
    return 0;
}
