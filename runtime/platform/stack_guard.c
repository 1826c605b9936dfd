/* stack_guard.c - telling a stack that ran over from any other fault.
 *
 * The handler runs on the thread's alternate stack: the one that faulted has no room left. It may interrupt
 * anything, so it takes no lock and follows no list: it reads a static table of all slabs, whose entries are
 * published by their base and checked again after reading. Slabs grow geometrically: a pool takes seven
 * entries up to 4 GiB of stacks, and one more per 4 GiB after that.
 *
 * Faults that are not ours go where they went before us: to the handler that was installed, or to the
 * default, by taking our handler away and letting the fault happen again, so that a core dump shows where.
 *
 * Ordering: G1 slab_add's store of base (release) <-> G2 place_in's load (acquire): the other fields
 *              are there.
 *              The report of strays is one function, so that relaxed is enough.
 *           G3 slab_add's stores of the fields (release) <-> G4 place_in's loads of them (acquire): who
 *              sees a field of the entry's next use sees at the second look that base is no longer what it
 *              was, since slab_add had found it zero before. */
#include "runtime/platform/stack.h"

#include "runtime/platform/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SLABS_MAX = 1024, /* for all pools of the process */
    ALTSTACK_MIN = 64 << 10, /* enough for a backtrace with printing */
    SIGNALS = 2,
};

static struct wf_stack_slab slabs[SLABS_MAX];
static WF_ATOMIC(unsigned) slabs_end; /* entries from here on were never used; only grows */
static struct wf_lock slabs_lock;     /* for whoever changes the table */

static const int signals[SIGNALS] = {SIGSEGV, SIGBUS};
static struct sigaction before[SIGNALS]; /* what was there; written before our handler is installed */
static void (*report_overflow)(const void *addr); /* the same */
static WF_ATOMIC(uintptr_t) report_stray; /* a function, or 0 */
static unsigned installed; /* under install_lock */
static struct wf_lock install_lock;

/* ---- The table of slabs --------------------------------------------------------------------------- */

struct wf_stack_slab *wf_stack_slab_add(void *base, size_t size, size_t stride, size_t guard)
{
    struct wf_stack_slab *s = NULL;
    WF_SIM_HOLD(); /* how long the search takes depends on simulations before this one */
    wf_lock(&slabs_lock);
    unsigned end = wf_load(&slabs_end, relaxed); /* relaxed: only changed under the lock */
    for (unsigned i = 0; i <= end && i < SLABS_MAX && !s; i++)
        if (wf_load(&slabs[i].base, acquire) == 0) /* G5: its owner before is done with it */
            s = &slabs[i];
    if (s) {
        wf_store(&s->size, size, release);     /* G3 */
        wf_store(&s->stride, stride, release); /* G3 */
        wf_store(&s->guard, guard, release);   /* G3 */
        s->next = NULL;
        wf_store(&s->base, (uintptr_t)base, release); /* G1 */
        if (s == &slabs[end])
            wf_store(&slabs_end, end + 1, release); /* G1: the entry is complete */
    }
    wf_unlock(&slabs_lock);
    WF_SIM_RELEASE();
    return s;
}

void wf_stack_slab_remove(struct wf_stack_slab *s)
{
    wf_store(&s->base, (uintptr_t)0, release); /* G5 */
}

enum place { ELSEWHERE, IN_GUARD, IN_STACK };

/* Where in this slab is addr, for as long as it was one slab? */
static enum place place_in(struct wf_stack_slab *s, uintptr_t addr)
{
    uintptr_t base = wf_load(&s->base, acquire);  /* G2 */
    size_t size = wf_load(&s->size, acquire);     /* G4 */
    size_t stride = wf_load(&s->stride, acquire); /* G4 */
    size_t guard = wf_load(&s->guard, acquire);   /* G4 */
    bool same = wf_load(&s->base, relaxed) == base; /* relaxed: G4 is enough, see above */
    if (base == 0 || !same || addr - base >= size)
        return ELSEWHERE;
    return (addr - base) % stride < guard ? IN_GUARD : IN_STACK;
}

static enum place place_of(const void *addr)
{
    enum place place = ELSEWHERE;
    unsigned end = wf_load(&slabs_end, acquire); /* G2 */
    for (unsigned i = 0; i < end && place == ELSEWHERE; i++)
        place = place_in(&slabs[i], (uintptr_t)addr);
    return place;
}

bool wf_stack_is_guard(const void *addr)
{
    return place_of(addr) == IN_GUARD;
}

void wf_stack_guard_stray(bool (*report)(const void *addr))
{
    wf_store(&report_stray, (uintptr_t)report, relaxed);
}

static bool is_stray(const void *addr)
{
    bool (*report)(const void *) = (bool (*)(const void *))wf_load(&report_stray, relaxed);
    return report && place_of(addr) == IN_STACK && report(addr);
}

/* ---- The handler --------------------------------------------------------------------------------- */

static void pass_on(const struct sigaction *to, int sig, siginfo_t *info, void *ucontext)
{
    bool sent = info->si_code <= 0; /* by kill(2) and the like; it will not happen again by itself */
    if (to->sa_flags & SA_SIGINFO) {
        to->sa_sigaction(sig, info, ucontext);
        return;
    }
    if (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN) {
        to->sa_handler(sig);
        return;
    }
    if (sent && to->sa_handler == SIG_IGN)
        return;
    signal(sig, SIG_DFL);
    if (sent)
        raise(sig); /* taken when we return and it is no longer blocked */
}

static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
    int error = errno;
    if (info->si_code > 0 && wf_stack_is_guard(info->si_addr)) {
        report_overflow(info->si_addr);
        abort();
    }
    if (info->si_code > 0 && is_stray(info->si_addr))
        abort();
    pass_on(&before[sig == SIGSEGV ? 0 : 1], sig, info, ucontext);
    errno = error;
}

static int install_one(int i)
{
    if (sigaction(signals[i], NULL, &before[i]) != 0)
        return -errno;
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_mask = before[i].sa_mask};
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (before[i].sa_flags & (SA_NODEFER | SA_RESTART));
    return sigaction(signals[i], &ours, NULL) == 0 ? 0 : -errno;
}

/* Unless somebody came after us: they may call us back, and we will pass on. */
static void uninstall_one(int i)
{
    struct sigaction now;
    if (sigaction(signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault)
        sigaction(signals[i], &before[i], NULL);
}

int wf_stack_guard_install(void (*report)(const void *addr))
{
    int err = 0;
    wf_lock(&install_lock);
    if (installed == 0) {
        report_overflow = report;
        for (int i = 0; i < SIGNALS && err == 0; i++)
            err = install_one(i);
    }
    if (err == 0)
        installed++;
    wf_unlock(&install_lock);
    return err;
}

void wf_stack_guard_uninstall(void)
{
    wf_lock(&install_lock);
    if (--installed == 0)
        for (int i = 0; i < SIGNALS; i++)
            uninstall_one(i);
    wf_unlock(&install_lock);
}

/* ---- Alternate stacks ---------------------------------------------------------------------------- */

/* Bytes of an alternate stack, a multiple of the page; a page of guard comes on top. */
static size_t altstack_size(size_t page)
{
    long wanted = sysconf(_SC_SIGSTKSZ); /* grows with the registers the processor has */
    size_t size = wanted > ALTSTACK_MIN ? (size_t)wanted : ALTSTACK_MIN;
    return (size + page - 1) / page * page;
}

int wf_stack_guard_enter(void **ret)
{
    stack_t has;
    if (sigaltstack(NULL, &has) == 0 && !(has.ss_flags & SS_DISABLE)) {
        *ret = NULL;
        return 0;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = altstack_size(page);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
    char *base =
        wf_fault(WF_FAULT_MAP) ? MAP_FAILED : mmap(NULL, page + size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED)
        return -ENOMEM;
    stack_t ours = {.ss_sp = base + page, .ss_size = size};
    if (wf_fault(WF_FAULT_MAP) || mprotect(base, page, PROT_NONE) != 0 || sigaltstack(&ours, NULL) != 0) {
        munmap(base, page + size);
        return -ENOMEM;
    }
    *ret = base;
    return 0;
}

void wf_stack_guard_leave(void *altstack)
{
    if (!altstack)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    stack_t has, none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &has) == 0 && has.ss_sp == (char *)altstack + page)
        sigaltstack(&none, NULL);
    munmap(altstack, page + altstack_size(page));
}
