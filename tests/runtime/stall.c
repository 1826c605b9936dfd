/* stall.c - tests of what is said of a task that holds its worker: what it does, where, and beside whom. */
#include "runtime/platform/where.h"
#include "tests/runtime/with.h"

#include <sys/mman.h>
#include <unistd.h>

static const int64_t LIMIT_NS = 20 * WEFT_MSEC;

enum { NEIGHBOURS = 200, TEXT = 512 };

/* By the watchdog; those who are waited for read it once told. */
struct told {
    WF_ATOMIC(bool) told;
    char doing[TEXT], first[WF_WHERE_DEPTH][WF_WHERE_TEXT];
    unsigned depth, waiting, elsewhere;
    uint64_t number;
    int pipe[2]; /* a byte comes once told */
};

static void note(const weft_stall *s, void *ctx)
{
    struct told *t = ctx;
    if (wf_load(&t->told, relaxed))
        return;
    snprintf(t->doing, sizeof t->doing, "%s", s->doing);
    t->waiting = s->waiting;
    t->elsewhere = s->elsewhere;
    t->number = s->number;
    t->depth = s->depth;
    for (unsigned i = 0; i < s->depth; i++)
        wf_where_text(s->backtrace[i], true, t->first[i]);
    raise_flag(&t->told);
    CHECK_EQ(write(t->pipe[1], "x", 1), 1);
}

__attribute__((noinline)) static void compute_until(WF_ATOMIC(bool) *flag)
{
    while (!wf_load(flag, acquire))
        wf_pause();
}

__attribute__((noinline)) static void block_until_told(struct told *t)
{
    char byte;
    CHECK_EQ(read(t->pipe[0], &byte, 1), 1);
}

/* Without a frame to go on from, as in a library that keeps no frame pointers. */
__attribute__((noinline)) static void compute_frameless(WF_ATOMIC(bool) *flag)
{
#if defined(__x86_64__)
    __asm__ volatile("sub $128, %%rsp\n\tpush %%rbp\n\txor %%ebp, %%ebp\n"
                     "0:\tpause\n\tcmpb $0, (%0)\n\tje 0b\n\t"
                     "pop %%rbp\n\tadd $128, %%rsp" : : "r"(flag) : "memory", "cc");
#else
    __asm__ volatile("mov x9, x29\n\tmov x29, xzr\n"
                     "0:\tyield\n\tldrb w10, [%0]\n\tcbz w10, 0b\n\t"
                     "mov x29, x9" : : "r"(flag) : "memory", "cc", "x9", "x10");
#endif
    compute_until(flag);
}

static int compute_elsewhere(void *arg)
{
    compute_frameless(&((struct told *)arg)->told);
    return 0;
}

static int compute(void *arg)
{
    compute_until(&((struct told *)arg)->told);
    return 0;
}

static int block(void *arg)
{
    block_until_told(arg);
    return 0;
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* With a line: of this file, or of a header if that part of the function comes from there. */
static bool is_seen(const struct told *t, const char *function)
{
    for (unsigned i = 0; i < t->depth; i++)
        if (strncmp(t->first[i], function, strlen(function)) == 0)
            return strstr(t->first[i], ".c:") || strstr(t->first[i], ".h:");
    for (unsigned i = 0; i < t->depth; i++)
        fprintf(stderr, "seen: %s\n", t->first[i]);
    return false;
}

static void tell(struct told *t, weft_fn fn)
{
    weft_config config = {.workers = 1, .stall_ns = LIMIT_NS, .on_stall = note, .ctx = t};
    CHECK_EQ(pipe(t->pipe), 0);
    CHECK_EQ(weft_run(&config, fn, t), 0);
    CHECK(t->number > 0);
}

TEST(stall, of_one_that_computes_says_so_and_where)
{
    struct told t = {0};
    tell(&t, compute);
    CHECK_STR(t.doing, "computes");
    if (t.depth > 0) /* 0: the system lets nobody sample a thread */
        CHECK(is_seen(&t, "compute")); /* or compute_until, unless it is just calling */
}

TEST(stall, of_one_that_computes_without_a_frame_says_who_called)
{
    struct told t = {0};
    tell(&t, compute_elsewhere);
    if (t.depth > 0)
        CHECK(is_seen(&t, "compute_elsewhere"));
}

TEST(stall, of_one_that_is_blocked_says_by_which_call_and_where)
{
    struct told t = {0};
    tell(&t, block);
    CHECK_STR(t.doing, "is blocked in the system call read");
    CHECK(t.depth > 0);
    CHECK(is_seen(&t, "block"));
}

static int compute_beside_others(void *arg)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < NEIGHBOURS; i++)
        weft_go(&s, do_nothing, NULL);
    compute(arg);
    return weft_scope_close(&s);
}

TEST(stall, counts_those_who_wait)
{
    struct told t = {0};
    tell(&t, compute_beside_others);
    CHECK_EQ(t.waiting, NEIGHBOURS);
    CHECK_EQ(t.elsewhere, 0);
}

static int start_others_until_told(void *arg)
{
    struct told *t = arg;
    WEFT_SCOPE(s);
    while (!wf_load(&t->told, acquire)) {
        weft_go(&s, do_nothing, NULL);
        for (int i = 0; i < 1000; i++)
            wf_pause();
    }
    return weft_scope_close(&s);
}

TEST(stall, counts_those_who_ran_elsewhere)
{
    struct told t;
    do { /* until the other worker was given a core in time */
        t = (struct told){0};
        weft_config config = {.workers = 2, .stall_ns = LIMIT_NS, .on_stall = note, .ctx = &t};
        CHECK_EQ(pipe(t.pipe), 0);
        CHECK_EQ(weft_run(&config, start_others_until_told, &t), 0);
        close(t.pipe[0]);
        close(t.pipe[1]);
    } while (t.elsewhere == 0);
}

/* What is on stderr while fn runs. */
static char *stderr_of(const weft_config *config, weft_fn fn)
{
    WF_ATOMIC(bool) over = false;
    int before = dup(STDERR_FILENO), fd = memfd_create("stderr", MFD_CLOEXEC);
    CHECK(before >= 0 && fd >= 0);
    CHECK(dup2(fd, STDERR_FILENO) >= 0);
    int err = weft_run(config, fn, (void *)&over);
    CHECK(dup2(before, STDERR_FILENO) >= 0);
    CHECK_EQ(err, 0);
    close(before);
    char *text = calloc(1, 65536);
    CHECK(pread(fd, text, 65535, 0) >= 0);
    close(fd);
    return text;
}

static int stall_twice(void *arg)
{
    (void)arg;
    weft_set_name("mole");
    for (int i = 0; i < 2; i++) {
        for (weft_time start = weft_now(); weft_since(start) < 4 * LIMIT_NS;)
            wf_pause();
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    }
    return 0;
}

TEST(stall, is_written_for_people_if_nobody_else_is_told_and_once_a_minute)
{
    char *text = stderr_of(&(weft_config){.workers = 1, .stall_ns = LIMIT_NS}, stall_twice);
    char *at = strstr(text, "weft: worker 0 held ");
    CHECK(at != NULL);
    CHECK(strstr(at, " by task 1 mole (spawned at weft_run)") != NULL);
    CHECK(strstr(at, "0 tasks wait, 0 ran elsewhere") != NULL);
    CHECK(strstr(at + 1, "weft: worker 0 held ") == NULL);
    free(text);
}

TEST(stall, limit_may_come_from_the_environment)
{
    CHECK_EQ(setenv("WEFT_STALL_MS", "20", 1), 0);
    char *text = stderr_of(&(weft_config){.workers = 1}, stall_twice);
    CHECK(strstr(text, "weft: worker 0 held ") != NULL);
    free(text);
    CHECK_EQ(setenv("WEFT_STALL_MS", "soon", 1), 0);
    CHECK_EQ(weft_run(NULL, do_nothing, NULL), -EINVAL);
}
