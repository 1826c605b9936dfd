/* base.c - tests of runtime/base.c, alloc.c and panic.c: what everything else takes for granted. */
#include "runtime/alloc.h"
#include "runtime/panic.h"
#include "tests/runtime/with.h"

#include <unistd.h>

TEST(base, has_a_text_for_every_result)
{
    CHECK_STR(weft_strerror(0), "Success");
    CHECK_STR(weft_strerror(-EPIPE), "Broken pipe");
    CHECK_STR(weft_strerror(-ECANCELED), "Operation canceled");
    CHECK_STR(weft_strerror(EPIPE), "Unknown error");
    CHECK_STR(weft_strerror(-4000), "Unknown error");
    CHECK_STR(weft_strerror(INT32_MIN), "Unknown error");
}

TEST(base, says_its_version)
{
    unsigned part[3];
    CHECK_EQ(sscanf(weft_version(), "%u.%u.%u", &part[0], &part[1], &part[2]), 3);
    CHECK_EQ(part[0], WEFT_VERSION_MAJOR);
    CHECK_EQ(part[1], WEFT_VERSION_MINOR);
    CHECK_EQ(part[2], WEFT_VERSION_PATCH);
}

TEST(alloc, gives_zeroed_memory_of_any_size)
{
    static const size_t sizes[] = {0, 1, 255, 4096, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = wf_alloc(sizes[i]), *q = wf_alloc_aligned(sizes[i], 256);
        CHECK(p && q && (uintptr_t)q % 256 == 0);
        for (size_t k = 0; k < sizes[i]; k++)
            CHECK(p[k] == 0 && q[k] == 0);
        memset(p, 0xff, sizes[i]);
        memset(q, 0xff, sizes[i]);
        wf_free(p, sizes[i]);
        wf_free(q, sizes[i]);
    }
    wf_free(NULL, 0);
}

/* ---- A line is one line ---- */

static char very_long[2000];

static void warn_at_length(void)
{
    memset(very_long, 'x', sizeof very_long - 1);
    wf_warn("%s", very_long);
    wf_warn("and on");
}

static int die_at_length(void *arg)
{
    (void)arg;
    memset(very_long, 'x', 480);
    wf_panic("%s", very_long); /* there is room for it, but not for the task */
}

static void die_in_a_task(void)
{
    weft_run(&(weft_config){.workers = 1}, die_at_length, NULL);
}

static void warn_nobody(void)
{
    close(STDERR_FILENO);
    wf_warn("nobody reads this");
}

TEST(panic, cuts_a_line_that_is_too_long_and_ends_it)
{
    static char said[8192];
    CHECK_EQ(test_in_child(warn_at_length, 10, said, sizeof said), 0);
    char *end = strchr(said, '\n');
    CHECK(end && end - said == 510);
    CHECK_STR(end + 1, "weft: and on\n");
    CHECK(test_in_child(die_in_a_task, 10, said, sizeof said) != 0);
    CHECK(strncmp(said, "weft: xxx", 9) == 0);
    CHECK_EQ(strcspn(said, "\n"), 510);
    CHECK_EQ(test_in_child(warn_nobody, 10, said, sizeof said), 0);
    CHECK_STR(said, "");
}
