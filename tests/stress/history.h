/* history.h - what several callers did to one object at once, and whether one after the other could have seen the same.
 *
 * An operation has a first moment, before its call, and a last one, after its return; both are numbers from one
 * counter, so no two are the same. A history is explained when its operations can be put in an order in which
 *   - none comes before another that had returned before it was called, and
 *   - each returns what the type promises of such a sequence (history.c has the promises, type by type).
 * That is linearizability. A rendezvous is the one exception: sender and receiver come at the same place in the order.
 *
 * An operation that a stop ended has done nothing; that is promised too. */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { HISTORY_OPS_MAX = 12 };

enum history_type { HISTORY_CHAN, HISTORY_MUTEX, HISTORY_SEM, HISTORY_EVENT, HISTORY_FUTURE };

enum history_kind {
    OP_SEND, OP_RECV, OP_TRY_SEND, OP_TRY_RECV, OP_CLOSE, /* ret; item: what was sent, or received if ret is 0 */
    OP_LOCK, OP_TRYLOCK, OP_UNLOCK,                       /* ret of trylock: 1 or 0 */
    OP_ACQUIRE, OP_TRY_ACQUIRE, OP_RELEASE,               /* item: how many; ret, of trying: 1 or 0 */
    OP_WAIT, OP_SET, OP_CLEAR, OP_IS_SET,                 /* of an event */
    OP_FULFIL, OP_AWAIT, OP_DONE                          /* of a future; item: the value */
};

struct history_op {
    enum history_kind kind;
    uint8_t actor, item; /* item is not 0, and no two senders' are the same */
    int ret;
    uint64_t first, last; /* moments */
};

struct history {
    enum history_type type;
    unsigned capacity; /* of the channel */
    bool stops;        /* somebody was told to stop, so that a stop may be an operation's result */
    unsigned count;
    struct history_op op[HISTORY_OPS_MAX];
};

bool history_is_explained(const struct history *h);
void history_print(FILE *to, const struct history *h);

#endif
