/* races.c - programs with one worker, whose tasks never run at once, and what ThreadSanitizer must make of them.
 *
 *     races WHICH
 *
 * Half of them have two tasks touch one variable with nothing between them that would order two threads: each must be
 * reported, though the switch of stacks did order them (docs/design/tsan.md). The others hand it over properly, by each
 * thing that weft has for that: they must be quiet, or the reports of the first half are worth nothing. Only in a
 * build for ThreadSanitizer. */
#include "tests/test.h"

#include <weft.h>

static long shared;
static weft_mutex mutex;
static weft_event event;
static weft_future future, never;
static weft_sem sem;
static weft_chan *chan;

static int touch(void *arg)
{
    (void)arg;
    shared++;
    return 0;
}

static int yield_and_touch(void *arg)
{
    weft_yield();
    shared++;
    weft_yield();
    return touch(arg);
}

static int two_of(weft_fn fn)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_go(&s, fn, NULL), 0);
    return weft_scope_close(&s);
}

/* ---- to be reported ---- */

static int one_after_the_other(void *arg) { (void)arg; return two_of(touch); }
static int in_turns(void *arg) { (void)arg; return two_of(yield_and_touch); }

/* Both wait for the same event: it orders them with whoever sets it, not with each other. */
static int wait_and_touch(void *arg)
{
    CHECK_EQ(weft_event_wait(&event), 0);
    return touch(arg);
}

static int after_one_event(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, wait_and_touch, NULL);
    weft_go(&s, wait_and_touch, NULL);
    weft_yield();
    weft_event_set(&event);
    return weft_scope_close(&s);
}

/* What the opener does between starting a task and awaiting it. */
static int before_the_await(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, touch, NULL);
    weft_yield();
    shared++;
    weft_await(t);
    return weft_scope_close(&s);
}

/* Under one lock, and once without it. */
static int lock_and_touch(void *arg)
{
    weft_mutex_lock(&mutex);
    touch(arg);
    weft_mutex_unlock(&mutex);
    return 0;
}

static int without_the_lock(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go(&s, touch, NULL);
    weft_go(&s, lock_and_touch, NULL);
    return weft_scope_close(&s);
}

/* ---- to be quiet ---- */

static int under_a_mutex(void *arg) { (void)arg; return two_of(lock_and_touch); }

static int send_on(void *arg)
{
    touch(arg);
    char item = 'x';
    return weft_chan_send(chan, &item);
}

static int receive_and_touch(void *arg)
{
    char item;
    CHECK_EQ(weft_chan_recv(chan, &item), 0);
    return touch(arg);
}

static int by_channel(void *arg)
{
    WEFT_SCOPE(s);
    chan = weft_chan_new(*(size_t *)arg, 1);
    weft_go(&s, receive_and_touch, NULL);
    weft_go(&s, send_on, NULL);
    int result = weft_scope_close(&s);
    weft_chan_free(chan);
    return result;
}

static int fulfil(void *arg)
{
    touch(arg);
    weft_future_set(&future, NULL);
    weft_event_wait(&event);
    touch(arg);
    weft_sem_release(&sem, 1);
    return 0;
}

static int by_future_event_and_sem(void *arg)
{
    WEFT_SCOPE(s);
    weft_go(&s, fulfil, NULL);
    CHECK_EQ(weft_future_await(&future, NULL), 0);
    touch(arg);
    weft_event_set(&event);
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    touch(arg);
    return weft_scope_close(&s);
}

static int by_await_and_close(void *arg)
{
    touch(arg);
    for (int i = 0; i < 3; i++) {
        WEFT_SCOPE(s);
        weft_task *t = weft_spawn(&s, yield_and_touch, NULL);
        if (i > 0)
            CHECK_EQ(weft_await(t), 0);
        if (i > 1)
            touch(arg);
        CHECK_EQ(weft_scope_close(&s), 0);
        touch(arg);
    }
    return 0;
}

static int by_select(void *arg)
{
    char item;
    chan = weft_chan_new(1, 1);
    WEFT_SCOPE(s);
    weft_go(&s, send_on, NULL);
    weft_case on[] = {weft_on_future(&never), weft_on_recv(chan, &item)};
    CHECK_EQ(weft_select(on, 2), 1);
    touch(arg);
    int result = weft_scope_close(&s);
    weft_chan_free(chan);
    return result;
}

static int there_and_back(void *arg)
{
    touch(arg);
    CHECK_EQ(weft_offload(touch, NULL), 0);
    touch(arg);
    weft_blocking_begin();
    touch(arg);
    weft_blocking_end();
    return touch(arg);
}

static int through_rendezvous(void *arg) { size_t capacity = 0; (void)arg; return by_channel(&capacity); }
static int through_a_ring(void *arg) { size_t capacity = 2; (void)arg; return by_channel(&capacity); }

static const struct {
    const char *name;
    weft_fn fn;
} programs[] = {
    {"one-after-the-other", one_after_the_other},
    {"in-turns", in_turns},
    {"after-one-event", after_one_event},
    {"before-the-await", before_the_await},
    {"without-the-lock", without_the_lock},
    {"under-a-mutex", under_a_mutex},
    {"through-rendezvous", through_rendezvous},
    {"through-a-ring", through_a_ring},
    {"by-future-event-and-sem", by_future_event_and_sem},
    {"by-await-and-close", by_await_and_close},
    {"by-select", by_select},
    {"there-and-back", there_and_back},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (argc == 2 && strcmp(argv[1], programs[i].name) == 0) {
            CHECK_EQ(weft_run(&(weft_config){.workers = 1}, programs[i].fn, NULL), 0);
            CHECK(shared > 0);
            return 0;
        }
    return 2;
}
