/* inbox.c - tasks that reach a worker from other threads (runtime/inbox.h).
 *
 * What must hold: each is taken once, whole, and those of one sender in the order in which it sent them, whoever takes.
 *
 *   with: WF_LOCK_SPINS=1 */
#include "tests/model/model.h"

#include "runtime/inbox.h"

static struct wf_inbox inbox;
static weft_task task[4];

static void send(int n)
{
    task[n].result = 1;
    wf_inbox_push(&inbox, &task[n]);
}

static void send_one(void)
{
    send(model_self() == 1 ? 0 : 2);
}

static void sender(void)
{
    int first = model_self() == 1 ? 0 : 2;
    send(first);
    send(first + 1);
}

static void take(void)
{
    int before[2] = {-1, -1};
    for (weft_task *t = wf_inbox_take(&inbox), *next; t; t = next) {
        int n = (int)(t - task);
        next = t->next;
        model_check(n > before[n / 2]);
        before[n / 2] = n;
        model_check(t->result == 1);
        t->result = 2;
        t->next = NULL;
    }
}

static void take_twice(void)
{
    take();
    take();
}

static void finish(void)
{
    take();
    for (int i = 0; i < 4; i++)
        model_check(task[i].result == 2);
}

static void finish_two(void)
{
    take();
    model_check(task[0].result == 2 && task[2].result == 2);
}

MODEL(inbox_two_senders, .threads = {send_one, send_one, take_twice}, .finish = finish_two, .bound = 3,
      .outdated = -1, .spurious = 2)
MODEL(inbox_two_takers, .threads = {send_one, send_one, take, take}, .finish = finish_two, .bound = 3, .outdated = -1)
MODEL(inbox_in_order, .threads = {sender, sender, take_twice}, .finish = finish, .bound = 2, .outdated = -1)
