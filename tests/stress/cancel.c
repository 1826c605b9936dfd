/* cancel.c - stops that hit tasks in every kind of wait, from every side.
 *
 * Each round opens a scope, starts tasks that wait for all sorts of things for ever, over and over, and stops it: by
 * cancelling it from inside, from outside, from a plain thread, by a deadline, by the failure of a task. It must
 * then close. Meanwhile one half of what is waited for does happen, so that events and stops race. */
#include "tests/stress/stress.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { WAITERS = 24 };

struct round {
    weft_scope *scope;
    weft_event event;
    weft_sem sem;
    weft_mutex mutex;
    weft_future future;
    weft_chan *chan;
    int pipe[2];
    WF_ATOMIC(bool) over; /* the stop has come, for certain */
};

struct waiter {
    struct round *round;
    uint64_t seed;
};

static int nap(void *arg)
{
    struct timespec t = {0, (long)(uintptr_t)arg};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    return 7;
}

static int forget_result(int result)
{
    return result > 0 ? 0 : result;
}

static int in_scope_of_its_own(struct round *r, struct wf_random *random)
{
    WEFT_SCOPE(s);
    if (one_in(random, 4))
        weft_scope_set_deadline(&s, weft_after(wf_random_below(random, 40) * WEFT_USEC));
    weft_task *t = weft_spawn(&s, nap, (void *)(uintptr_t)wf_random_below(random, 2000));
    int result = one_in(random, 2) ? weft_event_wait(&r->event) : weft_await(t);
    if (one_in(random, 2))
        return forget_result(result);
    return weft_scope_close(&s);
}

static int select_one(struct round *r, struct wf_random *random)
{
    char item;
    weft_case on[] = {weft_on_recv(r->chan, &item), weft_on_future(&r->future), weft_on_fd(r->pipe[0], 1),
                      weft_on_time(weft_after(wf_random_below(random, 100) * WEFT_USEC))};
    return forget_result(weft_select(on, 4));
}

static int pinned_sleep(int64_t ns)
{
    weft_pin();
    unsigned here = weft_worker();
    int result = weft_sleep(ns);
    CHECK_EQ(weft_worker(), here);
    weft_unpin();
    return result;
}

static int wait_somehow(struct round *r, struct wf_random *random)
{
    char item = 'x';
    int64_t ns = wf_random_below(random, 200) * WEFT_USEC;
    int result;
    switch (wf_random_below(random, 14)) {
    case 0: return weft_sleep(ns);
    case 1: return weft_sleep_until(weft_never());
    case 2: return weft_event_wait(&r->event);
    case 3:
        result = weft_sem_acquire(&r->sem, 1 + wf_random_below(random, 2));
        return result;
    case 4:
        weft_mutex_lock(&r->mutex);
        result = weft_sleep(ns / 8);
        weft_mutex_unlock(&r->mutex);
        return result;
    case 5: return weft_future_await(&r->future, NULL);
    case 6: return weft_chan_send(r->chan, &item);
    case 7: return weft_chan_recv(r->chan, &item);
    case 8: return select_one(r, random);
    case 9: return forget_result((int)weft_read(r->pipe[0], &item, 1));
    case 10: return forget_result(weft_offload(nap, (void *)(uintptr_t)(ns / 10)));
    case 11: return in_scope_of_its_own(r, random);
    case 12: return pinned_sleep(ns);
    default: return weft_yield();
    }
}

/* What a wait says after the stop is a stop, each time: it is a state. */
static int wait_for_ever(void *arg)
{
    struct waiter *w = arg;
    struct wf_random random = {w->seed};
    for (;;) {
        bool over = wf_load(&w->round->over, acquire);
        int result = wait_somehow(w->round, &random);
        stress_count();
        if (over)
            CHECK(is_stop(weft_checkpoint()));
        if (result < 0) {
            if (is_stop(result) && is_stop(weft_checkpoint()))
                return result;
            CHECK(result == -EAGAIN || is_stop(result)); /* -EAGAIN: the pool has no thread */
        }
    }
}

/* Let some of it happen. */
static void happen(struct round *r, struct wf_random *random)
{
    char item = 'y';
    switch (wf_random_below(random, 8)) {
    case 0: weft_event_set(&r->event); break;
    case 1: weft_event_clear(&r->event); break;
    case 2: weft_sem_release(&r->sem, 1); break;
    case 3: weft_future_set(&r->future, r); break;
    case 4: weft_chan_try_send(r->chan, &item, 1); break;
    case 5: weft_chan_try_recv(r->chan, &item, 1); break;
    case 6: CHECK(write(r->pipe[1], &item, 1) == 1 || errno == EAGAIN); break;
    default: weft_yield(); break;
    }
}

static int fail(void *arg)
{
    (void)arg;
    int result = weft_sleep(20 * WEFT_USEC);
    return result < 0 ? result : -EPROTO;
}

static void *cancel_from_thread(void *arg)
{
    struct round *r = arg;
    weft_scope_cancel(r->scope); /* a worker will do it soon */
    return NULL;
}

static int await_thread(void *arg)
{
    weft_blocking_begin();
    CHECK_EQ(pthread_join(*(pthread_t *)arg, NULL), 0);
    weft_blocking_end();
    return 0;
}

/* Stop the round's scope and close it; what close must say then. */
static void stop(struct round *r, weft_scope *s, struct wf_random *random)
{
    pthread_t id;
    switch (wf_random_below(random, 5)) {
    case 0:
        weft_scope_cancel(s);
        wf_store(&r->over, true, release);
        CHECK_EQ(weft_scope_close(s), 0);
        break;
    case 1:
        weft_scope_set_deadline(s, weft_after(wf_random_below(random, 100) * WEFT_USEC));
        CHECK_EQ(weft_scope_close(s), -ETIMEDOUT);
        CHECK(weft_scope_expired(s));
        break;
    case 2:
        CHECK_EQ(weft_go(s, fail, r), 0);
        CHECK_EQ(weft_scope_close(s), -EPROTO);
        break;
    case 3:
        CHECK_EQ(pthread_create(&id, NULL, cancel_from_thread, r), 0);
        CHECK_EQ(weft_go(s, await_thread, &id), 0); /* it keeps s open for the thread */
        CHECK_EQ(weft_scope_close(s), 0);
        break;
    default:
        weft_scope_leave(s);
        break;
    }
}

static void play_round(struct wf_random *random)
{
    struct round r = {.chan = weft_chan_new(wf_random_below(random, 3), 1)};
    struct waiter waiter[WAITERS];
    CHECK_EQ(pipe2(r.pipe, O_CLOEXEC | (one_in(random, 2) ? O_NONBLOCK : 0)), 0);
    {
        WEFT_SCOPE(s);
        r.scope = &s;
        int n = 1 + (int)wf_random_below(random, WAITERS);
        for (int i = 0; i < n; i++) {
            waiter[i] = (struct waiter){&r, wf_random_next(random)};
            CHECK_EQ(weft_go(&s, wait_for_ever, &waiter[i]), 0);
        }
        for (unsigned i = wf_random_below(random, 60); i > 0; i--)
            happen(&r, random);
        stop(&r, &s, random);
    }
    CHECK(weft_mutex_trylock(&r.mutex));
    CHECK_EQ(weft_close(r.pipe[0]), 0);
    CHECK_EQ(weft_close(r.pipe[1]), 0);
    weft_chan_free(r.chan);
}

static int play(void *arg)
{
    (void)arg;
    struct wf_random random = stress_random();
    while (!stress_over()) {
        play_round(&random);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    return 0;
}

static int start_playing(void *arg)
{
    WEFT_SCOPE(s);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(weft_go(&s, play, arg), 0);
    return weft_scope_close(&s);
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, "cancel", start_playing);
}
