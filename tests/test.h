/* test.h - what a test is written with.
 *
 *     TEST(chan, close_wakes_every_receiver)
 *     {
 *         CHECK_EQ(weft_run(NULL, body, NULL), 0);
 *     }
 *
 * Two bodies stand behind it. Criterion by default; with TEST_OWN_RUNNER, tests/runner.c, for ThreadSanitizer
 * (under which Criterion aborts), other sanitizers, Valgrind, and a foreign processor under an emulator. Both
 * run each test in a process of its own and end one that hangs.
 *
 * A failed check prints one line and aborts the process. It does not jump back to the runner, because it may
 * stand on a task's stack and on any thread; so checks work everywhere, and in forked children too. */
#ifndef TEST_H
#define TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A child that leaves by _exit() takes along what it knows about the branches it took. */
#ifdef TEST_COVERAGE
#include <unistd.h>
void __gcov_dump(void);
#define _exit(status) (__gcov_dump(), _exit(status))
static inline pid_t test_fork(void)
{
    pid_t (*volatile f)(void) = fork; /* the compiler's own wrapper forgets what handlers of fork() did */
    return f();
}
#define fork() test_fork()
#endif

/* Everything is slower under a sanitizer or an emulator: limits grow, and repetitions shrink, by this. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TEST_SLOWNESS 10
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SLOWNESS 10
#endif
#if !defined(TEST_SLOWNESS) && defined(WF_VALGRIND)
#define TEST_SLOWNESS 20
#endif
#if !defined(TEST_SLOWNESS) && defined(WF_NOISE)
#define TEST_SLOWNESS 10
#endif
#ifndef TEST_SLOWNESS
#define TEST_SLOWNESS 1
#endif
#ifndef TEST_PATIENCE
#define TEST_PATIENCE TEST_SLOWNESS /* by which limits grow; by how much repetitions shrink is the other one */
#endif
#define TEST_TIMES(n) ((n) / TEST_SLOWNESS > 0 ? (n) / TEST_SLOWNESS : 1)

/* A test is ended, and has failed, after this many seconds. TEST_WITHIN says another number. */
#define TEST_SECONDS 20

/* A test: the group is the module's name, the name is a sentence. */
#define TEST(group, name) TEST_WITHIN(group, name, TEST_SECONDS)

void test_end_after(unsigned seconds); /* by SIGALRM, with a line that says so */

#ifdef TEST_OWN_RUNNER

struct test {
    const char *group, *name, *file;
    int line, seconds;
    void (*body)(void);
    struct test *next;
};

void test_add(struct test *t); /* called before main; tests run in the order of their files */

#define TEST_WITHIN(group, name, seconds)                                                          \
    static void test_##group##_##name(void);                                                       \
    __attribute__((constructor)) static void test_add_##group##_##name(void)                       \
    {                                                                                              \
        static struct test t = {#group, #name, __FILE__, __LINE__, (seconds) * TEST_PATIENCE,      \
                                test_##group##_##name, NULL};                                      \
        test_add(&t);                                                                              \
    }                                                                                              \
    static void test_##group##_##name(void)

#else

#include <criterion/criterion.h>

/* Criterion's own limits are not used: with several tests at a time it forgets the longer ones (boxfort 0.1.2: what
 * comes into the middle of its list cuts off the rest). */
#define TEST_WITHIN(group, name, seconds)                                                          \
    static void test_##group##_##name(void);                                                       \
    Test(group, name)                                                                              \
    {                                                                                              \
        test_end_after((seconds) * TEST_PATIENCE);                                                 \
        test_##group##_##name();                                                                   \
    }                                                                                              \
    static void test_##group##_##name(void)

#endif

/* ---- Checks -------------------------------------------------------------------------------------- */

#define CHECK(cond) ((cond) ? (void)0 : test_failed(__FILE__, __LINE__, "%s", #cond))

/* Two integers, each evaluated once; both are printed when they differ. */
#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        intmax_t check_a = (intmax_t)(a), check_b = (intmax_t)(b);                                 \
        if (check_a != check_b)                                                                    \
            test_failed(__FILE__, __LINE__, "%s == %s: %" PRIdMAX " is not %" PRIdMAX, #a, #b,     \
                        check_a, check_b);                                                         \
    } while (0)

/* Two strings; NULL equals only NULL. */
#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *check_a = (a), *check_b = (b);                                                 \
        if (check_a != check_b && (!check_a || !check_b || strcmp(check_a, check_b) != 0))         \
            test_failed(__FILE__, __LINE__, "%s == %s: \"%s\" is not \"%s\"", #a, #b,              \
                        check_a ? check_a : "(null)", check_b ? check_b : "(null)");               \
    } while (0)

_Noreturn void test_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* ---- Death --------------------------------------------------------------------------------------- */

/* The body must end its process by misuse: abort, with exactly one line that begins with "weft: " on stderr,
 * and in it each of the texts. The body runs in a forked child.
 *
 *     TEST_DIES(mutex, unlocked_by_a_stranger, "weft_mutex_unlock", "spawned")
 *     {
 *         weft_run(NULL, unlock_a_free_mutex, NULL);
 *     } */
#define TEST_DIES(group, name, ...)                                                                \
    static void test_dying_##group##_##name(void);                                                 \
    TEST(group, name)                                                                              \
    {                                                                                              \
        test_dies(test_dying_##group##_##name, (const char *const[]){__VA_ARGS__, NULL});          \
    }                                                                                              \
    static void test_dying_##group##_##name(void)

/* The same for use inside a TEST: texts end with NULL. */
void test_dies(void (*body)(void), const char *const texts[]);

/* Run body in a forked child for at most `seconds`; what it wrote to stderr goes to text, cut to size with a
 * zero at its end. Returns the status of wait(2); one that did not end in time was ended by SIGKILL. */
int test_in_child(void (*body)(void), unsigned seconds, char *text, size_t size);

#endif
