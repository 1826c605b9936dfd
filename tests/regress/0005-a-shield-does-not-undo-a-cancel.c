/* weft_scope_shield() set the scope's stop back to what was raised in the scope itself, in two steps; a cancel by one
 * of its tasks that came in between was undone, and the scope never stopped. Shielding over and over, at the moment of
 * the cancel, made that happen every few hundred times. */
#include "runtime/platform/atomic.h"
#include "tests/test.h"

#include <weft.h>

enum { ROUNDS = 20000 };

struct cancel {
    weft_scope *scope;
    WF_ATOMIC(bool) ready, done;
};

static int cancel_it(void *arg)
{
    struct cancel *c = arg;
    wf_store(&c->ready, true, release);
    weft_scope_cancel(c->scope);
    wf_store(&c->done, true, release);
    return 0;
}

static int shield_all_the_time(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_TIMES(ROUNDS); i++) {
        WEFT_SCOPE(s);
        struct cancel c = {.scope = &s};
        CHECK_EQ(weft_go(&s, cancel_it, &c), 0);
        while (!wf_load(&c.ready, acquire))
            ;
        while (!wf_load(&c.done, acquire))
            weft_scope_shield(&s);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    return 0;
}

TEST_WITHIN(regress, shield_and_cancel_of_one_scope_leave_it_cancelled, 60)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, shield_all_the_time, NULL), 0);
}
