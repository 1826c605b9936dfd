/* outside.c - plain threads that submit tasks, set futures and events, send on channels, cancel scopes and tasks and
 * read figures, while tasks wait for all that; and runtimes that end while threads are still inside such a call. */
#include "tests/stress/stress.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { THREADS = 3, CALLS = 200 };

struct meeting {
    weft_runtime *rt;
    weft_chan *chan;
    WF_ATOMIC(unsigned) submitted, ran;
    WF_ATOMIC(unsigned) threads_left;
    weft_event all_left;
};

static int ran(void *arg)
{
    struct meeting *m = arg;
    weft_yield();
    wf_add(&m->ran, 1, relaxed);
    stress_count();
    return 0;
}

struct future_task {
    weft_future future;
    WF_ATOMIC(bool) given;
};

static int give_and_await(void *arg)
{
    struct future_task *f = arg;
    wf_store(&f->given, true, release);
    void *ret = NULL;
    CHECK_EQ(weft_future_await(&f->future, &ret), 0);
    CHECK(ret == f);
    stress_count();
    free(f);
    return 0;
}

/* A task of the root scope that owns a scope which a thread stops. The thread says when it has. */
struct victim {
    WF_ATOMIC(weft_scope *) scope;
    WF_ATOMIC(weft_task *) task;
    weft_event stopped;
};

static int wait_for_the_stop(void *arg)
{
    struct victim *v = arg;
    CHECK_EQ(weft_event_wait(&v->stopped), 0);
    return 0;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(weft_never());
}

static int be_stopped(void *arg)
{
    struct victim *v = arg;
    WEFT_SCOPE(keeper); /* keeps v, and the scope inside it, until the thread has left */
    weft_task *told = weft_spawn(&keeper, wait_for_the_stop, v);
    {
        WEFT_SCOPE(s);
        weft_task *t = weft_spawn(&s, sleep_for_ever, NULL);
        wf_store(&v->task, t, release);
        wf_store(&v->scope, &s, release);
        int result = weft_await(t);
        CHECK(is_stop(result));
        CHECK_EQ(weft_await(told), 0);
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    CHECK_EQ(weft_scope_close(&keeper), 0);
    stress_count();
    free(v);
    return 0;
}

static void submit(struct meeting *m, weft_fn fn, void *arg)
{
    CHECK_EQ(weft_submit(m->rt, fn, arg), 0);
}

static void set_a_future(struct meeting *m)
{
    struct future_task *f = calloc(1, sizeof *f);
    submit(m, give_and_await, f);
    while (!wf_load(&f->given, acquire))
        sched_yield();
    CHECK_EQ(weft_future_set(&f->future, f), 0);
}

static void stop_a_task(struct meeting *m)
{
    struct victim *v = calloc(1, sizeof *v);
    submit(m, be_stopped, v);
    while (!wf_load(&v->scope, acquire))
        sched_yield();
    weft_cancel(wf_load(&v->task, acquire));
    weft_event_set(&v->stopped);
}

static void *call_from_outside(void *arg)
{
    struct meeting *m = arg;
    struct wf_random random = stress_random();
    weft_stats stats;
    char item = 'z';
    for (int i = 0; i < CALLS; i++) {
        switch (wf_random_below(&random, 6)) {
        case 0:
        case 1:
            submit(m, ran, m);
            wf_add(&m->submitted, 1, relaxed);
            break;
        case 2: set_a_future(m); break;
        case 3: stop_a_task(m); break;
        case 4: CHECK_EQ(weft_chan_send(m->chan, &item), 0); break;
        default:
            weft_stats_read(m->rt, &stats);
            CHECK_EQ(stats.workers, stress_workers);
            break;
        }
    }
    if (wf_sub(&m->threads_left, 1, acq_rel) == 1)
        weft_event_set(&m->all_left);
    return NULL;
}

static int receive(void *arg)
{
    struct meeting *m = arg;
    char item;
    while (weft_chan_recv(m->chan, &item) == 0)
        CHECK_EQ(item, 'z');
    return 0;
}

static int dump_now_and_then(void *arg)
{
    struct meeting *m = arg;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), result = 0;
    while (!weft_event_is_set(&m->all_left) && result == 0) {
        weft_dump(fd);
        result = weft_sleep(WEFT_MSEC);
    }
    close(fd);
    return 0;
}

static int meet(void *arg)
{
    struct meeting *m = arg;
    pthread_t id[THREADS];
    m->rt = weft_runtime_self();
    WEFT_SCOPE(s);
    weft_go(&s, receive, m);
    weft_go(&s, dump_now_and_then, m);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&id[i], NULL, call_from_outside, m), 0);
    CHECK_EQ(weft_event_wait(&m->all_left), 0);
    weft_chan_close(m->chan);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_blocking_begin();
    for (int i = 0; i < THREADS; i++)
        pthread_join(id[i], NULL);
    weft_blocking_end();
    return 0;
}


/* One runtime after the other, so that their ends are hit as well. */
static void run_meetings(const char *name, unsigned workers, double seconds)
{
    stress_workers = workers;
    stress_end = weft_after((int64_t)(seconds * 1e9));
    wf_store(&stress_steps, 0, relaxed);
    unsigned runtimes = 0;
    for (; !stress_over(); runtimes++) {
        struct meeting m = {.chan = weft_chan_new(2, 1), .threads_left = THREADS};
        CHECK_EQ(weft_run(&(weft_config){.workers = workers}, meet, &m), 0);
        CHECK_EQ(wf_load(&m.ran, relaxed), wf_load(&m.submitted, relaxed));
        weft_chan_free(m.chan);
    }
    printf("%s, %u workers: %" PRIu64 " steps in %u runtimes\n", name, workers, wf_load(&stress_steps, relaxed),
           runtimes);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const unsigned each[] = {1, 2, 3, 8};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    if (argc > 2)
        run_meetings("outside", (unsigned)atoi(argv[2]), seconds);
    else
        for (size_t i = 0; i < 4; i++)
            run_meetings("outside", each[i], seconds / 4);
    return 0;
}
