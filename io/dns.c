/* dns.c - names to addresses.
 *
 * Numbers are read here and now. A name, of a host or of a service, goes to getaddrinfo(3) in lane dns:
 * it blocks, reads files, asks servers as the system is configured to, and there is no better-tested one.
 *
 * It sorts by what is likely to work (RFC 6724); the families then take turns, so that the second address tried
 * is of the other family than the first (RFC 8305). */
#include "io/addr.h"
#include "runtime/platform/fault.h"
#include "runtime/task.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <weft/offload.h>

struct lookup {
    struct wf_endpoint endpoint;
    weft_addr *out;
    size_t n;
};

static int from_eai(int eai, int system)
{
    switch (eai) {
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_SYSTEM:
        return system ? -system : -ENOENT;
    default:
        return -ENOENT;
    }
}

/* The next of this family, or of any other than it; NULL at the end. */
static const struct addrinfo *next_of(const struct addrinfo *i, int family, bool other)
{
    while (i && ((i->ai_family == family) == other || i->ai_addrlen > sizeof((weft_addr *)0)->raw))
        i = i->ai_next;
    return i;
}

/* Copy the list, families in turns. How many. */
static size_t interleave(const struct addrinfo *list, weft_addr *out, size_t n)
{
    int first = list->ai_family;
    const struct addrinfo *next[2] = {next_of(list, first, false), next_of(list, first, true)};
    size_t count = 0;
    for (unsigned turn = 0; count < n && (next[0] || next[1]); turn ^= 1) {
        if (!next[turn])
            continue;
        wf_addr_store(&out[count++], next[turn]->ai_addr, next[turn]->ai_addrlen);
        next[turn] = next_of(next[turn]->ai_next, first, turn);
    }
    return count;
}

/* On a thread of that lane. */
static int look_up(void *arg)
{
    struct lookup *l = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    bool every = l->endpoint.host[0] == '\0'; /* then only the service is a name */
    const char *host = every ? "127.0.0.1" : l->endpoint.host;
    int eai = wf_fault(WF_FAULT_MEMORY) ? EAI_MEMORY : getaddrinfo(host, l->endpoint.service, &hints, &list);
    if (eai)
        return from_eai(eai, errno);
    size_t count = interleave(list, l->out, l->n);
    freeaddrinfo(list);
    if (every && count > 0) {
        l->endpoint.port = weft_addr_port(&l->out[0]);
        count = wf_endpoint_numeric(&l->endpoint, l->out, l->n);
    }
    return count ? (int)count : -ENOENT;
}

int weft_resolve(const char *endpoint, weft_addr *out, size_t n)
{
    struct lookup l = {.out = out, .n = n < INT_MAX ? n : INT_MAX};
    wf_task_require("weft_resolve");
    int err = wf_endpoint_parse(endpoint, &l.endpoint);
    if (err || n == 0)
        return err;
    size_t count = wf_endpoint_numeric(&l.endpoint, out, n);
    return count ? (int)count : weft_offload_on(weft_lane_dns(), look_up, &l);
}
