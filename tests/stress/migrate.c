/* migrate.c - tasks that change thread all the time, and what must come along: errno, and memory that was allocated on
 * one thread and is freed on another.
 *
 *     stress_migrate [HOPS]
 *
 * The rule of docs/tls.md is about compilers, so this file is compiled several times: without optimization, with
 * much, position-independent, with link-time optimization. It says how many hops there were and how many of them
 * changed the thread; it fails when none did.
 *
 * A hop: each task waits for an event, which a plain thread sets. So it becomes runnable through an inbox, and is run
 * by whoever is idle. */
#include "runtime/platform/atomic.h"
#include "runtime/platform/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <weft.h>

enum { TASKS = 16, WORKERS = 4 };

struct hopper {
    WF_ATOMIC(weft_future *) at; /* what it waits for: set by the thread */
    unsigned hops, moves;
    int mine; /* its errno */
};

static struct hopper hoppers[TASKS];
static WF_ATOMIC(unsigned) running;
static unsigned hops_each;

/* Free and set what hoppers wait for, on and on. */
static void *kick_all(void *arg)
{
    (void)arg;
    while (wf_load(&running, acquire) > 0) {
        unsigned kicked = 0;
        for (int i = 0; i < TASKS; i++) {
            weft_future *f = wf_swap(&hoppers[i].at, NULL, acq_rel);
            if (f)
                CHECK_EQ(weft_future_set(f, f), 0);
            kicked += f != NULL;
        }
        if (!kicked)
            sched_yield();
    }
    return NULL;
}

static void wait_for_kick(struct hopper *h)
{
    weft_future f = {0};
    void *ret;
    wf_store(&h->at, &f, release);
    CHECK_EQ(weft_future_await(&f, &ret), 0);
    CHECK(ret == &f);
}

/* Bytes that were allocated and written before a hop are read and freed after it. */
static void check_and_free(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        CHECK_EQ(p[i], (unsigned char)(i + size));
    free(p);
}

static unsigned char *allocate(size_t size)
{
    unsigned char *p = malloc(size);
    CHECK(p != NULL);
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(i + size);
    return p;
}

/* errno is written and read before and after in one function, on purpose: a compiler that keeps its address would
 * read another thread's. */
static int hop(void *arg)
{
    struct hopper *h = arg;
    struct wf_random r = {(uint64_t)h->mine};
    for (; h->hops < hops_each; h->hops++) {
        size_t size = 1 + wf_random_below(&r, 300);
        unsigned char *p = allocate(size);
        pid_t before = gettid();
        errno = h->mine + (int)(h->hops % 100);
        wait_for_kick(h);
        CHECK_EQ(errno, h->mine + (int)(h->hops % 100));
        h->moves += gettid() != before;
        check_and_free(p, size);
        errno = 0;
    }
    wf_sub(&running, 1, release);
    return 0;
}

static int start_hopping(void *arg)
{
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < TASKS; i++) {
        hoppers[i].mine = 1000 * (i + 1);
        CHECK_EQ(weft_go(&s, hop, &hoppers[i]), 0);
    }
    return weft_scope_close(&s);
}

int main(int argc, char **argv)
{
    unsigned hops = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000, moves = 0;
    pthread_t id;
    hops_each = hops / TASKS;
    wf_store(&running, TASKS, release);
    CHECK_EQ(pthread_create(&id, NULL, kick_all, NULL), 0);
    CHECK_EQ(weft_run(&(weft_config){.workers = WORKERS}, start_hopping, NULL), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
    for (int i = 0; i < TASKS; i++)
        moves += hoppers[i].moves;
    printf("migrate: %u hops, %u to another thread\n", hops_each * TASKS, moves);
    fflush(stdout);
    CHECK(moves > 0);
    return 0;
}
