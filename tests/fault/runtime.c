/* runtime.c - scenarios: starting, spawning, scopes, offloading, threads from outside, dumps. */
#include "tests/fault/scenario.h"

#include <alloca.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int start_one(void)
{
    return run_with(1, nothing, NULL);
}

static int start_three(void)
{
    return run_with(3, nothing, NULL);
}

static int start_deferred(void)
{
    return weft_run(&(weft_config){.workers = 2, .ring = WEFT_RING_DEFER, .pin = true}, nothing, NULL);
}

/* ---- Tasks ---------------------------------------------------------------------------------------- */

enum { STORM = 300, SLEEPERS = 50, ARGS = 20 };

struct storm {
    WF_ATOMIC(unsigned) ran;
    weft_event go_on;
};

struct large {
    struct storm *storm;
    int numbers[ARGS];
};

static int count_one(void *arg)
{
    struct storm *s = arg;
    wf_add(&s->ran, 1, relaxed);
    return weft_yield();
}

static int count_large(void *arg)
{
    struct large *l = arg;
    for (int i = 0; i < ARGS; i++)
        CHECK_EQ(l->numbers[i], i);
    wf_add(&l->storm->ran, 1, relaxed);
    return 0;
}

static int count_late(void *arg)
{
    struct storm *s = arg;
    int err = weft_event_wait(&s->go_on); /* so many stacks at once */
    wf_add(&s->ran, 1, relaxed);
    return err;
}

static int storm(void *arg)
{
    struct storm storm = {0};
    struct large large = {.storm = &storm};
    weft_task *held[SLEEPERS];
    (void)arg;
    for (int i = 0; i < ARGS; i++)
        large.numbers[i] = i;
    WEFT_SCOPE(s);
    for (int i = 0; i < SLEEPERS; i++)
        held[i] = weft_spawn(&s, count_late, &storm);
    for (int i = 0; i < STORM; i++)
        weft_go(&s, count_one, &storm);
    for (int i = 0; i < SLEEPERS; i++)
        weft_go_copy(&s, count_large, &large, sizeof large);
    weft_task *prepared = weft_prepare(&s, nothing, NULL);
    weft_start(prepared);
    weft_yield();
    weft_event_set(&storm.go_on);
    int first = 0;
    for (int i = 0; i < SLEEPERS; i++) {
        int err = weft_await(held[i]);
        first = err < 0 && !first ? err : first;
    }
    int err = weft_scope_close(&s);
    if (err == 0 && first == 0)
        CHECK_EQ(wf_load(&storm.ran, relaxed), STORM + 2 * SLEEPERS);
    return err ? err : first;
}

static int spawn_one(void)
{
    return run_with(1, storm, NULL);
}

static int spawn_three(void)
{
    return run_with(3, storm, NULL);
}

/* ---- Forks ---------------------------------------------------------------------------------------- */

/* Whatever is refused, each is called once: what gets no task or no stack is called by its parent. */
static unsigned count_forked(weft_forks *forks, struct storm *s);
WEFT_FORKABLE(unsigned, count_forked, struct storm *)

static unsigned count_forked(weft_forks *forks, struct storm *s)
{
    (void)forks;
    weft_event_wait(&s->go_on);
    return wf_add(&s->ran, 1u, relaxed) < STORM;
}

static int fork_storm(void *arg)
{
    static struct count_forked_fork f[STORM];
    struct storm storm = {0};
    weft_forks *forks = weft_forks_self();
    unsigned ran = 0;
    (void)arg;
    for (int i = 0; i < STORM; i++)
        count_forked_fork(forks, &f[i], &storm);
    int err = weft_sleep(100 * WEFT_USEC); /* they all begin meanwhile */
    weft_yield();
    weft_event_set(&storm.go_on);
    for (int i = STORM - 1; i >= 0; i--)
        ran += count_forked_join(forks, &f[i]);
    CHECK_EQ(ran, STORM);
    CHECK_EQ(wf_load(&storm.ran, relaxed), STORM);
    return err;
}

static int fork_one(void)
{
    return run_with(1, fork_storm, NULL);
}

static int fork_three(void)
{
    return run_with(3, fork_storm, NULL);
}

/* ---- Scopes --------------------------------------------------------------------------------------- */

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(weft_never());
}

static int nested(void *arg)
{
    WEFT_SCOPE(s);
    weft_scope_set_deadline(&s, weft_after(2 * WEFT_MSEC));
    for (int i = 0; i < 3; i++)
        weft_go(&s, sleep_for_ever, arg);
    int err = weft_scope_close(&s);
    return err == -ETIMEDOUT ? 0 : err;
}

static int shielded(void *arg)
{
    WEFT_SCOPE(s);
    weft_scope_shield(&s);
    weft_go(&s, nested, arg);
    return weft_scope_close(&s);
}

static int deadlines(void *arg)
{
    int err = weft_within(WEFT_MSEC, sleep_for_ever, arg);
    if (err != -ETIMEDOUT)
        return err;
    WEFT_SCOPE(s);
    for (int i = 0; i < 5; i++)
        weft_go(&s, i % 2 ? shielded : nested, arg);
    weft_task *t = weft_spawn(&s, sleep_for_ever, arg);
    weft_cancel(t);
    int ended = weft_await(t);
    CHECK(ended == -ECANCELED || ended == -ENOMEM);
    return weft_scope_close(&s);
}

static int scopes(void)
{
    return run_with(2, deadlines, NULL);
}

/* ---- Spilling ------------------------------------------------------------------------------------- */

enum { SPILLED = 6 };

static WF_ATOMIC(unsigned) unharmed;

/* Whatever becomes of its stack meanwhile: kept for want of memory, refused by the kernel, or away. */
static int sleep_and_look(void *arg)
{
    volatile size_t size = 300;
    volatile char *text = alloca(size); /* AddressSanitizer puts what has a known size elsewhere */
    for (size_t i = 0; i < size; i++)
        text[i] = (char)i;
    int err = weft_sleep_until(weft_never());
    for (size_t i = 0; i < size; i++)
        CHECK_EQ(text[i], (char)i);
    (void)arg;
    wf_add(&unharmed, 1, relaxed);
    return err;
}

static int spill_some(void *arg)
{
    wf_store(&unharmed, 0, relaxed);
    WEFT_SCOPE(s);
    for (int i = 0; i < SPILLED; i++)
        weft_go(&s, sleep_and_look, arg);
    for (int i = 0; i < 8; i++) /* some are spilled by then, if it goes well; or none */
        weft_sleep(WEFT_MSEC);
    weft_scope_cancel(&s);
    int err = weft_scope_close(&s);
    CHECK(err == 0 ? wf_load(&unharmed, relaxed) == SPILLED : err == -ENOMEM);
    return err;
}

static int spill_one(void)
{
    return weft_run(&(weft_config){.workers = 1, .spill_ns = WEFT_MSEC}, spill_some, NULL);
}

static int spill_three(void)
{
    return weft_run(&(weft_config){.workers = 3, .spill_ns = WEFT_MSEC}, spill_some, NULL);
}

/* ---- Offloading ----------------------------------------------------------------------------------- */

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static int offload_one(void *arg)
{
    int result = weft_offload(seven, arg);
    CHECK(result == 7 || result < 0);
    return result < 0 ? result : 0;
}

static int block_one(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    weft_blocking_begin();
    poll(NULL, 0, 1);
    weft_blocking_end();
    weft_blocking_end();
    return weft_yield();
}

static int offload_many(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 6; i++)
        weft_go(&s, i % 2 ? offload_one : block_one, arg);
    return weft_scope_close(&s);
}

static int offload(void)
{
    return weft_run(&(weft_config){.workers = 2, .offload_max = 3}, offload_many, NULL);
}

/* A lane of one's own, full at times: what is not started has not run, what is has. */
static int use_lane(void *arg)
{
    weft_lane *lane = arg;
    weft_job one = {0}, all = {0};
    int result = weft_job_start(&one, lane, seven, NULL);
    int many = weft_job_start_all(&all, lane, seven, NULL, 0, 3);
    int direct = weft_offload_on(lane, seven, NULL);
    CHECK(result <= 0 && many <= 0);
    if (result == 0) {
        result = weft_job_await(&one);
        CHECK(result == 7 || result < 0);
    }
    if (many == 0) {
        many = weft_job_await(&all);
        CHECK(many <= 0);
    }
    CHECK(direct == 7 || direct < 0);
    return result < 0 ? result : many < 0 ? many : direct < 0 ? direct : 0;
}

static int use_lanes(void *arg)
{
    weft_lane *lane = NULL;
    (void)arg;
    int err = weft_lane_open(&lane, &(weft_lane_config){.name = "own", .threads = 2, .queue = 1});
    if (err)
        return err;
    WEFT_SCOPE(s);
    for (int i = 0; i < 3; i++)
        weft_go(&s, use_lane, i ? lane : weft_lane_cpu());
    err = weft_scope_close(&s);
    weft_lane_close(lane);
    return err;
}

static int lanes(void)
{
    return run_with(2, use_lanes, NULL);
}

static void ignore_stall(const weft_stall *stall, void *ctx)
{
    (void)stall;
    wf_add((WF_ATOMIC(unsigned) *)ctx, 1, relaxed);
}

static int hold_worker(void *arg)
{
    WF_ATOMIC(unsigned) *stalls = arg;
    weft_time start = weft_now();
    while (!wf_load(stalls, relaxed))
        if (weft_since(start) > 5 * WEFT_SEC) /* a watchdog that could not be had was to say so at the start */
            return -ETIME;
    return 0;
}

static int watchdog(void)
{
    WF_ATOMIC(unsigned) stalls = 0;
    weft_config config = {.workers = 2, .stall_ns = WEFT_MSEC, .on_stall = ignore_stall, .ctx = (void *)&stalls};
    return weft_run(&config, hold_worker, (void *)&stalls);
}

/* ---- From outside --------------------------------------------------------------------------------- */

struct outsider {
    weft_runtime *runtime;
    weft_future answer;
    weft_event submitted;
    weft_scope *scope;
    struct trouble trouble;
    pthread_t thread;
};

static int answer(void *arg)
{
    struct outsider *o = arg;
    weft_event_set(&o->submitted);
    return 0;
}

/* A plain thread gives work, and stops some. */
static void *interfere(void *arg)
{
    struct outsider *o = arg;
    for (int i = 0; i < 20; i++)
        fail(&o->trouble, weft_submit(o->runtime, answer, o));
    weft_scope_cancel(o->scope);
    weft_future_set(&o->answer, o);
    return NULL;
}

static int outside_body(void *arg)
{
    struct outsider *o = arg;
    WEFT_SCOPE(s);
    weft_scope_shield(&s);
    o->runtime = weft_runtime_self();
    o->scope = &s;
    for (int i = 0; i < 4; i++)
        weft_go(&s, sleep_for_ever, o);
    if (pthread_create(&o->thread, NULL, interfere, o) != 0)
        return -EAGAIN;
    void *value;
    WEFT_SCOPE(inner);
    weft_scope_shield(&inner);
    int err = weft_future_await(&o->answer, &value);
    CHECK_EQ(err, 0);
    CHECK(value == o);
    pthread_join(o->thread, NULL);
    weft_scope_close(&inner);
    err = weft_scope_close(&s);
    return err ? err : cause(&o->trouble, wf_load(&o->trouble.first, acquire));
}

static int outside(void)
{
    struct outsider o = {0};
    return run_with(2, outside_body, &o);
}

static int dump_body(void *arg)
{
    int *fd = arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < 20; i++)
        weft_go(&s, sleep_for_ever, NULL);
    weft_prepare(&s, nothing, NULL);
    weft_yield();
    weft_dump(*fd);
    weft_scope_cancel(&s);
    return weft_scope_close(&s);
}

static int dump(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    int err = run_with(2, dump_body, &fd);
    close(fd);
    return err;
}

static void *run_another(void *arg)
{
    struct trouble *t = arg;
    fail(t, run_with(2, offload_many, NULL));
    return NULL;
}

static int two_at_once(void)
{
    struct trouble t = {0};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, run_another, &t), 0);
    fail(&t, run_with(2, storm, NULL));
    pthread_join(thread, NULL);
    return wf_load(&t.first, acquire);
}

const struct scenario runtime_scenarios[] = {
    {"start_one", start_one},     {"start_three", start_three}, {"start_deferred", start_deferred},
    {"spawn_one", spawn_one},     {"spawn_three", spawn_three}, {"scopes", scopes},
    {"offload", offload},         {"watchdog", watchdog},       {"outside", outside},
    {"dump", dump},               {"two_at_once", two_at_once}, {"fork_one", fork_one},
    {"fork_three", fork_three},   {"spill_one", spill_one},     {"spill_three", spill_three},
    {"lanes", lanes},
    {NULL, NULL},
};
