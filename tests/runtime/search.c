/* search.c - tests of runtime/search.c: the moment between a worker's bit, from which on others wake it, and its sleep.
 * What comes before that moment wakes nobody, so it has to be looked for once more. Were it not, only parallelism would
 * be lost, for as long as a lookout naps, which no test of a whole runtime can tell from a busy machine. So the file
 * under test is compiled into this one, with a bit that lets the test act right before it, and a sleep that counts. */
#include "runtime/worker.h"

#include "tests/runtime/with.h"

static void (*before_the_bit)(void);
static unsigned sleeps;

static void sleep_later(struct wf_idle *i, unsigned worker, bool searching)
{
    if (before_the_bit)
        before_the_bit();
    wf_idle_sleep(i, worker, searching);
}

static unsigned count_sleep(struct wf_driver *d, int64_t deadline_ns)
{
    (void)d;
    (void)deadline_ns;
    sleeps++;
    return 0;
}

weft_task *slow_worker_find(struct wf_worker *w);

#define wf_idle_sleep sleep_later
#define wf_driver_park count_sleep
#define wf_worker_find slow_worker_find
#include "runtime/search.c"
#undef wf_idle_sleep
#undef wf_driver_park
#undef wf_worker_find

enum { ME, OTHER, WORKERS };

static struct wf_worker worker[WORKERS];
static weft_runtime rt = {.worker_count = WORKERS, .present = WORKERS, .workers = worker, .idle.workers = WORKERS};
static weft_task task;
static struct wf_scope scope;

/* How often I sleep, as a searcher who has found nothing, if that happens just before my bit is set. */
static unsigned sleeps_though(void (*happens)(void))
{
    for (unsigned i = 0; i < WORKERS; i++) {
        worker[i].rt = &rt;
        worker[i].index = i;
        if (!wf_load(&worker[i].queue.ring, relaxed))
            CHECK_EQ(wf_queue_open(&worker[i].queue, false), 0);
    }
    worker[ME].searching = wf_idle_search(&rt.idle);
    CHECK(worker[ME].searching);
    before_the_bit = happens;
    sleep_until_work(&worker[ME]);
    CHECK_EQ(wf_load(&rt.idle.asleep, relaxed), 0); /* awake again, and nobody's searcher */
    CHECK_EQ(wf_load(&rt.idle.searching, relaxed), 0);
    CHECK(!worker[ME].searching);
    return sleeps;
}

static void nothing(void)
{
}

/* ---- Looking on ---- */

enum { TURNS = 200 };

struct turns {
    weft_event mine[TURNS];
    WF_ATOMIC(int) waits; /* for which of them */
};

static void *set_each(void *arg)
{
    struct turns *t = arg;
    for (int i = 0; i < TURNS; i++) {
        while (wf_load(&t->waits, acquire) <= i)
            sched_yield();
        weft_event_set(&t->mine[i]);
    }
    return NULL;
}

/* On the side of the worker, whose constant it is otherwise, and the only one. */
static void spin_for(int64_t ns)
{
    struct wf_worker *w = wf_worker_self();
    void *side = wf_side_take(wf_side_of(&w->base));
    w->rt->config.spin_ns = ns;
    wf_side_take(side);
}

static int wait_for_each(void *arg)
{
    struct turns *t = arg;
    weft_stats before, after;
    spin_for(20 * WEFT_SEC); /* longer than anybody may */
    pthread_t other = start_thread(set_each, t);
    weft_stats_read(weft_runtime_self(), &before);
    for (int i = 0; i < TURNS; i++) {
        wf_store(&t->waits, i + 1, release);
        CHECK_EQ(weft_event_wait(&t->mine[i]), 0);
    }
    weft_stats_read(weft_runtime_self(), &after);
    CHECK_EQ(after.parks, before.parks);
    join_thread(other);
    spin_for(0);
    return 0;
}

TEST_WITHIN(search, looks_on_before_it_sleeps_if_it_is_told_to, 15)
{
    struct turns t = {0};
    CHECK_EQ(weft_run(&(weft_config){.workers = 1, .spin_ns = WEFT_USEC}, wait_for_each, &t), 0);
}

/* ---- Just before it sleeps ---- */

TEST(search, ends_in_sleep_when_there_is_nothing)
{
    CHECK_EQ(sleeps_though(nothing), 1);
}

static void somebody_has_a_task(void)
{
    wf_queue_push(&worker[OTHER].queue, &task);
    CHECK_EQ(wf_idle_claim(&rt.idle, ME), -1); /* I still count as a searcher: who relies on me wakes nobody */
}

TEST(search, goes_on_when_somebody_has_a_task_now)
{
    CHECK_EQ(sleeps_though(somebody_has_a_task), 0);
}

static void somebody_is_out_of_room(void)
{
    worker[OTHER].queue.ring_max = 0; /* it cannot grow */
    wf_queue_push_full(&worker[OTHER].queue, &task);
}

TEST(search, goes_on_when_somebody_has_tasks_in_the_overflow)
{
    CHECK_EQ(sleeps_though(somebody_is_out_of_room), 0);
}

static void somebody_has_mail(void)
{
    wf_inbox_push(&worker[OTHER].inbox, &task);
}

TEST(search, goes_on_when_a_task_waits_in_somebodys_inbox)
{
    CHECK_EQ(sleeps_though(somebody_has_mail), 0);
}

static void i_have_mail(void)
{
    wf_inbox_push(&worker[ME].inbox, &task);
}

TEST(search, goes_on_when_a_task_waits_in_its_own_inbox)
{
    CHECK_EQ(sleeps_though(i_have_mail), 0);
}

static void i_have_a_pinned_task(void)
{
    wf_inbox_push(&worker[ME].pinned_inbox, &task);
}

TEST(search, goes_on_when_a_task_of_its_own_has_come_back)
{
    CHECK_EQ(sleeps_though(i_have_a_pinned_task), 0);
}

static void somebody_has_a_pinned_task(void)
{
    wf_inbox_push(&worker[OTHER].pinned_inbox, &task);
}

TEST(search, leaves_to_others_what_only_they_may_run)
{
    CHECK_EQ(sleeps_though(somebody_has_a_pinned_task), 1);
}

static void a_scope_is_to_be_stopped(void)
{
    wf_store(&rt.errand_scopes, &scope, release);
}

TEST(search, goes_on_when_a_thread_wants_a_scope_stopped)
{
    CHECK_EQ(sleeps_though(a_scope_is_to_be_stopped), 0);
}

static void a_task_is_to_be_stopped(void)
{
    wf_store(&rt.errand_tasks, &task, release);
}

TEST(search, goes_on_when_a_thread_wants_a_task_stopped)
{
    CHECK_EQ(sleeps_though(a_task_is_to_be_stopped), 0);
}

static void all_is_over(void)
{
    wf_store(&rt.stopping, true, release);
}

TEST(search, goes_on_when_the_runtime_stops)
{
    CHECK_EQ(sleeps_though(all_is_over), 0);
}
