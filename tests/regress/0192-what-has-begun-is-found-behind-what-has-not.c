/* A spare that may begin nothing took from a queue what had begun, but only if that came first: behind a task that
 * nobody had begun it waited until a worker was back. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <weft.h>

enum { WORKERS = 2, SLEEPERS = 3 };

static struct {
    WF_ATOMIC(unsigned) sleeping, ran;
    WF_ATOMIC(bool) computes, enough;
    weft_event wakes[SLEEPERS];
} scene;

static int compute(void *arg)
{
    (void)arg;
    wf_store(&scene.computes, true, relaxed);
    while (!wf_load(&scene.enough, relaxed))
        continue;
    return 0;
}

static int begin(void *arg)
{
    (void)arg;
    return 0;
}

static int go_on(void *event)
{
    wf_add(&scene.sleeping, 1u, relaxed);
    CHECK_EQ(weft_event_wait(event), 0);
    wf_add(&scene.ran, 1u, relaxed);
    return 0;
}

/* One worker computes. The other one has tasks that have begun and, before all but the last woken of them, one that has
 * not, when it computes as well. */
static int play(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, compute, NULL), 0);
    while (!wf_load(&scene.computes, relaxed))
        CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_EQ(weft_go(&s, go_on, &scene.wakes[i]), 0);
    while (wf_load(&scene.sleeping, relaxed) < SLEEPERS)
        CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_go(&s, begin, NULL), 0);
    for (int i = 0; i < SLEEPERS; i++)
        weft_event_set(&scene.wakes[i]);
    while (wf_load(&scene.ran, relaxed) < SLEEPERS)
        continue;
    wf_store(&scene.enough, true, relaxed);
    return weft_scope_close(&s);
}

TEST(regress, what_has_begun_is_found_behind_what_has_not)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = WORKERS}, play, NULL), 0);
}
