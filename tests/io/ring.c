/* ring.c - the driver alone, without a runtime above it. The file under test is compiled into this one under
 * other names, so that completions come here and threads can be declared workers. */
#define wf_driver_open ring_open
#define wf_driver_close ring_close
#define wf_driver_push ring_push
#define wf_driver_poll ring_poll
#define wf_driver_serve ring_serve
#define wf_driver_park ring_park
#define wf_driver_nap ring_nap
#define wf_driver_wake ring_wake
#define wf_op_complete ring_completes
#define wf_worker_driver ring_of_this_worker
#define wf_ring_flush ring_flush
#define wf_ring_leave_request ring_leave_request
#define wf_ring_leave_everywhere ring_leave_everywhere
#define wf_ring_force_eventfd ring_force_eventfd
#include "io/ring.c"

#include "tests/test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { COUNTED = 16 }; /* user_data: COUNTED + i is expected once */

static _Thread_local struct wf_driver *this_worker;
static _Atomic uint64_t completed, sum;
static _Atomic uint64_t last_seen, disorder; /* completions that came after one pushed later */

struct wf_driver *ring_of_this_worker(void)
{
    return this_worker;
}

void ring_completes(struct wf_driver *d, uint64_t user_data, int result, uint32_t flags)
{
    (void)d, (void)flags;
    CHECK(result >= 0);
    atomic_fetch_add(&disorder, user_data < atomic_exchange(&last_seen, user_data));
    atomic_fetch_add(&sum, user_data - COUNTED);
    atomic_fetch_add(&completed, 1);
}

/* The kernel behind the rings of these tests: whichever the environment wants, and io_uring is not what it is about. */
static weft_driver kind(void)
{
    const char *driver = getenv("WEFT_DRIVER");
    return driver && !strcmp(driver, "soft") ? WEFT_DRIVER_SOFT : WEFT_DRIVER_RING;
}

static struct wf_driver *open_mine(weft_ring_mode mode)
{
    struct wf_driver *d;
    CHECK_EQ(ring_open(&d, kind(), mode), 0);
    CHECK_EQ(d->mode, kind() == WEFT_DRIVER_SOFT ? WEFT_RING_SHARED : mode);
    this_worker = d;
    return d;
}

static void push_nop(struct wf_driver *d, uint64_t i)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .user_data = COUNTED + i};
    ring_push(d, &sqe);
}

static void push_read(struct wf_driver *d, int fd, void *buf, unsigned n)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buf, .len = n};
    sqe.off = (uint64_t)-1;
    sqe.user_data = COUNTED;
    ring_push(d, &sqe);
}

static void park_until(struct wf_driver *d, uint64_t count)
{
    while (atomic_load(&completed) < count)
        ring_park(d, INT64_MAX);
}

static void completes_each_once(weft_ring_mode mode, uint64_t count)
{
    struct wf_driver *d = open_mine(mode);
    for (uint64_t i = 0; i < count; i++)
        push_nop(d, i);
    park_until(d, count);
    CHECK_EQ(atomic_load(&completed), count);
    CHECK_EQ(atomic_load(&sum), count * (count - 1) / 2);
    CHECK_EQ(wf_load(&d->inflight, relaxed), 0);
    CHECK_EQ(wf_load(&d->completions, relaxed), count);
    ring_close(d);
}

TEST(ring, completes_what_was_pushed)
{
    completes_each_once(WEFT_RING_SHARED, 10);
}

TEST(ring, completes_what_was_pushed_when_deferred)
{
    completes_each_once(WEFT_RING_DEFER, 10);
}

/* Nobody collects while all are pushed: the submission queue fills 100 times, the completion queue overflows
 * many times its size. */
TEST(ring, loses_nothing_when_both_queues_overflow)
{
    completes_each_once(WEFT_RING_SHARED, (uint64_t)TEST_TIMES(100000));
}

TEST(ring, loses_nothing_when_both_queues_overflow_and_deferred)
{
    completes_each_once(WEFT_RING_DEFER, (uint64_t)TEST_TIMES(100000));
}

TEST(ring, is_due_when_something_waits)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    ring_poll(d); /* the bell that was rung to see whether there is one */
    CHECK(!wf_driver_due(d));
    push_nop(d, 0);
    CHECK(wf_driver_due(d));
    CHECK_EQ(ring_poll(d), 1);
    CHECK(!wf_driver_due(d));
    ring_close(d);
}

TEST(ring, park_ends_at_its_deadline_not_before)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    ring_poll(d);
    int64_t begin = wf_clock_now(), until = begin + 3000000;
    while (wf_clock_now() < until)
        CHECK_EQ(ring_park(d, until), 0);
    CHECK(wf_clock_now() - begin < 2000000000);
    ring_park(d, begin); /* long gone: returns */
    ring_park(d, INT64_MIN + INT32_MAX);
    ring_close(d);
}

TEST(ring, park_returns_at_once_after_a_wake)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    ring_poll(d);
    ring_wake(d);
    ring_wake(d);
    ring_park(d, INT64_MAX);
    ring_close(d);
}

TEST(ring, nap_hears_no_wake_but_the_next_park_does)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    ring_poll(d);
    int64_t begin = wf_clock_now();
    ring_wake(d);
    ring_nap(d, 3000000);
    CHECK(wf_clock_now() - begin >= 3000000);
    ring_park(d, INT64_MAX);
    ring_close(d);
}

static void *wake_it(void *arg)
{
    ring_wake(arg);
    return NULL;
}

TEST(ring, nap_costs_its_waker_no_bell)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    pthread_t waker;
    ring_poll(d);
    CHECK_EQ(pthread_create(&waker, NULL, wake_it, d), 0);
    CHECK_EQ(ring_nap(d, 20000000), 0); /* a bell would be a completion */
    CHECK_EQ(pthread_join(waker, NULL), 0);
    CHECK(!wf_driver_uncollected(d));
    ring_park(d, INT64_MAX);
    ring_close(d);
}

TEST(ring, nap_ends_with_a_completion)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    ring_poll(d); /* the bell that was tried */
    push_nop(d, 0);
    CHECK_EQ(ring_nap(d, 3600000000000), 1);
    ring_close(d);
}

/* The owner sleeps on a read that a plain thread pushes, after which it writes. */
struct outsider {
    struct wf_driver *d;
    int pipe[2];
    char byte;
    int count;
};

static void *outsider_pushes(void *arg)
{
    struct outsider *o = arg;
    for (int i = 0; i < o->count; i++)
        push_nop(o->d, (uint64_t)i);
    push_read(o->d, o->pipe[0], &o->byte, 1);
    CHECK_EQ(write(o->pipe[1], "x", 1), 1);
    return NULL;
}

static void sleeps_while_an_outsider_pushes(weft_ring_mode mode, int count)
{
    struct outsider o = {.d = open_mine(mode), .count = count};
    CHECK_EQ(pipe(o.pipe), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, outsider_pushes, &o), 0);
    park_until(o.d, (uint64_t)count + 1);
    pthread_join(thread, NULL);
    CHECK_EQ(o.byte, 'x');
    CHECK_EQ(atomic_load(&sum), (uint64_t)count * (uint64_t)(count - 1) / 2);
    ring_close(o.d);
}

TEST(ring, submits_what_a_plain_thread_pushed)
{
    sleeps_while_an_outsider_pushes(WEFT_RING_SHARED, 1);
    atomic_store(&completed, 0);
    atomic_store(&sum, 0);
    sleeps_while_an_outsider_pushes(WEFT_RING_DEFER, 1);
}

TEST(ring, takes_more_from_a_plain_thread_than_the_queue_holds)
{
    sleeps_while_an_outsider_pushes(WEFT_RING_SHARED, TEST_TIMES(100000));
}

/* A plain thread fills the queue of an owner who does not look, five times over: it is not made to wait. Then
 * somebody empties the queue but has not looked at what was spilled yet, and more is pushed. */
TEST(ring, spills_without_waiting_and_in_order)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    const uint64_t count = 5 * ((uint64_t)d->sq_mask + 1);
    this_worker = NULL;
    for (uint64_t i = 0; i < count; i++)
        push_nop(d, i);
    CHECK_EQ(atomic_load(&completed), 0);
    ring_of(d)->kernel->ops->enter(ring_of(d)->kernel, waiting(d));
    CHECK_EQ(waiting(d), 0);
    for (uint64_t i = count; i < 2 * count; i++)
        push_nop(d, i);
    this_worker = d;
    park_until(d, 2 * count);
    CHECK_EQ(atomic_load(&disorder), 0);
    CHECK_EQ(atomic_load(&sum), 2 * count * (2 * count - 1) / 2);
    ring_close(d);
}

/* The owner is away. Another worker submits what it pushed, collects it, and pushes itself. */
static void *helper_serves(void *arg)
{
    struct wf_driver *d = arg, *own;
    CHECK_EQ(ring_open(&own, kind(), WEFT_RING_SHARED), 0);
    this_worker = own;
    push_nop(d, 1);
    while (atomic_load(&completed) < 2)
        ring_serve(d);
    ring_close(own);
    return NULL;
}

TEST(ring, is_served_by_another_worker)
{
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    push_nop(d, 2);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, helper_serves, d), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&sum), 3);
    CHECK(wf_load(&d->served, relaxed) >= 2);
    CHECK_EQ(wf_load(&d->inflight, relaxed), 0);
    ring_close(d);
}

/* Of a deferred ring others may collect what is visible, and no more. */
static void *helper_collects(void *arg)
{
    struct wf_driver *d = arg, *own;
    CHECK_EQ(ring_open(&own, kind(), WEFT_RING_DEFER), 0);
    this_worker = own;
    push_nop(d, 4);
    while (atomic_load(&completed) < 1)
        ring_serve(d);
    CHECK_EQ(atomic_load(&completed), 1);
    ring_close(own);
    return NULL;
}

TEST(ring, deferred_lets_others_collect_only)
{
    if (kind() == WEFT_DRIVER_SOFT)
        return; /* no ring of that kind is ever deferred */
    struct wf_driver *d = open_mine(WEFT_RING_DEFER);
    push_nop(d, 8);
    submit(ring_of(d)); /* visible, not collected */
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, helper_collects, d), 0);
    pthread_join(thread, NULL);
    park_until(d, 2);
    CHECK_EQ(atomic_load(&sum), 12);
    ring_close(d);
}

/* Two threads take turns by waking each other; each wake must be seen, or both sleep for ever. */
struct turns {
    struct wf_driver *mine, *other;
    _Atomic int *turn;
    int me, count;
};

static void take_turns(struct turns *t)
{
    for (int i = 0; i < t->count; i++) {
        while (atomic_load(t->turn) != t->me)
            ring_park(t->mine, INT64_MAX);
        atomic_store(t->turn, 1 - t->me);
        ring_wake(t->other);
    }
}

struct opponent {
    struct turns turns;
    weft_ring_mode mode;
    pthread_barrier_t *meet;
};

static void *opponent(void *arg)
{
    struct opponent *o = arg;
    o->turns.mine = open_mine(o->mode);
    pthread_barrier_wait(o->meet);
    take_turns(&o->turns);
    pthread_barrier_wait(o->meet);
    ring_close(o->turns.mine);
    return NULL;
}

static void wakes_are_not_lost(weft_ring_mode mode, bool outsider, int count)
{
    _Atomic int turn = 0;
    pthread_barrier_t meet;
    pthread_barrier_init(&meet, NULL, 2);
    struct opponent o = {.mode = mode, .meet = &meet, .turns = {.turn = &turn, .me = 1, .count = count}};
    struct turns mine = {.mine = open_mine(mode), .turn = &turn, .count = count};
    o.turns.other = mine.mine;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, opponent, &o), 0);
    pthread_barrier_wait(&meet);
    mine.other = o.turns.mine;
    if (outsider)
        this_worker = NULL;
    take_turns(&mine);
    pthread_barrier_wait(&meet);
    pthread_join(thread, NULL);
    ring_close(mine.mine);
}

TEST_WITHIN(ring, loses_no_wake, 60)
{
    wakes_are_not_lost(WEFT_RING_SHARED, false, TEST_TIMES(100000));
}

TEST(ring, loses_no_wake_when_deferred)
{
    wakes_are_not_lost(WEFT_RING_DEFER, false, TEST_TIMES(50000));
}

TEST(ring, loses_no_wake_with_the_bell_of_older_kernels)
{
    ring_force_eventfd = true;
    wakes_are_not_lost(WEFT_RING_SHARED, true, TEST_TIMES(50000));
}

TEST(ring, loses_no_wake_with_the_bell_of_older_kernels_when_deferred)
{
    ring_force_eventfd = true;
    wakes_are_not_lost(WEFT_RING_DEFER, true, TEST_TIMES(50000));
}

/* While two threads take turns, a third serves both rings and so takes bells that were meant for sleepers. */
struct thief {
    struct wf_driver *a, *b;
    _Atomic bool stop;
};

static void *thief(void *arg)
{
    struct thief *t = arg;
    struct wf_driver *own = open_mine(WEFT_RING_SHARED);
    while (!atomic_load(&t->stop)) {
        ring_serve(t->a);
        ring_serve(t->b);
    }
    ring_close(own);
    return NULL;
}

static void wakes_survive_a_thief(bool old_bell, int count)
{
    ring_force_eventfd = old_bell;
    _Atomic int turn = 0;
    pthread_barrier_t meet;
    pthread_barrier_init(&meet, NULL, 2);
    struct opponent o = {.meet = &meet, .turns = {.turn = &turn, .me = 1, .count = count}};
    struct turns mine = {.mine = open_mine(WEFT_RING_SHARED), .turn = &turn, .count = count};
    o.turns.other = mine.mine;
    pthread_t threads[2];
    CHECK_EQ(pthread_create(&threads[0], NULL, opponent, &o), 0);
    pthread_barrier_wait(&meet);
    mine.other = o.turns.mine;
    struct thief t = {.a = mine.mine, .b = o.turns.mine};
    CHECK_EQ(pthread_create(&threads[1], NULL, thief, &t), 0);
    take_turns(&mine);
    atomic_store(&t.stop, true);
    pthread_join(threads[1], NULL);
    pthread_barrier_wait(&meet);
    pthread_join(threads[0], NULL);
    ring_close(mine.mine);
}

TEST(ring, loses_no_wake_when_others_collect_the_bell)
{
    wakes_survive_a_thief(false, TEST_TIMES(20000));
}

TEST(ring, loses_no_wake_when_others_collect_the_old_bell)
{
    wakes_survive_a_thief(true, TEST_TIMES(20000));
}

/* The same by hand: the owner is on its way to sleep, somebody rings, and another worker takes the bell out
 * before the owner has arrived in the kernel. */
static void *takes_a_bell(void *arg)
{
    struct wf_driver *own = open_mine(WEFT_RING_SHARED);
    while (ring_serve(arg) == 0)
        ;
    ring_close(own);
    return NULL;
}

static void rings_again_for_the_sleeper(bool old_bell)
{
    ring_force_eventfd = old_bell;
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    ring_poll(d);
    wf_store(&ring_of(d)->state, PARKED, relaxed);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, takes_a_bell, d), 0);
    this_worker = NULL;
    ring_wake(d);
    pthread_join(thread, NULL);
    this_worker = d;
    doze(ring_of(d), INT64_MAX);
    ring_close(d);
}

TEST(ring, rings_again_when_another_took_the_bell)
{
    rings_again_for_the_sleeper(false);
}

TEST(ring, rings_again_when_another_took_the_old_bell)
{
    rings_again_for_the_sleeper(true);
}

/* ---- a kernel that refuses ---- */

/* Let this system call fail with err; with which >= 0 only if that is its second argument. For this process. */
static void refuse(int call, int which, int err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)which, 0, which >= 0 ? 1 : 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

TEST(ring, says_why_it_cannot_be_opened)
{
    static const int errors[] = {EPERM, ENOSYS, EACCES, ENOMEM, EMFILE, EINVAL};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            struct wf_driver *d = NULL;
            refuse(SYS_io_uring_setup, -1, errors[i]);
            int shared = ring_open(&d, WEFT_DRIVER_RING, WEFT_RING_SHARED);
            int deferred = ring_open(&d, WEFT_DRIVER_RING, WEFT_RING_DEFER);
            _exit(shared == -errors[i] && deferred == -errors[i] && !d ? 0 : 1);
        }
        int status;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
}

TEST(ring, hangs_the_old_bell_where_the_kernel_has_no_other)
{
    if (kind() == WEFT_DRIVER_SOFT)
        return; /* it always has */
    refuse(SYS_io_uring_register, 31 /* IORING_REGISTER_SEND_MSG_RING */, EINVAL);
    wakes_are_not_lost(WEFT_RING_SHARED, true, 1000);
    struct wf_driver *d = open_mine(WEFT_RING_SHARED);
    CHECK(ring_of(d)->eventfd >= 0);
    ring_close(d);
}

/* Many rings, as a run with 256 workers has them, and none leaks a descriptor. */
TEST(ring, opens_and_closes_often)
{
    int before = dup(0);
    close(before);
    for (int i = 0; i < TEST_TIMES(200); i++)
        ring_close(open_mine(i % 2 ? WEFT_RING_DEFER : WEFT_RING_SHARED));
    int after = dup(0);
    CHECK_EQ(before, after);
    close(after);
}
