/* stack_guard.c - what happens at a stack's end, and to faults that have nothing to do with it. */
#include "runtime/platform/stack.h"
#include "runtime/platform/thread.h"

#include "tests/test.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 64 << 10 };

static struct wf_stack_pool pool;
static struct wf_stack_cache cache;

/* ---- Running over ---------------------------------------------------------------------------------- */

static struct wf_context main_context;
static struct wf_stack *runner, *above, *below;

static void say(const char *text)
{
    CHECK(write(STDERR_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

/* What the neighbours' users had there. */
static bool is_intact(const struct wf_stack *s)
{
    for (const unsigned char *p = s->low; p < (unsigned char *)s; p++)
        if (*p != 0x5a)
            return false;
    return s->size >= STACK_SIZE && (char *)s->low + s->size == (char *)s;
}

static void report(const void *addr)
{
    bool ours = (char *)addr < (char *)runner->low && (char *)addr >= (char *)runner->low - (128 << 10);
    say(ours ? "ran over where expected\n" : "ran over elsewhere\n");
    say(is_intact(above) && is_intact(below) ? "neighbours intact\n" : "neighbours hurt\n");
}

/* Three stacks side by side, of which the middle one runs entry. */
static void run_between_neighbours(void (*entry)(void *))
{
    void *altstack;
    CHECK_EQ(wf_stack_pool_open(&pool, STACK_SIZE), 0);
    above = wf_stack_get(&pool, &cache);
    runner = wf_stack_get(&pool, &cache);
    below = wf_stack_get(&pool, &cache);
    CHECK(below->low < runner->low && runner->low < above->low);
    memset(above->low, 0x5a, above->size);
    memset(below->low, 0x5a, below->size);
    CHECK_EQ(wf_stack_guard_enter(&altstack), 0);
    CHECK_EQ(wf_stack_guard_install(report), 0);
    wf_context_adopt_thread(&main_context);
    wf_context_make(&runner->context, runner->low, runner->size, entry, NULL);
    wf_context_switch(&main_context, &runner->context);
    say("came back\n");
}

/* Called through a variable, lest the compiler make a loop of it. */
static int (*volatile descend_on)(int deep);

static int descend(int deep)
{
    volatile char room[100];
    room[0] = (char)deep;
    return descend_on(deep + 1) + room[0];
}

static void recurse(void *arg)
{
    (void)arg;
    descend_on = descend;
    descend(0);
}

/* Touches only the far end of each frame. */
static int (*volatile leap_on)(int n);

static int leap(int n)
{
    volatile char room[44 << 10];
    room[0] = (char)n;
    __asm__ volatile("" : : "r"(room)); /* all of it is wanted */
    return n == 0 ? room[0] : leap_on(n - 1) + room[0];
}

static void leap_far(void *arg)
{
    (void)arg;
    leap_on = leap;
    leap(4);
}

/* Go down until little is left, then call something that needs more. */
static int (*volatile print_on)(void);

static int print_at_the_end(void)
{
    static char text[512];
    volatile char room[256];
    room[0] = 1;
    if ((char *)__builtin_frame_address(0) - (char *)runner->low > 1200)
        return print_on() + room[0];
    return snprintf(text, sizeof text, "%.300f", room[0] / 3.0);
}

static void print_with_little_left(void *arg)
{
    (void)arg;
    print_on = print_at_the_end;
    print_at_the_end();
}

static void die_recursing(void)
{
    run_between_neighbours(recurse);
}

static void die_leaping(void)
{
    run_between_neighbours(leap_far);
}

static void die_printing(void)
{
    run_between_neighbours(print_with_little_left);
}

static void dies_reporting(void (*body)(void))
{
    static char said[4096];
    int status = test_in_child(body, 10, said, sizeof said);
    const char *expected = "ran over where expected\nneighbours intact\n";
    CHECK(strncmp(said, expected, strlen(expected)) == 0); /* an emulator adds a line about the end */
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST(stack_guard, endless_recursion_is_reported)
{
    dies_reporting(die_recursing);
}

TEST(stack_guard, frames_of_44_kilobytes_do_not_leap_the_guard)
{
    dies_reporting(die_leaping);
}

TEST(stack_guard, running_over_inside_printf_is_reported)
{
    dies_reporting(die_printing);
}

/* ---- Faults that are not ours ---------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile sig_atomic_t caught;

static void catch(int sig)
{
    caught = sig;
    siglongjmp(back, 1);
}

static void no_report(const void *addr)
{
    (void)addr;
    say("reported\n");
}

static void write_to(volatile char *address)
{
    *address = 1;
}

TEST(stack_guard, other_faults_go_to_the_handler_that_was_there)
{
    struct sigaction act = {.sa_handler = catch}, before, after;
    CHECK_EQ(sigaction(SIGSEGV, &act, NULL), 0);
    CHECK_EQ(sigaction(SIGSEGV, NULL, &before), 0);
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 3; i++) {
        caught = 0;
        if (sigsetjmp(back, 1) == 0)
            write_to(page);
        CHECK_EQ(caught, SIGSEGV);
        if (i < 2)
            wf_stack_guard_uninstall();
    }
    CHECK_EQ(sigaction(SIGSEGV, NULL, &after), 0);
    CHECK(after.sa_handler == before.sa_handler && after.sa_flags == before.sa_flags);
}

static void fault(void)
{
    signal(SIGSEGV, SIG_DFL);
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    write_to(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void be_sent_one(void)
{
    signal(SIGSEGV, SIG_DFL);
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    kill(getpid(), SIGSEGV);
    say("survived\n");
}

static void ignore_one(void)
{
    signal(SIGSEGV, SIG_IGN);
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    kill(getpid(), SIGSEGV);
    say("survived\n");
}

TEST(stack_guard, with_no_handler_before_a_fault_ends_the_process_as_ever)
{
    static char said[256];
    int status = test_in_child(fault, 10, said, sizeof said);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(!strstr(said, "reported"));
    status = test_in_child(be_sent_one, 10, said, sizeof said);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(!strstr(said, "reported") && !strstr(said, "survived"));
    CHECK_EQ(test_in_child(ignore_one, 10, said, sizeof said), 0);
    CHECK_STR(said, "survived\n");
}

static void *enter_and_leave(void *arg)
{
    stack_t now;
    void *ours, *again;
    (void)arg;
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL); /* a sanitizer may have given it one */
    CHECK_EQ(wf_stack_guard_enter(&ours), 0);
    CHECK(ours);
    CHECK_EQ(wf_stack_guard_enter(&again), 0);
    CHECK(!again);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK(!(now.ss_flags & SS_DISABLE) && now.ss_size >= 64 << 10);
    memset(now.ss_sp, 1, now.ss_size);
    wf_stack_guard_leave(again);
    wf_stack_guard_leave(ours);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK(now.ss_flags & SS_DISABLE);
    return NULL;
}

TEST(stack_guard, a_thread_gets_one_alternate_stack_and_gives_it_back)
{
    struct wf_thread t;
    CHECK_EQ(wf_thread_start(&t, enter_and_leave, NULL, "altstack"), 0);
    wf_thread_join(&t);
}

/* ---- Handlers before ours, and after ---- */

static siginfo_t told;

static void catch_with_info(int sig, siginfo_t *info, void *context)
{
    (void)context;
    caught = sig;
    told = *info;
}

static void catch_and_return(int sig)
{
    caught = sig;
}

/* A signal that was sent happens once, and whoever was there before has it as it came. */
TEST(stack_guard, passes_on_what_was_sent_in_every_form)
{
    struct sigaction with_info = {.sa_sigaction = catch_with_info, .sa_flags = SA_SIGINFO};
    CHECK_EQ(sigaction(SIGBUS, &with_info, NULL), 0);
    signal(SIGSEGV, catch_and_return);
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    CHECK_EQ(kill(getpid(), SIGBUS), 0);
    CHECK_EQ(caught, SIGBUS);
    CHECK(told.si_code == SI_USER && told.si_pid == getpid());
    CHECK_EQ(kill(getpid(), SIGSEGV), 0);
    CHECK_EQ(caught, SIGSEGV);
    wf_stack_guard_uninstall();
    signal(SIGSEGV, SIG_IGN);
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    CHECK_EQ(kill(getpid(), SIGSEGV), 0);
    wf_stack_guard_uninstall();
    CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
}

/* Somebody came after us: they may call us back, so they stay, in either form. */
TEST(stack_guard, leaves_handlers_alone_that_came_after_it)
{
    struct sigaction with_info = {.sa_sigaction = catch_with_info, .sa_flags = SA_SIGINFO}, now;
    CHECK_EQ(wf_stack_guard_install(no_report), 0);
    signal(SIGSEGV, catch_and_return);
    CHECK_EQ(sigaction(SIGBUS, &with_info, NULL), 0);
    wf_stack_guard_uninstall();
    CHECK(signal(SIGSEGV, SIG_DFL) == catch_and_return);
    CHECK_EQ(sigaction(SIGBUS, NULL, &now), 0);
    CHECK(now.sa_sigaction == catch_with_info);
}

/* ---- The table of slabs ---- */

/* Whatever a table entry would guard, once it is full nobody else gets one; until one is given back. */
TEST(stack_guard, a_full_table_is_said_and_emptied_again)
{
    static struct wf_stack_slab *slab[2000];
    struct wf_stack_pool other;
    static char memory[4096 * 16];
    unsigned n = 0;
    while (n < 2000 && (slab[n] = wf_stack_slab_add(memory, sizeof memory, 4096 * 8, 4096)) != NULL)
        n++;
    CHECK(n > 100 && n < 2000);
    CHECK(wf_stack_is_guard(memory));
    CHECK_EQ(wf_stack_pool_open(&other, 65536), -ENOMEM);
    wf_stack_slab_remove(slab[n / 2]);
    CHECK_EQ(wf_stack_pool_open(&other, 65536), 0);
    wf_stack_pool_close(&other);
    slab[n / 2] = NULL;
    for (unsigned i = 0; i < n; i++)
        if (slab[i])
            wf_stack_slab_remove(slab[i]);
    CHECK(!wf_stack_is_guard(memory));
}

static void *enter_and_be_replaced(void *arg)
{
    static char other[65536];
    stack_t now;
    void *ours;
    (void)arg;
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    CHECK_EQ(wf_stack_guard_enter(&ours), 0);
    CHECK_EQ(sigaltstack(&(stack_t){.ss_sp = other, .ss_size = sizeof other}, NULL), 0);
    wf_stack_guard_leave(ours);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK(now.ss_sp == other);
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    return NULL;
}

TEST(stack_guard, an_alternate_stack_of_the_hosts_stays)
{
    struct wf_thread t;
    CHECK_EQ(wf_thread_start(&t, enter_and_be_replaced, NULL, "altstack"), 0);
    wf_thread_join(&t);
}
