/* service.c - a bit of everything at once, as a server is: connections whose requests go over a channel to workers,
 * which wait, compute on the pool, and answer; deadlines on everything; a clock beside it; and an orderly end. */
#include "tests/scenario/scenario.h"

enum { SERVICE_WORKERS = 4, REQUESTS = 6, IN_WORK = 3 };

struct request {
    unsigned number, answer;
    weft_future done; /* in the connection's frame, which waits for it */
};

struct service {
    char at[WEFT_ADDR_TEXT_MAX];
    int listener;
    weft_chan *jobs; /* of struct request * */
    weft_sem places;
    WF_ATOMIC(unsigned) asked, answered, refused, ticks;
};

static unsigned answer_to(unsigned number)
{
    return number * 2654435761u + 1;
}

static int compute(void *arg)
{
    struct request *r = arg;
    r->answer = answer_to(r->number);
    return 0;
}

static int do_request(struct request *r, struct wf_random *random)
{
    switch (wf_random_below(random, 3)) {
    case 0: return weft_offload(compute, r);
    case 1: {
        int err = weft_sleep(some_usec(random, 100));
        return err < 0 ? err : compute(r);
    }
    default: return compute(r);
    }
}

/* Every request that was taken is answered, whatever happens to its worker. */
static int service_worker(void *arg)
{
    struct service *s = arg;
    struct wf_random random = scenario_random((uintptr_t)weft_worker() + 40);
    struct request *r;
    int err;
    while ((err = weft_chan_recv(s->jobs, &r)) == 0) {
        err = do_request(r, &random);
        HOLDS_EQ(err < 0 ? weft_future_fail(&r->done, err) : weft_future_set(&r->done, r), 0);
        (void)WENT(err);
    }
    HOLDS(err == -EPIPE || !WENT(err));
    return 0;
}

/* The request lies in this frame, so once it is sent it is waited for, stopped or not. */
static int handle(struct service *s, unsigned number, unsigned *ret)
{
    struct request r = {.number = number}, *pointer = &r;
    int err = weft_sem_acquire(&s->places, 1);
    if (err < 0)
        return err;
    err = weft_chan_send(s->jobs, &pointer);
    if (err == 0) {
        WEFT_SCOPE(shield);
        weft_scope_shield(&shield);
        err = weft_future_await(&r.done, NULL);
        (void)WENT(weft_scope_close(&shield));
        if (err == 0)
            *ret = r.answer;
    }
    weft_sem_release(&s->places, 1);
    return err;
}

struct peer {
    struct service *service;
    int fd;
};

static int converse(void *arg)
{
    struct peer *peer = arg;
    unsigned number, answer;
    while (WENT_OR_CUT(weft_read_full(peer->fd, &number, sizeof number))) {
        int err = handle(peer->service, number, &answer);
        if (err < 0) {
            HOLDS(err == -EPIPE || scenario_is_stop(err) || !WENT(err));
            wf_add(&peer->service->refused, 1u, relaxed);
            break;
        }
        if (!WENT_OR_CUT(weft_write_all(peer->fd, &answer, sizeof answer)))
            break;
        wf_add(&peer->service->answered, 1u, relaxed);
    }
    scenario_close(peer->fd);
    return 0;
}

static int accept_peers(void *arg)
{
    struct service *service = arg;
    WEFT_SCOPE(connections);
    int fd;
    while (WENT(fd = weft_accept(service->listener, NULL)))
        if (weft_go_with(&connections, converse, struct peer, .service = service, .fd = fd) < 0)
            scenario_close(fd);
    (void)WENT(weft_scope_close(&connections));
    scenario_close(service->listener); /* whoever is still in the backlog learns that nobody will come */
    service->listener = -1;
    return 0;
}

static int tick(void *arg)
{
    struct service *service = arg;
    for (;;) {
        weft_time next = weft_after(100 * WEFT_USEC);
        if (!WENT(weft_sleep_until(next)))
            return 0;
        HOLDS(weft_since(next) >= 0);
        wf_add(&service->ticks, 1u, relaxed);
    }
}

static int be_customer(void *arg)
{
    struct peer *me = arg;
    struct wf_random random = scenario_random((uint64_t)me->fd + 300); /* fd: its number, until it has one */
    int fd = weft_tcp_connect(me->service->at);
    if (!WENT(fd))
        return 0;
    for (int i = 0; i < REQUESTS; i++) {
        unsigned number = (unsigned)wf_random_next(&random), answer = 0;
        wf_add(&me->service->asked, 1u, relaxed);
        if (!WENT(weft_write_all(fd, &number, sizeof number)))
            break;
        int err = weft_read_full(fd, &answer, sizeof answer);
        if (err < 0) {
            HOLDS(!WENT(err));
            break;
        }
        HOLDS_EQ(answer, answer_to(number));
        if (one_in(&random, 4))
            (void)WENT(weft_sleep(some_usec(&random, 100)));
        scenario_count();
    }
    scenario_close(fd);
    return 0;
}

static void be_open(struct service *service)
{
    WEFT_SCOPE(s);
    weft_go(&s, tick, service);
    weft_go(&s, accept_peers, service);
    {
        WEFT_SCOPE(customers);
        for (unsigned i = 0; i < scenario_env.size; i++)
            weft_go_with(&customers, be_customer, struct peer, .service = service, .fd = (int)i);
        (void)WENT(weft_scope_close(&customers));
    }
    weft_scope_cancel(&s);
    (void)WENT(weft_scope_close(&s));
}

static int service(void *arg)
{
    struct scenario_env *env = arg;
    struct service it = {.jobs = scenario_chan(1, sizeof(struct request *))};
    if (!it.jobs)
        return 0;
    it.listener = scenario_listen(it.at);
    if (it.listener >= 0) {
        weft_sem_release(&it.places, IN_WORK);
        WEFT_SCOPE(workers);
        bool have = true;
        for (int i = 0; i < SERVICE_WORKERS; i++)
            have &= WENT(weft_go(&workers, service_worker, &it));
        if (have)
            be_open(&it);
        weft_closep(&it.listener); /* there was no memory to serve */
        weft_chan_close(it.jobs);
        (void)WENT(weft_scope_close(&workers));
        HOLDS(weft_sem_try_acquire(&it.places, IN_WORK));
        HOLDS(!weft_sem_try_acquire(&it.places, 1));
        unsigned asked = wf_load(&it.asked, relaxed), answered = wf_load(&it.answered, relaxed);
        HOLDS(env->faults ? answered <= asked : answered == asked && asked == env->size * REQUESTS);
    }
    weft_chan_free(it.jobs);
    return 0;
}

const struct scenario scenario_service = {"service", service, 12, 2};
