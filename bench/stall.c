/* stall.c - the server that stall_load measures: echo, but some requests compute before they are answered.
 *
 *     stall [pin]     pin: a core for each worker (weft_config.pin) */
#include "bench/serve.h"
#include "bench/stall.h"

#include <string.h>

static int compute(void *arg)
{
    struct stall_message *m = arg;
    m->result = stall_compute(m->turns);
    return 0;
}

static int answer(void *arg)
{
    struct bench_client *c = arg;
    struct stall_message m;
    while (weft_read_full(c->fd, &m, sizeof m) == 0) {
        int err = m.turns == 0 ? 0 : m.away != 0 ? weft_offload_on(weft_lane_cpu(), compute, &m) : compute(&m);
        if (err < 0 || weft_write_all(c->fd, &m, sizeof m) < 0)
            break;
    }
    weft_close(c->fd);
    return 0; /* a client's trouble is not the server's */
}

int main(int argc, char **argv)
{
    weft_config config = {.pin = argc == 2 && strcmp(argv[1], "pin") == 0};
    return bench_serve_with(&config, answer);
}
