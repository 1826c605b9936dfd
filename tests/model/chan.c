/* chan.c - a bounded queue of items (sync/chan.c): tasks and plain threads send, receive, close, and are told to stop.
 *
 * Real: sync/chan.c, sync/waitq.c and what is below them; the rest is in tests/model/tasks.h.
 *
 * What must hold: what one has sent another has received, or it is in the ring: nothing lost, nothing twice, in the
 * order of each sender; a call that fails has sent or taken nothing; whoever can go on does, all end once it is closed;
 * nobody is left in a list; the receiver of the last item may free the channel. */
#include "tests/model/tasks.h"

#include "sync/chan.c"
#include "sync/waitq.c"

static weft_chan *chan;
static uint64_t sent[MODEL_THREADS_MAX], received[MODEL_THREADS_MAX]; /* sums; plain, each thread's own */

static void setup_capacity(size_t n)
{
    task_open(1);
    chan = weft_chan_new(n, sizeof(uint64_t));
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
    uint64_t item, left = 0;
    while (weft_chan_try_recv(chan, &item, sizeof item) == 0)
        left += item;
    uint64_t in = 0, out = 0;
    for (int i = 0; i < MODEL_THREADS_MAX; i++) {
        in += sent[i];
        out += received[i];
    }
    model_check(in == out + left);
    model_check(!chan->senders.first && !chan->receivers.first);
    weft_chan_free(chan);
}

static int send(uint64_t item)
{
    int err = weft_chan_send(chan, &item);
    if (!err)
        sent[model_self()] += item;
    item = 0; /* it was copied */
    return err;
}

static int receive(void)
{
    uint64_t item = 0;
    int err = weft_chan_recv(chan, &item);
    model_check((err == 0) == (item != 0));
    received[model_self()] += item;
    return err;
}

/* ---- in order, with room for one, or none ---- */

static void send_two(void)
{
    task_begin();
    int err = send(1);
    model_check(err == 0);
    err = send(2);
    model_check(err == 0);
}

static void receive_two(void)
{
    for (uint64_t i = 1; i <= 2; i++) {
        uint64_t item = 0;
        int err = weft_chan_recv(chan, &item);
        model_check(err == 0 && item == i);
        received[model_self()] += item;
    }
}

MODEL(chan_in_order, .setup = setup_1, .threads = {send_two, receive_two}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(chan_in_order_by_hand, .setup = setup_0, .threads = {send_two, receive_two}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- two senders ---- */

static void send_one(void)
{
    if (model_self() == 1)
        task_begin();
    int err = send(model_self());
    model_check(err == 0);
}

static void send_another(void)
{
    send_one();
}

static void receive_any_two(void)
{
    int err = receive();
    model_check(err == 0);
    err = receive();
    model_check(err == 0);
}

MODEL(chan_two_senders, .setup = setup_1, .threads = {send_one, send_another, receive_any_two}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(chan_two_senders_by_hand, .setup = setup_0, .threads = {send_one, send_another, receive_any_two},
      .finish = finish, .spurious = -1, .stale = 1, .bound = 2)

/* ---- close ---- */

static void send_or_not(void)
{
    task_begin();
    int err = send(1);
    model_check(err == 0 || err == -EPIPE);
}

static void receive_all(void)
{
    int err;
    while ((err = receive()) == 0)
        continue;
    model_check(err == -EPIPE);
}

static void close_it(void)
{
    weft_chan_close(chan);
}

static void finish_closed(void)
{
    finish();
    model_check(sent[1] == received[2]); /* what is queued can still be read */
}

MODEL(chan_close, .setup = setup_1, .threads = {send_or_not, receive_all, close_it}, .finish = finish_closed,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(chan_close_by_hand, .setup = setup_0, .threads = {send_or_not, receive_all, close_it}, .finish = finish_closed,
      .spurious = -1, .stale = 1, .bound = 2)

/* Nobody receives: who waits to send ends all the same. */
static void setup_full(void)
{
    setup_1();
    int err = send(8);
    model_check(err == 0);
}

static void send_in_vain(void)
{
    task_begin();
    int err = send(1);
    model_check(err == -EPIPE);
}

MODEL(chan_close_full, .setup = setup_full, .threads = {send_in_vain, close_it}, .finish = finish, .bound = 3)

/* ---- a receiver, a sender, that is told to stop while it is handed something ---- */

static void receive_or_stop(void)
{
    task_begin();
    int err = receive();
    model_check(err == 0 || err == -ECANCELED);
}

static void try_to_send(void)
{
    uint64_t item = 4;
    int err = weft_chan_try_send(chan, &item, sizeof item);
    model_check(err == 0 || err == -EAGAIN);
    if (!err)
        sent[model_self()] += 4;
}

static void send_or_stop(void)
{
    task_begin();
    int err = send(1);
    model_check(err == 0 || err == -ECANCELED);
}

static void try_to_receive(void)
{
    uint64_t item = 0;
    int err = weft_chan_try_recv(chan, &item, sizeof item);
    model_check(err == 0 || err == -EAGAIN);
    received[model_self()] += item;
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

MODEL(chan_stop_receiver, .setup = setup_0, .threads = {receive_or_stop, try_to_send, stop}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(chan_stop_sender, .setup = setup_0, .threads = {send_or_stop, try_to_receive, stop}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)
MODEL(chan_stop_sender_of_full, .setup = setup_full, .threads = {send_or_stop, try_to_receive, stop}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* The one in front of it was stopped: the item goes to the next, who is not forgotten. */
static void receive_for_certain(void)
{
    int err = receive();
    model_check(err == 0);
}

static void stop_and_send(void)
{
    stop();
    int err = send(1);
    model_check(err == 0);
    err = send(2);
    model_check(err == 0);
}

static void finish_next(void)
{
    model_check(received[1] || received[2] == 1);
    finish();
}

MODEL(chan_next_in_line, .setup = setup_1, .threads = {receive_or_stop, receive_for_certain, stop_and_send},
      .finish = finish_next, .spurious = -1, .stale = 1, .bound = 2)

/* ---- freed by the receiver of the last item ---- */

static void receive_and_free(void)
{
    task_begin();
    int err = receive();
    model_check(err == 0);
    weft_chan_free(chan);
}

static void send_last(void)
{
    int err = send(1);
    model_check(err == 0);
}

MODEL(chan_freed, .setup = setup_1, .threads = {receive_and_free, send_last}, .finish = tasks_check, .bound = 3)
MODEL(chan_freed_by_hand, .setup = setup_0, .threads = {receive_and_free, send_last}, .finish = tasks_check, .bound = 3)
