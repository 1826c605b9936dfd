/* peers.h - those on the other side of a service: a few friends, and foes of eight kinds, in a process of their own.
 *
 * They speak in frames: how long the rest is, in four bytes, then that many bytes. The answer to a frame is a frame of
 * the same length, with every bit turned over. A peer whose frame is the password is a friend.
 *
 *     SILENT    connects and says nothing
 *     DRIBBLER  sends one byte at a time, without end
 *     DEAF      sends frame after frame and never reads, so that the answers back up
 *     BREAKER   resets in the middle of a frame, or of the answer
 *     HALF      closes its sending side, after a frame or in the middle of one
 *     BRAGGART  sends lengths that nobody has room for, and garbage after them
 *     CROWD     connects and is gone, hundreds of times without a pause: more than wait in line
 *     SQUATTER  holds more connections than the service can have
 *
 * Foes of the first three kinds and squatters never leave: they wait until the service is tired of them. */
#ifndef PEERS_H
#define PEERS_H

#include "runtime/platform/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum peers_kind { SILENT, DRIBBLER, DEAF, BREAKER, HALF, BRAGGART, CROWD, SQUATTER, PEERS_KINDS };

enum { FRAME_HEADER = 4, FRAME_MAX = 2048, CROWD_SIZE = 600, SQUATTERS = 800 };

extern const char *const peers_kind_name[PEERS_KINDS];
extern const char peers_password[];

/* In memory that both processes share. */
struct peers {
    char at[32];            /* of the service; constant */
    uint64_t seed;          /* constant */
    WF_ATOMIC(bool) enough; /* by the service: come to an end */
    WF_ATOMIC(uint64_t) attacks[PEERS_KINDS]; /* connections that are over */
    WF_ATOMIC(uint64_t) sent_away; /* of the silent ones and squatters: the service has closed them, in good order */
    WF_ATOMIC(uint64_t) answered;  /* requests of friends, rightly */
    WF_ATOMIC(uint64_t) too_slow;  /* friends that were sent away before they had said the password */
};

static inline uint32_t frame_length(const unsigned char header[FRAME_HEADER])
{
    return (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 | (uint32_t)header[2] << 8 | header[3];
}

static inline void frame_set_length(unsigned char header[FRAME_HEADER], uint32_t length)
{
    for (int i = 0; i < FRAME_HEADER; i++)
        header[i] = (unsigned char)(length >> 8 * (FRAME_HEADER - 1 - i));
}

/* Until `enough`. 0, and every request of a friend was answered; anything that is not right ends the process. */
int peers_run(struct peers *p);

#endif
