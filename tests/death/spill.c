/* spill.c - the stack of a task that is spilled is not there: whoever touches it dies, and the line names both. */
#include "tests/death/dies.h"

#include <alloca.h>

static volatile int *volatile somewhere; /* on a stack that is spilled */
static volatile int sink;

static int lend_its_stack(void *arg)
{
    volatile size_t size = sizeof(int);
    volatile int *here = alloca(size); /* AddressSanitizer puts what has a known size elsewhere */
    (void)arg;
    *here = 5;
    somewhere = here;
    weft_sleep_until(weft_never());
    return *here;
}

static void await_the_spill(void)
{
    weft_stats now;
    do {
        weft_sleep(WEFT_MSEC / 2);
        weft_stats_read(weft_runtime_self(), &now);
    } while (!now.spills);
}

static int read_it(void *arg)
{
    (void)arg;
    await_the_spill();
    sink = *somewhere;
    return 0;
}

static int write_it(void *arg)
{
    (void)arg;
    await_the_spill();
    *somewhere = 6;
    return 0;
}

static void spilling(weft_fn fn)
{
    weft_run(&(weft_config){.workers = 1, .spill_ns = WEFT_MSEC}, fn, NULL);
}

#define LENDER "stray access to the stack of task lend_its_stack (spawned at " __FILE__ ":"

#define TEST_STRAYS(group, name, body)                                                                         \
    static int lend_for_##name(void *arg)                                                          \
    {                                                                                              \
        WEFT_SCOPE(s);                                                                             \
        weft_go(&s, lend_its_stack, arg);                                                          \
        weft_go(&s, body, arg);                                                                    \
        return weft_scope_close(&s);                                                               \
    }                                                                                              \
    TEST_DIES(group, name, LENDER TEXT_OF(__LINE__) "), which is spilled", BLAMES(body))           \
    {                                                                                              \
        spilling(lend_for_##name);                                                                 \
    }

TEST_STRAYS(spill, a_stray_read_is_reported, read_it)
TEST_STRAYS(spill, a_stray_write_is_reported, write_it)
