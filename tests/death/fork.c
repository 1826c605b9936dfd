/* fork.c - misuse of forks: their order, their end, and the pool. */
#include "tests/death/dies.h"

static int one(weft_forks *forks, int n);
WEFT_FORKABLE(int, one, int)

static int one(weft_forks *forks, int n)
{
    (void)forks;
    return n;
}

static struct one_fork first, second;

static int join_in_the_wrong_order(void *arg)
{
    weft_forks *forks = weft_forks_self();
    (void)arg;
    one_fork(forks, &first, 1);
    one_fork(forks, &second, 2);
    return one_join(forks, &first);
}

static int join_twice(void *arg)
{
    weft_forks *forks = weft_forks_self();
    (void)arg;
    one_fork(forks, &first, 1);
    return one_join(forks, &first) + one_join(forks, &first);
}

static int return_without_join(void *arg)
{
    (void)arg;
    one_fork(weft_forks_self(), &first, 1);
    return 0;
}

static int close_before_join(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    one_fork(weft_forks_self(), &first, 1);
    return weft_scope_close(&s);
}

static int close_before_join_of_a_listed_one(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    one_fork(weft_forks_self(), &first, 1);
    {
        WEFT_SCOPE(inner);
    }
    return weft_scope_close(&s);
}

static int join_a_listed_one_too_early(void *arg)
{
    weft_forks *forks = weft_forks_self();
    (void)arg;
    one_fork(forks, &first, 1);
    one_fork(forks, &second, 2);
    weft_sleep(WEFT_USEC);
    return one_join(forks, &first);
}

static int fork_on_the_pool(void *arg)
{
    weft_forks *forks = weft_forks_self();
    (void)arg;
    weft_blocking_begin();
    one_fork(forks, &first, 1);
    return 0;
}

static void add_nothing(weft_forks *forks, int64_t from, int64_t to, void *sum, void *ctx)
{
    (void)forks, (void)from, (void)to, (void)sum, (void)ctx;
}

static void join_nothing(void *into, const void *right, void *ctx)
{
    (void)into, (void)right, (void)ctx;
}

static int reduce_too_much(void *arg)
{
    static char sum[WEFT_REDUCE_MAX + 1];
    (void)arg;
    weft_reduce(weft_forks_self(), 0, 1, sum, sizeof sum, add_nothing, join_nothing, NULL);
    return 0;
}

DIES(fork, joined_in_the_wrong_order, join_in_the_wrong_order, "a join of a fork that is not the latest")
DIES(fork, offered_and_joined_in_the_wrong_order, join_a_listed_one_too_early,
     "a join of a fork that is not the latest")
DIES(fork, joined_twice, join_twice, "a join of a fork that is not the latest")
DIES(fork, left_behind_by_its_task, return_without_join, "a task returned before what it forked was joined")
DIES(fork, left_behind_in_a_scope, close_before_join, "scope closed before what was forked in it was joined")
DIES(fork, left_behind_in_a_scope_and_listed, close_before_join_of_a_listed_one,
     "scope closed before what was forked in it was joined")
DIES(fork, made_on_the_pool, fork_on_the_pool, "a fork between weft_blocking_begin and weft_blocking_end")
DIES(fork, that_reduces_too_much, reduce_too_much, "weft_reduce of 257 bytes; 256 are possible")
