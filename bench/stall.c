/* stall.c - the server that stall_load measures: echo, but some requests compute before they are answered. */
#include "bench/serve.h"
#include "bench/stall.h"

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
        int err = m.turns == 0 ? 0 : m.away != 0 ? weft_offload(compute, &m) : compute(&m);
        if (err < 0 || weft_write_all(c->fd, &m, sizeof m) < 0)
            break;
    }
    weft_close(c->fd);
    return 0; /* a client's trouble is not the server's */
}

int main(void)
{
    return bench_serve(answer);
}
