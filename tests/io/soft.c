/* soft.c - what only the soft driver has to get right by itself: descriptors that block, numbers that change hands,
 * files and terminals. What it has in common with the ring, the other tests show when they are run on it
 * (tests/run --soft); when it takes over is in takeover.c. */
#include "tests/io/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

/* On the soft driver, whatever the environment wants, which outranks a config. */
static void on_soft_with(unsigned workers, weft_fn body)
{
    unsetenv("WEFT_DRIVER");
    CHECK_EQ(weft_run(&(weft_config){.workers = workers, .driver = WEFT_DRIVER_SOFT}, body, NULL), 0);
}

/* With one worker and with several; no descriptor is left behind. */
static void on_soft(weft_fn body)
{
    static const unsigned shapes[] = {1, 2, 4};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        int before = open_descriptors();
        on_soft_with(shapes[i], body);
        CHECK_EQ(open_descriptors(), before);
    }
}

/* ---- several at one descriptor ---- */

enum { MUCH = 1 << 20 };

struct stream {
    int fd;
    long sum;
};

static int read_all(void *arg)
{
    struct stream *s = arg;
    unsigned char buf[4096];
    ssize_t n;
    for (long left = MUCH; left > 0; left -= n) {
        n = weft_read(s->fd, buf, sizeof buf);
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++)
            s->sum += buf[i];
    }
    return 0;
}

static unsigned char much[MUCH];

static int write_much(void *arg)
{
    struct stream *s = arg;
    CHECK_EQ(weft_write_all(s->fd, much, MUCH), 0);
    return 0;
}

static int both_ways(void *arg)
{
    int fds[2];
    long sum = 0;
    (void)arg;
    for (int i = 0; i < MUCH; i++)
        sum += much[i] = (unsigned char)(i * 7);
    socket_pair(fds);
    struct stream streams[2] = {{.fd = fds[0]}, {.fd = fds[1]}};
    WEFT_SCOPE(s);
    for (int i = 0; i < 2; i++) {
        weft_go(&s, read_all, &streams[i]);
        weft_go(&s, write_much, &streams[i]);
    }
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(streams[0].sum, sum);
    CHECK_EQ(streams[1].sum, sum);
    return weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(soft, reads_and_writes_one_descriptor_at_once)
{
    on_soft(both_ways);
}

enum { CALLERS = 8, CALLS = 50 };

static int accept_some(void *arg)
{
    for (int i = 0; i < CALLS; i++) {
        int fd = weft_accept(*(int *)arg, NULL);
        CHECK(fd >= 0);
        CHECK_EQ(weft_close(fd), 0);
    }
    return 0;
}

static int call_some(void *arg)
{
    char byte;
    for (int i = 0; i < CALLS; i++) {
        int fd = weft_tcp_connect(arg);
        CHECK(fd >= 0);
        CHECK_EQ(weft_read(fd, &byte, 1), 0);
        CHECK_EQ(weft_close(fd), 0);
    }
    return 0;
}

static int accept_together(void *arg)
{
    char at[WEFT_ADDR_TEXT_MAX];
    int listener = listen_loopback(at);
    (void)arg;
    WEFT_SCOPE(s);
    for (int i = 0; i < CALLERS; i++) {
        weft_go(&s, accept_some, &listener);
        weft_go(&s, call_some, at);
    }
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
    return weft_close(listener);
}

TEST(soft, gives_each_connection_to_one_of_those_who_accept)
{
    on_soft(accept_together);
}

/* Somebody else accepts from the same blocking listener: what is there when poll(2) looks is gone when we accept. No
 * worker may be caught in that, so the task can be stopped whenever it is told to. */
struct thief {
    int listener;
    _Atomic int stolen;
    _Atomic bool over;
};

static void *steal(void *arg)
{
    struct thief *t = arg;
    while (!atomic_load(&t->over)) {
        int fd = accept(t->listener, NULL, NULL);
        if (fd < 0)
            continue;
        atomic_fetch_add(&t->stolen, 1);
        close(fd);
    }
    return NULL;
}

static _Atomic int accepted;

static int accept_until_stopped(void *arg)
{
    int fd;
    while ((fd = weft_accept(*(int *)arg, NULL)) >= 0) {
        atomic_fetch_add(&accepted, 1);
        weft_close(fd);
    }
    CHECK_EQ(fd, -ECANCELED);
    return 0;
}

static int share_a_listener(void *arg)
{
    struct thief thief = {0};
    char at[WEFT_ADDR_TEXT_MAX];
    (void)arg;
    thief.listener = listen_loopback(at);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, steal, &thief), 0);
    atomic_store(&accepted, 0);
    int calls = TEST_TIMES(400);
    WEFT_SCOPE(s);
    weft_go(&s, accept_until_stopped, &thief.listener);
    for (int i = 0; i < calls; i++) {
        char byte;
        int fd = weft_tcp_connect(at);
        CHECK(fd >= 0);
        CHECK_EQ(weft_read(fd, &byte, 1), 0); /* whoever accepted has closed it */
        weft_close(fd);
    }
    weft_scope_leave(&s);
    CHECK_EQ(atomic_load(&accepted) + atomic_load(&thief.stolen), calls);
    atomic_store(&thief.over, true);
    int last = weft_tcp_connect(at); /* the thief is asleep in accept(2) */
    pthread_join(thread, NULL);
    weft_close(last);
    return weft_close(thief.listener);
}

TEST(soft, is_not_caught_when_a_connection_is_stolen)
{
    on_soft(share_a_listener);
}

/* ---- numbers that change hands ---- */

struct reader {
    int fd, result;
    char byte;
};

static int read_byte(void *arg)
{
    struct reader *r = arg;
    r->result = (int)weft_read(r->fd, &r->byte, 1);
    return 0;
}

/* Have a task read from the number, which waits, and only then write to its peer. */
static void must_hear(int number, int peer, char said)
{
    struct reader r = {.fd = number};
    WEFT_SCOPE(s);
    weft_go(&s, read_byte, &r);
    weft_sleep(100 * WEFT_USEC);
    CHECK_EQ(write(peer, &said, 1), 1);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(r.result, 1);
    CHECK_EQ(r.byte, said);
}

/* A number gets another file each time by dup2(2), behind our back; in every other round the old one lives on as a
 * twin, and becomes readable too. */
static int change_hands(void *arg)
{
    int number = dup(0), last_peer = -1;
    (void)arg;
    for (int i = 0; i < TEST_TIMES(500); i++) {
        int fds[2], twin = i % 2 ? dup(number) : -1;
        socket_pair(fds);
        CHECK_EQ(dup2(fds[0], number), number);
        close(fds[0]);
        if (twin >= 0)
            CHECK_EQ(write(last_peer, "stale", 5), 5);
        must_hear(number, fds[1], (char)i);
        must_hear(number, fds[1], (char)(i + 1));
        if (last_peer >= 0)
            close(last_peer);
        last_peer = fds[1];
        if (twin >= 0)
            close(twin);
    }
    close(last_peer);
    return close(number);
}

TEST(soft, sees_that_a_number_means_another_file)
{
    on_soft(change_hands);
}

/* Does an epoll set of this process wait for the number to become readable? */
static bool is_watched(int number)
{
    bool watched = false;
    char path[64], line[256];
    for (int fd = 0; fd < 64 && !watched; fd++) {
        int target;
        unsigned events;
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        FILE *f = fopen(path, "re");
        while (f && !watched && fgets(line, sizeof line, f))
            watched = sscanf(line, "tfd: %d events: %x", &target, &events) == 2 && target == number &&
                      (events & POLLIN);
        if (f)
            fclose(f);
    }
    return watched;
}

/* A task waits for a file whose number is given away under it: that is a mistake, but it may not take the new file's
 * bytes, and it can be stopped. */
static int wait_for_a_ghost(void *arg)
{
    int old[2], new[2], number;
    (void)arg;
    socket_pair(old);
    number = old[0];
    struct reader ghost = {.fd = number};
    WEFT_SCOPE(s);
    weft_go(&s, read_byte, &ghost);
    while (!is_watched(number)) /* before that it would be a reader of the new file */
        CHECK_EQ(weft_sleep(WEFT_MSEC), 0);
    socket_pair(new);
    CHECK_EQ(dup2(new[0], number), number);
    for (char said = 'a'; said < 'k'; said++)
        must_hear(number, new[1], said);
    weft_scope_leave(&s);
    CHECK_EQ(ghost.result, -ECANCELED);
    CHECK_EQ(ghost.byte, 0);
    return close(old[1]) | close(new[0]) | close(new[1]) | close(number);
}

TEST(soft, keeps_a_new_file_from_those_who_wait_for_the_old_one)
{
    on_soft(wait_for_a_ghost);
}

/* ---- files ---- */

static int fill(void *arg)
{
    int fd = *(int *)arg;
    static char block[8192];
    for (int i = 0; i < 16; i++) {
        memset(block, 'a' + i, sizeof block);
        CHECK_EQ(weft_pwrite(fd, block, sizeof block, i * (int64_t)sizeof block), (int64_t)sizeof block);
    }
    return 0;
}

static int use_files(void *arg)
{
    char path[] = "/tmp/weft-soft-XXXXXX", line[32] = "";
    char *all = malloc(17 * 8192);
    int fd = mkstemp(path), proc, folder;
    (void)arg;
    CHECK(fd >= 0 && all);
    CHECK_EQ(fill(&fd), 0);
    CHECK_EQ(weft_pread(fd, all, 17 * 8192, 0), 16 * 8192); /* all there is, though more was asked for */
    for (int i = 0; i < 16 * 8192; i++)
        CHECK_EQ(all[i], 'a' + i / 8192);
    CHECK_EQ(weft_pread(fd, all, 10, 16 * 8192), 0);
    CHECK_EQ(weft_write(fd, "begin", 5), 5); /* at the file's own position */
    CHECK_EQ(weft_read(fd, all, 3), 3);
    CHECK_EQ(all[0], 'a');
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
    CHECK_EQ(weft_read(fd, all, 17 * 8192), 16 * 8192 - 8);
    CHECK_EQ(weft_read(fd, all, 1), 0);
    CHECK_EQ(weft_poll(fd, POLLIN), POLLIN);
    CHECK((proc = open("/proc/self/comm", O_RDONLY | O_CLOEXEC)) >= 0);
    CHECK(weft_read(proc, line, sizeof line) > 0);
    CHECK((folder = open("/", O_RDONLY | O_CLOEXEC)) >= 0);
    CHECK_EQ(weft_read(folder, line, 1), -EISDIR);
    CHECK_EQ(weft_write(proc, "x", 1), -EBADF);
    free(all);
    return weft_close(fd) | weft_close(proc) | weft_close(folder) | unlink(path);
}

TEST(soft, reads_and_writes_files)
{
    on_soft(use_files);
}

/* Many at once: more than there are threads for them. */
struct slice {
    int fd, i;
};

static int write_slice(void *arg)
{
    struct slice *s = arg;
    return weft_pwrite(s->fd, &s->i, sizeof s->i, s->i * (int64_t)sizeof s->i) == sizeof s->i ? 0 : -EIO;
}

enum { SLICES = 500 };

static int slice_a_file(void *arg)
{
    char path[] = "/tmp/weft-soft-XXXXXX";
    int fd = mkstemp(path), back[SLICES];
    (void)arg;
    CHECK(fd >= 0);
    WEFT_SCOPE(s);
    for (int i = 0; i < SLICES; i++)
        weft_go_with(&s, write_slice, struct slice, .fd = fd, .i = i);
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK_EQ(pread(fd, back, sizeof back, 0), (ssize_t)sizeof back);
    for (int i = 0; i < SLICES; i++)
        CHECK_EQ(back[i], i);
    return weft_close(fd) | unlink(path);
}

TEST(soft, has_fewer_threads_than_requests_for_files)
{
    on_soft(slice_a_file);
}

/* ---- descriptors that block ---- */

/* A task that reads from, and one that writes to what blocks; they are stopped, and a worker caught in one of them
 * would keep the scope from ending. */
static int read_on(void *arg)
{
    char buf[100];
    ssize_t n;
    while ((n = weft_read(*(int *)arg, buf, sizeof buf)) > 0)
        ;
    CHECK_EQ(n, -ECANCELED);
    return 0;
}

static int write_on(void *arg)
{
    ssize_t n;
    while ((n = weft_write(*(int *)arg, much, sizeof much)) > 0)
        ;
    CHECK_EQ(n, -ECANCELED);
    return 0;
}

static int block_on_pipes(void *arg)
{
    int empty[2], full[2];
    (void)arg;
    CHECK_EQ(pipe2(empty, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(full, O_CLOEXEC), 0);
    WEFT_SCOPE(s);
    weft_go(&s, read_on, &empty[0]);
    weft_go(&s, write_on, &full[1]);
    CHECK_EQ(write(empty[1], "hello", 5), 5);
    while (weft_poll(full[0], POLLIN) != POLLIN)
        ;
    weft_sleep(WEFT_MSEC);
    weft_scope_leave(&s);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(fcntl(full[i], F_GETFL) & O_NONBLOCK, 0);
        close(empty[i]);
        close(full[i]);
    }
    return 0;
}

TEST(soft, waits_for_pipes_that_block)
{
    on_soft(block_on_pipes);
}

static int use_a_terminal(void *arg)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char line[64];
    (void)arg;
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(terminal >= 0);
    CHECK_EQ(write(master, "half a li", 9), 9);
    struct reader nothing = {.fd = terminal};
    weft_within(WEFT_MSEC, read_byte, &nothing);
    CHECK_EQ(nothing.result, -ETIMEDOUT); /* no line, nothing to read */
    CHECK_EQ(write(master, "ne\n", 3), 3);
    CHECK_EQ(weft_read(terminal, line, sizeof line), 12);
    CHECK_EQ(memcmp(line, "half a line\n", 12), 0);
    CHECK_EQ(weft_write_all(terminal, "answer\n", 7), 0);
    CHECK_EQ(weft_poll(master, POLLIN), POLLIN);
    return weft_close(terminal) | weft_close(master);
}

TEST(soft, waits_for_terminals)
{
    on_soft(use_a_terminal);
}

/* A file that is still open by another number stays in the epoll set under a number that was closed. */
static int close_one_of_two_numbers(void *arg)
{
    int fds[2];
    char bytes[8];
    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    int second = fcntl(fds[0], F_DUPFD_CLOEXEC, 100);
    struct reader waits = {.fd = second};
    weft_within(WEFT_MSEC, read_byte, &waits);
    CHECK_EQ(waits.result, -ETIMEDOUT);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(weft_read(second, bytes, sizeof bytes), 1); /* and there was no more: the next one is not even tried */
    CHECK_EQ(close(second), 0); /* behind weft's back */
    CHECK_EQ(weft_read(second, bytes, 1), -EBADF);
    CHECK_EQ(fcntl(fds[0], F_DUPFD_CLOEXEC, second), second);
    weft_within(WEFT_MSEC, read_byte, &waits);
    CHECK_EQ(waits.result, -ETIMEDOUT);
    CHECK_EQ(weft_write(fds[1], "y", 1), 1);
    CHECK_EQ(weft_read(second, bytes, sizeof bytes), 1);
    return weft_close(second) | weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(soft, knows_a_file_that_comes_back_under_its_number)
{
    on_soft(close_one_of_two_numbers);
}

static int use_other_kinds(void *arg)
{
    int counter = eventfd(0, EFD_CLOEXEC), zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
    uint64_t value = 7;
    char block[64] = {1};
    (void)arg;
    struct reader r = {.fd = counter};
    weft_within(60 * WEFT_SEC, read_byte, &r);
    CHECK_EQ(r.result, -EINVAL); /* eight bytes are needed */
    CHECK_EQ(weft_write(counter, &value, sizeof value), sizeof value);
    value = 0;
    CHECK_EQ(weft_read(counter, &value, sizeof value), sizeof value);
    CHECK_EQ(value, 7);
    CHECK_EQ(weft_read(zero, block, sizeof block), sizeof block);
    CHECK_EQ(block[0], 0);
    CHECK_EQ(weft_write(zero, block, sizeof block), sizeof block);
    CHECK_EQ(weft_close(counter) | weft_close(zero), 0);
    CHECK_EQ(weft_read(counter, &value, sizeof value), -EBADF);
    CHECK_EQ(weft_poll(counter, POLLIN), -EBADF);
    return 0;
}

TEST(soft, takes_any_kind_of_descriptor)
{
    on_soft(use_other_kinds);
}

static int leave_errno_alone(void *arg)
{
    char byte;
    (void)arg;
    int closed = dup(0);
    close(closed);
    errno = E2BIG;
    CHECK_EQ(weft_read(closed, &byte, 1), -EBADF);
    CHECK_EQ(weft_tcp_connect("127.0.0.1:1"), -ECONNREFUSED);
    CHECK_EQ(weft_poll(-1, POLLIN), -EBADF);
    CHECK_EQ(errno, E2BIG);
    return 0;
}

TEST(soft, leaves_errno_alone)
{
    on_soft(leave_errno_alone);
}

/* ---- busy and idle ---- */

struct busy {
    int fds[2];
    _Atomic bool waits, over;
};

static int read_when_busy(void *arg)
{
    struct busy *b = arg;
    char byte;
    atomic_store(&b->waits, true);
    CHECK_EQ(weft_read(b->fds[0], &byte, 1), 1);
    atomic_store(&b->over, true);
    return 0;
}

static int yield_on(void *arg)
{
    struct busy *b = arg;
    while (!atomic_load(&b->over))
        weft_yield();
    return 0;
}

static void *write_from_outside(void *arg)
{
    struct busy *b = arg;
    while (!atomic_load(&b->waits))
        sched_yield();
    CHECK_EQ(write(b->fds[1], "x", 1), 1);
    return NULL;
}

/* One worker that always has something to do hears of events nevertheless. */
static int hear_while_busy(void *arg)
{
    struct busy b = {.over = false};
    pthread_t thread;
    (void)arg;
    socket_pair(b.fds);
    WEFT_SCOPE(s);
    weft_go(&s, read_when_busy, &b);
    weft_go(&s, yield_on, &b);
    weft_go(&s, yield_on, &b);
    CHECK_EQ(pthread_create(&thread, NULL, write_from_outside, &b), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    pthread_join(thread, NULL);
    return weft_close(b.fds[0]) | weft_close(b.fds[1]);
}

TEST(soft, hears_of_events_while_it_is_busy)
{
    on_soft(hear_while_busy);
}

/* A task that computes: another worker polls in its stead. */
static int spin(void *arg)
{
    struct busy *b = arg;
    while (!atomic_load(&b->over))
        ;
    return 0;
}

static int be_heard_for(void *arg)
{
    struct busy b = {.over = false};
    pthread_t thread;
    (void)arg;
    socket_pair(b.fds);
    WEFT_SCOPE(s);
    weft_go(&s, read_when_busy, &b);
    weft_sleep(WEFT_MSEC);
    weft_go(&s, spin, &b);
    CHECK_EQ(pthread_create(&thread, NULL, write_from_outside, &b), 0);
    CHECK_EQ(weft_scope_close(&s), 0);
    pthread_join(thread, NULL);
    return weft_close(b.fds[0]) | weft_close(b.fds[1]);
}

TEST(soft, is_served_by_another_worker)
{
    for (int i = 0; i < TEST_TIMES(50); i++)
        on_soft_with(2, be_heard_for);
}

/* Requests that wait do not keep a worker from sleeping. */
static int sleep_soundly(void *arg)
{
    int fds[2];
    weft_stats before, after;
    (void)arg;
    socket_pair(fds);
    WEFT_SCOPE(s);
    weft_go(&s, read_on, &fds[0]);
    weft_sleep(20 * WEFT_MSEC);
    weft_stats_read(weft_runtime_self(), &before);
    weft_sleep(200 * WEFT_MSEC);
    weft_stats_read(weft_runtime_self(), &after);
    CHECK_STR(after.driver, "soft");
    CHECK(after.parks - before.parks <= 3); /* one sleep, and what the timer wheel rounds */
    weft_scope_leave(&s);
    return weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(soft, sleeps_while_requests_wait)
{
    on_soft_with(1, sleep_soundly);
}
