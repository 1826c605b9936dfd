/* weft_tcp_connect() to a name with several addresses starts a task for each. When there was no memory for one of
 * them it said -ECANCELED, which is what its own scope told the others, and not why: -ENOMEM. */
#include "runtime/platform/fault.h"
#include "tests/test.h"

#include <dlfcn.h>
#include <netdb.h>
#include <weft.h>

#if defined(WF_FAULTS)

typedef int (*lookup_fn)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* The test's own: any name has two addresses, at which nobody listens. */
int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret)
{
    lookup_fn system_one;
    (void)host;
    *(void **)&system_one = dlsym(RTLD_NEXT, "getaddrinfo");
    CHECK_EQ(system_one("127.0.0.3", service, hints, ret), 0);
    CHECK_EQ(system_one("127.0.0.4", service, hints, &(*ret)->ai_next), 0);
    return 0;
}

static int never(void *arg)
{
    (void)arg;
    return -EIO;
}

/* Hold tasks until there is no memory left in which the next one could be without asking. */
static void use_up(weft_scope *s)
{
    uint64_t chunk = 0, before = wf_fault_count(WF_FAULT_MEMORY);
    while (wf_fault_count(WF_FAULT_MEMORY) == before)
        weft_prepare(s, never, NULL);
    before++;
    while (wf_fault_count(WF_FAULT_MEMORY) == before) { /* how many fit is the pool's business: count them */
        weft_prepare(s, never, NULL);
        chunk++;
    }
    for (uint64_t i = 1; i < chunk; i++)
        weft_prepare(s, never, NULL);
    CHECK_EQ(wf_fault_count(WF_FAULT_MEMORY), before + 1);
}

static int connect_by_name(void *arg)
{
    weft_addr a[2];
    (void)arg;
    CHECK_EQ(weft_resolve("two.test:9", a, 2), 2); /* the pool has a thread now */
    WEFT_SCOPE(s);
    use_up(&s);
    wf_fault_at(WF_FAULT_MEMORY, 2, WF_FAULT_ONCE); /* the first is the lookup's */
    int err = weft_tcp_connect("two.test:9");
    CHECK_EQ(wf_fault_failed(), 1);
    wf_fault_at(WF_FAULT_ANY, 1, WF_FAULT_NEVER);
    CHECK_EQ(err, -ENOMEM);
    CHECK_EQ(weft_tcp_connect("two.test:9"), -ECONNREFUSED);
    return weft_scope_close(&s);
}

TEST(regress, connect_says_that_memory_is_out_and_not_that_it_was_stopped)
{
    wf_fault_at(WF_FAULT_ANY, 1, WF_FAULT_NEVER);
    CHECK_EQ(weft_run(&(weft_config){.workers = 1}, connect_by_name, NULL), 0);
}

#endif
