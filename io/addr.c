/* addr.c - endpoints as text and as addresses.
 *
 *     "1.2.3.4:80"    "[::1]:80"    "[fe80::1%eth0]:80"    "host:http"    ":80", every address
 *
 * Text comes from outside: every length is checked before it is copied, and what is too long is an error, never
 * cut. raw has no alignment, so addresses are copied out of it and into it. */
#include "io/addr.h"

#include "io/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535, PORT_DIGITS_MAX = 5 };

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof((weft_addr *)0)->raw, "any address fits");

static bool copy_text(char *to, size_t max, const char *from, size_t len)
{
    if (len > max)
        return false;
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

/* Digits only, and in range: the port. Not digits: -1. Else -EINVAL. */
static int parse_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (text[digits])
        return -1;
    if (digits == 0 || digits > PORT_DIGITS_MAX)
        return -EINVAL;
    int port = atoi(text);
    return port > PORT_MAX ? -EINVAL : port;
}

int wf_endpoint_parse(const char *text, struct wf_endpoint *ret)
{
    const char *host = text, *colon = strrchr(text, ':');
    if (!colon)
        return -EINVAL;
    size_t host_len = (size_t)(colon - text);
    if (text[0] == '[') {
        if (host_len < 3 || text[host_len - 1] != ']')
            return -EINVAL;
        host = text + 1;
        host_len -= 2;
    } else if (memchr(text, ':', host_len)) {
        return -EINVAL; /* IPv6 without brackets: where would the port begin? */
    }
    struct wf_endpoint e;
    if (!copy_text(e.host, WF_HOST_MAX, host, host_len) ||
        !copy_text(e.service, WF_SERVICE_MAX, colon + 1, strlen(colon + 1)))
        return -EINVAL;
    e.port = parse_port(e.service);
    if (e.port < -1 || strpbrk(e.host, "[]"))
        return -EINVAL;
    *ret = e;
    return 0;
}

void wf_addr_store(weft_addr *ret, const void *address, socklen_t len)
{
    *ret = (weft_addr){.len = len};
    memcpy(ret->raw, address, len);
}

int wf_addr_family(const weft_addr *a)
{
    struct sockaddr head = {.sa_family = AF_UNSPEC};
    if (a->len >= sizeof head.sa_family && a->len <= sizeof a->raw)
        memcpy(&head, a->raw, sizeof head.sa_family);
    return head.sa_family;
}

static void store_in6(weft_addr *ret, const struct in6_addr *address, int port, unsigned scope)
{
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = *address, .sin6_scope_id = scope};
    wf_addr_store(ret, &in6, sizeof in6);
}

static void store_in(weft_addr *ret, const struct in_addr *address, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = *address};
    wf_addr_store(ret, &in, sizeof in);
}

/* IPv6 with or without "%interface". */
static bool read_in6(const char *host, struct in6_addr *ret, unsigned *scope)
{
    char text[INET6_ADDRSTRLEN];
    const char *percent = strchr(host, '%');
    size_t len = percent ? (size_t)(percent - host) : strlen(host);
    if (!copy_text(text, sizeof text - 1, host, len) || inet_pton(AF_INET6, text, ret) != 1)
        return false;
    *scope = 0;
    if (percent) {
        char *end;
        unsigned long number = strtoul(percent + 1, &end, 10);
        *scope = *end || end == percent + 1 || number > UINT_MAX ? if_nametoindex(percent + 1) : (unsigned)number;
    }
    return !percent || *scope != 0;
}

size_t wf_endpoint_numeric(const struct wf_endpoint *e, weft_addr *out, size_t n)
{
    struct in6_addr in6;
    struct in_addr in;
    unsigned scope;
    if (e->port < 0 || n == 0)
        return 0;
    if (e->host[0] == '\0') {
        store_in6(&out[0], &in6addr_any, e->port, 0);
        if (n > 1)
            store_in(&out[1], &(struct in_addr){htonl(INADDR_ANY)}, e->port);
        return n > 1 ? 2 : 1;
    }
    if (inet_pton(AF_INET, e->host, &in) == 1)
        store_in(&out[0], &in, e->port);
    else if (read_in6(e->host, &in6, &scope))
        store_in6(&out[0], &in6, e->port, scope);
    else
        return 0;
    return 1;
}

int weft_addr_local(int fd, weft_addr *ret)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int err = wf_sys_getsockname(fd, (struct sockaddr *)&address, &len);
    if (!err)
        wf_addr_store(ret, &address, len < sizeof address ? len : sizeof address);
    return err;
}

/* An address of IPv4 or IPv6; AF_UNSPEC: it is neither, or cut short. */
static int read_addr(const weft_addr *a, struct sockaddr_in *in, struct sockaddr_in6 *in6)
{
    int family = wf_addr_family(a);
    if (family == AF_INET && a->len >= sizeof *in)
        memcpy(in, a->raw, sizeof *in);
    else if (family == AF_INET6 && a->len >= sizeof *in6)
        memcpy(in6, a->raw, sizeof *in6);
    else
        return AF_UNSPEC;
    return family;
}

int weft_addr_port(const weft_addr *a)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    switch (read_addr(a, &in, &in6)) {
    case AF_INET:
        return ntohs(in.sin_port);
    case AF_INET6:
        return ntohs(in6.sin6_port);
    default:
        return -EAFNOSUPPORT;
    }
}

int weft_addr_format(const weft_addr *a, char *buf, size_t n)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    char host[INET6_ADDRSTRLEN], scope[16] = "";
    int len;
    switch (read_addr(a, &in, &in6)) {
    case AF_INET:
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
        len = snprintf(buf, n, "%s:%u", host, ntohs(in.sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
        if (in6.sin6_scope_id)
            snprintf(scope, sizeof scope, "%%%u", in6.sin6_scope_id);
        len = snprintf(buf, n, "[%s%s]:%u", host, scope, ntohs(in6.sin6_port));
        break;
    default:
        return -EAFNOSUPPORT;
    }
    return (size_t)len < n ? len : -ENOSPC;
}
