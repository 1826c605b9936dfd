/* wait.c - the word that decides how a wait ends (runtime/wait.h), against everything that ends it.
 *
 * Objects are as small as can be: a lock, a place for one waiter, and what is handed over (`payload`, plain). Real are
 * the word, arming, parking, firing, interrupting and stopping (runtime/stop.c); workers are tests/model/tasks.h.
 *
 * What must hold: one winner ends a wait, its waiter sees what the winner wrote before, it runs again once and is not
 * forgotten, wherever it was between arming and parking; what comes late is refused, by the ticket; a stop is
 * seen by the arming task, or sees it; a plain thread may be gone as soon as it was fired. */
#define TASKS_OPERATE
#include "tests/model/tasks.h"

enum { OBJECTS = 3 };

struct object {
    struct wf_lock lock; /* for all below */
    weft_waiter *waiter;
    unsigned ready; /* fires that met nobody */
    int payload;
};

static struct object object[OBJECTS];
static weft_waiter waiter[OBJECTS];

static void setup(void)
{
    task_open(1);
}

static void finish(void)
{
    tasks_check();
}

static void enqueue(unsigned n, weft_waiter *r, struct wf_wait *w)
{
    wf_waiter_init(r, w, n);
    object[n].waiter = r;
}

/* With the word's owner wherever it may be. */
static void fire(unsigned n)
{
    struct object *o = &object[n];
    wf_lock(&o->lock);
    o->payload++;
    if (o->waiter && wf_fire(o->waiter, 10 + (int)n)) {
        o->waiter = NULL;
    } else {
        o->ready++;
    }
    wf_unlock(&o->lock);
}

/* Wait for one object; the caller's wait cannot be stopped. */
static void await(unsigned n, weft_waiter *r)
{
    struct object *o = &object[n];
    struct wf_wait *w = wf_wait_self();
    wf_lock(&o->lock);
    if (o->ready) {
        o->ready--;
        wf_unlock(&o->lock);
        return;
    }
    int err = wf_wait_arm(w, WF_WAIT_PARKED); /* as whoever waits in line does; without others it is that */
    model_check(err == 0);
    enqueue(n, r, w);
    wf_unlock(&o->lock);
    unsigned index = wf_wait_suspend(w);
    model_check(index == n);
    model_check(r->result == 10 + (int)n);
}

/* ---- park against fire, twice in a row ---- */

static void wait_once(void)
{
    task_begin();
    await(0, &waiter[0]);
}

static void wait_twice(void)
{
    task_begin();
    await(0, &waiter[0]);
    await(0, &waiter[0]);
}

static void fire_first(void)
{
    fire(0);
}

static void fire_twice(void)
{
    fire(0);
    fire(0);
}

static void finish_twice(void)
{
    finish();
    model_check(object[0].ready == 0 && object[0].payload == 2);
}

MODEL(wait_park, .setup = setup, .threads = {wait_once, fire_first}, .finish = finish, .bound = 4)
MODEL(wait_park_twice, .setup = setup, .threads = {wait_twice, fire_twice}, .finish = finish_twice, .bound = 3)

/* The same in a runtime of one worker, whose tasks plain threads fire. */
static void setup_alone(void)
{
    home.queue.alone = true;
    setup();
}

MODEL(wait_alone, .setup = setup_alone, .threads = {wait_once, fire_first}, .finish = finish, .bound = 4)
MODEL(wait_alone_twice, .setup = setup_alone, .threads = {wait_twice, fire_twice}, .finish = finish_twice, .bound = 3)

/* ---- two objects, one winner; the loser is late, and perhaps finds the next wait ---- */

static void setup_two(void)
{
    task_open(1);
    int err = wf_wait_arm(&task[1].wait, 0);
    model_check(err == 0);
    enqueue(0, &waiter[0], &task[1].wait);
    enqueue(1, &waiter[1], &task[1].wait);
}

static void wait_for_two(void)
{
    weft_task *t = task_begin();
    unsigned index = wf_wait_suspend(&t->wait);
    model_check(index < 2);
    model_check(waiter[index].result == 10 + (int)index);
    model_check(object[index].payload == 1); /* written before the fire, and not again */
    await(2, &waiter[2]);
}

static void fire_second_and_third(void)
{
    fire(1);
    fire(2);
}

static void finish_two(void)
{
    finish();
    model_check(object[0].ready + object[1].ready == 1);
    model_check(object[2].ready == 0);
}

MODEL(wait_old_ticket, .setup = setup_two, .threads = {wait_for_two, fire_first, fire_second_and_third},
      .finish = finish_two, .spurious = -1, .stale = 1, .bound = 3)

/* ---- in two steps, with a hand-over in between; against a fire and a stop ---- */

static int handed;      /* plain: where the claimer copies to */
static bool claimed;    /* by the claimer */

static void claim_first(void)
{
    struct object *o = &object[0];
    wf_lock(&o->lock);
    weft_waiter *r = o->waiter;
    bool mine = r && wf_fire_claim(r);
    if (mine)
        o->waiter = NULL;
    wf_unlock(&o->lock);
    if (mine) {
        claimed = true;
        handed = 5;
        wf_fire_claimed(r, 10);
    }
}

static void stop(void)
{
    wf_task_stop(&task[1]);
}

/* As the objects of sync/ do: arm, enqueue, suspend; whoever was not fired takes itself out. */
static void wait_stoppable(void)
{
    struct object *o = &object[0];
    weft_task *t = task_begin();
    wf_lock(&o->lock);
    int err = wf_wait_arm(&t->wait, WF_WAIT_STOPPABLE);
    if (err) {
        wf_unlock(&o->lock);
        model_check(err == -ECANCELED);
        return;
    }
    weft_waiter me;
    enqueue(0, &me, &t->wait);
    wf_unlock(&o->lock);
    unsigned index = wf_wait_suspend(&t->wait);
    if (index == WF_WAIT_STOPPED) {
        wf_lock(&o->lock);
        o->waiter = NULL;
        wf_unlock(&o->lock);
        model_check(wf_wait_stop_reason() == -ECANCELED);
        model_check(handed == 0);
    } else {
        model_check(index == 0 && me.result == 10);
        model_check(handed == 5 || object[0].payload);
    }
    model_gone(&me, sizeof me);
}

static void finish_claim(void)
{
    finish();
    model_check(object[0].waiter == NULL);
    model_check(handed == (claimed ? 5 : 0));
}

MODEL(wait_claim_stop, .setup = setup, .threads = {wait_stoppable, claim_first, stop}, .finish = finish_claim,
      .spurious = -1, .stale = 1, .bound = 3)

static void wait_for_claim_or_fire(void)
{
    weft_task *t = task_begin();
    unsigned index = wf_wait_suspend(&t->wait);
    model_check(waiter[index].result == 10 + (int)index);
    model_check(index == 0 ? handed == 5 : object[1].payload == 1);
}

static void fire_second(void)
{
    fire(1);
}

static void finish_claim_or_fire(void)
{
    finish();
    model_check(handed == (claimed ? 5 : 0));
    model_check(claimed == (object[1].ready == 1));
}

MODEL(wait_claim_fire, .setup = setup_two, .threads = {wait_for_claim_or_fire, claim_first, fire_second},
      .finish = finish_claim_or_fire, .spurious = -1, .stale = 1, .bound = 3)

/* ---- stops: nobody else ends the wait ---- */

MODEL(wait_stop, .setup = setup, .threads = {wait_stoppable, stop}, .finish = finish, .bound = 4)

/* The task is found by its scope's list, which it enters only now. */
static void setup_unlisted(void)
{
    task_open(1);
    task[1].listed = false;
}

static void stop_family(void)
{
    wf_scope_stop(&family, -ECANCELED);
}

MODEL(wait_scope_stop, .setup = setup_unlisted, .threads = {wait_stoppable, stop_family}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 3)
MODEL(wait_stop_twice, .setup = setup_unlisted, .threads = {wait_stoppable, stop_family, stop}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- a kernel's operation: a stop cancels it, its completion ends the wait ---- */

static WF_ATOMIC(unsigned) submitted, cancelled; /* names of operations: the last of each */
static unsigned over;                            /* by the kernel */
enum { NO_MORE = 3 };

static void setup_operation(void)
{
    task_open(1);
    wf_store(&task[1].op.driver, (struct wf_driver *)&over, relaxed);
}

void wf_op_interrupt(weft_task *t, uint64_t user_data, void *driver)
{
    model_check(t == &task[1] && driver == &over);
    wf_store(&cancelled, (unsigned)user_data, release);
}

static bool operate(weft_task *t, unsigned name)
{
    wf_store(&t->op.user_data, name, relaxed);
    if (wf_wait_arm(&t->wait, WF_WAIT_OPERATION))
        return false;
    wf_store(&submitted, name, release);
    unsigned index = wf_wait_suspend(&t->wait);
    model_check(index == 0 && t->result == (int)name);
    return true;
}

static void two_operations(void)
{
    weft_task *t = task_begin();
    bool second = operate(t, 1) && operate(t, 2);
    model_check(second || wf_wait_stop_reason() == -ECANCELED);
    wf_store(&submitted, NO_MORE, release);
}

/* The first operation ends by itself; the second one only when it is cancelled. */
MODEL_PLAIN static bool kernel_can(void *arg)
{
    unsigned now = *(unsigned *)&submitted;
    (void)arg;
    return now != over && (now != 2 || *(unsigned *)&cancelled == now);
}

static void kernel(void)
{
    for (;;) {
        model_block(kernel_can, NULL, INT64_MAX, "requests");
        unsigned now = wf_or(&submitted, 0, acquire); /* the latest */
        if (now == NO_MORE)
            return;
        over = now;
        task[1].result = (int)now;
        bool fired = wf_fire_task(&task[1]);
        model_check(fired);
    }
}

MODEL(wait_operation, .setup = setup_operation, .threads = {two_operations, kernel, stop}, .finish = finish,
      .spurious = -1, .stale = 1, .bound = 2)

/* ---- a plain thread: its word goes with it ---- */

static void thread_waits(void)
{
    weft_waiter me;
    await(0, &me);
}

MODEL(wait_thread, .threads = {thread_waits, fire_first}, .finish = finish, .spurious = -1, .stale = 1, .bound = 3)
MODEL(wait_threads, .threads = {thread_waits, fire_first, fire_first}, .finish = finish, .spurious = -1, .stale = 1,
      .bound = 2)
