/* stall.h - what a request of the stall benchmark says, and the computing that it may ask for.
 *
 * A message is 64 bytes, the same both ways. An innocent one is sent back as it is. One that computes says for how many
 * turns of the loop below, and whether on the spot, in the handler that has read it, or wherever the runtime has such
 * work done; what the loop came to is in the answer, so that nobody can leave a part of it out. The loop is a chain of
 * dependent integer steps: it needs no memory, and no compiler can shorten it or spread it over a vector, so that C,
 * C++, Rust and Go need the same time for it.
 *
 * The peers in other languages know this layout, too, with the numbers' least byte first: bench/peers/go/stall.go,
 * bench/peers/tokio/stall.rs, bench/peers/boost_stall.cpp. */
#ifndef BENCH_STALL_H
#define BENCH_STALL_H

#include <stdint.h>

struct stall_message {
    uint64_t turns;  /* 0: innocent */
    uint64_t result; /* of computing; written by the server */
    uint32_t away;   /* compute on the pool; else on the spot */
    uint32_t number; /* the client's own */
    char filler[40];
};

static inline uint64_t stall_compute(uint64_t turns)
{
    uint64_t x = UINT64_C(88172645463325252);
    for (uint64_t i = 0; i < turns; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

#endif
