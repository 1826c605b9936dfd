/* sem.c - permits, first come, first served.
 *
 * One word:  count * 2 + WAITED
 *
 * Must hold:  Whenever the lock is free and somebody is in the list, WAITED is set.
 *             While WAITED is set the word changes only under the lock.
 *             The first in the list asks for more permits than there are, or has been stopped. Who was stopped,
 *             or never got as far as the list, looks at the list once more, and so WAITED does not stay for nothing.
 *
 * Without waiters, taking and giving are one compare-exchange each. With waiters, everything goes through the
 * lock, and nobody overtakes: not even who asks for fewer.
 *
 * No lost wakeup: who will wait sets WAITED in the very exchange that finds too few permits, under the lock.
 * Whoever gives later sees it and needs the lock, which is not free before the waiter is in the list.
 *
 * Granted, then stopped: cannot be. Permits leave the count only after the waiter was claimed, and a stop
 * cannot end a wait that was claimed, nor a claim one that was stopped. But a waiter that is stopped at the
 * head of the list may have kept those behind it waiting for fewer permits, so it looks after them.
 *
 * Who got its permits may free the semaphore. One that waited was let go after the giver's unlock; but one that
 * took them without the lock may have been quicker than that unlock, so it looks at the lock before it returns.
 * The giver's lock precedes P1, so after P2 the lock word says held, or given back, or something later.
 *
 * Ordering: P1 giving permits (release) <-> P2 taking them (acquire). */
#include "sync/waitq.h"

#include "runtime/panic.h"

#include <limits.h>
#include <weft/lock.h>

enum { WAITED = 1, PERMIT = 2 };

struct sem {
    struct wf_waitq q; /* its state is not used */
    WF_ATOMIC(uint64_t) word;
} __attribute__((may_alias));

_Static_assert(sizeof(struct sem) <= sizeof(weft_sem), "a semaphore must fit what users reserve for it");

/* Take n without waiting. While it fails, word is what was found. */
static bool take(struct sem *s, unsigned n, uint64_t *word)
{
    *word = wf_load(&s->word, relaxed); /* Only a guess for the exchange. */
    while (!(*word & WAITED) && *word / PERMIT >= n)
        if (wf_cas_weak(&s->word, word, *word - (uint64_t)n * PERMIT, acquire)) /* P2 */
            return true;
    return false;
}

/* Take n without waiting and without the lock. */
static bool take_unlocked(struct sem *s, unsigned n)
{
    uint64_t word;
    if (!take(s, n, &word))
        return false;
    if (WF_UNLIKELY(wf_load(&s->q.lock.word, acquire) != 0)) { /* L1; kept: the caller may free s, after the unlock */
        wf_lock(&s->q.lock); /* A giver may be about to unlock: let it. */
        wf_unlock(&s->q.lock);
    }
    return true;
}

/* Under the lock: hand out what there is to who can have it, in order. The chain is to be released. */
static weft_waiter *grant(struct sem *s)
{
    weft_waiter *chain = NULL, **end = &chain;
    uint64_t word = wf_load(&s->word, acquire); /* P2; kept: who is let go comes after all who gave, not only us */
    if (!(word & WAITED))
        return NULL;
    uint64_t count = word / PERMIT;
    while (s->q.list.first && (uintptr_t)s->q.list.first->item <= count) {
        weft_waiter *w = s->q.list.first;
        wf_waiters_remove(&s->q.list, w);
        if (!wf_fire_claim(w))
            continue;
        count -= (uintptr_t)w->item;
        *end = w;
        end = &w->next;
    }
    /* Release (P1): without WAITED the next taker comes without the lock, and a store ends the chain of exchanges that
     * handed on what givers did. kept: hence this one hands it on */
    wf_store(&s->word, count * PERMIT + (s->q.list.first ? WAITED : 0), release);
    return chain;
}

static void grant_and_wake(struct sem *s)
{
    wf_lock(&s->q.lock);
    weft_waiter *chain = grant(s);
    wf_unlock(&s->q.lock);
    wf_waiters_release(chain, 0);
}

/* Under the lock: take n, or see to it that giving needs the lock. */
static bool take_or_mark(struct sem *s, unsigned n)
{
    uint64_t word;
    do {
        if (take(s, n, &word))
            return true;
        /* Relaxed: it publishes nothing; the list is under the lock. */
    } while (!(word & WAITED) && !wf_cas_weak(&s->word, &word, word | WAITED, relaxed));
    return false;
}

int weft_sem_acquire(weft_sem *sem, unsigned n)
{
    struct sem *s = (struct sem *)sem;
    int err = wf_wait_begin();
    if (err || n == 0 || take_unlocked(s, n))
        return err;
    wf_lock(&s->q.lock);
    if (take_or_mark(s, n)) {
        wf_unlock(&s->q.lock);
        return 0;
    }
    err = wf_waiters_wait(&s->q.list, &s->q.lock, (void *)(uintptr_t)n, WF_WAIT_STOPPABLE);
    if (err)
        grant_and_wake(s); /* Somebody behind us may need less than we asked for; or nobody waits now. */
    return err;
}

bool weft_sem_try_acquire(weft_sem *sem, unsigned n)
{
    return n == 0 || take_unlocked((struct sem *)sem, n);
}

void weft_sem_release(weft_sem *sem, unsigned n)
{
    struct sem *s = (struct sem *)sem;
    uint64_t word = wf_load(&s->word, relaxed); /* Only a guess for the exchange. */
    while (!(word & WAITED)) {
        WF_REQUIRE(word / PERMIT + n <= UINT_MAX, "weft_sem_release past UINT_MAX permits");
        if (wf_cas_weak(&s->word, &word, word + (uint64_t)n * PERMIT, release)) /* P1 */
            return;
    }
    wf_lock(&s->q.lock);
    word = wf_add(&s->word, (uint64_t)n * PERMIT, release); /* P1 */
    WF_REQUIRE(word / PERMIT + n <= UINT_MAX, "weft_sem_release past UINT_MAX permits");
    weft_waiter *chain = grant(s);
    wf_unlock(&s->q.lock);
    wf_waiters_release(chain, 0);
}
