/* A line of weft_dump() that was too long was cut together with its end, so that the next one stood behind it. */
#include "tests/test.h"

#include <sys/mman.h>
#include <unistd.h>
#include <weft.h>

static int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

static int dump_a_long_line(void *arg)
{
    static char site[1024]; /* the text of a body, a zero, and a place as deep as no folder */
    static char text[8192];
    int fd = memfd_create("dump", MFD_CLOEXEC);
    memset(site, 'x', sizeof site - 1);
    site[3] = '\0';
    (void)arg;
    WEFT_SCOPE(s);
    weft_go_at(&s, return_zero, NULL, site);
    weft_dump(fd);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n > 511 && text[n - 1] == '\n');
    CHECK(strstr(text, "task 1 (first task): running, spawned at weft_run\n") != NULL);
    unsigned lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    CHECK_EQ(lines, 4); /* the runtime, its worker, two tasks */
    close(fd);
    return weft_scope_close(&s);
}

TEST(regress, a_line_of_a_dump_that_is_cut_ends)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, dump_a_long_line, NULL), 0);
}
