/* history.c - tests of the search for an order (tests/stress/history.c): it must accept what an order explains, and
 * refuse what none does. Moments are written down as they are to be read: who overlaps whom is the point. */
#include "tests/stress/history.h"
#include "tests/test.h"

#include <errno.h>

#define HISTORY(type_, capacity_, stops_, ...)                                                                         \
    (struct history){.type = type_, .capacity = capacity_, .stops = stops_, .op = {__VA_ARGS__},                       \
                     .count = sizeof((struct history_op[]){__VA_ARGS__}) / sizeof(struct history_op)}

static void explained(struct history h)
{
    if (!history_is_explained(&h)) {
        history_print(stderr, &h);
        CHECK(!"an order explains this");
    }
}

static void refused(struct history h)
{
    if (history_is_explained(&h)) {
        history_print(stderr, &h);
        CHECK(!"this is to be refused");
    }
}

TEST(history, a_channel_keeps_order)
{
    explained(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_SEND, 0, 2, 0, 3, 4},
                      {OP_RECV, 1, 1, 0, 5, 6}, {OP_RECV, 1, 2, 0, 7, 8}));
    refused(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_SEND, 0, 2, 0, 3, 4},
                    {OP_RECV, 1, 2, 0, 5, 6}, {OP_RECV, 1, 1, 0, 7, 8}));
    /* At once, the sends may have come in either order; but the receipts must agree on one. */
    explained(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, 0, 1, 4}, {OP_SEND, 2, 2, 0, 2, 3},
                      {OP_RECV, 1, 2, 0, 5, 6}, {OP_RECV, 1, 1, 0, 7, 8}));
}

TEST(history, a_channel_loses_nothing_and_repeats_nothing)
{
    refused(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_RECV, 1, 1, 0, 3, 4},
                    {OP_RECV, 1, 1, 0, 5, 6}));
    refused(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_CLOSE, 2, 1, 0, 3, 4},
                    {OP_RECV, 1, 1, -EPIPE, 5, 6}));
    refused(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_TRY_RECV, 1, 1, -EAGAIN, 3, 4}));
    refused(HISTORY(HISTORY_CHAN, 1, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_SEND, 0, 2, 0, 3, 4}));
    refused(HISTORY(HISTORY_CHAN, 1, false, {OP_TRY_SEND, 0, 1, -EAGAIN, 1, 2}));
    refused(HISTORY(HISTORY_CHAN, 1, false, {OP_RECV, 0, 9, 0, 1, 2}));
}

TEST(history, a_closed_channel_is_drained_first)
{
    explained(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_CLOSE, 2, 1, 0, 3, 4},
                      {OP_RECV, 1, 1, 0, 5, 6}, {OP_RECV, 1, 1, -EPIPE, 7, 8}));
    refused(HISTORY(HISTORY_CHAN, 2, false, {OP_CLOSE, 2, 1, 0, 1, 2}, {OP_SEND, 0, 1, 0, 3, 4}));
    refused(HISTORY(HISTORY_CHAN, 2, false, {OP_SEND, 0, 1, -EPIPE, 1, 2}, {OP_CLOSE, 2, 1, 0, 3, 4}));
}

TEST(history, a_rendezvous_takes_two_at_once)
{
    explained(HISTORY(HISTORY_CHAN, 0, false, {OP_SEND, 0, 1, 0, 1, 4}, {OP_RECV, 1, 1, 0, 2, 3}));
    refused(HISTORY(HISTORY_CHAN, 0, false, {OP_SEND, 0, 1, 0, 1, 2}, {OP_RECV, 1, 1, 0, 3, 4}));
    refused(HISTORY(HISTORY_CHAN, 0, false, {OP_TRY_SEND, 0, 1, 0, 1, 4}, {OP_TRY_RECV, 1, 1, 0, 2, 3}));
    refused(HISTORY(HISTORY_CHAN, 0, false, {OP_SEND, 0, 1, 0, 1, 6}, {OP_RECV, 1, 1, 0, 2, 3},
                    {OP_RECV, 1, 1, 0, 4, 5}));
}

TEST(history, what_was_stopped_has_done_nothing)
{
    explained(HISTORY(HISTORY_CHAN, 1, true, {OP_SEND, 0, 1, -ECANCELED, 1, 2},
                      {OP_TRY_RECV, 1, 1, -EAGAIN, 3, 4}));
    refused(HISTORY(HISTORY_CHAN, 1, true, {OP_SEND, 0, 1, -ECANCELED, 1, 2}, {OP_RECV, 1, 1, 0, 3, 4}));
    refused(HISTORY(HISTORY_CHAN, 1, false, {OP_RECV, 0, 1, -ETIMEDOUT, 1, 2}));
    refused(HISTORY(HISTORY_SEM, 0, true, {OP_RELEASE, 0, 1, 0, 1, 2}, {OP_ACQUIRE, 1, 1, -ECANCELED, 3, 4},
                    {OP_TRY_ACQUIRE, 2, 1, 0, 5, 6}));
    refused(HISTORY(HISTORY_FUTURE, 0, true, {OP_FULFIL, 0, 5, 0, 1, 2}, {OP_AWAIT, 1, 5, -ECANCELED, 3, 4}));
}

TEST(history, a_mutex_has_one_owner)
{
    explained(HISTORY(HISTORY_MUTEX, 0, false, {OP_LOCK, 0, 1, 0, 1, 2}, {OP_LOCK, 1, 1, 0, 3, 6},
                      {OP_UNLOCK, 0, 1, 0, 4, 5}, {OP_UNLOCK, 1, 1, 0, 7, 8}));
    refused(HISTORY(HISTORY_MUTEX, 0, false, {OP_LOCK, 0, 1, 0, 1, 2}, {OP_LOCK, 1, 1, 0, 3, 4},
                    {OP_UNLOCK, 0, 1, 0, 5, 6}, {OP_UNLOCK, 1, 1, 0, 7, 8}));
    refused(HISTORY(HISTORY_MUTEX, 0, false, {OP_LOCK, 0, 1, 0, 1, 2}, {OP_TRYLOCK, 1, 1, 1, 3, 4}));
    refused(HISTORY(HISTORY_MUTEX, 0, false, {OP_LOCK, 0, 1, 0, 1, 2}, {OP_UNLOCK, 0, 1, 0, 3, 4},
                    {OP_TRYLOCK, 1, 1, 0, 5, 6}));
}

TEST(history, a_semaphore_conserves_permits)
{
    explained(HISTORY(HISTORY_SEM, 0, false, {OP_ACQUIRE, 0, 2, 0, 1, 6}, {OP_RELEASE, 1, 1, 0, 2, 3},
                      {OP_RELEASE, 1, 1, 0, 4, 5}));
    refused(HISTORY(HISTORY_SEM, 0, false, {OP_ACQUIRE, 0, 2, 0, 1, 4}, {OP_RELEASE, 1, 1, 0, 2, 3}));
    refused(HISTORY(HISTORY_SEM, 0, false, {OP_RELEASE, 0, 2, 0, 1, 2}, {OP_TRY_ACQUIRE, 1, 2, 1, 3, 4},
                    {OP_TRY_ACQUIRE, 1, 1, 1, 5, 6}));
    /* A try may fail behind who waits for more; not when nobody can have waited. */
    explained(HISTORY(HISTORY_SEM, 0, false, {OP_RELEASE, 0, 1, 0, 1, 2}, {OP_ACQUIRE, 1, 2, 0, 3, 8},
                      {OP_TRY_ACQUIRE, 2, 1, 0, 4, 5}, {OP_RELEASE, 0, 1, 0, 6, 7}));
    refused(HISTORY(HISTORY_SEM, 0, false, {OP_RELEASE, 0, 1, 0, 1, 2}, {OP_TRY_ACQUIRE, 2, 1, 0, 3, 4}));
}

TEST(history, an_event_lets_go_while_it_is_set)
{
    explained(HISTORY(HISTORY_EVENT, 0, false, {OP_WAIT, 0, 1, 0, 1, 6}, {OP_SET, 1, 1, 0, 2, 3},
                      {OP_CLEAR, 1, 1, 0, 4, 5}));
    refused(HISTORY(HISTORY_EVENT, 0, false, {OP_WAIT, 0, 1, 0, 1, 2}, {OP_SET, 1, 1, 0, 3, 4}));
    refused(HISTORY(HISTORY_EVENT, 0, false, {OP_SET, 1, 1, 0, 1, 2}, {OP_CLEAR, 1, 1, 0, 3, 4},
                    {OP_WAIT, 0, 1, 0, 5, 6}));
    refused(HISTORY(HISTORY_EVENT, 0, false, {OP_SET, 1, 1, 0, 1, 2}, {OP_IS_SET, 0, 1, 0, 3, 4}));
}

TEST(history, a_future_is_fulfilled_once)
{
    explained(HISTORY(HISTORY_FUTURE, 0, false, {OP_AWAIT, 0, 7, 0, 1, 6}, {OP_FULFIL, 1, 7, 0, 2, 3},
                      {OP_FULFIL, 2, 8, -EALREADY, 4, 5}));
    refused(HISTORY(HISTORY_FUTURE, 0, false, {OP_FULFIL, 1, 7, 0, 1, 2}, {OP_FULFIL, 2, 8, 0, 3, 4}));
    refused(HISTORY(HISTORY_FUTURE, 0, false, {OP_FULFIL, 1, 7, 0, 1, 2}, {OP_AWAIT, 0, 8, 0, 3, 4}));
    refused(HISTORY(HISTORY_FUTURE, 0, false, {OP_FULFIL, 1, 7, 0, 1, 2}, {OP_DONE, 0, 7, 0, 3, 4}));
    refused(HISTORY(HISTORY_FUTURE, 0, false, {OP_AWAIT, 0, 7, 0, 1, 2}, {OP_FULFIL, 1, 7, 0, 3, 4}));
}

/* Twelve at once, of which no order is right until all have been tried: the memory of dead ends bounds it. */
TEST(history, the_longest_search_ends)
{
    struct history h = {.type = HISTORY_CHAN, .capacity = 6, .count = HISTORY_OPS_MAX};
    for (uint8_t i = 0; i < HISTORY_OPS_MAX; i++)
        h.op[i] = (struct history_op){i < 6 ? OP_SEND : OP_RECV, i, (uint8_t)(i < 6 ? i + 1 : i - 5), 0, i + 1u,
                                      100u + i};
    explained(h);
    h.op[11].item = 50; /* nobody sent it */
    refused(h);
}
