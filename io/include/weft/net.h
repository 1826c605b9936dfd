/* weft/net.h - TCP.
 *
 * Endpoints are text: "127.0.0.1:80", "[::1]:80", "host:http", ":80" (every address). What makes
 * something returns its descriptor, close-on-exec; the caller closes it. Sockets have TCP_NODELAY. */
#ifndef WEFT_NET_H
#define WEFT_NET_H

#include <weft/io.h>

typedef struct weft_addr {
    unsigned len;
    unsigned char raw[128];
} weft_addr; /* a sockaddr and its length */

#define WEFT_ADDR_TEXT_MAX 64 /* enough for weft_addr_format() */

WEFT_BEGIN

/* [Tsc] A listening socket. backlog of 0: as many as the system allows. -EINVAL for text that is no
 * endpoint, -ENOENT for a name that does not resolve, else socket(2), bind(2), listen(2). */
WEFT_API int weft_tcp_listen(const char *at, int backlog);

/* [Tsc] A connected socket. Of several addresses IPv6 and IPv4 take turns, one every 250 ms until one
 * answers. The errors of connect(2) (the last one, if all failed), -EINVAL, -ENOENT as above. */
WEFT_API int weft_tcp_connect(const char *to);

/* [Tsc] The next connection; those that went away before they were taken are passed over.
 * peer may be NULL. When the process is out of descriptors it waits for some, clients wait in the backlog
 * meanwhile, and stderr says so once. */
WEFT_API int weft_accept(int listener, weft_addr *peer);

/* [Ts-] No more sending: the peer reads to the end. 0, or shutdown(2)'s error. */
WEFT_API int weft_shutdown_write(int fd);

/* [Tsc] The addresses of host ("name:port", as above), at most n, in the order to try them: how many, or
 * -EINVAL, -ENOENT. Names are looked up in lane dns (offload.h). */
WEFT_API int weft_resolve(const char *endpoint, weft_addr *out, size_t n);

WEFT_API int weft_addr_local(int fd, weft_addr *ret); /* [A--] the address fd is bound to; 0, getsockname(2) */
WEFT_API int weft_addr_port(const weft_addr *a);      /* [A--] its port, or -EAFNOSUPPORT */

/* [A--] As text, "1.2.3.4:80" or "[::1]:80", cut to n with its zero: its length, or -EAFNOSUPPORT,
 * -ENOSPC. */
WEFT_API int weft_addr_format(const weft_addr *a, char *buf, size_t n);

WEFT_END

#endif
