/* errand.c - stops on behalf of plain threads, and of tasks of other runtimes.
 *
 * Stopping takes as long as the tree below is large, and has requests cancelled, which only workers can submit. And in
 * a runtime of one worker, waits rely on there being no other thread that stops them (wait.h). So who is none of its
 * workers leaves a note, and the next worker that looks outside its queue does it. The note is the scope or the
 * task itself; the scope, or the task's, is pinned by a visit (stop.c) until it is done.
 *
 * Ordering: E1 the exchange that adds a note (release) <-> E2 the swap that takes all (acquire). */
#include "runtime/worker.h"

#include "runtime/child.h"

/* Everybody looks: whoever comes first does it. A sleeping runtime needs one worker awake. */
static void wake_any(weft_runtime *rt)
{
    int sleeper = wf_idle_claim(&rt->idle, 0);
    wf_driver_wake(rt->workers[sleeper >= 0 ? sleeper : 0].driver);
}

void wf_errand_scope(struct wf_scope *s)
{
    wf_child_refuse("weft_scope_cancel");
    /* kept: release, for who does it comes after what we did; acquire, for who did it has read errand_next */
    if (wf_swap(&s->errand, true, acq_rel))
        return; /* noted already, and not yet done */
    weft_runtime *rt = wf_task_runtime(s->opener);
    wf_runtime_visit(rt);
    wf_add(&s->visits, 1, relaxed); /* the caller sees to it that s is open now */
    struct wf_scope *head = wf_load(&rt->errand_scopes, relaxed);
    do
        s->errand_next = head;
    while (!wf_cas_weak(&rt->errand_scopes, &head, s, release)); /* E1 */
    wake_any(rt);
    wf_runtime_leave(rt);
}

void wf_errand_task(weft_task *t)
{
    wf_child_refuse("weft_cancel");
    if (wf_swap(&t->errand, true, acq_rel)) /* kept: as above */
        return;
    weft_runtime *rt = wf_task_runtime(t->scope->opener);
    wf_runtime_visit(rt);
    wf_add(&t->scope->visits, 1, relaxed);
    weft_task *head = wf_load(&rt->errand_tasks, relaxed);
    do
        t->errand_next = head;
    while (!wf_cas_weak(&rt->errand_tasks, &head, t, release)); /* E1 */
    wake_any(rt);
    wf_runtime_leave(rt);
}

void wf_errand_run(weft_runtime *rt)
{
    struct wf_scope *s = wf_load(&rt->errand_scopes, relaxed);
    if (s)
        s = wf_swap(&rt->errand_scopes, NULL, acquire); /* E2 */
    while (s) {
        struct wf_scope *next = s->errand_next;
        wf_swap(&s->errand, false, acq_rel); /* kept: the other side of those above */
        wf_scope_stop(s, -ECANCELED);
        wf_sub(&s->visits, 1, release); /* partner: close's load */
        s = next;
    }
    weft_task *t = wf_load(&rt->errand_tasks, relaxed);
    if (t)
        t = wf_swap(&rt->errand_tasks, NULL, acquire); /* E2 */
    while (t) {
        weft_task *next = t->errand_next;
        struct wf_scope *owner = t->scope;
        wf_swap(&t->errand, false, acq_rel); /* kept: the same */
        wf_task_stop(t);
        wf_sub(&owner->visits, 1, release); /* partner: close's load */
        t = next;
    }
}
