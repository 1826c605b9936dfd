/* stop.c - how a stop travels down the tree of scopes and tasks. The picture is in scope.h.
 *
 * Two steps alternate. Touching a task, under its lock, raises the stop in the scopes it has open, outermost
 * first down to a shield, puts those into a list, and interrupts its wait if no shield protects it. Visiting a
 * scope, under its lock, touches its opener and its listed tasks. The list is worked off in a loop.
 *
 * A scope enters a list only once: whoever raises its stop while it is in somebody's list leaves the visit to
 * that one, who clears the mark before reading the reason. Raised after that, it is listed again. */
#include "runtime/scope.h"

#include "runtime/panic.h"

/* Is `reason` news to somebody who has been told `before`? A cancel outranks a deadline. */
static bool outranks(int reason, int before)
{
    return before == 0 || (reason == -ECANCELED && before == -ETIMEDOUT);
}

static bool raise_stop(WF_ATOMIC(int) *stop, int reason)
{
    int before = wf_load(stop, seq_cst); /* S1: not what a shield has wiped out before it looked at own */
    while (outranks(reason, before))
        if (wf_cas_weak(stop, &before, reason, seq_cst)) /* S1 */
            return true;
    return false;
}

static void enlist(struct wf_scope **list, struct wf_scope *s)
{
    if (wf_swap(&s->queued, 1, acq_rel)) /* kept: release, for who has listed it reads our reason */
        return; /* in somebody's list, who has yet to read the reason */
    wf_add(&s->visits, 1, relaxed); /* under the opener's lock, or while somebody keeps s open */
    s->visit_next = *list;
    *list = s;
}

/* Stop t inside its open scope `within`, or all of it when that is NULL. */
static void touch(struct wf_scope **list, weft_task *t, struct wf_scope *within, int reason)
{
    wf_lock(&t->lock);
    struct wf_scope *shield = NULL; /* the outermost one: it and all inside it are out of reach */
    struct wf_scope *at = t->inner;
    for (; at && at != within; at = at->outer)
        if (at->shield)
            shield = at;
    bool left = at != within; /* t is closing it and has left it: nothing inside is left to stop */
    if (left || (within && !wf_load(&within->stop, relaxed))) { /* or it has been shielded under this lock */
        wf_unlock(&t->lock);
        return;
    }
    for (struct wf_scope *s = shield ? shield->outer : t->inner; s && s != within; s = s->outer)
        if (raise_stop(&s->stop, reason))
            enlist(list, s);
    if (!shield)
        wf_wait_interrupt(&t->wait);
    wf_unlock(&t->lock);
}

static void visit(struct wf_scope **list, struct wf_scope *s)
{
    wf_swap(&s->queued, 0, acq_rel); /* kept: acquire, the other side of enlist's */
    int reason = wf_load(&s->stop, seq_cst); /* kept: the mark orders it too, if nobody but listers raises it */
    if (reason && s->opener)
        touch(list, s->opener, s, reason);
    wf_lock(&s->lock);
    reason = wf_load(&s->stop, relaxed); /* a shield may have wiped it out meanwhile, under this lock */
    for (weft_task *t = s->waiting; reason && t; t = t->list_next)
        touch(list, t, NULL, reason);
    wf_unlock(&s->lock);
    wf_sub(&s->visits, 1, release); /* partner: close's load (acquire), which waits for zero */
}

static void work_off(struct wf_scope *list)
{
    while (list) {
        struct wf_scope *s = list;
        list = s->visit_next;
        visit(&list, s);
    }
}

void wf_scope_stop(struct wf_scope *s, int reason)
{
    struct wf_scope *list = NULL;
    bool news = raise_stop(&s->own, reason);
    if (news && reason == -ETIMEDOUT)
        wf_store(&s->expired, true, relaxed);
    if (raise_stop(&s->stop, reason) || news) {
        enlist(&list, s);
        work_off(list);
    }
}

void wf_scope_fail(struct wf_scope *s, int error)
{
    int none = 0;
    wf_cas(&s->error, &none, error, relaxed); /* read after S4, written before S3 */
    if (!s->is_root)
        wf_scope_stop(s, -ECANCELED);
}

void wf_task_stop(weft_task *t)
{
    struct wf_scope *list = NULL;
    if (raise_stop(&t->stop, -ECANCELED)) {
        touch(&list, t, NULL, -ECANCELED);
        work_off(list);
    }
}

void wf_scope_list(weft_task *t)
{
    struct wf_scope *s = t->scope;
    wf_lock(&s->lock);
    t->list_prev = NULL;
    t->list_next = s->waiting;
    if (s->waiting)
        s->waiting->list_prev = t;
    s->waiting = t;
    t->listed = true;
    wf_unlock(&s->lock);
}

void wf_scope_unlist(weft_task *t)
{
    struct wf_scope *s = t->scope;
    wf_lock(&s->lock);
    if (t->list_prev)
        t->list_prev->list_next = t->list_next;
    else
        s->waiting = t->list_next;
    if (t->list_next)
        t->list_next->list_prev = t->list_prev;
    t->listed = false;
    wf_unlock(&s->lock);
}
