/* fdtable.c - the moment in which a descriptor's number is free again, but its close has not returned. The file
 * under test is compiled into this one under other names, with a close that lets the test act before it
 * returns. */
#include "io/sys.h"

static int close_slowly(int fd);

#define wf_fd_pages slow_fd_pages
#define wf_fd_grow slow_fd_grow
#define wf_fd_meet_closer slow_fd_meet_closer
#define wf_fd_tell_closer slow_fd_tell_closer
#define wf_fd_close slow_fd_close
#define wf_sys_close close_slowly
#include "io/fdtable.c"
#undef wf_sys_close

#include "tests/io/help.h"

#include <pthread.h>

enum { PATIENCE_NS = 20000000 };

struct newcomer {
    int fd, err;
    struct wf_fd *entered;
    _Atomic bool begun, done;
};

static struct newcomer newcomer;

/* The new owner of the number begins a call on it. */
static void *comes_in(void *arg)
{
    struct newcomer *n = arg;
    n->begun = true;
    n->entered = wf_fd_enter(n->fd, &n->err);
    n->done = true;
    return NULL;
}

/* Give the number back, let the kernel hand it out again, and do not return before the new owner has come in, or
 * is held up as he should be. */
static int close_slowly(int fd)
{
    pthread_t thread;
    int result = wf_sys_close(fd);
    CHECK_EQ(dup(0), fd);
    newcomer = (struct newcomer){.fd = fd};
    CHECK_EQ(pthread_create(&thread, NULL, comes_in, &newcomer), 0);
    pthread_detach(thread);
    while (!newcomer.begun)
        sched_yield();
    weft_time begin = weft_now();
    while (!newcomer.done && weft_since(begin) < PATIENCE_NS)
        sched_yield();
    CHECK(!newcomer.done);
    return result;
}

static int closes_slowly(void *arg)
{
    (void)arg;
    int fd = dup(0);
    CHECK_EQ(slow_fd_close(fd), 0);
    while (!newcomer.done)
        sched_yield();
    CHECK(newcomer.entered != NULL); /* not -EBADF: it is another descriptor now */
    wf_fd_leave(newcomer.entered);
    CHECK_EQ(wf_load(&newcomer.entered->word, relaxed), 0);
    return close(fd);
}

TEST(fdtable, holds_up_who_comes_while_a_number_changes_hands)
{
    run_in_all_shapes(closes_slowly, NULL);
}

TEST(fdtable, gives_neighbours_words_far_apart)
{
    static bool seen[WF_FD_PAGE];
    int err;
    struct wf_fd *first = wf_fd_of(0, &err);
    for (int fd = 0; fd < WF_FD_PAGE; fd++) {
        ptrdiff_t at = wf_fd_of(fd, &err) - first;
        CHECK(at >= 0 && at < WF_FD_PAGE && !seen[at]);
        seen[at] = true;
        if (fd > 0)
            CHECK(labs(wf_fd_of(fd, &err) - wf_fd_of(fd - 1, &err)) >= 64 / (long)sizeof *first);
    }
    CHECK(wf_fd_of(WF_FD_PAGE * WF_FD_PAGES - 1, &err) != NULL);
    CHECK(wf_fd_of(WF_FD_PAGE * WF_FD_PAGES, &err) == NULL);
    CHECK_EQ(err, -EBADF);
    CHECK(wf_fd_of(-1, &err) == NULL);
    CHECK_EQ(err, -EBADF);
}
