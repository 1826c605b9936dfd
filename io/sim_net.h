/* sim_net.h - stream sockets in memory, for a simulation.
 *
 * Each has a real descriptor, of an eventfd nobody uses, so that its number is nobody else's and is closed like any
 * other. Everything happens at one moment: the caller holds the world, or there is no point inside. */
#ifndef WF_SIM_NET_H
#define WF_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Is this descriptor one of ours? */
bool wf_sim_net_has(int fd);

/* -EAFNOSUPPORT: this kind is not simulated. The rest as their namesakes, and none of them sleeps. */
int wf_sim_net_socket(int family, int type);
int wf_sim_net_bind(int fd, const struct sockaddr *address, socklen_t len);
int wf_sim_net_listen(int fd, int backlog);
int wf_sim_net_getsockname(int fd, struct sockaddr *address, socklen_t *len);
int wf_sim_net_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int wf_sim_net_shutdown(int fd, int how);
int wf_sim_net_accept(int fd, struct sockaddr *address, socklen_t *len);
int wf_sim_net_connect(int fd, const struct sockaddr *address, socklen_t len);
int64_t wf_sim_net_recv(int fd, void *buf, size_t n, int flags);
int64_t wf_sim_net_send(int fd, const void *buf, size_t n);
int64_t wf_sim_net_readv(int fd, const struct iovec *v, int n);
int64_t wf_sim_net_writev(int fd, const struct iovec *v, int n);
int wf_sim_net_setsockopt(int fd); /* 0: whatever it is, it makes no difference */
int wf_sim_net_poll(int fd, unsigned events);
int wf_sim_net_close(int fd);

/* The connection breaks: both sides are told. */
void wf_sim_net_reset(int fd);

enum { WF_SIM_CONNECT_S = 128 }; /* by then a connect has ended */

/* Something about fd has changed that a request may wait for; and it is being closed. By io/sim.c. */
void wf_sim_requests_retry(int fd);
void wf_sim_requests_forget(int fd);

unsigned wf_sim_net_open(void); /* how many there are */
void wf_sim_net_end(void);      /* close them */

#endif
