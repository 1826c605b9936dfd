/* A new ring may get the memory of one that another thread has just closed. The kernel orders the two; checkers,
 * which do not see liburing's system calls, took it for a race, now and then. This fails under ThreadSanitizer only. */
#include "tests/test.h"

#include <pthread.h>
#include <weft.h>

enum { THREADS = 3, ROUNDS = 200 };

static int yield_once(void *arg)
{
    (void)arg;
    return weft_yield();
}

static void *run_often(void *arg)
{
    for (int i = 0; i < TEST_TIMES(ROUNDS); i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = 2}, yield_once, arg), 0);
    return NULL;
}

TEST(regress, a_ring_at_an_old_ones_address_is_no_race)
{
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, run_often, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
}
