/* select.c - wait for the first of several (sync/select.c): channels, a future, time; against close and stop.
 *
 * Real: sync/select.c, sync/chan.c, sync/future.c, sync/waitq.c, runtime/timer.c and what is below them. Stand-ins:
 * what tests/model/tasks.h says; and chance, which is a choice that the checker tries all of, so that every case comes
 * first.
 *
 * What must hold: one case takes effect and the others leave no trace: what was not received is still there for
 * others, what was not sent is still ours; nobody waits who could go on; nobody is left in a list. */
#include "tests/model/tasks.h"

#include "runtime/platform/random.h"
#include "runtime/timer.c"
#include "sync/chan.c"
#include "sync/select.c"
#include "sync/waitq.c"

enum { A, B, CHANNELS };

static weft_chan *chan[CHANNELS];
static uint64_t in[CHANNELS], out[CHANNELS]; /* sums of items; plain, each channel's own, by one thread each */
static int chosen = -1;
static struct wf_wheel wheel;

uint32_t wf_random_here(uint32_t n)
{
    return n <= CHANNELS ? model_choose(n) : 0; /* which case comes first; how long a pause is does not matter */
}

/* ---- what sync/select.c asks of tasks: no model here has a case on one ---- */

bool wf_task_ready(weft_task *t, int *ret)
{
    model_fail("task %p is asked for %p", (void *)t, (void *)ret);
}

bool wf_task_enqueue(weft_task *t, weft_waiter *r)
{
    model_fail("task %p is asked for %p", (void *)t, (void *)r);
}

bool wf_task_dequeue(weft_task *t, weft_waiter *r)
{
    model_fail("task %p is asked for %p", (void *)t, (void *)r);
}

weft_time weft_never(void)
{
    return (weft_time){INT64_MAX};
}

struct wf_wheel *wf_worker_wheel(void)
{
    return &wheel;
}

/* ---- */

static void setup_capacity(size_t n)
{
    task_open(1);
    task_open(2);
    for (int i = 0; i < CHANNELS; i++)
        chan[i] = weft_chan_new(n, sizeof(uint64_t));
    wf_wheel_open(&wheel, wf_clock_now());
}

static void setup_0(void)
{
    setup_capacity(0);
}

static void setup_1(void)
{
    setup_capacity(1);
}

static void finish(void)
{
    tasks_check();
    for (int i = 0; i < CHANNELS; i++) {
        model_check(!chan[i]->senders.first && !chan[i]->receivers.first);
        uint64_t item, left = 0;
        while (weft_chan_try_recv(chan[i], &item, sizeof item) == 0)
            left += item;
        model_check(in[i] == out[i] + left);
        weft_chan_free(chan[i]);
    }
    model_check(wf_load(&wheel.next_ns, relaxed) == INT64_MAX || wheel.occupied[0] == 0);
}

static void try_to_send(int n)
{
    uint64_t item = 1 + (uint64_t)n;
    int err = weft_chan_try_send(chan[n], &item, sizeof item);
    model_check(err == 0 || err == -EAGAIN || err == -EPIPE);
    if (!err)
        in[n] += item;
}

static void try_to_send_a(void)
{
    try_to_send(A);
}

static void try_to_send_b(void)
{
    try_to_send(B);
}

/* Select on receiving from both; may_end: a result of the case, or of the select, that is allowed besides 0. */
static void receive_from_either(int may_end)
{
    task_begin();
    uint64_t item[CHANNELS] = {0, 0};
    weft_case on[] = {weft_on_recv(chan[A], &item[A]), weft_on_recv(chan[B], &item[B])};
    chosen = weft_select(on, 2);
    if (chosen < 0) {
        model_check(chosen == may_end && !item[A] && !item[B]);
        return;
    }
    model_check(chosen < CHANNELS && item[!chosen] == 0);
    if (on[chosen].result == 0) {
        model_check(item[chosen] == 1 + (uint64_t)chosen);
        out[chosen] += item[chosen];
    } else {
        model_check(on[chosen].result == may_end && item[chosen] == 0);
    }
}

/* ---- two at once ---- */

static void receive_one(void)
{
    receive_from_either(0);
}

MODEL(select_two_at_once, .setup = setup_1, .threads = {receive_one, try_to_send_a, try_to_send_b}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- against a close ---- */

static void receive_or_closed(void)
{
    receive_from_either(-EPIPE);
}

static void close_a(void)
{
    weft_chan_close(chan[A]);
}

MODEL(select_close, .setup = setup_0, .threads = {receive_or_closed, close_a, try_to_send_b}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- against a stop: either it took effect, or nothing did ---- */

static void receive_or_stop(void)
{
    receive_from_either(-ECANCELED);
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

MODEL(select_stop, .setup = setup_0, .threads = {receive_or_stop, stop, try_to_send_b}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- send or receive: the loser keeps its item ---- */

static void send_or_receive(void)
{
    task_begin();
    uint64_t item[CHANNELS] = {1, 0};
    weft_case on[] = {weft_on_send(chan[A], &item[A]), weft_on_recv(chan[B], &item[B])};
    chosen = weft_select(on, 2);
    model_check(chosen >= 0 && on[chosen].result == 0);
    if (chosen == A)
        in[A] += 1;
    else
        out[B] += item[B];
    model_check(item[B] == (chosen == B ? 2 : 0));
}

static void receive_a_or_give_b(void)
{
    uint64_t item = 0;
    int err = weft_chan_try_recv(chan[A], &item, sizeof item);
    model_check(err == 0 || err == -EAGAIN);
    if (!err)
        out[A] += item;
    else
        try_to_send_b();
    weft_chan_close(chan[B]); /* it may have met nobody */
}

static void send_or_receive_or_closed(void)
{
    task_begin();
    uint64_t item[CHANNELS] = {1, 0};
    weft_case on[] = {weft_on_send(chan[A], &item[A]), weft_on_recv(chan[B], &item[B])};
    chosen = weft_select(on, 2);
    model_check(chosen == A ? on[A].result == 0 : on[B].result == 0 || on[B].result == -EPIPE);
    if (chosen == A)
        in[A] += 1;
    else if (on[B].result == 0)
        out[B] += item[B];
    model_check(item[B] == (chosen == B && on[B].result == 0 ? 2 : 0));
}

MODEL(select_send_or_receive, .setup = setup_0, .threads = {send_or_receive_or_closed, receive_a_or_give_b},
      .finish = finish, .spurious = -1, .stale = 1, .bound = 3)

/* ---- two selects that offer each other two exchanges: one is made ---- */

static int other = -1;

static void receive_or_send(void)
{
    task_begin();
    uint64_t item[CHANNELS] = {0, 2};
    weft_case on[] = {weft_on_send(chan[B], &item[B]), weft_on_recv(chan[A], &item[A])};
    other = weft_select(on, 2);
    model_check(other >= 0 && on[other].result == 0);
    if (other == 0)
        in[B] += 2;
    else
        out[A] += item[A];
    model_check(item[A] == (other == 1 ? 1 : 0));
}

static void finish_exchange(void)
{
    model_check(chosen == !other); /* A is the first one's case 0, and the second one's case 1 */
    finish();
}

MODEL(select_select, .setup = setup_0, .threads = {send_or_receive, receive_or_send}, .finish = finish_exchange,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- time ---- */

static void receive_or_time(void)
{
    task_begin();
    uint64_t item = 0;
    weft_case on[] = {weft_on_recv(chan[B], &item), weft_on_time((weft_time){wf_clock_now() + 1000})};
    chosen = weft_select(on, 2);
    model_check(chosen >= 0 && on[chosen].result == 0);
    model_check((chosen == 0) == (item == 2));
    out[B] += item;
}

static void expire(void)
{
    wf_wheel_expire(&wheel, wf_clock_now() + 100000);
}

static void send_certainly(void)
{
    uint64_t item = 2;
    int err = weft_chan_send(chan[B], &item);
    model_check(err == 0);
    in[B] += item;
}

MODEL(select_time, .setup = setup_1, .threads = {receive_or_time, expire, send_certainly}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)
