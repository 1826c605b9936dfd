/* A spare on its way to standby passed on the last task that it had at hand and slept, with the end of a task that it
 * had run not counted yet: whoever closed that task's scope waited for ever. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <weft.h>

enum { WORKERS = 2, CROWD = 1000 };

static struct {
    WF_ATOMIC(unsigned) begun, computing, back;
    WF_ATOMIC(bool) enough;
    weft_event all_are_back;
} scene;

static int compute(void *arg)
{
    (void)arg;
    wf_add(&scene.computing, 1u, relaxed);
    while (!wf_load(&scene.enough, acquire))
        continue;
    return 0;
}

/* Runs on a worker that has computed. */
static int follow(void *arg)
{
    (void)arg;
    wf_add(&scene.back, 1u, release);
    return 0;
}

static int end_after_that(void *arg)
{
    (void)arg;
    wf_add(&scene.begun, 1u, relaxed);
    return weft_event_wait(&scene.all_are_back);
}

/* On a spare, as all workers compute. Those are back when the crowd becomes ready there: some end, the rest is passed
 * on as the spare looks around. */
static int wake_on_a_spare(void *arg)
{
    (void)arg;
    wf_add(&scene.begun, 1u, relaxed);
    while (wf_load(&scene.computing, relaxed) < WORKERS || weft_worker() < WORKERS)
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    wf_store(&scene.enough, true, release);
    while (wf_load(&scene.back, acquire) < WORKERS)
        continue;
    weft_event_set(&scene.all_are_back);
    return 0;
}

static int play(void *arg)
{
    (void)arg;
    wf_store(&scene.begun, 0u, relaxed);
    wf_store(&scene.computing, 0u, relaxed);
    wf_store(&scene.back, 0u, relaxed);
    wf_store(&scene.enough, false, relaxed);
    scene.all_are_back = (weft_event){0};
    WEFT_SCOPE(others);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&others, wake_on_a_spare, NULL), 0);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(weft_go(&s, end_after_that, NULL), 0);
    while (wf_load(&scene.begun, relaxed) < CROWD + 1) /* a spare goes on with what has begun, and begins nothing */
        CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(weft_go(&others, compute, NULL), 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(weft_go(&others, follow, NULL), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    return weft_scope_close(&others);
}

TEST_WITHIN(regress, a_spare_that_goes_keeps_no_end_back, 60)
{
    for (int i = 0; i < TEST_TIMES(20); i++)
        CHECK_EQ(weft_run(&(weft_config){.workers = WORKERS}, play, NULL), 0);
}
