/* scope.c - misuse of scopes: whose they are, their order, and what comes after their close. */
#include "tests/death/dies.h"

static int close_twice(void *arg)
{
    weft_scope s;
    (void)arg;
    weft_scope_open(&s);
    weft_scope_close(&s);
    return weft_scope_close(&s);
}

static int open_twice(void *arg)
{
    weft_scope s;
    (void)arg;
    weft_scope_open(&s);
    weft_scope_open(&s);
    return 0;
}

static int close_outer_first(void *arg)
{
    weft_scope outer, inner;
    (void)arg;
    weft_scope_open(&outer);
    weft_scope_open(&inner);
    return weft_scope_close(&outer);
}

static int leave_outer_first(void *arg)
{
    weft_scope outer, inner;
    (void)arg;
    weft_scope_open(&outer);
    weft_scope_open(&inner);
    weft_scope_leave(&outer);
    return 0;
}

/* Open in a frame that ends: the worst there is, and what the cleanup of WEFT_SCOPE() exists for. */
static weft_scope abandoned;

static int return_with_one_open(void *arg)
{
    (void)arg;
    weft_scope_open(&abandoned);
    return 0;
}

static int go_into_closed(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_close(&s);
    return weft_go(&s, do_nothing, NULL);
}

static int spawn_into_closed(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_close(&s);
    return weft_await(weft_spawn(&s, do_nothing, NULL));
}

static int prepare_into_closed(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_close(&s);
    return weft_await(weft_prepare(&s, do_nothing, NULL));
}

static int set_deadline_of_closed(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_close(&s);
    weft_scope_set_deadline(&s, weft_after(WEFT_SEC));
    return 0;
}

static int shield_closed(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_scope_close(&s);
    weft_scope_shield(&s);
    return 0;
}

DIES(scope, closed_twice, close_twice, "scope closed by a task that did not open it, or twice")
DIES(scope, opened_twice, open_twice, "weft_scope_open of a scope that is open")
DIES(scope, closed_around_an_open_one, close_outer_first, "closed while a scope inside it is open")
DIES(scope, left_around_an_open_one, leave_outer_first, "closed while a scope inside it is open")
DIES(scope, open_when_its_task_returns, return_with_one_open, "a task returned with a scope open")
DIES(scope, closed_and_then_gone_into, go_into_closed, "started in a scope that is not open")
DIES(scope, closed_and_then_spawned_into, spawn_into_closed, "started in a scope that is not open")
DIES(scope, closed_and_then_prepared_into, prepare_into_closed, "started in a scope that is not open")
DIES(scope, closed_and_then_given_a_deadline, set_deadline_of_closed, "weft_scope_set_deadline", "not open")
DIES(scope, closed_and_then_shielded, shield_closed, "scope shielded", "after its close")

/* ---- By somebody else ---- */

static int close_it(void *scope)
{
    return weft_scope_close(scope);
}

static int leave_it(void *scope)
{
    weft_scope_leave(scope);
    return 0;
}

static int shield_it(void *scope)
{
    weft_scope_shield(scope);
    return 0;
}

static weft_fn do_to_it;

static int let_a_stranger_at_it(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    weft_go_at(&s, do_to_it, &s, "stranger\0its.c:7");
    return weft_scope_close(&s);
}

static void by_a_stranger(weft_fn fn)
{
    do_to_it = fn;
    weft_run(&(weft_config){.workers = 1}, let_a_stranger_at_it, NULL);
}

#define STRANGER ", in task stranger (spawned at its.c:7)"

TEST_DIES(scope, closed_by_a_stranger, "closed by a task that did not open it", STRANGER)
{
    by_a_stranger(close_it);
}

TEST_DIES(scope, left_by_a_stranger, "closed by a task that did not open it", STRANGER)
{
    by_a_stranger(leave_it);
}

TEST_DIES(scope, shielded_by_a_stranger, "scope shielded by a task that did not open it", STRANGER)
{
    by_a_stranger(shield_it);
}

/* ---- What is no misuse, and says so in words ---- */

static int never_start(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 100; i++)
        weft_prepare_at(&s, do_nothing, NULL, "lazy one\0lazy.c:9");
    return weft_scope_close(&s);
}

static void forget_a_hundred(void)
{
    if (weft_run(&(weft_config){.workers = 1}, never_start, NULL) != 0)
        _Exit(1);
}

/* Each prepared task that was never awaited is named, with where it was prepared. */
TEST(scope, names_each_task_that_was_never_started)
{
    static char said[16384];
    CHECK_EQ(test_in_child(forget_a_hundred, 10, said, sizeof said), 0);
    unsigned lines = 0;
    for (const char *at = said; (at = strstr(at, "task lazy one was prepared at lazy.c:9 and never started\n")); at++)
        lines++;
    CHECK_EQ(lines, 100);
}
