/* A cancel that the kernel answered with -ENOENT was taken for one that came too late. It can come too early: a request
 * that found nothing, but its file ready a moment later, is held for its thread to try again, and meanwhile no cancel
 * finds it. Had another reader been quicker by then, it waited as before, with nobody left to end it: a stop was lost,
 * or a close never returned. Here a plain thread is that reader, once a round, somewhere around the cancel. */
#include "runtime/platform/atomic.h"
#include "runtime/platform/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

enum { ROUNDS = 5000, READERS = 4, FLICKERS = 3, DELAY_MAX = 1000 };

struct game {
    bool by_close; /* how the readers are ended: by closing what they read from, or by a stop */
    int fds[2], twin; /* of a pair of sockets, and the first of them once more: the teaser's */
    WF_ATOMIC(unsigned) begun, done; /* rounds */
};

/* Make the socket ready and empty again. What is not there any more, one of the tasks has. */
static void *tease(void *arg)
{
    struct game *g = arg;
    struct wf_random random = {1};
    for (unsigned round = 1; round <= ROUNDS; round++) {
        while (wf_load(&g->begun, acquire) < round)
            sched_yield();
        for (uint32_t delay = wf_random_below(&random, DELAY_MAX); delay > 0; delay--)
            wf_pause();
        for (int i = 0; i < FLICKERS; i++) {
            char byte = 'x';
            CHECK_EQ(write(g->fds[1], &byte, 1), 1);
            CHECK(recv(g->twin, &byte, 1, MSG_DONTWAIT) == 1 || errno == EAGAIN);
        }
        wf_store(&g->done, round, release);
    }
    return NULL;
}

static int read_one(void *fd)
{
    char byte;
    weft_read(*(int *)fd, &byte, 1);
    return 0;
}

static int play_round(struct game *g, unsigned round)
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, g->fds), 0);
    CHECK((g->twin = dup(g->fds[0])) >= 0);
    {
        WEFT_SCOPE(s);
        for (int i = 0; i < READERS; i++)
            CHECK_EQ(weft_go(&s, read_one, &g->fds[0]), 0);
        weft_yield(); /* now their requests are in the queue */
        wf_store(&g->begun, round, release);
        if (g->by_close)
            CHECK_EQ(weft_close(g->fds[0]), 0);
        weft_scope_leave(&s);
    }
    while (wf_load(&g->done, acquire) < round)
        sched_yield();
    return (g->by_close ? 0 : close(g->fds[0])) | close(g->fds[1]) | close(g->twin);
}

static int play(void *arg)
{
    struct game *g = arg;
    pthread_t teaser;
    CHECK_EQ(pthread_create(&teaser, NULL, tease, g), 0);
    for (unsigned round = 1; round <= ROUNDS; round++)
        CHECK_EQ(play_round(g, round), 0);
    return pthread_join(teaser, NULL);
}

TEST(regress, a_stop_that_comes_too_early_for_the_kernel_is_not_lost)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, play, &(struct game){.by_close = false}), 0);
}

TEST(regress, a_close_that_comes_too_early_for_the_kernel_is_not_lost)
{
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, play, &(struct game){.by_close = true}), 0);
}
