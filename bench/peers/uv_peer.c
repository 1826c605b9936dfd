/* uv_peer.c - what libuv does, measured as its users would write it.
 *
 *     uv_peer echo              an echo server; tries to write at once, as a good user of libuv does
 *     uv_peer timers PAIRS N MOST    what bench/timers.c has: sets of timers, at most MOST; a pair alone; N that fire,
 *                               10,000 at a time
 *     uv_peer offload N         N empty jobs through the thread pool, one after another; then N with 64 at a time
 *
 * Says "libuv VERSION [PORT]", then makes a round for each line it reads, as bench/peer.h wants it. */
#include "bench/bench.h"

#include <uv.h>

enum { BACKLOG = 4096, WIDTH = 64 };

static uv_loop_t *loop;

/* Echo. */

static void provide(uv_handle_t *h, size_t n, uv_buf_t *ret)
{
    static char buffer[65536];
    (void)h;
    (void)n;
    *ret = uv_buf_init(buffer, sizeof buffer);
}

static void closed(uv_handle_t *h)
{
    free(h);
}

static void received(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    uv_buf_t answer = uv_buf_init(b->base, n > 0 ? (unsigned)n : 0);
    if (n < 0 || (n > 0 && uv_try_write(s, &answer, 1) != n))
        uv_close((uv_handle_t *)s, closed);
}

static void connected(uv_stream_t *listener, int status)
{
    uv_tcp_t *c = malloc(sizeof *c);
    if (status != 0 || c == NULL)
        bench_die("libuv: %s", status != 0 ? uv_strerror(status) : "no memory");
    uv_tcp_init(loop, c);
    if (uv_accept(listener, (uv_stream_t *)c) != 0) {
        uv_close((uv_handle_t *)c, closed);
        return;
    }
    uv_tcp_nodelay(c, 1);
    uv_read_start((uv_stream_t *)c, provide, received);
}

static int echo(void)
{
    uv_tcp_t listener;
    struct sockaddr_in at;
    int size = sizeof at;
    uv_tcp_init(loop, &listener);
    uv_ip4_addr("127.0.0.1", 0, &at);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&at, 0) != 0 ||
        uv_listen((uv_stream_t *)&listener, BACKLOG, connected) != 0 ||
        uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &size) != 0)
        bench_die("libuv: cannot listen");
    printf("libuv %s %u\n", uv_version_string(), (unsigned)ntohs(at.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}

/* Timers. */

static unsigned fired;

static void fire(uv_timer_t *t)
{
    (void)t;
    fired++;
}

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static uv_timer_t *new_timers(unsigned n)
{
    uv_timer_t *timer = calloc(n, sizeof *timer);
    if (timer == NULL)
        bench_die("libuv: no memory");
    for (unsigned i = 0; i < n; i++)
        uv_timer_init(loop, &timer[i]);
    return timer;
}

static void many(uv_timer_t *timer, unsigned n, double *value)
{
    uint64_t x = UINT64_C(88172645463325252), wait_ms = 20 + n / 1000;
    uv_update_time(loop);
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < n; i++)
        uv_timer_start(&timer[i], fire, 1000 + draw(&x) % 60000, 0);
    int64_t started = bench_now_ns();
    for (unsigned i = 0; i < n; i++)
        uv_timer_stop(&timer[i]);
    value[0] = (double)(started - start) / n;
    value[1] = (double)(bench_now_ns() - started) / n;
    uv_update_time(loop);
    for (unsigned i = 0; i < n; i++)
        uv_timer_start(&timer[i], fire, wait_ms + draw(&x) % 60, 0);
    int64_t cpu = bench_cpu_ns();
    uv_run(loop, UV_RUN_DEFAULT);
    value[2] = (double)(bench_cpu_ns() - cpu) / n;
}

/* CPU time of one timer that fires, 10,000 of them within 10 ms, again and again until n fired. */
static double fire_all(uv_timer_t *timer, unsigned n)
{
    int64_t cpu = bench_cpu_ns();
    for (fired = 0; fired < n;) {
        for (unsigned i = 0; i < 10000; i++)
            uv_timer_start(&timer[i], fire, 1 + i % 10, 0);
        uv_run(loop, UV_RUN_DEFAULT);
    }
    return (double)(bench_cpu_ns() - cpu) / fired;
}

static void timers(unsigned pairs, unsigned n, unsigned most, double *value)
{
    const unsigned size[] = {1000, 30000, most};
    static uv_timer_t *timer;
    if (timer == NULL)
        timer = new_timers(size[2]);
    for (int k = 0; k < 3; k++)
        many(timer, size[k], value + 3 * k);
    int64_t start = bench_now_ns();
    for (unsigned i = 0; i < pairs; i++) {
        uv_timer_start(timer, fire, 1000 + i % 1000, 0);
        uv_timer_stop(timer);
    }
    value[9] = (double)(bench_now_ns() - start) / pairs;
    value[10] = fire_all(timer, n);
}

/* Offload. */

static unsigned left;

static void nothing(uv_work_t *w)
{
    (void)w;
}

static void worked(uv_work_t *w, int status)
{
    (void)status;
    if (left > 0) {
        left--;
        uv_queue_work(loop, w, nothing, worked);
    }
}

static double offload(unsigned n, unsigned width)
{
    static uv_work_t work[WIDTH];
    int64_t start = bench_now_ns();
    left = n - width;
    for (unsigned i = 0; i < width; i++)
        uv_queue_work(loop, &work[i], nothing, worked);
    uv_run(loop, UV_RUN_DEFAULT);
    return (double)(bench_now_ns() - start) / n / 1e3;
}

int main(int argc, char **argv)
{
    unsigned a = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    unsigned b = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    unsigned c = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    char line[64];
    double value[11];
    loop = uv_default_loop();
    if (argc == 2 && strcmp(argv[1], "echo") == 0)
        return echo();
    bool is_timers = argc == 5 && strcmp(argv[1], "timers") == 0 && a > 0 && b > 0 && c >= 30000;
    if (!is_timers && !(argc == 3 && strcmp(argv[1], "offload") == 0 && a >= WIDTH))
        bench_die("usage: uv_peer echo | timers PAIRS N MOST | offload N (N of %d or more)", WIDTH);
    printf("libuv %s\n", uv_version_string());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (is_timers) {
            timers(a, b, c, value);
        } else {
            value[0] = offload(a, 1);
            value[1] = offload(a, WIDTH);
        }
        for (int i = 0; i < (is_timers ? 11 : 2); i++)
            printf("%g ", value[i]);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
