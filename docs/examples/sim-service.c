/* sim-service.c - a service and its clients, tested with 1,000 seeds and whatever may go wrong on a network.
 *
 * The service answers a number with its square. It is tried twice: with code that reads until it has a whole number,
 * and with code that takes for granted that one read brings one. On a quiet machine both work, for years. */
#include <stdio.h>

#include <weft.h>
#include <weft/sim.h>

enum { CLIENTS = 3, QUESTIONS = 5, SEEDS = 1000, WORKERS = 2 };

struct service {
    int (*receive)(int fd, uint32_t *ret);
    char at[32];
    int listener;
};

static int receive_all(int fd, uint32_t *ret)
{
    return weft_read_full(fd, ret, sizeof *ret);
}

static int receive_hastily(int fd, uint32_t *ret)
{
    ssize_t n = weft_read(fd, ret, sizeof *ret);
    return n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
}

struct connection {
    struct service *service;
    int fd;
};

static int answer(void *arg)
{
    struct connection *c = arg;
    uint32_t n;
    while (c->service->receive(c->fd, &n) == 0) {
        n *= n;
        if (weft_write_all(c->fd, &n, sizeof n) < 0)
            break;
    }
    weft_close(c->fd);
    return 0;
}

static int serve(void *arg)
{
    struct service *service = arg;
    WEFT_SCOPE(connections);
    int fd;
    while ((fd = weft_accept(service->listener, NULL)) >= 0)
        if (weft_go_with(&connections, answer, struct connection, .service = service, .fd = fd) < 0)
            weft_close(fd);
    int err = weft_scope_close(&connections);
    weft_close(service->listener);
    return err == -ECANCELED ? 0 : err;
}

/* A connection may break, and then there is no answer. But an answer that is there is right. */
static int ask(void *arg)
{
    struct service *service = arg;
    int fd = weft_tcp_connect(service->at);
    for (uint32_t n = 1; fd >= 0 && n <= QUESTIONS; n++) {
        uint32_t asked = (uint32_t)weft_sim_below(60000), told;
        if (weft_write_all(fd, &asked, sizeof asked) < 0 || weft_read_full(fd, &told, sizeof told) < 0)
            break;
        if (told != asked * asked)
            weft_sim_fail("%u squared is not %u", asked, told);
    }
    weft_closep(&fd);
    return 0;
}

static int app(void *arg)
{
    struct service *service = arg;
    weft_addr where;
    service->listener = weft_tcp_listen("127.0.0.1:0", 0);
    if (service->listener < 0)
        return service->listener;
    weft_addr_local(service->listener, &where);
    weft_addr_format(&where, service->at, sizeof service->at);

    WEFT_SCOPE(server);
    weft_go(&server, serve, service);
    {
        WEFT_SCOPE(clients);
        for (int i = 0; i < CLIENTS; i++)
            weft_go(&clients, ask, service);
        weft_scope_close(&clients);
    }
    weft_scope_cancel(&server);
    return weft_scope_close(&server);
}

static int run(void *arg)
{
    weft_config config = {.workers = WORKERS};
    return weft_run(&config, app, arg);
}

/* How many of the seeds went well before one did not. */
static unsigned try_seeds(struct service *service, weft_sim_report *ret)
{
    const unsigned faults = WEFT_SIM_GENTLE | WEFT_SIM_RESET;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        weft_sim_config config = {.seed = seed, .faults = faults, .in_child = true, .quiet = true};
        if (weft_sim(&config, run, service, ret) < 0 || ret->result < 0)
            return seed;
    }
    return SEEDS;
}

int main(void)
{
    weft_sim_report report;
    struct service careful = {.receive = receive_all}, hasty = {.receive = receive_hastily};
    printf("reading all of it: %u of %d seeds went well\n", try_seeds(&careful, &report), SEEDS);
    printf("reading once: %s\n", try_seeds(&hasty, &report) < SEEDS ? "a seed was found" : "nothing was found");
    return report.failure[0] == '\0';
}
