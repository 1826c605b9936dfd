/* object.c - misuse of what tasks share: locks, semaphores, channels, futures, select, waiters. */
#include "tests/death/dies.h"

#include <limits.h>

/* ---- Mutexes ---- */

static weft_mutex mutex;

static int unlock_free(void *arg)
{
    (void)arg;
    weft_mutex_unlock(&mutex);
    return 0;
}

static int lock_again(void *arg)
{
    (void)arg;
    weft_mutex_lock(&mutex);
    weft_mutex_lock(&mutex);
    return 0;
}

static int unlock_of_another(void *arg)
{
    (void)arg;
    weft_mutex_unlock(&mutex);
    return 0;
}

DIES(mutex, free_and_unlocked, unlock_free, "weft_mutex_unlock of a mutex that is not locked")
DIES(mutex, locked_again_by_its_owner, lock_again, "weft_mutex_lock of a mutex that the caller holds")

static int hold_it_meanwhile(void *arg)
{
    weft_mutex_lock(&mutex);
    WEFT_SCOPE(s);
    weft_go_at(&s, unlock_of_another, arg, "stranger\0its.c:7");
    return weft_scope_close(&s);
}

TEST_DIES(mutex, unlocked_by_another_task, "weft_mutex_unlock of a mutex that somebody else holds",
          ", in task stranger (spawned at its.c:7)")
{
    weft_run(&(weft_config){.workers = 1}, hold_it_meanwhile, NULL);
}

TEST_DIES(mutex, unlocked_by_a_thread_that_has_it_not, "weft_mutex_unlock of a mutex that is not locked")
{
    weft_mutex_unlock(&mutex);
}

/* ---- Semaphores ---- */

static weft_sem sem;

static int release_too_many(void *arg)
{
    (void)arg;
    weft_sem_release(&sem, UINT_MAX);
    weft_sem_release(&sem, 1);
    return 0;
}

static int acquire_all(void *arg)
{
    (void)arg;
    return weft_sem_acquire(&sem, UINT_MAX);
}

/* With somebody waiting it goes another way, under the lock. */
static int release_too_many_under_a_waiter(void *arg)
{
    WEFT_SCOPE(s);
    weft_sem_release(&sem, 2);
    weft_go(&s, acquire_all, arg);
    weft_yield();
    weft_sem_release(&sem, UINT_MAX);
    return weft_scope_close(&s);
}

DIES(sem, released_too_often, release_too_many, "weft_sem_release past UINT_MAX")
DIES(sem, released_too_often_while_waited_for, release_too_many_under_a_waiter, "weft_sem_release past UINT_MAX")

/* ---- Channels ---- */

enum { SEND, RECV, TRY_SEND, TRY_RECV, ON_SEND, ON_RECV, WAYS };

static int way;

static int use_another_size(void *arg)
{
    weft_chan *c = weft_chan_new(1, sizeof(int));
    int64_t item = 0;
    (void)arg;
    switch (way) {
    case SEND: return weft_chan_send(c, &item);
    case RECV: return weft_chan_recv(c, &item);
    case TRY_SEND: return weft_chan_try_send(c, &item, sizeof item);
    case TRY_RECV: return weft_chan_try_recv(c, &item, sizeof item);
    case ON_SEND: weft_on_send(c, &item); break;
    case ON_RECV: weft_on_recv(c, &item); break;
    }
    return 0;
}

static int spawn_one_of_another_size(void *arg)
{
    WEFT_SCOPE(s);
    weft_go_at(&s, use_another_size, arg, "sender\0sender.c:2");
    return weft_scope_close(&s);
}

static void with_another_size(void)
{
    weft_run(&(weft_config){.workers = 1}, spawn_one_of_another_size, NULL);
}

TEST(chan, used_with_another_size)
{
    static const char *const texts[] = {"an item of 8 bytes for a channel of items of 4 bytes",
                                        ", in task sender (spawned at sender.c:2)", NULL};
    for (way = 0; way < WAYS; way++)
        test_dies(with_another_size, texts);
}

static int receive_for_ever(void *chan)
{
    int item;
    return weft_chan_recv(chan, &item);
}

static int send_for_ever(void *chan)
{
    return weft_chan_send(chan, &(int){0});
}

static int free_under(weft_fn fn)
{
    weft_chan *c = weft_chan_new(0, sizeof(int));
    WEFT_SCOPE(s);
    weft_go(&s, fn, c);
    weft_yield();
    weft_chan_free(c);
    return weft_scope_close(&s);
}

static int free_under_receiver(void *arg)
{
    (void)arg;
    return free_under(receive_for_ever);
}

static int free_under_sender(void *arg)
{
    (void)arg;
    return free_under(send_for_ever);
}

DIES(chan, freed_while_received_from, free_under_receiver, "weft_chan_free of a channel that somebody waits for")
DIES(chan, freed_while_sent_to, free_under_sender, "weft_chan_free of a channel that somebody waits for")

/* ---- Futures ---- */

static int fail_with_success(void *arg)
{
    (void)arg;
    return weft_future_fail(&(weft_future){{0}}, 0);
}

static int fail_with_errno(void *arg)
{
    (void)arg;
    return weft_future_fail(&(weft_future){{0}}, EIO);
}

DIES(future, failed_with_success, fail_with_success, "weft_future_fail needs a negated errno, not 0")
DIES(future, failed_with_a_positive_errno, fail_with_errno, "weft_future_fail needs a negated errno, not 5")

/* ---- Select ---- */

static weft_case cases[WEFT_SELECT_MAX + 1];

static int select_none(void *arg)
{
    (void)arg;
    return weft_select(cases, 0);
}

static int select_too_many(void *arg)
{
    (void)arg;
    return weft_select(cases, WEFT_SELECT_MAX + 1);
}

static int select_empty_case(void *arg)
{
    weft_case on[] = {weft_on_time(weft_never()), {0}};
    (void)arg;
    return weft_select(on, 2);
}

static int try_none(void *arg)
{
    (void)arg;
    return weft_try_select(cases, 0);
}

DIES(select, of_no_case, select_none, "weft_select of 0 cases; from 1 to 1024 are possible")
DIES(select, of_too_many_cases, select_too_many, "weft_select of 1025 cases; from 1 to 1024 are possible")
DIES(select, of_a_case_that_is_empty, select_empty_case, "weft_select of an empty case, number 1")
DIES(select, of_no_case_without_waiting, try_none, "weft_select of 0 cases; from 1 to 1024 are possible")

TEST_DIES(select, of_a_time_on_a_plain_thread, "weft_on_time outside a task")
{
    weft_select((weft_case[]){weft_on_time(weft_after(WEFT_SEC))}, 1);
}

/* ---- Waiters: for whoever adds a thing to wait for ---- */

static bool not_ready(weft_case *c)
{
    (void)c;
    return false;
}

/* Lets go of a waiter that it has not claimed. */
static bool wake_unclaimed(weft_case *c, weft_waiter *w)
{
    (void)c;
    weft_wake_claimed(w, 0);
    return true;
}

static int select_a_broken_thing(void *arg)
{
    static const struct weft_waitable how = {not_ready, wake_unclaimed, NULL};
    weft_case on[] = {{.how = &how}};
    (void)arg;
    return weft_select(on, 1);
}

DIES(waiter, let_go_without_a_claim, select_a_broken_thing, "weft_wake_claimed of a waiter that was not claimed")
