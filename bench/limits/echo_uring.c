/* echo_uring.c - the least an echo server on io_uring can do: the limit that bench/echo is held against.
 *
 * One thread, one ring that only it may touch (SINGLE_ISSUER | DEFER_TASKRUN), one multishot accept, one multishot
 * receive per connection into a ring of provided buffers, sends gathered into the next io_uring_enter. No task, no
 * timer, no way to cancel. A buffer goes back to the ring when its send has completed.
 *
 * A multishot receive that finds no buffer ends with ENOBUFS; the connection waits in `starved` until buffers come
 * back, and is armed again then. Never seen with one small request in flight per connection, and correct if it is.
 *
 *     echo_uring [http]    http: what is received is a request, if it ends with an empty line, and is answered as
 *                          bench/http.c does; for clients that send one at a time, and whole
 *
 * Says "uring KERNEL PORT" on its first line and serves until it is killed. */
#include "bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { BUFFERS = 4096, BUFFER_SIZE = 4096, SQ_ENTRIES = 2048, CQ_ENTRIES = 8192, FDS_MAX = 65536, BACKLOG = 4096 };
enum operation { ACCEPT = 1, RECV, SEND };

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nhello, world\n";

static bool http;
static struct io_uring ring;
static struct io_uring_buf_ring *pool;
static char *buffers;
static int starved[FDS_MAX]; /* connections without a receive, for want of buffers */
static unsigned starved_count;

static struct io_uring_sqe *request(enum operation op, int fd, unsigned buffer)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
        if (sqe == NULL)
            bench_die("uring: the submission queue stays full");
    }
    sqe->user_data = (uint64_t)op << 56 | (uint64_t)buffer << 32 | (uint32_t)fd;
    return sqe;
}

/* The io_uring_prep functions of liburing 2.3 leave user_data alone, so it may be set first. */
static void arm_accept(int listener)
{
    io_uring_prep_multishot_accept(request(ACCEPT, listener, 0), listener, NULL, NULL, SOCK_CLOEXEC);
}

static void arm_recv(int fd)
{
    struct io_uring_sqe *sqe = request(RECV, fd, 0);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
}

static void received(const struct io_uring_cqe *cqe, int fd)
{
    if (cqe->res > 0) {
        unsigned b = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        const char *answer = buffers + (size_t)b * BUFFER_SIZE;
        size_t size = (size_t)cqe->res;
        struct io_uring_sqe *sqe = request(SEND, fd, b);
        if (http && size >= 4 && memcmp(answer + size - 4, "\r\n\r\n", 4) == 0) {
            answer = hello;
            size = sizeof hello - 1;
        }
        io_uring_prep_send(sqe, fd, answer, size, MSG_WAITALL | MSG_NOSIGNAL);
        if (!(cqe->flags & IORING_CQE_F_MORE))
            arm_recv(fd);
    } else if (cqe->res == -ENOBUFS && starved_count < FDS_MAX) {
        starved[starved_count++] = fd;
    } else {
        close(fd);
    }
}

static void give_back(unsigned b, int nth)
{
    io_uring_buf_ring_add(pool, buffers + (size_t)b * BUFFER_SIZE, BUFFER_SIZE, (unsigned short)b,
                          io_uring_buf_ring_mask(BUFFERS), nth);
}

static void collect(int listener)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    int freed = 0;
    io_uring_for_each_cqe(&ring, head, cqe)
    {
        int fd = (int)(uint32_t)cqe->user_data;
        seen++;
        switch ((enum operation)(cqe->user_data >> 56)) {
        case ACCEPT:
            if (cqe->res >= 0)
                arm_recv(cqe->res);
            if (!(cqe->flags & IORING_CQE_F_MORE))
                arm_accept(listener);
            break;
        case RECV:
            received(cqe, fd);
            break;
        case SEND:
            give_back((unsigned)(cqe->user_data >> 32) & 0xffff, freed++);
            break;
        }
    }
    io_uring_buf_ring_advance(pool, freed);
    io_uring_cq_advance(&ring, seen);
    while (freed > 0 && starved_count > 0)
        arm_recv(starved[--starved_count]);
}

static int listen_somewhere(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted ones inherit it */
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        bench_die("uring: cannot listen: %s", strerror(errno));
    *port = ntohs(at.sin_port);
    return fd;
}

static void open_ring(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                .cq_entries = CQ_ENTRIES};
    size_t pool_size = BUFFERS * sizeof(struct io_uring_buf);
    int err = io_uring_queue_init_params(SQ_ENTRIES, &ring, &p);
    if (err < 0)
        bench_die("uring: io_uring_setup: %s", strerror(-err));
    pool = mmap(NULL, pool_size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    buffers = malloc((size_t)BUFFERS * BUFFER_SIZE);
    if (pool == MAP_FAILED || buffers == NULL)
        bench_die("uring: no memory");
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)pool, .ring_entries = BUFFERS, .bgid = 0};
    err = io_uring_register_buf_ring(&ring, &reg, 0);
    if (err < 0)
        bench_die("uring: io_uring_register: %s", strerror(-err));
    io_uring_buf_ring_init(pool);
    for (unsigned b = 0; b < BUFFERS; b++)
        give_back(b, (int)b);
    io_uring_buf_ring_advance(pool, BUFFERS);
}

int main(int argc, char **argv)
{
    struct utsname name;
    unsigned port;
    http = argc > 1 && strcmp(argv[1], "http") == 0;
    int listener = listen_somewhere(&port);
    open_ring();
    uname(&name);
    printf("uring %s %u\n", name.release, port);
    fflush(stdout);
    arm_accept(listener);
    for (;;) {
        int err = io_uring_submit_and_wait(&ring, 1);
        if (err < 0 && err != -EINTR)
            bench_die("uring: io_uring_enter: %s", strerror(-err));
        collect(listener);
    }
}
