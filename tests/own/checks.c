/* checks.c - the tests of what tests are written with: a check that cannot fail proves nothing. */
#include "tests/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[4096];

static void expect_failure(void (*body)(void), const char *text)
{
    int status = test_in_child(body, 5, said, sizeof said);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
    CHECK(strstr(said, text));
}

static void false_condition(void) { CHECK(1 + 1 == 3); }
static void unequal_numbers(void) { CHECK_EQ(-1, 7); }
static void unequal_strings(void) { CHECK_STR("warp", "weft"); }
static void null_and_string(void) { CHECK_STR(NULL, "weft"); }

TEST(own, checks_that_fail_say_what_and_abort)
{
    expect_failure(false_condition, "1 + 1 == 3");
    expect_failure(unequal_numbers, "-1 is not 7");
    expect_failure(unequal_strings, "\"warp\" is not \"weft\"");
    expect_failure(null_and_string, "\"(null)\" is not \"weft\"");
}

TEST(own, checks_that_hold_are_silent_and_evaluate_once)
{
    int calls = 0;
    CHECK(++calls == 1);
    CHECK_EQ(++calls, 2);
    CHECK_STR((calls++, "same"), "same");
    CHECK_STR(NULL, NULL);
    CHECK_EQ(calls, 3);
}

TEST_DIES(own, death_is_recognized, "what happened", "spawned")
{
    fprintf(stderr, "a line of somebody else's\nweft: what happened, in task t (spawned here)\n");
    abort();
}

static void survive(void) { fprintf(stderr, "weft: all is well\n"); }
static void exit_early(void) { fprintf(stderr, "weft: leaving\n"), _exit(3); }
static void die_silently(void) { abort(); }
static void die_twice(void) { fprintf(stderr, "weft: one\nweft: two\n"), abort(); }
static void die_of_else(void) { fprintf(stderr, "weft: something else\n"), abort(); }
static void expect_one(void (*body)(void)) { test_dies(body, (const char *const[]){"one", NULL}); }
static void survivor(void) { expect_one(survive); }
static void leaver(void) { expect_one(exit_early); }
static void silent(void) { expect_one(die_silently); }
static void twice(void) { expect_one(die_twice); }
static void other(void) { expect_one(die_of_else); }

TEST(own, what_only_looks_like_death_is_refused)
{
    expect_failure(survivor, "expected an abort");
    expect_failure(leaver, "expected an abort");
    expect_failure(silent, "found 0");
    expect_failure(twice, "found 2");
    expect_failure(other, "expected \"one\"");
}

static void hang(void)
{
    for (;;) {
        pause();
    }
}

static void hang_beyond_its_limit(void)
{
    test_end_after(1);
    for (;;)
        pause();
}

TEST(own, a_test_that_hangs_is_ended_and_says_so)
{
    int status = test_in_child(hang_beyond_its_limit, 10, said, sizeof said);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGALRM);
    CHECK(strstr(said, "did not end within its limit"));
}

TEST_WITHIN(own, a_child_that_hangs_is_ended, 30)
{
    int status = test_in_child(hang, 1, said, sizeof said);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}
