/* hostile.c - a service that thousands are hostile to, and a few are not.
 *
 *     stress_hostile [SECONDS] [WORKERS]
 *
 * The service answers frames, on loopback (peers.h has them, and who sends them, from another process). It has fewer
 * descriptors than there are connections, a line that is shorter than the crowd, and one means against foes: whoever
 * has not said the password must have sent a frame and taken its answer within a deadline. What must hold:
 *
 *     - friends are answered, each request rightly, all the time: peers.c fails if not
 *     - foes are slow themselves: all that say nothing, or too little, or do not listen, are sent away by the deadline
 *     - the service runs out of descriptors, and goes on
 *     - its memory and its threads do not grow (series.h), once it has had as many connections as it can have
 *     - in the end all connections are closed, and descriptors and threads are as before
 *
 * It ends when time is over and there has been enough of everything; nothing depends on how fast anything is. Memory is
 * not judged under a sanitizer, which keeps what was freed. */
#include "tests/stress/peers.h"
#include "tests/stress/series.h"
#include "tests/stress/stress.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROOM = 500,      /* connections at once */
    LINE = 256,      /* that wait to be accepted */
    SEND_BUFFER = 16 << 10,
    LOOKS_MIN = TEST_TIMES(40),
    EACH_MIN = 2,    /* attacks of each kind */
    ACCEPTED_MIN = TEST_TIMES(1000),
    ANSWERED_MIN = TEST_TIMES(1000)
};

static const int64_t DEADLINE_NS = 200 * WEFT_MSEC * TEST_SLOWNESS;

/* ---- the service ---- */

enum end { LEFT, RESET, TOO_LATE, REFUSED, ENDS };

static const char *const end_name[ENDS] = {"left", "reset", "sent away", "refused"};

static struct service {
    struct peers *peers;
    int listener;
    int peers_gone;   /* a pipe whose other end they have open */
    int status;       /* /proc/self/status: to be read when there is no descriptor left */
    int last;         /* the last descriptor there can be */
    weft_event full;  /* it was in use */
    WF_ATOMIC(uint64_t) accepted, ended[ENDS];
    struct series memory, threads;
    unsigned looks_left_out; /* of each so many looks, how many do not count: there is room for so many */
} service;

struct connection {
    int fd;
    bool trusted;
    unsigned char frame[FRAME_HEADER + FRAME_MAX];
};

static int answer_one(void *arg)
{
    struct connection *c = arg;
    unsigned char *text = c->frame + FRAME_HEADER;
    int err = weft_read_full(c->fd, c->frame, FRAME_HEADER);
    uint32_t length = frame_length(c->frame);
    if (err)
        return err;
    if (length == 0 || length > FRAME_MAX)
        return -EMSGSIZE;
    if ((err = weft_read_full(c->fd, text, length)))
        return err;
    if (length == strlen(peers_password) && memcmp(text, peers_password, length) == 0)
        c->trusted = true;
    for (uint32_t i = 0; i < length; i++)
        text[i] = (unsigned char)~text[i];
    return weft_write_all(c->fd, c->frame, FRAME_HEADER + length);
}

static enum end why_over(int err)
{
    switch (err) {
    case -ETIMEDOUT: return TOO_LATE;
    case -EMSGSIZE: return REFUSED;
    case -ECONNRESET: return RESET;
    default: CHECK_EQ(err, -EPIPE); return LEFT;
    }
}

static int serve_one(void *arg)
{
    struct connection c = {.fd = *(int *)arg};
    int err = 0;
    while (err == 0)
        err = c.trusted ? answer_one(&c) : weft_within(DEADLINE_NS, answer_one, &c);
    CHECK_EQ(weft_close(c.fd), 0);
    wf_add(&service.ended[why_over(err)], 1, relaxed);
    stress_count();
    return 0;
}

static int serve(void *arg)
{
    int fd;
    (void)arg;
    WEFT_SCOPE(s);
    while ((fd = weft_accept(service.listener, NULL)) >= 0) {
        wf_add(&service.accepted, 1, relaxed);
        if (fd == service.last)
            weft_event_set(&service.full);
        CHECK_EQ(weft_go_copy(&s, serve_one, &fd, sizeof fd), 0);
    }
    CHECK_EQ(fd, -EBADF); /* closed under us, which is how it ends */
    return weft_scope_close(&s);
}

/* ---- what it takes ---- */

static double figure_of(const char *status, const char *name)
{
    double figure = -1;
    const char *line = strstr(status, name);
    CHECK(line && sscanf(line + strlen(name), "%lf", &figure) == 1);
    return figure;
}

static void look(void)
{
    char status[4096];
    ssize_t n = pread(service.status, status, sizeof status - 1, 0);
    CHECK(n > 0);
    status[n] = 0;
    if (service.memory.count == SERIES_MAX) {
        series_thin(&service.memory);
        series_thin(&service.threads);
        service.looks_left_out = 2 * service.looks_left_out + 1;
    }
    series_add(&service.memory, figure_of(status, "\nVmRSS:"));
    series_add(&service.threads, figure_of(status, "\nThreads:"));
}

static bool had_enough(void)
{
    struct peers *p = service.peers;
    bool enough = stress_over() && service.memory.count >= LOOKS_MIN;
    for (int i = 0; i < PEERS_KINDS; i++)
        enough = enough && wf_load(&p->attacks[i], relaxed) >= EACH_MIN;
    return enough && wf_load(&service.accepted, relaxed) >= ACCEPTED_MIN &&
           wf_load(&p->answered, relaxed) >= ANSWERED_MIN;
}

/* From when it has had as many connections as it can have, which is when it has all the memory it needs. */
static int watch(void *arg)
{
    (void)arg;
    int err = weft_event_wait(&service.full);
    for (unsigned n = 0; err == 0 && !had_enough(); n++) {
        if ((n & service.looks_left_out) == 0)
            look();
        err = weft_sleep(DEADLINE_NS / 8);
    }
    wf_store(&service.peers->enough, true, release);
    return err;
}

static void judge(const char *name, const struct series *s, double limit, bool matters)
{
    double grown = series_growth(s);
    printf(" %s %.0f %+.1f", name, s->value[s->count - 1], grown);
    fflush(stdout);
    if (matters)
        CHECK(grown < limit);
}

static void judge_all(void)
{
    const struct peers *p = service.peers;
    uint64_t ended = 0;
    printf("hostile, %u workers: answered %" PRIu64 ", too slow %" PRIu64 ";", stress_workers,
           wf_load(&p->answered, relaxed), wf_load(&p->too_slow, relaxed));
    for (int i = 0; i < PEERS_KINDS; i++)
        printf(" %s %" PRIu64, peers_kind_name[i], wf_load(&p->attacks[i], relaxed));
    printf("; accepted %" PRIu64 ":", wf_load(&service.accepted, relaxed));
    for (int i = 0; i < ENDS; i++) {
        printf(" %s %" PRIu64, end_name[i], wf_load(&service.ended[i], relaxed));
        ended += wf_load(&service.ended[i], relaxed);
    }
    printf("; %u looks:", series_judged(&service.memory));
    judge("memory (KiB)", &service.memory, series_memory_slack(&service.memory), TEST_SLOWNESS == 1);
    judge("threads", &service.threads, 1, true);
    printf("\n");
    CHECK_EQ(ended, wf_load(&service.accepted, relaxed));
    CHECK(wf_load(&service.ended[TOO_LATE], relaxed) >= wf_load(&p->sent_away, relaxed));
    CHECK(wf_load(&p->sent_away, relaxed) > 0);
}

/* ---- one run ---- */

/* From now on there are descriptors for as many connections as there is room for. */
static void limit_descriptors(void)
{
    struct rlimit files;
    int end = 0;
    for (int room = 0; room < ROOM; end++)
        room += fcntl(end, F_GETFD) < 0;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = (rlim_t)end;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    service.last = end - 1;
}

static int be_the_service(void *arg)
{
    char byte;
    limit_descriptors();
    WEFT_SCOPE(s);
    CHECK_EQ(weft_go(&s, serve, arg), 0);
    weft_task *watcher = weft_spawn(&s, watch, arg);
    CHECK_EQ(weft_read(service.peers_gone, &byte, 1), 0);
    weft_cancel(watcher); /* if they are gone before it has had enough, they have failed */
    CHECK_EQ(weft_close(service.listener), 0);
    return weft_scope_close(&s);
}

static void listen_for_peers(struct peers *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int buffer = SEND_BUFFER;
    service.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Connections inherit it. */
    CHECK_EQ(setsockopt(service.listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), 0);
    CHECK_EQ(bind(service.listener, (struct sockaddr *)&at, size), 0);
    CHECK_EQ(listen(service.listener, LINE), 0);
    CHECK_EQ(getsockname(service.listener, (struct sockaddr *)&at, &size), 0);
    snprintf(p->at, sizeof p->at, "127.0.0.1:%d", ntohs(at.sin_port));
}

/* The other process. It ends with us, if we end first. */
static pid_t start_peers(struct peers *p)
{
    int end[2];
    CHECK_EQ(pipe2(end, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t us = getpid(), pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
        if (getppid() != us)
            _exit(1);
        CHECK_EQ(close(end[0]) | close(service.listener), 0);
        _exit(peers_run(p) == 0 ? 0 : 1);
    }
    CHECK_EQ(close(end[1]), 0);
    service.peers_gone = end[0];
    return pid;
}

static void measure(unsigned workers, double seconds)
{
    struct wf_random r = stress_random();
    struct rlimit files;
    int status = -1;
    unsigned descriptors = series_entries("/proc/self/fd"), threads = series_entries("/proc/self/task");
    struct peers *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    p->seed = wf_random_next(&r);
    service = (struct service){.peers = p, .status = open("/proc/self/status", O_RDONLY | O_CLOEXEC)};
    listen_for_peers(p);
    pid_t pid = start_peers(p);
    stress_run("hostile", workers, seconds, be_the_service);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    CHECK_EQ(close(service.status) | close(service.peers_gone), 0);
    judge_all();
    CHECK_EQ(munmap(p, sizeof *p), 0);
    CHECK_EQ(series_entries("/proc/self/fd"), descriptors);
    while (series_entries("/proc/self/task") > threads) /* a joined one is listed for a moment more */
        sched_yield();
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

int main(int argc, char **argv)
{
    static const unsigned each[] = {1, 2, 3, 8};
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    /* With the first thread may come one of a sanitizer. */
    CHECK_EQ(weft_run(&(weft_config){.workers = 2}, nothing, NULL), 0);
    if (argc > 2)
        measure((unsigned)atoi(argv[2]), seconds);
    else
        for (size_t i = 0; i < 4; i++)
            measure(each[i], seconds / 4);
    return 0;
}
