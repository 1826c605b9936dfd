/* litmus.c - what the two checkers take C11 for: small programs, each with something that a finish or a read denies.
 *
 * tests/relacy/run runs them under both, and who finds what must be as it says here; docs/design/model.md relies on it.
 * What C11 (or C++20, where they differ) forbids must be found by neither, and of what it allows as much as possible:
 *
 *   found by both: message_relaxed buffering buffering_of_exchanges independent_reads
 *   found by the model checker: own_store_goes_on many_old_values failed_exchange_is_old fence_is_no_handover
 *   found by Relacy:
 *   found by neither, being forbidden: message message_by_fences buffering_fenced buffering_seq_cst exchange_goes_on
 *   found by neither, being forbidden: coherence independent_reads_seq_cst
 *   found by neither, being allowed: load_buffering crossed_stores */
#include "tests/model/model.h"

#include "runtime/platform/atomic.h"

static int data; /* plain */
static WF_ATOMIC(int) x, y;
static int seen[4]; /* by thread */

static unsigned me(void)
{
    return model_self() - 1;
}

/* ---- data is handed over by x ---- */

static void send(void)
{
    data = 1;
    wf_store(&x, 1, release);
}

static void send_relaxed(void)
{
    data = 1;
    wf_store(&x, 1, relaxed);
}

static void send_fenced(void)
{
    data = 1;
    wf_fence();
    wf_store(&x, 1, relaxed);
}

static void receive(void)
{
    if (wf_load(&x, acquire))
        model_check(data == 1);
}

static void receive_fenced(void)
{
    if (wf_load(&x, relaxed)) {
        wf_fence();
        model_check(data == 1);
    }
}

MODEL(message, .threads = {send, receive}, .outdated = -1)
MODEL(message_relaxed, .threads = {send_relaxed, receive}, .outdated = -1)
MODEL(message_by_fences, .threads = {send_fenced, receive_fenced}, .outdated = -1)

/* ---- and by what comes after that store: an exchange by anybody, or (until C++20) a store of the same thread ---- */

static void exchange(void)
{
    int one = 1;
    wf_cas(&x, &one, 2, relaxed);
}

static void send_and_store(void)
{
    send();
    wf_store(&x, 2, relaxed);
}

static void receive_second(void)
{
    if (wf_load(&x, acquire) == 2)
        model_check(data == 1);
}

MODEL(exchange_goes_on, .threads = {send, exchange, receive_second}, .outdated = -1)
MODEL(own_store_goes_on, .threads = {send_and_store, receive_second}, .outdated = -1)

/* ---- fences order what others see of atomics; data they hand over only where one reads what the other wrote ---- */

static void pass_on(void)
{
    if (wf_load(&x, relaxed))
        wf_store(&y, 1, relaxed);
}

static void receive_passed_on(void)
{
    if (wf_load(&y, relaxed)) {
        wf_fence();
        model_check(data == 1);
    }
}

MODEL(fence_is_no_handover, .threads = {send_fenced, pass_on, receive_passed_on}, .outdated = -1)

/* ---- each writes one and reads the other: not both may be late ---- */

static WF_ATOMIC(int) *mine(void)
{
    return me() == 0 ? &x : &y;
}

static WF_ATOMIC(int) *theirs(void)
{
    return me() == 0 ? &y : &x;
}

static void store_and_look(void)
{
    wf_store(mine(), 1, release);
    seen[me()] = wf_load(theirs(), acquire);
}

static void exchange_and_look(void)
{
    wf_swap(mine(), 1, acq_rel);
    seen[me()] = wf_load(theirs(), acquire);
}

static void store_fence_look(void)
{
    wf_store(mine(), 1, relaxed);
    wf_fence();
    seen[me()] = wf_load(theirs(), relaxed);
}

static void store_and_look_seq_cst(void)
{
    wf_store(mine(), 1, seq_cst);
    seen[me()] = wf_load(theirs(), seq_cst);
}

static void one_has_seen(void)
{
    model_check(seen[0] || seen[1]);
}

MODEL(buffering, .threads = {store_and_look, store_and_look}, .finish = one_has_seen, .outdated = -1)
MODEL(buffering_of_exchanges, .threads = {exchange_and_look, exchange_and_look}, .finish = one_has_seen, .outdated = -1)
MODEL(buffering_fenced, .threads = {store_fence_look, store_fence_look}, .finish = one_has_seen, .outdated = -1)
MODEL(buffering_seq_cst, .threads = {store_and_look_seq_cst, store_and_look_seq_cst}, .finish = one_has_seen,
      .outdated = -1)

/* ---- each reads one and writes the other: both may be early, by C11 ---- */

static void look_and_store(void)
{
    seen[me()] = wf_load(theirs(), relaxed);
    wf_store(mine(), 1, relaxed);
}

static void one_has_not_seen(void)
{
    model_check(!seen[0] || !seen[1]);
}

MODEL(load_buffering, .threads = {look_and_store, look_and_store}, .finish = one_has_not_seen, .outdated = -1)

/* ---- each writes both: each one's first may be the last, by C11 ---- */

static void store_both(void)
{
    wf_store(mine(), 1, relaxed);
    wf_store(theirs(), 2, relaxed);
}

static void not_both_first(void)
{
    model_check(wf_load(&x, relaxed) == 2 || wf_load(&y, relaxed) == 2);
}

MODEL(crossed_stores, .threads = {store_both, store_both}, .finish = not_both_first, .outdated = -1)

/* ---- two write, two look: in which order? ---- */

static void write_mine(void)
{
    wf_store(mine(), 1, release);
}

static void write_mine_seq_cst(void)
{
    wf_store(mine(), 1, seq_cst);
}

static void look(void)
{
    seen[me()] = wf_load(me() == 2 ? &x : &y, acquire) && !wf_load(me() == 2 ? &y : &x, acquire);
}

static void look_seq_cst(void)
{
    seen[me()] = wf_load(me() == 2 ? &x : &y, seq_cst) && !wf_load(me() == 2 ? &y : &x, seq_cst);
}

static void they_agree(void)
{
    model_check(!seen[2] || !seen[3]);
}

MODEL(independent_reads, .threads = {write_mine, write_mine, look, look}, .finish = they_agree, .outdated = -1)
MODEL(independent_reads_seq_cst, .threads = {write_mine_seq_cst, write_mine_seq_cst, look_seq_cst, look_seq_cst},
      .finish = they_agree, .outdated = -1)

/* ---- how old a value may be ---- */

static void count_up(void)
{
    for (int n = 1; n <= 4; n++)
        wf_store(&x, n, relaxed);
    wf_store(&y, 1, relaxed);
}

static void not_very_old(void)
{
    if (wf_load(&y, relaxed))
        model_check(wf_load(&x, relaxed) > 1);
}

static void never_older(void)
{
    int before = wf_load(&x, relaxed);
    model_check(wf_load(&x, relaxed) >= before);
}

static void fail_to_exchange(void)
{
    int is = 5;
    if (wf_load(&y, relaxed) && !wf_cas(&x, &is, 6, relaxed))
        model_check(is == 4);
}

MODEL(many_old_values, .threads = {count_up, not_very_old}, .outdated = -1)
MODEL(coherence, .threads = {count_up, never_older}, .outdated = -1)
MODEL(failed_exchange_is_old, .threads = {count_up, fail_to_exchange}, .outdated = -1)
