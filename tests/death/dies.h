/* dies.h - a task that misuses something, and the one line it must die with.
 *
 *     DIES(scope, closed_twice, close_twice, "weft_scope_close", "twice")
 *
 * runs close_twice(NULL) as a task of its own on one worker. It must abort, with one line on stderr, and that line
 * holds each of the texts and, exactly, which task it was and where it was spawned. So every death here also proves
 * that the line leads to the code that is wrong. */
#ifndef TESTS_DEATH_DIES_H
#define TESTS_DEATH_DIES_H

#include "tests/test.h"

#include <weft.h>

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

/* How a line of ours ends when `body` is to blame, spawned on this very line. */
#define BLAMES(body) ", in task " #body " (spawned at " __FILE__ ":" TEXT_OF(__LINE__) ")"

/* A first task that does nothing but run body as a task of its own. */
#define DIES(group, name, body, ...)                                                               \
    static int spawn_for_##name(void *arg)                                                         \
    {                                                                                              \
        WEFT_SCOPE(s);                                                                             \
        weft_go(&s, body, arg);                                                                    \
        return weft_scope_close(&s);                                                               \
    }                                                                                              \
    TEST_DIES(group, name, __VA_ARGS__, BLAMES(body))                                              \
    {                                                                                              \
        weft_run(&(weft_config){.workers = 1}, spawn_for_##name, NULL);                            \
    }

static inline int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static inline int wait_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(weft_never());
}

#endif
