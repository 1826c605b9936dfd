/* fault.h - where a build for tests makes the machine fail.
 *
 * Whoever asks the machine for something that can be refused asks here first: if (wf_fault(kind)), it has been
 * refused, and errno says why, as if by the machine. In production that is the constant false. With WF_FAULTS the
 * n-th request of a kind fails, once or from then on (fault.c); with WF_SIM a seed decides. */
#ifndef WF_FAULT_H
#define WF_FAULT_H

#include <stdbool.h>

enum wf_fault_kind {
    WF_FAULT_MEMORY,  /* ENOMEM: an allocation */
    WF_FAULT_MAP,     /* ENOMEM: address space, a guard */
    WF_FAULT_THREAD,  /* EAGAIN: a thread */
    WF_FAULT_FD,      /* EMFILE: a descriptor */
    WF_FAULT_RING,    /* ENOMEM: setting up a ring */
    WF_FAULT_ENTER,   /* EAGAIN, EINTR, EBUSY, ENOMEM: the kernel puts off what a ring entered it for */
    WF_FAULT_REQUEST, /* ENOMEM: how the kernel ends a task's request */
    WF_FAULT_KINDS
};

#if defined(WF_FAULTS) || defined(WF_SIM)
bool wf_fault(enum wf_fault_kind kind);
#else
#define wf_fault(kind) false /* no function: even an empty one sways what the compiler inlines */
#endif

#if defined(WF_FAULTS)
#include <stdint.h>

enum { WF_FAULT_ANY = WF_FAULT_KINDS }; /* requests of every kind, in the order in which they come */

enum wf_fault_how {
    WF_FAULT_NEVER,
    WF_FAULT_ONCE,    /* the n-th */
    WF_FAULT_ONWARDS, /* the n-th and all after it; but entries come through now and then: see fault.c */
    WF_FAULT_STREWN   /* the n-th, and some of those after it */
};

/* Begin to count anew, and have requests of this kind fail from the n-th on (from 1). By one thread at a time. */
void wf_fault_at(unsigned kind, uint64_t n, enum wf_fault_how how);

uint64_t wf_fault_count(unsigned kind); /* requests of this kind since then */
uint64_t wf_fault_failed(void);         /* how many of all these have failed */
void wf_fault_report(int fd);           /* a line with all these numbers */
#endif

#endif
