/* rescue.c - a worker stands still in every way there is, time and again, and nothing around it is lost.
 *
 *     stress_rescue [SECONDS] [WORKERS]
 *
 * One task computes or blocks for about a millisecond, round after round: in malloc, in the runtime, on a stack nearly
 * full, in a handler of the program's own, in each system call that a signal would cut short. Neighbours go on all the
 * time: sleeps, echo over sockets, channels; their worker is often the one that stands still, so others submit, collect
 * and fire for it. Meanwhile a plain thread sends the process and that worker a thousand signals a second, with a
 * handler that says SA_RESTART, and moves the worker from core to core; and a child stops the whole process, and lets
 * it go on.
 *
 * What must hold: every sleep ends, not too early; every byte and every item comes back, once and in order; and no call
 * of the program's ends with EINTR because of us. Those calls that the kernel never restarts (signal(7)) are made with
 * the program's own signals blocked, and may say EINTR if the process was stopped meanwhile. Two say it whenever a
 * completion of io_uring comes for their thread, with or without rescue, and are only counted: epoll_wait(2) and
 * sigtimedwait(2); docs/design/fan-in.md.
 *
 * STRESS_ROUNDS: at least so many rounds, however long they take. */
#include "runtime/platform/futex.h"
#include "tests/stress/stress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

enum { PAIRS = 3, SLEEPERS = 4, ITEMS = 4, STORM = 1000, DEEP = 40 << 10 };

static const int64_t STALL_NS = WEFT_MSEC;
static const struct timespec stall_time = {0, 1000000};

static struct {
    WF_ATOMIC(bool) stop;         /* all that goes on beside */
    WF_ATOMIC(uint64_t) beside;   /* steps of the neighbours */
    WF_ATOMIC(int) thread;        /* of the worker that stands still */
    WF_ATOMIC(int) ordered;       /* what the servant is to do: an enum service */
    sem_t orders, done;
    int pipe[2], pair[2], listener;
    struct sockaddr_in at;
    uint32_t word;
} scene;

static WF_ATOMIC(uint64_t) *stops; /* how often the child has stopped us: shared with it */
static WF_ATOMIC(uint64_t) user_signals, cut_short, progress, rounds;
static uint64_t rounds_wanted;

/* ---- the neighbours ---- */

static void step(void)
{
    wf_add(&scene.beside, 1, relaxed);
}

static bool stopped(void)
{
    return wf_load(&scene.stop, relaxed);
}

static int sleep_often(void *arg)
{
    (void)arg;
    while (!stopped()) {
        weft_time until = weft_after(STALL_NS);
        CHECK_EQ(weft_sleep_until(until), 0);
        CHECK(weft_since(until) >= 0);
        step();
    }
    return 0;
}

static int echo(void *arg)
{
    int fd = *(int *)arg;
    uint32_t n;
    while (weft_read_full(fd, &n, sizeof n) == 0)
        CHECK_EQ(weft_write_all(fd, &n, sizeof n), 0);
    return 0;
}

static int talk(void *arg)
{
    int pair[2];
    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, echo, &pair[1]), 0);
    for (uint32_t n = 0; !stopped(); n++) {
        uint32_t back = ~n;
        CHECK_EQ(weft_write_all(pair[0], &n, sizeof n), 0);
        CHECK_EQ(weft_read_full(pair[0], &back, sizeof back), 0);
        CHECK_EQ(back, n);
        step();
        CHECK_EQ(weft_sleep(STALL_NS / 8), 0);
    }
    CHECK_EQ(weft_shutdown_write(pair[0]), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    return 0;
}

static int receive(void *arg)
{
    uint32_t item, next = 0;
    while (weft_chan_recv(arg, &item) == 0)
        CHECK_EQ(item, next++);
    return (int)next;
}

static int pass_on(void *arg)
{
    weft_chan *chan = weft_chan_new(ITEMS, sizeof(uint32_t));
    uint32_t sent = 0;
    (void)arg;
    WEFT_SCOPE(s);
    weft_task *receiver = weft_spawn(&s, receive, chan);
    CHECK(receiver != NULL);
    while (!stopped()) {
        for (int i = 0; i < 2 * ITEMS; i++, sent++)
            CHECK_EQ(weft_chan_send(chan, &sent), 0);
        step();
        CHECK_EQ(weft_sleep(STALL_NS / 4), 0);
    }
    weft_chan_close(chan);
    CHECK_EQ(weft_await(receiver), (int)sent);
    CHECK_EQ(weft_scope_close(&s), 0);
    weft_chan_free(chan);
    return 0;
}

/* ---- what ends a call that has no timeout: a plain thread, a moment later ---- */

enum service { WRITE_PIPE, POST, WAKE, CONNECT, SEND, LEAVE };

static void serve(enum service what)
{
    int fd;
    switch (what) {
    case WRITE_PIPE: CHECK_EQ(write(scene.pipe[1], "x", 1), 1); break;
    case POST: sem_post(&scene.done); break;
    case WAKE:
        wf_shared_store(&scene.word, 1, release);
        wf_futex_wake(&scene.word, 1);
        break;
    case CONNECT:
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(connect(fd, (struct sockaddr *)&scene.at, sizeof scene.at), 0);
        close(fd);
        break;
    case SEND: CHECK_EQ(send(scene.pair[1], "x", 1, 0), 1); break;
    case LEAVE: break;
    }
}

static void *be_servant(void *arg)
{
    enum service what;
    (void)arg;
    do {
        while (sem_wait(&scene.orders) < 0)
            continue;
        what = (enum service)wf_load(&scene.ordered, acquire);
        nanosleep(&stall_time, NULL);
        serve(what);
    } while (what != LEAVE);
    return NULL;
}

static void order(enum service what)
{
    wf_store(&scene.ordered, (int)what, release);
    sem_post(&scene.orders);
}

/* ---- what else goes on ---- */

static void on_user_signal(int signal)
{
    (void)signal;
    wf_add(&user_signals, 1, relaxed);
}

static void move(struct wf_random *random)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu = 0; cpu < CPU_SETSIZE && cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
        if (one_in(random, 2))
            CPU_SET(cpu, &set);
    if (CPU_COUNT(&set) == 0)
        memset(&set, 0xff, sizeof set);
    (void)sched_setaffinity(wf_load(&scene.thread, relaxed), sizeof set, &set); /* there may be none of these */
}

static void *disturb(void *arg)
{
    struct wf_random random = stress_random();
    (void)arg;
    while (!stopped()) {
        kill(getpid(), SIGUSR2);
        tgkill(getpid(), wf_load(&scene.thread, relaxed), SIGUSR2);
        if (one_in(&random, 8))
            move(&random);
        nanosleep(&stall_time, NULL);
    }
    return NULL;
}

/* In a child: stop our parent and let it go on, for ever. */
static _Noreturn void stop_parent(pid_t parent)
{
    struct timespec between = {0, 30000000};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent) {
        nanosleep(&between, NULL);
        wf_add(stops, 1, seq_cst);
        kill(parent, SIGSTOP);
        nanosleep(&stall_time, NULL);
        kill(parent, SIGCONT);
    }
    _exit(0);
}

/* ---- ways to stand still ---- */

static void in_malloc(struct wf_random *random)
{
    weft_time start = weft_now();
    unsigned char *held[16] = {NULL};
    do {
        unsigned i = wf_random_below(random, 16);
        size_t size = 1 + wf_random_below(random, 4096);
        free(held[i]);
        held[i] = malloc(size);
        CHECK(held[i] != NULL);
        memset(held[i], (int)i, size);
    } while (weft_since(start) < STALL_NS);
    for (unsigned i = 0; i < 16; i++) {
        CHECK(!held[i] || held[i][0] == i);
        free(held[i]);
    }
}

static int wait_to_be_cancelled(void *arg)
{
    (void)arg;
    return weft_sleep_until(weft_never());
}

static void in_the_runtime(struct wf_random *random)
{
    (void)random;
    WEFT_SCOPE(s);
    for (int i = 0; i < TEST_TIMES(STORM); i++)
        CHECK_EQ(weft_go(&s, wait_to_be_cancelled, NULL), 0);
    weft_scope_cancel(&s);
    CHECK_EQ(weft_scope_close(&s), 0);
}

static void compute(void)
{
    weft_time start = weft_now();
    while (weft_since(start) < STALL_NS)
        continue;
}

static __attribute__((noinline)) void on_a_deep_stack(struct wf_random *random)
{
    volatile unsigned char room[DEEP];
    unsigned char mark = (unsigned char)wf_random_below(random, 256);
    for (size_t i = 0; i < sizeof room; i += 512)
        room[i] = mark;
    compute();
    for (size_t i = 0; i < sizeof room; i += 512)
        CHECK_EQ(room[i], mark);
}

static WF_ATOMIC(uint64_t) handled;

static void on_signal_compute(int signal)
{
    (void)signal;
    compute();
    wf_add(&handled, 1, relaxed);
}

static void in_a_handler(struct wf_random *random)
{
    uint64_t before = wf_load(&handled, relaxed);
    (void)random;
    raise(SIGUSR1);
    CHECK_EQ(wf_load(&handled, relaxed), before + 1);
}

/* A call that the kernel restarts, whoever sends a signal. */
static void must_restart(bool well)
{
    CHECK(well);
}

static void in_read(struct wf_random *random)
{
    char byte;
    (void)random;
    order(WRITE_PIPE);
    must_restart(read(scene.pipe[0], &byte, 1) == 1);
}

static void in_sem_wait(struct wf_random *random)
{
    (void)random;
    order(POST);
    must_restart(sem_wait(&scene.done) == 0);
}

static void in_futex(struct wf_random *random)
{
    (void)random;
    wf_shared_store(&scene.word, 0, relaxed);
    order(WAKE);
    while (!wf_shared_load(&scene.word, acquire)) {
        int err = wf_futex_wait(&scene.word, 0, INT64_MAX);
        must_restart(err == 0 || err == -EAGAIN);
    }
}

static void in_accept(struct wf_random *random)
{
    (void)random;
    order(CONNECT);
    int fd = accept4(scene.listener, NULL, NULL, SOCK_CLOEXEC);
    must_restart(fd >= 0);
    close(fd);
}

static void in_recv(struct wf_random *random)
{
    char byte;
    (void)random;
    order(SEND);
    must_restart(recv(scene.pair[0], &byte, 1, 0) == 1);
}

/* Calls that the kernel does not restart after a signal. */
static bool call_poll(void)
{
    struct pollfd none = {.fd = scene.pipe[0], .events = POLLPRI};
    return poll(&none, 1, 1) == 0;
}

static bool call_select(void)
{
    struct timeval left = {0, 1000};
    return select(0, NULL, NULL, NULL, &left) == 0;
}

static bool call_nanosleep(void)
{
    return nanosleep(&stall_time, NULL) == 0;
}

static bool call_sem_timedwait(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += STALL_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_timedwait(&scene.done, &until) < 0 && errno == ETIMEDOUT;
}

static bool call_epoll_wait(void)
{
    struct epoll_event event;
    int fd = epoll_create1(EPOLL_CLOEXEC), got = epoll_wait(fd, &event, 1, 1), err = errno;
    close(fd);
    errno = err;
    return got == 0;
}

static bool call_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMAX);
    return sigtimedwait(&set, NULL, &stall_time) < 0 && errno == EAGAIN;
}

static void in_one_of_those(struct wf_random *random)
{
    static const struct {
        bool (*call)(void);
        bool with_io_uring; /* EINTR for any completion */
    } calls[] = {{call_poll, false},          {call_select, false},    {call_nanosleep, false},
                 {call_sem_timedwait, false}, {call_epoll_wait, true}, {call_sigtimedwait, true}};
    sigset_t set, before;
    unsigned which = wf_random_below(random, sizeof calls / sizeof *calls);
    sigfillset(&set);
    uint64_t stops_before = wf_load(stops, seq_cst);
    pthread_sigmask(SIG_SETMASK, &set, &before);
    bool well = calls[which].call();
    int err = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    bool was_stopped = wf_load(stops, seq_cst) != stops_before;
    CHECK(well || (err == EINTR && (was_stopped || calls[which].with_io_uring)));
    if (!well)
        wf_add(&cut_short, 1, relaxed);
}

/* ---- the one that stands still ---- */

/* weft's threads leave signals to those of the program: but let them come here. */
static void with_signals(void (*way)(struct wf_random *), struct wf_random *random)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &set, &before);
    way(random);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stand_still(struct wf_random *random)
{
    static void (*const ways[])(struct wf_random *) = {
        in_malloc, on_a_deep_stack, in_a_handler, in_read,         in_sem_wait,
        in_futex,  in_accept,       in_recv,      in_one_of_those, in_one_of_those};
    unsigned which = wf_random_below(random, 1 + sizeof ways / sizeof *ways);
    wf_store(&scene.thread, gettid(), relaxed);
    uint64_t before = wf_load(&scene.beside, relaxed);
    if (which < sizeof ways / sizeof *ways)
        with_signals(ways[which], random);
    else
        in_the_runtime(random); /* which suspends: another thread may go on */
    wf_add(&progress, wf_load(&scene.beside, relaxed) - before, relaxed);
    wf_add(&rounds, 1, relaxed);
    stress_count();
}

static int stand_still_often(void *arg)
{
    struct wf_random random = stress_random();
    uint64_t begun = wf_load(&rounds, relaxed);
    (void)arg;
    while (!stress_over() || wf_load(&rounds, relaxed) - begun < rounds_wanted) {
        stand_still(&random);
        CHECK_EQ(weft_sleep((int64_t)wf_random_below(&random, 500) * WEFT_USEC), 0); /* others get between */
    }
    wf_store(&scene.stop, true, relaxed);
    return 0;
}

static int run(void *arg)
{
    pthread_t servant, disturber;
    (void)arg;
    wf_store(&scene.stop, false, relaxed);
    wf_store(&progress, 0, relaxed);
    CHECK_EQ(pthread_create(&servant, NULL, be_servant, NULL), 0);
    CHECK_EQ(pthread_create(&disturber, NULL, disturb, NULL), 0);
    WEFT_SCOPE(s);
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_EQ(weft_go(&s, sleep_often, NULL), 0);
    for (int i = 0; i < PAIRS; i++) {
        CHECK_EQ(weft_go(&s, talk, NULL), 0);
        CHECK_EQ(weft_go(&s, pass_on, NULL), 0);
    }
    CHECK_EQ(weft_go(&s, stand_still_often, NULL), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    order(LEAVE);
    weft_blocking_begin();
    pthread_join(servant, NULL);
    pthread_join(disturber, NULL);
    weft_blocking_end();
    CHECK(stress_workers == 1 || wf_load(&progress, relaxed) > 0); /* else nobody has helped */
    return 0;
}

static void open_scene(void)
{
    socklen_t size = sizeof scene.at;
    scene.at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sem_init(&scene.orders, 0, 0);
    sem_init(&scene.done, 0, 0);
    CHECK_EQ(pipe(scene.pipe), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scene.pair), 0);
    scene.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(scene.listener, (struct sockaddr *)&scene.at, size), 0);
    CHECK_EQ(getsockname(scene.listener, (struct sockaddr *)&scene.at, &size), 0);
    CHECK_EQ(listen(scene.listener, 8), 0);
}

int main(int argc, char **argv)
{
    const char *wanted = getenv("STRESS_ROUNDS");
    pid_t parent = getpid();
    rounds_wanted = wanted ? strtoull(wanted, NULL, 10) : 0;
    stops = mmap(NULL, sizeof *stops, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(stops != MAP_FAILED);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        stop_parent(parent);
    open_scene();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal_compute, .sa_flags = SA_RESTART}, NULL);
    sigaction(SIGUSR2, &(struct sigaction){.sa_handler = on_user_signal, .sa_flags = SA_RESTART}, NULL);
    int result = stress_main(argc, argv, "rescue", run);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("rescue: %" PRIu64 " rounds, %" PRIu64 " signals, %" PRIu64 " calls of two kinds cut short\n",
           wf_load(&rounds, relaxed), wf_load(&user_signals, relaxed), wf_load(&cut_short, relaxed));
    return result;
}
