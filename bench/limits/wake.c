/* wake.c - what does it cost to wake a worker that sleeps in its ring?
 *
 * Five ways, each between two threads: a sleeper, whose ring is set up as a worker's is, and a waker.
 *
 *     eventfd-read   a READ of an eventfd waits in the ring and is armed anew after every wake; write(2)
 *     eventfd-poll   a multishot POLL_ADD on an eventfd waits in the ring for good; write(2)
 *     msg-ring       IORING_OP_MSG_RING out of the waker's own ring, entered at once
 *     send-msg       IORING_REGISTER_SEND_MSG_RING: no ring of one's own is needed (kernel 6.13 and later)
 *     futex          no ring at all: the sleeper waits on a word. The floor, and what a worker with nothing in
 *                    flight could do
 *
 * "parked": the sleeper has been asleep for 100 us, or it would be caught on its way to sleep. Printed: from
 * before the wake until the sleeper is back in user space, what the call costs the waker, and what processor
 * time the sleeper spends for one sleep. "hot": both wake each other in turn, so that a sleeper has hardly
 * gone to sleep when it is woken; printed: half a round trip.
 *
 * Rounds of all ways are interleaved, since the machine is never quiet; each figure is the median over the
 * rounds of the median within a round.
 *
 *     wake [WAKES]        default 400 wakes a round, 11 rounds */
#include "bench/bench.h"

#include <errno.h>
#include <liburing.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum { REGISTER_SEND_MSG_RING = 31, ROUNDS_MAX = BENCH_ROUNDS_MAX, WAKES_MAX = 20000, ASLEEP_NS = 100000, FIGURES = 4 };

enum way { EVENTFD_READ, EVENTFD_POLL, MSG_RING, SEND_MSG, FUTEX, WAYS };
static const char *const way_name[WAYS] = {"eventfd-read", "eventfd-poll", "msg-ring", "send-msg", "futex"};

/* Somebody who can be put to sleep and woken. */
struct sleeper {
    struct io_uring ring;
    int eventfd;
    uint64_t scratch;        /* what the eventfd's READ reads */
    _Atomic uint32_t word;   /* the futex; 1: woken */
    _Atomic int64_t awake;   /* when it was back, for the waker to read; 0: asleep, or about to be */
};

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what, int err)
{
    fprintf(stderr, "wake: %s: %s\n", what, strerror(err));
    exit(1);
}

static struct io_uring_sqe *sqe_of(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (!sqe)
        die("submission queue", EBUSY);
    return sqe;
}

static void sleeper_open(struct sleeper *s, enum way way)
{
    struct io_uring_params p = {0};
    p.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    p.cq_entries = 8192;
    memset(s, 0, sizeof *s);
    int err = io_uring_queue_init_params(1024, &s->ring, &p);
    if (err < 0)
        die("io_uring_setup", -err);
    s->eventfd = eventfd(0, EFD_CLOEXEC);
    if (way == EVENTFD_READ)
        io_uring_prep_read(sqe_of(&s->ring), s->eventfd, &s->scratch, sizeof s->scratch, 0);
    if (way == EVENTFD_POLL)
        io_uring_prep_poll_multishot(sqe_of(&s->ring), s->eventfd, POLLIN);
    io_uring_submit(&s->ring);
}

static void sleeper_close(struct sleeper *s)
{
    io_uring_queue_exit(&s->ring);
    close(s->eventfd);
}

/* Take everything out of the completion queue; arm the READ again if it was that. */
static int sleeper_drain(struct sleeper *s, enum way way)
{
    struct io_uring_cqe *cqe;
    int n = 0;
    for (; io_uring_peek_cqe(&s->ring, &cqe) == 0; n++) {
        io_uring_cqe_seen(&s->ring, cqe);
        if (way == EVENTFD_READ)
            io_uring_prep_read(sqe_of(&s->ring), s->eventfd, &s->scratch, sizeof s->scratch, 0);
    }
    return n;
}

static void sleeper_sleep(struct sleeper *s, enum way way)
{
    if (way == FUTEX) {
        while (!atomic_exchange(&s->word, 0))
            syscall(SYS_futex, &s->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        return;
    }
    while (sleeper_drain(s, way) == 0)
        io_uring_submit_and_wait(&s->ring, 1);
}

static void sleeper_wake(struct sleeper *s, enum way way, struct io_uring *own)
{
    struct io_uring_sqe message = {.opcode = IORING_OP_MSG_RING, .fd = s->ring.ring_fd, .off = 1};
    uint64_t one = 1;
    int err = 0;
    switch (way) {
    case EVENTFD_READ:
    case EVENTFD_POLL:
        if (write(s->eventfd, &one, sizeof one) < 0)
            err = errno;
        break;
    case MSG_RING:
        message.flags = IOSQE_CQE_SKIP_SUCCESS;
        *sqe_of(own) = message;
        err = io_uring_submit(own) == 1 ? 0 : EIO;
        break;
    case SEND_MSG:
        err = -io_uring_register(-1, REGISTER_SEND_MSG_RING, &message, 1);
        break;
    default:
        atomic_store(&s->word, 1);
        syscall(SYS_futex, &s->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    if (err)
        die(way_name[way], err);
}

struct bout {
    enum way way;
    int wakes;
    struct sleeper a, b;     /* the waker's, used when hot; the sleeper's */
    _Atomic int64_t cpu;     /* thread time of the sleeper in the end */
    pthread_barrier_t begin; /* rings are opened by their own threads */
};

static void *parked_sleeper(void *arg)
{
    struct bout *bout = arg;
    sleeper_open(&bout->b, bout->way);
    pthread_barrier_wait(&bout->begin);
    int64_t cpu = now(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < bout->wakes; i++) {
        sleeper_sleep(&bout->b, bout->way);
        atomic_store(&bout->b.awake, now(CLOCK_MONOTONIC));
    }
    atomic_store(&bout->cpu, now(CLOCK_THREAD_CPUTIME_ID) - cpu);
    sleeper_close(&bout->b);
    return NULL;
}

static void *hot_sleeper(void *arg)
{
    struct bout *bout = arg;
    sleeper_open(&bout->b, bout->way);
    pthread_barrier_wait(&bout->begin);
    for (int i = 0; i < bout->wakes; i++) {
        sleeper_sleep(&bout->b, bout->way);
        sleeper_wake(&bout->a, bout->way, &bout->b.ring);
    }
    pthread_barrier_wait(&bout->begin); /* its ring may still be the target of a wake */
    sleeper_close(&bout->b);
    return NULL;
}

static int by_value(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

static int64_t median(int64_t *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

struct figures {
    int64_t latency, waker, sleeper, hot;
};

static void bout_parked(struct bout *bout, struct figures *ret)
{
    static int64_t latency[WAKES_MAX], cost[WAKES_MAX];
    pthread_t thread;
    pthread_create(&thread, NULL, parked_sleeper, bout);
    pthread_barrier_wait(&bout->begin);
    for (int i = 0; i < bout->wakes; i++) {
        int64_t until = now(CLOCK_MONOTONIC) + ASLEEP_NS;
        while (now(CLOCK_MONOTONIC) < until)
            ;
        atomic_store(&bout->b.awake, 0);
        int64_t before = now(CLOCK_MONOTONIC);
        sleeper_wake(&bout->b, bout->way, &bout->a.ring);
        int64_t after = now(CLOCK_MONOTONIC), awake;
        while ((awake = atomic_load(&bout->b.awake)) == 0)
            ;
        cost[i] = after - before;
        latency[i] = awake - before;
    }
    pthread_join(thread, NULL);
    ret->latency = median(latency, bout->wakes);
    ret->waker = median(cost, bout->wakes);
    ret->sleeper = atomic_load(&bout->cpu) / bout->wakes;
}

static void bout_hot(struct bout *bout, struct figures *ret)
{
    pthread_t thread;
    pthread_create(&thread, NULL, hot_sleeper, bout);
    pthread_barrier_wait(&bout->begin);
    int64_t before = now(CLOCK_MONOTONIC);
    for (int i = 0; i < bout->wakes; i++) {
        sleeper_wake(&bout->b, bout->way, &bout->a.ring);
        sleeper_sleep(&bout->a, bout->way);
    }
    ret->hot = (now(CLOCK_MONOTONIC) - before) / bout->wakes / 2;
    pthread_barrier_wait(&bout->begin);
    pthread_join(thread, NULL);
}

static void round_of(enum way way, int wakes, struct figures *ret)
{
    struct bout bout = {.way = way, .wakes = wakes};
    pthread_barrier_init(&bout.begin, NULL, 2);
    sleeper_open(&bout.a, way);
    bout_parked(&bout, ret);
    bout_hot(&bout, ret);
    sleeper_close(&bout.a);
    pthread_barrier_destroy(&bout.begin);
}

static bool send_msg_works(void)
{
    struct sleeper s;
    sleeper_open(&s, SEND_MSG);
    struct io_uring_sqe message = {.opcode = IORING_OP_MSG_RING, .fd = s.ring.ring_fd, .off = 1};
    int err = io_uring_register(-1, REGISTER_SEND_MSG_RING, &message, 1);
    sleeper_close(&s);
    return err == 0;
}

static void report(enum way way, const struct figures *f, unsigned rounds)
{
    static const char *const name[FIGURES] = {"parked", "call", "sleep_cpu", "hot"};
    for (int k = 0; k < FIGURES; k++) {
        struct bench_figure figure = {.bench = "wake", .who = way_name[way], .version = "-", .metric = name[k],
                                      .unit = "ns", .workers = 2};
        for (unsigned i = 0; i < rounds; i++) {
            const int64_t value[FIGURES] = {f[i].latency, f[i].waker, f[i].sleeper, f[i].hot};
            bench_add(&figure, (double)value[k]);
        }
        bench_report(&figure);
    }
}

int main(int argc, char **argv)
{
    static struct figures figures[WAYS][ROUNDS_MAX], warm;
    struct bench_options o = bench_options(&argc, argv, 11, "[WAKES]");
    int wakes = argc > 1 ? atoi(argv[1]) : o.quick ? 50 : 400;
    if (wakes < 1 || wakes > WAKES_MAX)
        bench_die("wake: 1 to %d wakes", WAKES_MAX);
    bool have_send_msg = send_msg_works();
    for (unsigned round = 0; round <= o.rounds; round++) /* the first is thrown away */
        for (enum way way = 0; way < WAYS; way++)
            if (way != SEND_MSG || have_send_msg)
                round_of(way, wakes, round == 0 ? &warm : &figures[way][round - 1]);
    for (enum way way = 0; way < WAYS; way++)
        if (way != SEND_MSG || have_send_msg)
            report(way, figures[way], o.rounds);
    return 0;
}
