/* uv_stall.c - the server that stall_load measures, on libuv: a loop for each core, a thread for each loop.
 *
 *     uv_stall LOOPS
 *
 * The main thread accepts, and hands connections out to the loops in turn, which is fairer than what SO_REUSEPORT
 * draws by lot. A connection stays on its loop. What is offloaded goes to libuv's own pool of four threads; until its
 * answer is written, the connection reads nothing.
 *
 * Says "libuv VERSION PORT" and serves until it is killed. */
#include "bench/bench.h"
#include "bench/stall.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <uv.h>

enum { BACKLOG = 4096, LOOPS_MAX = 64 };

struct loop {
    uv_loop_t it;
    uv_async_t handed; /* by the main thread, ... */
    uv_mutex_t lock;   /* ... under this */
    int fd[BACKLOG];
    unsigned fds;
};

struct conn {
    uv_tcp_t tcp;
    uv_work_t work;
    uv_write_t write; /* for an answer that does not fit at once */
    struct stall_message m;
    size_t got;
};

static void closed(uv_handle_t *h)
{
    free(h->data);
}

static void leave(struct conn *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, closed);
}

/* A message is never read beyond its end, so that there is one at a time. */
static void provide(uv_handle_t *h, size_t n, uv_buf_t *ret)
{
    struct conn *c = h->data;
    (void)n;
    *ret = uv_buf_init((char *)&c->m + c->got, (unsigned)(sizeof c->m - c->got));
}

static void received(uv_stream_t *s, ssize_t n, const uv_buf_t *b);

static void written(uv_write_t *w, int status)
{
    struct conn *c = w->data;
    if (status != 0)
        leave(c);
    else
        uv_read_start((uv_stream_t *)&c->tcp, provide, received);
}

/* At once, if it can be; else nothing is read until it is. */
static void answer(struct conn *c)
{
    uv_stream_t *s = (uv_stream_t *)&c->tcp;
    uv_buf_t b = uv_buf_init((char *)&c->m, sizeof c->m);
    int n = uv_try_write(s, &b, 1);
    c->got = 0;
    if (n == (int)sizeof c->m)
        return;
    b = uv_buf_init((char *)&c->m + (n > 0 ? n : 0), sizeof c->m - (n > 0 ? (unsigned)n : 0));
    c->write.data = c;
    uv_read_stop(s);
    if ((n < 0 && n != UV_EAGAIN) || uv_write(&c->write, s, &b, 1, written) != 0)
        leave(c);
}

static void compute(uv_work_t *w)
{
    struct conn *c = w->data;
    c->m.result = stall_compute(c->m.turns);
}

static void computed(uv_work_t *w, int status)
{
    struct conn *c = w->data;
    (void)status;
    uv_read_start((uv_stream_t *)&c->tcp, provide, received);
    answer(c);
}

static void received(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct conn *c = s->data;
    (void)b;
    if (n < 0) {
        leave(c);
        return;
    }
    c->got += (size_t)n;
    if (c->got < sizeof c->m)
        return;
    if (c->m.turns != 0 && c->m.away != 0) {
        uv_read_stop(s);
        c->work.data = c;
        uv_queue_work(s->loop, &c->work, compute, computed);
        return;
    }
    if (c->m.turns != 0)
        c->m.result = stall_compute(c->m.turns);
    answer(c);
}

static void begin(uv_loop_t *loop, int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        bench_die("libuv: no memory");
    uv_tcp_init(loop, &c->tcp);
    c->tcp.data = c;
    if (uv_tcp_open(&c->tcp, fd) != 0)
        bench_die("libuv: a connection cannot be opened");
    uv_read_start((uv_stream_t *)&c->tcp, provide, received);
}

static void take_over(uv_async_t *handed)
{
    struct loop *l = handed->data;
    uv_mutex_lock(&l->lock);
    for (unsigned i = 0; i < l->fds; i++)
        begin(&l->it, l->fd[i]);
    l->fds = 0;
    uv_mutex_unlock(&l->lock);
}

static void run(void *arg)
{
    struct loop *l = arg;
    uv_run(&l->it, UV_RUN_DEFAULT);
}

static void hand_over(struct loop *l, int fd)
{
    uv_mutex_lock(&l->lock);
    if (l->fds == BACKLOG)
        bench_die("libuv: more new connections than a loop can take");
    l->fd[l->fds++] = fd;
    uv_mutex_unlock(&l->lock);
    uv_async_send(&l->handed);
}

static int listen_and_say(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        bench_die("libuv: cannot listen");
    printf("libuv %s %u\n", uv_version_string(), (unsigned)ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    static struct loop loop[LOOPS_MAX];
    unsigned loops = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    int fd, one = 1;
    if (loops == 0 || loops > LOOPS_MAX)
        bench_die("usage: uv_stall LOOPS");
    for (unsigned i = 0; i < loops; i++) {
        uv_thread_t thread;
        uv_loop_init(&loop[i].it);
        uv_mutex_init(&loop[i].lock);
        uv_async_init(&loop[i].it, &loop[i].handed, take_over);
        loop[i].handed.data = &loop[i];
        if (uv_thread_create(&thread, run, &loop[i]) != 0)
            bench_die("libuv: no thread");
    }
    int listener = listen_and_say();
    for (unsigned i = 0; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0; i++) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        hand_over(&loop[i % loops], fd);
    }
    bench_die("libuv: accept: %d", fd);
}
