/* modes.c - one run of one cell.
 *
 * The clock starts when the runtime is up and warm and stops when the last task is done: starting threads
 * and rings is paid once by a program, not per piece of work. Each run has a runtime of its own, so modes
 * cannot inherit anything from each other. */
#include "bench/contrast.d/contrast.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

#define WARM_NS (200 * 1000) /* computing per task before the clock starts: wakes workers, fills the pool;
                               * the modes without a runtime do the same, so that all start alike */

struct scene {
    const struct ct_plan *plan;
    const struct ct_style *style;
    struct ct_run *run;
    struct ct_task *warm_tasks; /* as many as the run has; too many for a task's stack */
};

static int64_t spent_ns(const struct rusage *u)
{
    return ((int64_t)u->ru_utime.tv_sec + u->ru_stime.tv_sec) * CT_SEC +
           ((int64_t)u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000;
}

static void run_begin(struct ct_run *r)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    r->cpu_ns = -spent_ns(&u);
    r->switches = -(u.ru_nvcsw + u.ru_nivcsw);
    r->began_ns = ct_now();
}

static void run_end(struct ct_run *r)
{
    struct rusage u;
    r->wall_ns = ct_now() - r->began_ns;
    getrusage(RUSAGE_SELF, &u);
    r->cpu_ns += spent_ns(&u);
    r->switches += u.ru_nvcsw + u.ru_nivcsw;
}

/* Blocking connections to the peer, used by all modes in turn. */
int ct_connect(int port, int *fds, unsigned n)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    to.sin_port = htons((uint16_t)port);
    for (unsigned i = 0; i < n; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&to, sizeof to) < 0)
            return -errno;
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    return 0;
}

static uint64_t warm_turns(const struct ct_plan *p)
{
    return (uint64_t)(WARM_NS / p->turn_ns);
}

static int run_seq(const struct ct_plan *p, struct ct_run *r)
{
    int err = 0;
    for (unsigned i = 0; i < r->task_count; i++)
        r->tasks[i].sink = ct_burn(i, warm_turns(p));
    run_begin(r);
    for (unsigned i = 0; i < r->task_count && err == 0; i++) {
        r->tasks[i].spawned_ns = ct_now();
        err = ct_task_run(&r->tasks[i]);
    }
    run_end(r);
    return err;
}

/* What plain threads get out of this machine right now: the bound to hold par against. They take tasks
 * from a common counter, as even as it gets, and are all started before the clock. */
struct limit {
    const struct ct_plan *plan;
    struct ct_run *run;
    pthread_barrier_t start;
    unsigned next;
};

static void *limit_thread(void *arg)
{
    struct limit *l = arg;
    volatile uint64_t sink = 0;
    unsigned i, share = l->run->task_count / l->plan->workers;
    for (i = 0; i < share; i++)
        sink = ct_burn(sink, warm_turns(l->plan));
    pthread_barrier_wait(&l->start);
    while ((i = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED)) < l->run->task_count) {
        l->run->tasks[i].spawned_ns = ct_now();
        ct_task_run(&l->run->tasks[i]);
    }
    return NULL;
}

static int run_limit(const struct ct_plan *p, struct ct_run *r)
{
    struct limit l = {.plan = p, .run = r};
    pthread_t ids[CT_WORKERS_MAX];
    unsigned threads = p->workers;
    pthread_barrier_init(&l.start, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        int err = pthread_create(&ids[i], NULL, limit_thread, &l);
        if (err != 0)
            ct_die("pthread_create", -err); /* the barrier would wait for ever */
    }
    run_begin(r);
    pthread_barrier_wait(&l.start);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    run_end(r);
    pthread_barrier_destroy(&l.start);
    return 0;
}

static int warm(const struct scene *s)
{
    WEFT_SCOPE(scope);
    for (unsigned i = 0; i < s->run->task_count; i++) {
        struct ct_task *t = &s->warm_tasks[i];
        *t = (struct ct_task){.style = s->style, .turns = warm_turns(s->plan)};
        weft_go(&scope, ct_task_run, t);
    }
    return weft_scope_close(&scope);
}

/* The first task of a run's runtime. */
static int scene_body(void *arg)
{
    struct scene *s = arg;
    int err = warm(s);
    if (err < 0)
        return err;
    run_begin(s->run);
    WEFT_SCOPE(scope);
    for (unsigned i = 0; i < s->run->task_count; i++) {
        s->run->tasks[i].spawned_ns = ct_now();
        weft_go(&scope, ct_task_run, &s->run->tasks[i]);
    }
    err = weft_scope_close(&scope);
    run_end(s->run);
    return err;
}

static int run_weft(const struct ct_plan *p, enum ct_mode m, const struct ct_style *style, struct ct_run *r)
{
    struct scene s = {.plan = p, .style = style, .run = r};
    weft_config config = {.workers = m == CT_PAR || m == CT_PAR_OFFLOAD ? p->workers : 1,
                          .offload_max = p->workers};
    s.warm_tasks = calloc(r->task_count, sizeof *s.warm_tasks);
    if (s.warm_tasks == NULL)
        return -ENOMEM;
    int err = weft_run(&config, scene_body, &s);
    free(s.warm_tasks);
    return err;
}

static const struct ct_style *style_of(enum ct_mode m)
{
    switch (m) {
    case CT_CONC:
    case CT_PAR:
        return &ct_style_inline;
    case CT_OFFLOAD:
    case CT_PAR_OFFLOAD:
        return &ct_style_offload;
    default:
        return &ct_style_plain;
    }
}

/* Workers come first, then the pool's threads in the order in which they first computed. */
static void lanes_settle(struct ct_run *r, unsigned workers)
{
    int ids[CT_LANES_MAX];
    unsigned known = 0;
    for (unsigned i = 0; i < r->task_count; i++) {
        struct ct_task *t = &r->tasks[i];
        for (unsigned k = 0; k < t->span_count; k++) {
            struct ct_span *s = &t->spans[k];
            unsigned at = 0;
            if (s->kind != CT_COMPUTE || s->lane >= 0)
                continue;
            while (at < known && ids[at] != s->lane)
                at++;
            if (at == known && known < CT_LANES_MAX)
                ids[known++] = s->lane;
            s->lane = (int)(workers + at);
        }
    }
}

/* 0, or why the run failed. The notes of its tasks stay with the run. */
int ct_run_cell(const struct ct_plan *p, enum ct_work w, enum ct_mode m, const int *fds, struct ct_run *ret)
{
    struct ct_run r = {.task_count = p->tasks, .tasks = calloc(p->tasks, sizeof *r.tasks)};
    const struct ct_style *style = style_of(m);
    int err;
    if (r.tasks == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < p->tasks; i++) {
        r.tasks[i] = (struct ct_task){.style = style, .fd = fds[i], .id = i};
        r.tasks[i].delay_us = (uint32_t)(p->wait_ns / 1000);
        r.tasks[i].requests = p->requests[w];
        r.tasks[i].turns = p->computes[w] ? p->compute_turns : 0;
    }
    if (m == CT_SEQ) {
        err = run_seq(p, &r);
    } else if (m == CT_LIMIT) {
        err = run_limit(p, &r);
    } else {
        err = run_weft(p, m, style, &r);
    }
    lanes_settle(&r, m == CT_PAR_OFFLOAD ? p->workers : 1);
    if (err < 0) {
        free(r.tasks);
        return err;
    }
    *ret = r;
    return 0;
}

static int count_workers(void *arg)
{
    weft_stats s;
    weft_stats_read(weft_runtime_self(), &s);
    *(unsigned *)arg = s.workers;
    return 0;
}

/* The number of workers weft starts when it is told nothing: the cores this process may use. */
unsigned ct_default_workers(void)
{
    unsigned n = 0;
    int err = weft_run(NULL, count_workers, &n);
    if (err < 0)
        ct_die("the runtime does not start here", err);
    return n;
}
