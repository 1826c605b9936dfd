/* scenario.c - the table of all scenarios, and what they stand on; see scenario.h. */
#include "tests/scenario/scenario.h"

#include <stdarg.h>
#include <unistd.h>

/* ---- The table ---- */

#define SCENARIOS(X)                                                                                         \
    /* tour.c */ X(lazy) X(eager) X(gather) X(future) X(stall) X(cpu) X(offload) X(timeout) X(cancel)        \
    X(channel) X(echo) X(select)                                                                             \
    /* fork.c */ X(forks) X(loops)                                                                           \
    /* flow.c */ X(fan) X(pipeline) X(pool) X(pingpong) X(pinned) X(orders)                                  \
    /* stop.c */ X(cancel_storm) X(deadline_storm) X(scope_tree) X(held_failures)                            \
    /* time.c */ X(timers) X(timer_churn)                                                                    \
    /* sync.c */ X(mutex_storm) X(sem_storm) X(event_storm) X(future_storm)                                  \
    /* choice.c */ X(select_storm) X(select_meets) X(chan_close)                                             \
    /* away.c */ X(offload_storm) X(blocking_storm) X(submit) X(runtimes)                                    \
    /* net.c */ X(echo_storm) X(reset) X(close_under) X(readiness) X(cancel_net) X(shortage)                 \
    /* service.c */ X(service)

#define DECLARE(name) extern const struct scenario scenario_##name;
SCENARIOS(DECLARE)

#define ENTRY(name) &scenario_##name,
const struct scenario *const scenarios[] = {SCENARIOS(ENTRY) NULL};

/* ---- Playing one ---- */

struct scenario_env scenario_env;

static WF_ATOMIC(uint64_t) counted;
static bool began; /* by the body's task, read after the runtime's end */

void scenario_count(void)
{
    wf_add(&counted, 1, relaxed);
}

uint64_t scenario_counted(void)
{
    return wf_load(&counted, relaxed);
}

static int first_task(void *env)
{
    began = true;
    int result = scenario_env.scenario->body(env);
    HOLDS_EQ(weft_checkpoint(), 0);
    return result;
}

static const int64_t SPILL_NS = 20 * WEFT_USEC;

int scenario_run(const struct scenario_env *env, const weft_config *config)
{
    weft_config with = config ? *config : (weft_config){0};
    scenario_env = *env;
    if (env->scenario->offload_max > 0)
        with.offload_max = env->scenario->offload_max;
    if (env->seed % 3 == 0) /* stacks come and go while their tasks wait, which nobody may notice */
        with.spill_ns = SPILL_NS;
    began = false;
    int result = weft_run(&with, first_task, &scenario_env);
    HOLDS((began && result == 0) || scenario_allowed(result));
    return result;
}

/* ---- Checks ---- */

void scenario_failed(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "%s:%d: CHECK failed: scenario %s, size %u, seed %" PRIu64 "%s: %s\n", file, line,
            scenario_env.scenario ? scenario_env.scenario->name : "?", scenario_env.size, scenario_env.seed,
            scenario_env.faults ? ", faults" : "", text);
    abort();
}

/* What a refused request may say: memory, descriptors, buffers, threads, and all that may befall a connection. */
bool scenario_allowed(int64_t err)
{
    switch (err) {
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
    case -ENOBUFS:
    case -EAGAIN: /* a thread; a fault that says so where weft promises that it never does is found by WENT */
    case -EIO:
    case -ECONNRESET:
    case -ECONNREFUSED:
    case -ECONNABORTED:
    case -EPIPE:
    case -ENOTCONN:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EADDRNOTAVAIL: return scenario_env.faults;
    default: return false;
    }
}

static bool is_cut(int64_t err)
{
    return err == -ECONNRESET || err == -EPIPE || err == -ENOTCONN || err == -ECONNREFUSED;
}

static bool went(int64_t result, bool *ret)
{
    *ret = result >= 0;
    return result >= 0 || (scenario_is_stop(result) && weft_checkpoint() < 0) || scenario_allowed(result);
}

bool scenario_went(const char *file, int line, const char *what, int64_t result)
{
    bool ret;
    if (!went(result, &ret))
        scenario_failed(file, line, "%s: %s", what, weft_strerror((int)result));
    return ret;
}

bool scenario_went_or_cut(const char *file, int line, const char *what, int64_t result)
{
    return !is_cut(result) && scenario_went(file, line, what, result);
}

/* ---- Ground ---- */

void *scenario_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    HOLDS(p);
    return p;
}

weft_chan *scenario_chan(size_t capacity, size_t item_size)
{
    weft_chan *c = weft_chan_new(capacity, item_size);
    HOLDS(c || scenario_env.faults);
    return c;
}

int scenario_listen(char at[WEFT_ADDR_TEXT_MAX])
{
    int fd = weft_tcp_listen("127.0.0.1:0", 0);
    if (!WENT(fd))
        return fd;
    weft_addr addr;
    HOLDS_EQ(weft_addr_local(fd, &addr), 0);
    HOLDS(weft_addr_format(&addr, at, WEFT_ADDR_TEXT_MAX) > 0);
    return fd;
}

void scenario_close(int fd)
{
    int result = weft_close(fd);
    HOLDS(result == 0 || is_cut(result) || (result != -EBADF && scenario_allowed(result)));
}

void scenario_fill(void *buf, size_t size, uint64_t lane, uint64_t n)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buf)[i] = scenario_byte(lane, n + i);
}

void scenario_verify(const void *buf, size_t size, uint64_t lane, uint64_t n)
{
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char *)buf)[i] != scenario_byte(lane, n + i))
            scenario_failed(__FILE__, __LINE__, "stream %" PRIu64 ": byte %" PRIu64 " is not what was sent", lane,
                            n + i);
}
