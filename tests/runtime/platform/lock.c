/* lock.c - the lock, the futex below it, the clock and random numbers. */
#include "runtime/platform/lock.h"
#include "runtime/platform/barrier.h"
#include "runtime/platform/clock.h"
#include "runtime/platform/futex.h"
#include "runtime/platform/random.h"
#include "runtime/platform/thread.h"

#include "tests/test.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

enum { THREADS = 4 };

/* ---- Lock ------------------------------------------------------------------------------------------ */

static struct wf_lock lock;
static long counted[2]; /* under lock, and always equal outside of it */

/* Holds it over a yield now and then, so that others must go to sleep; and is patient now and then. */
static void *count(void *arg)
{
    const long n = *(long *)arg;
    for (long i = 0; i < n; i++) {
        if (i % 8 == 0)
            wf_lock_patiently(&lock);
        else
            wf_lock(&lock);
        CHECK_EQ(counted[0], counted[1]);
        counted[0]++;
        if (i % 512 == 0)
            sched_yield();
        counted[1]++;
        wf_unlock(&lock);
    }
    return NULL;
}

static void *try_and_count(void *arg)
{
    const long n = *(long *)arg;
    for (long i = 0; i < n;) {
        if (!wf_trylock(&lock)) {
            sched_yield();
            continue;
        }
        CHECK_EQ(counted[0], counted[1]);
        counted[0]++;
        counted[1]++;
        i++;
        wf_unlock(&lock);
    }
    return NULL;
}

TEST(lock, only_one_holds_it)
{
    struct wf_thread threads[THREADS];
    long n = TEST_TIMES(300000);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(wf_thread_start(&threads[i], i % 2 ? try_and_count : count, &n, "locker"), 0);
    for (int i = 0; i < THREADS; i++)
        wf_thread_join(&threads[i]);
    CHECK_EQ(counted[0], THREADS * n);
    CHECK_EQ(wf_load(&lock.word, relaxed), 0);
}

TEST(lock, trying_does_not_wait)
{
    struct wf_lock l = {0};
    CHECK(wf_trylock(&l));
    CHECK(!wf_trylock(&l));
    wf_unlock(&l);
    CHECK(wf_trylock(&l));
}

static struct wf_lock door;
static WF_ATOMIC(uint32_t) through;

static void *pass(void *arg)
{
    (void)arg;
    wf_lock(&door);
    wf_add(&through, 1u, relaxed);
    wf_unlock(&door);
    return NULL;
}

TEST(lock, everybody_who_sleeps_is_woken)
{
    struct wf_thread threads[THREADS];
    for (int round = 0; round < TEST_TIMES(300); round++) {
        wf_lock(&door);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(wf_thread_start(&threads[i], pass, NULL, "sleeper"), 0);
        while (wf_load(&door.word, relaxed) != 2) /* until one of them says that it sleeps */
            sched_yield();
        wf_unlock(&door);
        for (int i = 0; i < THREADS; i++)
            wf_thread_join(&threads[i]);
        CHECK_EQ(wf_load(&through, relaxed), (round + 1) * THREADS);
    }
}

/* One thread gives the lock back, once, about when another one has spun for long enough and goes to sleep. Whoever of
 * the two comes first: there is no second unlock that would make up for a wake that was lost. */
static struct {
    struct wf_lock lock;
    WF_ATOMIC(int) coming, got; /* rounds */
} late;

static void *come_late(void *arg)
{
    const int rounds = *(int *)arg;
    for (int round = 1; round <= rounds; round++) {
        while (wf_load(&late.got, acquire) != -round) /* the other one holds it */
            wf_pause();
        wf_store(&late.coming, round, release);
        wf_lock(&late.lock);
        wf_store(&late.got, round, release);
        wf_unlock(&late.lock);
    }
    return NULL;
}

TEST(lock, who_goes_to_sleep_as_it_is_given_back_is_woken)
{
    struct wf_thread thread;
    int rounds = TEST_TIMES(10000);
    CHECK_EQ(wf_thread_start(&thread, come_late, &rounds, "late"), 0);
    for (int round = 1; round <= rounds; round++) {
        wf_lock(&late.lock);
        wf_store(&late.got, -round, release);
        while (wf_load(&late.coming, acquire) != round)
            wf_pause();
        for (int i = 0; i < round % 256; i++)
            wf_pause();
        wf_unlock(&late.lock);
        for (int i = 0; wf_load(&late.got, acquire) != round; i++)
            if (i >= 1000) /* it may sleep on this core */
                sched_yield();
    }
    wf_thread_join(&thread);
}

/* ---- Barrier --------------------------------------------------------------------------------------- */

TEST(barrier, leaves_errno_alone_whatever_the_kernel_says)
{
    errno = 4711;
    int err = wf_barrier_prepare();
    CHECK(err <= 0);
    wf_barrier();
    CHECK_EQ(errno, 4711);
}

TEST(barrier, is_sent_to_one_thread_and_leaves_errno_alone)
{
    errno = 4711;
    const void *own = wf_barrier_door();
    for (int i = 0; own && i < 1000; i++)
        wf_barrier_at(own);
    CHECK_EQ(errno, 4711);
}

/* ---- Futex ----------------------------------------------------------------------------------------- */

TEST(futex, it_does_not_sleep_on_another_value)
{
    uint32_t word = 1;
    CHECK_EQ(wf_futex_wait(&word, 2, INT64_MAX), -EAGAIN);
}

TEST(futex, it_wakes_at_the_deadline_and_not_before)
{
    uint32_t word = 1;
    int64_t deadline = wf_clock_now() + 20000000;
    int err;
    while ((err = wf_futex_wait(&word, 1, deadline)) != -ETIMEDOUT)
        CHECK(err == 0 || err == -EINTR);
    CHECK(wf_clock_now() >= deadline);
    CHECK_EQ(wf_futex_wait(&word, 1, 1), -ETIMEDOUT);
}

TEST(futex, a_wake_with_nobody_there_is_nothing)
{
    uint32_t word = 1;
    wf_futex_wake(&word, 1);
#if !defined(WF_VALGRIND) /* which looks at addresses before the kernel does */
    wf_futex_wake((void *)16, 1); /* nor is memory that is gone */
#endif
    CHECK_EQ(word, 1);
}

/* ---- Clock and chance ------------------------------------------------------------------------------ */

TEST(clock, it_never_goes_back)
{
    for (int64_t i = 0, last = 0; i < TEST_TIMES(100000); i++) {
        int64_t now = wf_clock_now();
        CHECK(now >= last);
        last = now;
    }
}

TEST(random, it_is_below_and_reaches_everything)
{
    struct wf_random r;
    unsigned seen[10] = {0};
    wf_random_seed(&r, 42);
    for (int i = 0; i < 100000; i++) {
        uint32_t n = wf_random_below(&r, 10);
        CHECK(n < 10);
        seen[n]++;
    }
    for (int i = 0; i < 10; i++)
        CHECK(seen[i] > 9500 && seen[i] < 10500); /* five times the deviation there should be */
    CHECK_EQ(wf_random_below(&r, 1), 0);
}

TEST(random, a_seed_gives_the_same_again_and_another_gives_another)
{
    struct wf_random a, b, c;
    unsigned same = 0;
    wf_random_seed(&a, 0);
    wf_random_seed(&b, 0);
    wf_random_seed(&c, 1);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = wf_random_next(&a);
        CHECK(x == wf_random_next(&b));
        same += x == wf_random_next(&c);
    }
    CHECK_EQ(same, 0);
}
