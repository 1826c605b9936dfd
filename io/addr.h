/* addr.h - endpoints as text and as addresses. */
#ifndef WF_ADDR_H
#define WF_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>
#include <weft/net.h>

enum { WF_HOST_MAX = 253, WF_SERVICE_MAX = 32 }; /* bytes: what DNS allows; more than any service has */

/* The two halves of an endpoint's text. */
struct wf_endpoint {
    char host[WF_HOST_MAX + 1]; /* empty: every address */
    char service[WF_SERVICE_MAX + 1];
    int port; /* what service says in digits, or -1: it is a name */
};

/* 0, or -EINVAL. ret is untouched on failure. */
int wf_endpoint_parse(const char *text, struct wf_endpoint *ret);

/* Its addresses if that takes no look-up, at most n: how many, or 0. */
size_t wf_endpoint_numeric(const struct wf_endpoint *e, weft_addr *out, size_t n);

void wf_addr_store(weft_addr *ret, const void *address, socklen_t len); /* len at most that of raw */
int wf_addr_family(const weft_addr *a);

#endif
