/* place.c - calls from the wrong place: for tasks only, but outside of any; or from a task that is on the pool.
 *
 * One row per call marked T in the headers. Each dies three times: on a plain thread, in an offloaded function, and in
 * a task between weft_blocking_begin() and weft_blocking_end(), which is then named. */
#include "tests/death/dies.h"

#include <poll.h>

static weft_scope scope;
static char buf[8];

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void call_await(void) { weft_await((weft_task *)(void *)buf); }
static void call_checkpoint(void) { weft_checkpoint(); }
static void call_go(void) { weft_go(&scope, nothing, NULL); }
static void call_go_copy(void) { weft_go_copy(&scope, nothing, buf, sizeof buf); }
static void call_name(void) { weft_name(); }
static void call_job_await(void) { weft_job_await(&(weft_job){0}); }
static void call_job_start(void) { weft_job_start(&(weft_job){0}, NULL, nothing, NULL); }
static void call_job_start_all(void) { weft_job_start_all(&(weft_job){0}, NULL, nothing, NULL, 0, 1); }
static void call_lane_blocking(void) { weft_lane_blocking(); }
static void call_lane_close(void) { weft_lane_close(NULL); }
static void call_lane_cpu(void) { weft_lane_cpu(); }
static void call_lane_dns(void) { weft_lane_dns(); }
static void call_lane_open(void) { weft_lane_open(NULL, &(weft_lane_config){.name = "x"}); }
static void call_offload(void) { weft_offload(nothing, NULL); }
static void call_offload_on(void) { weft_offload_on(NULL, nothing, NULL); }
static void call_pin(void) { weft_pin(); }
static void call_prepare(void) { weft_prepare(&scope, nothing, NULL); }
static void call_scope_close(void) { weft_scope_close(&(weft_scope){{0}}); }
static void call_scope_open(void) { weft_scope_open(&scope); }
static void call_scope_set_deadline(void) { weft_scope_set_deadline(&scope, weft_never()); }
static void call_scope_shield(void) { weft_scope_shield(&scope); }
static void call_self(void) { weft_runtime_self(); }
static void call_set_name(void) { weft_set_name("x"); }
static void call_sleep(void) { weft_sleep(0); }
static void call_sleep_until(void) { weft_sleep_until(weft_now()); }
static void call_spawn(void) { weft_spawn(&scope, nothing, NULL); }
static void call_start(void) { weft_start((weft_task *)(void *)buf); }
static void call_unpin(void) { weft_unpin(); }
static void call_within(void) { weft_within(1, nothing, NULL); }
static void call_worker(void) { weft_worker(); }
static void call_yield(void) { weft_yield(); }

static void call_accept(void) { weft_accept(0, NULL); }
static void call_close(void) { weft_close(-1); }
static void call_closep(void) { weft_closep(&(int){100000}); }
static void call_connect(void) { weft_tcp_connect("127.0.0.1:1"); }
static void call_listen(void) { weft_tcp_listen("127.0.0.1:0", 0); }
static void call_poll(void) { weft_poll(0, POLLIN); }
static void call_pread(void) { weft_pread(0, buf, 1, 0); }
static void call_pwrite(void) { weft_pwrite(0, buf, 1, 0); }
static void call_read(void) { weft_read(0, buf, 1); }
static void call_read_full(void) { weft_read_full(0, buf, 1); }
static void call_resolve(void) { weft_resolve("127.0.0.1:1", NULL, 0); }
static void call_write(void) { weft_write(0, buf, 1); }
static void call_write_all(void) { weft_write_all(0, buf, 1); }
static void call_select_fd(void) { weft_select((weft_case[]){weft_on_fd(0, POLLIN)}, 1); }

static const struct row {
    const char *name;
    void (*call)(void);
} rows[] = {
    {"weft_await", call_await}, {"weft_job_await", call_job_await}, {"weft_job_start", call_job_start},
    {"weft_job_start_all", call_job_start_all}, {"weft_lane_blocking", call_lane_blocking},
    {"weft_lane_close", call_lane_close}, {"weft_lane_cpu", call_lane_cpu}, {"weft_lane_dns", call_lane_dns},
    {"weft_lane_open", call_lane_open}, {"weft_offload_on", call_offload_on},
    {"weft_checkpoint", call_checkpoint}, {"weft_go", call_go}, {"weft_go", call_go_copy},
    {"weft_name", call_name}, {"weft_offload", call_offload}, {"weft_pin", call_pin}, {"weft_prepare", call_prepare},
    {"weft_scope_close", call_scope_close}, {"weft_scope_open", call_scope_open},
    {"weft_scope_set_deadline", call_scope_set_deadline}, {"weft_scope_shield", call_scope_shield},
    {"weft_runtime_self", call_self}, {"weft_set_name", call_set_name}, {"weft_sleep", call_sleep},
    {"weft_sleep", call_sleep_until}, {"weft_spawn", call_spawn}, {"weft_start", call_start},
    {"weft_unpin", call_unpin}, {"weft_within", call_within}, {"weft_worker", call_worker}, {"weft_yield", call_yield},
    {"weft_accept", call_accept}, {"weft_close", call_close}, {"weft_close", call_closep},
    {"weft_tcp_connect", call_connect}, {"weft_tcp_listen", call_listen}, {"weft_poll", call_poll},
    {"weft_pread", call_pread}, {"weft_pwrite", call_pwrite}, {"weft_read", call_read},
    {"weft_read", call_read_full}, {"weft_resolve", call_resolve}, {"weft_write", call_write},
    {"weft_write", call_write_all}, {"weft_select", call_select_fd},
};

static const struct row *row; /* the one whose turn it is */

static void each_dies(void (*body)(void), const char *how, const char *blamed)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        row = &rows[i];
        snprintf(text, sizeof text, "weft: %s called %s", row->name, how);
        test_dies(body, (const char *const[]){text, blamed, NULL});
    }
}

static void call_here(void)
{
    row->call();
}

TEST_WITHIN(place, is_a_plain_thread_where_a_task_is_needed, 60)
{
    each_dies(call_here, "outside a task", "");
}

static int call_it(void *arg)
{
    (void)arg;
    row->call();
    return 0;
}

static int offload_it(void *arg)
{
    return weft_offload(call_it, arg);
}

static void call_offloaded(void)
{
    weft_run(&(weft_config){.workers = 1}, offload_it, NULL);
}

TEST_WITHIN(place, is_an_offloaded_function_where_a_task_is_needed, 60)
{
    each_dies(call_offloaded, "outside a task", "");
}

static int call_blocking(void *arg)
{
    weft_blocking_begin();
    return call_it(arg);
}

static int spawn_blocking(void *arg)
{
    WEFT_SCOPE(s);
    weft_go_at(&s, call_blocking, arg, "blocker\0blocker.c:5");
    return weft_scope_close(&s);
}

static void call_on_the_pool(void)
{
    weft_run(&(weft_config){.workers = 1}, spawn_blocking, NULL);
}

TEST_WITHIN(place, is_the_pool_where_a_worker_is_needed, 60)
{
    each_dies(call_on_the_pool, "between weft_blocking_begin and weft_blocking_end",
              ", in task blocker (spawned at blocker.c:5)");
}

/* ---- The borders of blocking code ---- */

static int end_only(void *arg)
{
    (void)arg;
    weft_blocking_end();
    return 0;
}

static int return_blocking(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    return 0;
}

static int begin_too_deep(void *arg)
{
    (void)arg;
    for (int i = 0; i < 256; i++)
        weft_blocking_begin();
    return 0;
}

static weft_mutex mutex;

static int lock_in_vain(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    weft_mutex_lock(&mutex); /* the first task has it */
    return 0;
}

static int spawn_under_lock(void *arg)
{
    weft_mutex_lock(&mutex);
    WEFT_SCOPE(s);
    weft_go_at(&s, lock_in_vain, arg, "locker\0locker.c:3");
    return weft_scope_close(&s);
}

DIES(blocking, ended_without_a_begin, end_only, "weft_blocking_end without weft_blocking_begin")
DIES(blocking, not_over_when_its_task_returns, return_blocking, "a task returned between weft_blocking_begin and")
DIES(blocking, begun_too_deep, begin_too_deep, "weft_blocking_begin nested 256 deep")

TEST_DIES(blocking, suspends, "a call that suspends between weft_blocking_begin",
          ", in task locker (spawned at locker.c:3)")
{
    weft_run(&(weft_config){.workers = 1}, spawn_under_lock, NULL);
}

TEST_DIES(blocking, begun_outside_a_task, "weft_blocking_begin called outside a task")
{
    weft_blocking_begin();
}

TEST_DIES(blocking, ended_outside_a_task, "weft_blocking_end without weft_blocking_begin")
{
    weft_blocking_end();
}

static int run_inside(void *arg)
{
    return weft_run(NULL, nothing, arg);
}

static int run_inside_blocking(void *arg)
{
    weft_blocking_begin();
    return run_inside(arg);
}

DIES(place, is_a_task_where_a_runtime_is_started, run_inside, "weft_run called inside a task")
DIES(place, is_the_pool_where_a_runtime_is_started, run_inside_blocking, "weft_run called inside a task")
