/* case.c - which cases there are, several at a time, and what came of them. */
#include "tests/fault/case.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STREWN = 4,    /* runs with failures all over */
    JOBS_MAX = 64,
    SHOWN_MAX = 12 /* failures that are shown with all they said */
};

static const double COSTLY = 0.3; /* seconds of a processor */

/* Which of many requests of a kind are tried. An example starts as a scenario does: what comes later is its own. */
struct choice {
    uint64_t first, between, last;
};
static const struct choice of_scenario = {8, 6, 8}, of_example = {2, 4, 5}, of_costly = {1, 1, 3};

static const char *const kinds[] = {"memory", "map", "thread", "fd", "ring", "enter", "request", "any"};

struct queue {
    struct plan *plan;
    struct job job[JOBS_MAX];
    unsigned running, shown;
};

void plan_add(struct plan *p, const char *name, const char *path, const char *out)
{
    CHECK(p->count < sizeof p->program / sizeof *p->program);
    p->program[p->count++] = (struct program){.name = name, .path = path, .out = out && *out ? out : NULL};
}

/* ---- Side by side --------------------------------------------------------------------------------- */

static void show(const struct queue *q, const struct job *j, const char *why)
{
    const struct program *p = j->program;
    printf("FAILED  %s with %s: %s\n  again: %s%s %s%s%s\n", p->name, *j->fail ? j->fail : "no fault", why,
           *j->fail ? "WEFT_FAIL=" : "", j->fail, p->path ? p->path : q->plan->self,
           p->path ? "" : " --scenario ", p->path ? "" : p->name);
}

static void show_text(int fd, const char *what)
{
    static char text[1 << 14];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        printf("  %s %s\n", what, line);
}

static void end_job(struct queue *q, struct job *j, int status)
{
    int said = dup(j->said), printed = dup(j->printed);
    const char *why = job_judge(j, status);
    if (why) {
        j->program->failures++;
        show(q, j, why);
        if (q->shown++ < SHOWN_MAX) {
            printf("  wait status %#x\n", (unsigned)status);
            show_text(said, "stderr");
            show_text(printed, "stdout");
        }
        fflush(stdout);
    }
    close(said);
    close(printed);
    kill(-j->pid, SIGKILL); /* what it left behind; its number is ours until now */
    j->pid = 0;
    q->running--;
}

/* Sleep until a child has ended or one is late. */
static void await_child(struct queue *q)
{
    double first = now_seconds() + 3600;
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    for (unsigned i = 0; i < q->plan->jobs; i++)
        if (q->job[i].pid && !q->job[i].late && q->job[i].deadline < first)
            first = q->job[i].deadline;
    double left = first - now_seconds();
    struct timespec limit = {left > 0 ? (time_t)left : 0, 1000000};
    sigtimedwait(&ended, NULL, &limit);
    for (unsigned i = 0; i < q->plan->jobs; i++)
        if (q->job[i].pid && !q->job[i].late && now_seconds() >= q->job[i].deadline) {
            q->job[i].late = true;
            kill(-q->job[i].pid, SIGKILL);
        }
}

static void collect(struct queue *q)
{
    int status;
    siginfo_t who = {0};
    while (waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) == 0 && who.si_pid) {
        struct job *j = NULL;
        for (unsigned i = 0; i < q->plan->jobs; i++)
            if (q->job[i].pid == who.si_pid)
                j = &q->job[i];
        CHECK(j != NULL);
        struct rusage used;
        CHECK_EQ(wait4(who.si_pid, &status, 0, &used), who.si_pid);
        if (!*j->fail)
            j->program->seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                                  (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
        end_job(q, j, status);
        who.si_pid = 0;
    }
}

static void drain(struct queue *q, unsigned until)
{
    while (q->running > until) {
        collect(q);
        if (q->running > until)
            await_child(q);
    }
}

static void submit(struct queue *q, struct program *p, const char *fail)
{
    drain(q, q->plan->jobs - 1);
    struct job *j = q->job;
    while (j->pid)
        j++;
    j->program = p;
    snprintf(j->fail, sizeof j->fail, "%s", fail);
    job_start(j, q->plan->self);
    q->running++;
    p->cases++;
}

/* ---- Which cases ---------------------------------------------------------------------------------- */

static void submit_at(struct queue *q, struct program *p, int kind, uint64_t n, const char *mark)
{
    char fail[40];
    snprintf(fail, sizeof fail, "%s:%" PRIu64 "%s", kinds[kind], n, mark);
    submit(q, p, fail);
}

/* From 1 to `last`, all or some. */
static void submit_kind(struct queue *q, struct program *p, int kind)
{
    struct choice c = p->seconds > COSTLY ? of_costly : p->path ? of_example : of_scenario;
    uint64_t last = p->asked[kind], some = c.first + c.between + c.last;
    uint64_t step = last > some && !q->plan->all ? (last - c.first - c.last) / c.between : 1;
    for (uint64_t n = 1; n <= last; n += n < c.first || n + c.last > last ? 1 : step) {
        if (n > c.first && n + c.last <= last && n + c.last + step > last + 1)
            n = last - c.last + 1; /* the last step is a short one */
        if (kind != WF_FAULT_ANY) /* one of any kind is one of its own */
            submit_at(q, p, kind, n, "");
        submit_at(q, p, kind, n, "+");
    }
}

static void submit_program(struct queue *q, struct program *p)
{
    for (int kind = 0; kind <= WF_FAULT_ANY; kind++)
        submit_kind(q, p, kind);
    for (uint64_t n = 1; n <= STREWN; n++)
        submit_at(q, p, WF_FAULT_ANY, n, "~");
}

/* ---- All of it ------------------------------------------------------------------------------------ */

static int tell(const struct plan *p, double seconds)
{
    unsigned cases = 0, hits = 0, failures = 0;
    printf("%-20s %6s %6s %6s %6s  requests:", "", "cases", "hit", "failed", "CPU s");
    for (int i = 0; i < WF_FAULT_ANY; i++)
        printf(" %8s", kinds[i]);
    printf("\n");
    for (size_t k = 0; k < p->count; k++) {
        const struct program *x = &p->program[k];
        printf("%-20s %6u %6u %6u %6.2f           ", x->name, x->cases, x->hits, x->failures, x->seconds);
        for (int i = 0; i < WF_FAULT_ANY; i++)
            printf(" %8" PRIu64, x->asked[i]);
        printf("\n");
        cases += x->cases;
        hits += x->hits;
        failures += x->failures;
    }
    printf("%u cases, in %u of which something failed, in %.0f s\n%u passed, %u failed\n", cases, hits, seconds,
           cases - failures, failures);
    return failures > 0 || hits == 0;
}

int plan_run(struct plan *p)
{
    static struct queue q;
    sigset_t ended;
    double start = now_seconds();
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    q.plan = p;
    if (p->jobs < 1 || p->jobs > JOBS_MAX)
        p->jobs = 4;
    for (size_t i = 0; i < p->count; i++)
        submit(&q, &p->program[i], "");
    drain(&q, 0);
    for (size_t i = 0; i < p->count; i++)
        submit_program(&q, &p->program[i]);
    drain(&q, 0);
    return tell(p, now_seconds() - start);
}
