/* lock.c - the lock under which weft changes its shared structures (runtime/platform/lock.c).
 *
 * What must hold: one holder at a time, who sees what the last one wrote (the plain `count`); whoever waits gets it;
 * and who has let go of it touches it no more, so that its memory may go (sync's objects rely on that).
 *
 *   with: WF_LOCK_SPINS=1 WF_LOCK_CARE=0 WF_SPIN_LOOKS=1 */
#include "tests/model/model.h"

#include "runtime/platform/lock.c"

#include "runtime/alloc.h"

static struct wf_lock lock;
static int count, tried;

static void add(void)
{
    wf_lock(&lock);
    count++;
    wf_unlock(&lock);
}

static void add_twice(void)
{
    add();
    add();
}

static void add_patiently(void)
{
    wf_lock_patiently(&lock);
    count++;
    wf_unlock(&lock);
}

static void add_twice_patiently(void)
{
    add_patiently();
    add_patiently();
}

static void try_to_add(void)
{
    if (wf_trylock(&lock)) {
        count++;
        tried++;
        wf_unlock(&lock);
    }
}

static void finish_two(void)
{
    model_check(count == 4);
    model_check(wf_load(&lock.word, relaxed) == 0);
}

static void finish_three(void)
{
    model_check(count == 3);
}

static void finish_tried(void)
{
    model_check(count == 2 + tried);
    model_check(wf_trylock(&lock));
}

/* How it is before the kernel has been asked for a fence for all threads, and when it has none. */
static void setup_not_asked(void)
{
    wf_store(&wf_lock_care, NOT_ASKED | FENCED, relaxed);
}

static void setup_fenced(void)
{
    wf_store(&wf_lock_care, FENCED, relaxed);
}

MODEL(lock_not_asked, .setup = setup_not_asked, .threads = {add, add_twice}, .finish = finish_three, .bound = 3,
      .outdated = -1)
MODEL(lock_fenced, .setup = setup_fenced, .threads = {add_twice, add_twice}, .finish = finish_two, .bound = 3,
      .outdated = -1, .stale = 3) /* the slow unlock looks three times */
MODEL(lock_two, .threads = {add_twice, add_twice}, .finish = finish_two, .bound = 3, .outdated = -1)
MODEL(lock_three, .threads = {add, add, add}, .finish = finish_three, .bound = 3, .outdated = -1)
MODEL(lock_patient, .threads = {add_twice_patiently, add_twice_patiently}, .finish = finish_two, .bound = 3,
      .outdated = -1)
MODEL(lock_patient_and_not, .threads = {add_patiently, add, add_patiently}, .finish = finish_three, .bound = 3,
      .outdated = -1)
MODEL(lock_try, .threads = {add_twice, try_to_add, try_to_add}, .finish = finish_tried, .bound = 3, .outdated = -1)

/* The last of two who lock it gives its memory back. */
static struct shared {
    struct wf_lock lock;
    int users;
} *shared;

static void make_shared(void)
{
    shared = wf_alloc(sizeof *shared);
    shared->users = 2;
}

static void leave_shared(void)
{
    wf_lock(&shared->lock);
    bool last = --shared->users == 0;
    wf_unlock(&shared->lock);
    if (last)
        wf_free(shared, sizeof *shared);
}

MODEL(lock_freed_by_the_last, .setup = make_shared, .threads = {leave_shared, leave_shared}, .bound = 3, .outdated = -1)
