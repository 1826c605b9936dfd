/* stall_bare.c - the limit of the stall benchmark's offloaded scenes: the same server without a runtime.
 *
 *     stall_bare THREADS NICE [SERVERS]
 *
 * One thread, or SERVERS, each with a share of the connections, waits in epoll and sends innocent requests back as they
 * come. THREADS others, nicer by NICE, take what is to be computed elsewhere from one queue, and answer it themselves.
 * Nothing is handed back, looked for or stolen: what a ping waits for here is the system, which has to give a thread
 * that serves a CPU though the others, and the client, use them as well.
 *
 * Says "bare-THREADS VERSION PORT", or "bare-THREADSxSERVERS VERSION PORT", and serves until it is killed. */
#include "bench/bench.h"
#include "bench/stall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { BACKLOG = 4096, EVENTS = 256, JOBS_MAX = 4096, THREADS_MAX = 64, SERVERS_MAX = 64 };

struct conn {
    int fd;
    size_t got; /* bytes of the next message */
    struct stall_message next;
};

struct job {
    int fd;
    struct stall_message message;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct job job[JOBS_MAX];
    unsigned first, n;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER};

/* The answers are small and awaited: there is room for each. A client that has gone is its own business. */
static void answer(int fd, const struct stall_message *m)
{
    ssize_t sent = send(fd, m, sizeof *m, MSG_NOSIGNAL);
    (void)sent;
}

static void put(int fd, const struct stall_message *m)
{
    pthread_mutex_lock(&queue.lock);
    if (queue.n == JOBS_MAX)
        bench_die("bare: more jobs than there is room for");
    queue.job[(queue.first + queue.n++) % JOBS_MAX] = (struct job){.fd = fd, .message = *m};
    pthread_cond_signal(&queue.some);
    pthread_mutex_unlock(&queue.lock);
}

static struct job take(void)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.n == 0)
        pthread_cond_wait(&queue.some, &queue.lock);
    struct job j = queue.job[queue.first++ % JOBS_MAX];
    queue.n--;
    pthread_mutex_unlock(&queue.lock);
    return j;
}

static void *compute(void *more)
{
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + *(int *)more); /* of this thread alone */
    for (;;) {
        struct job j = take();
        j.message.result = stall_compute(j.message.turns);
        answer(j.fd, &j.message);
    }
    return NULL;
}

static void receive(struct conn *c)
{
    ssize_t n = recv(c->fd, (char *)&c->next + c->got, sizeof c->next - c->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close(c->fd);
        free(c);
        return;
    }
    c->got += (size_t)n;
    if (c->got < sizeof c->next)
        return;
    c->got = 0;
    if (c->next.turns != 0 && c->next.away != 0) {
        put(c->fd, &c->next);
        return;
    }
    if (c->next.turns != 0)
        c->next.result = stall_compute(c->next.turns);
    answer(c->fd, &c->next);
}

static unsigned servers = 1;
static int epoll[SERVERS_MAX]; /* of each of them; the first has the listener, with no data */

static void begin(int listener)
{
    static unsigned begun;
    struct conn *c = calloc(1, sizeof *c);
    int one = 1;
    if (c == NULL)
        bench_die("bare: no memory");
    c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        epoll_ctl(epoll[begun++ % servers], EPOLL_CTL_ADD, c->fd,
                  &(struct epoll_event){.events = EPOLLIN, .data.ptr = c}) != 0)
        bench_die("bare: a connection cannot be opened: %s", strerror(errno));
}

static int listen_and_say(unsigned threads)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        bench_die("bare: cannot listen: %s", strerror(errno));
    char each[16] = "";
    if (servers > 1)
        snprintf(each, sizeof each, "x%u", servers);
    printf("bare-%u%s 1 %u\n", threads, each, (unsigned)ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static int listener;

static void *serve(void *mine)
{
    struct epoll_event event[EVENTS];
    for (;;) {
        int n = epoll_wait(*(int *)mine, event, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (event[i].data.ptr == NULL)
                begin(listener);
            else
                receive(event[i].data.ptr);
        }
    }
    return NULL;
}

static void start(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    if (pthread_create(&id, NULL, fn, arg) != 0)
        bench_die("bare: no thread");
}

int main(int argc, char **argv)
{
    static int nice;
    unsigned threads = argc >= 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    nice = argc >= 3 ? (int)strtol(argv[2], NULL, 10) : 0;
    servers = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    if (argc > 4 || threads == 0 || threads > THREADS_MAX || servers == 0 || servers > SERVERS_MAX)
        bench_die("usage: stall_bare THREADS NICE [SERVERS]");
    for (unsigned i = 0; i < threads; i++)
        start(compute, &nice);
    listener = listen_and_say(threads);
    for (unsigned i = 0; i < servers; i++)
        epoll[i] = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll[0], EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN}) != 0)
        bench_die("bare: epoll: %s", strerror(errno));
    for (unsigned i = 1; i < servers; i++)
        start(serve, &epoll[i]);
    serve(&epoll[0]);
    return 0;
}
