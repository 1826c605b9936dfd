/* where.c - see where.h. What a program counter is called is in where_text.c. */
#include "runtime/platform/where.h"

#include "runtime/platform/atomic.h"

#include <fcntl.h>
#include <link.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SAMPLE_EVERY_NS = 100000, PATIENCE_MS = 50, RING_PAGES = 2, SCAN_BYTES = 4096 }; /* a sample fits */

int wf_where_self(void)
{
    return (int)syscall(SYS_gettid);
}

/* ---- return addresses on a stack ---- */

struct code {
    uintptr_t at;
    bool found;
};

static int is_in_code(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct code *c = ctx;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr;
        bool is_code = (p->p_flags & PF_X) && (p->p_flags & PF_R); /* it is read below */
        if (p->p_type == PT_LOAD && is_code && c->at > from + 8 && c->at < from + p->p_memsz)
            c->found = true;
    }
    return c->found;
}

/* Does the instruction before `at` call? */
static bool follows_call(uintptr_t at)
{
#if defined(__x86_64__)
    const unsigned char *b = (const void *)at;
    static const unsigned char length[] = {2, 3, 4, 6, 7};
    if (b[-5] == 0xe8)
        return true;
    for (size_t i = 0; i < sizeof length; i++)
        if (b[-length[i]] == 0xff && (b[1 - length[i]] & 0x38) == 0x10)
            return true;
    return false;
#else
    uint32_t before = ((const uint32_t *)at)[-1];
    return at % 4 == 0 && ((before & 0xfc000000) == 0x94000000 || (before & 0xfffffc1f) == 0xd63f0000);
#endif
}

static void read_stack(struct wf_where *ret, const uintptr_t *word, size_t n)
{
    for (size_t i = 0; i < n && ret->depth < WF_WHERE_DEPTH; i++) {
        struct code c = {.at = word[i]};
        dl_iterate_phdr(is_in_code, &c);
        if (c.found && follows_call(c.at))
            ret->pc[ret->depth++] = (void *)c.at;
    }
}

/* ---- one that computes ---- */

static int open_clock(int id)
{
    struct perf_event_attr a = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof a,
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_period = SAMPLE_EVERY_NS,
        .sample_type = PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_STACK_USER,
        .sample_stack_user = SCAN_BYTES,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .exclude_callchain_kernel = 1,
        .wakeup_events = 1,
    };
    return (int)syscall(SYS_perf_event_open, &a, id, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

struct sample {
    struct perf_event_header header;
    uint64_t n;
    uint64_t word[]; /* n of the call chain; the bytes of stack that follow, these, and how many of them are filled */
};

/* The first sample. Of the chain, addresses of user code: whatever else is in it are marks. */
static void read_sample(struct wf_where *ret, const struct perf_event_mmap_page *ring)
{
    const struct sample *s = (const void *)((const char *)ring + ring->data_offset);
    if (s->header.type != PERF_RECORD_SAMPLE)
        return;
    for (uint64_t i = 0; i < s->n && ret->depth < WF_WHERE_DEPTH; i++)
        if (s->word[i] < PERF_CONTEXT_MAX)
            ret->pc[ret->depth++] = (void *)(uintptr_t)s->word[i];
    ret->sampled = true;
    const uint64_t *stack = &s->word[s->n + 1];
    uint64_t bytes = s->word[s->n];
    if (ret->depth == 1 && bytes)
        read_stack(ret, stack, stack[bytes / sizeof *stack] / sizeof *stack);
}

static void sample_clock(struct wf_where *ret, int id)
{
    size_t size = (RING_PAGES + 1) * (size_t)sysconf(_SC_PAGESIZE);
    int fd = open_clock(id);
    if (fd < 0)
        return; /* perf_event_paranoid, or a sandbox */
    struct perf_event_mmap_page *ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring != MAP_FAILED) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, PATIENCE_MS) > 0 && wf_shared_load(&ring->data_head, acquire) > 0 /* the kernel's store */)
            read_sample(ret, ring);
        munmap(ring, size);
    }
    close(fd);
}

/* ---- one that waits in the kernel ---- */

/* By the kernel, as the stack may go meanwhile. */
static bool peek(uintptr_t at, void *ret, size_t size)
{
    struct iovec to = {ret, size}, from = {(void *)at, size};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)size;
}

static void scan_stack(struct wf_where *ret, uintptr_t sp, uintptr_t end)
{
    uintptr_t word[SCAN_BYTES / sizeof(uintptr_t)];
    size_t size = end > sp && end - sp < sizeof word ? end - sp : sizeof word;
    if (peek(sp, word, size))
        read_stack(ret, word, size / sizeof *word);
}

/* ---- a task that has left its stack: context.h says what lies where ---- */

void wf_where_standing(struct wf_where *ret, void *const *at)
{
    uintptr_t sp, frame[2]; /* of one function: its caller's frame, and where that goes on */
#if defined(__x86_64__)
    enum { FRAME_BELOW_SP = sizeof(uintptr_t) };
#else
    enum { FRAME_BELOW_SP = 0 };
#endif
    *ret = (struct wf_where){.syscall = -1};
    if (!peek((uintptr_t)at, &sp, sizeof sp) || !peek(sp - FRAME_BELOW_SP, frame, sizeof frame))
        return;
    for (uintptr_t last = sp; ret->depth < WF_WHERE_DEPTH;) {
        ret->pc[ret->depth++] = (void *)frame[1];
        uintptr_t next = frame[0];
        if (next <= last || next % sizeof next || !peek(next, frame, sizeof frame))
            break; /* frames lie above each other */
        last = next;
    }
}

/* ---- which of the two ---- */

void wf_where_look(struct wf_where *ret, int id, const void *stack_end)
{
    char path[64], text[256] = "";
    unsigned long sp = 0, pc = 0;
    *ret = (struct wf_where){.syscall = -1};
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = 0;
        close(fd);
    }
    if (sscanf(text, "%ld %*x %*x %*x %*x %*x %*x %lx %lx", &ret->syscall, &sp, &pc) == 3)
        ret->doing = WF_DOING_SYSCALL;
    else if (sscanf(text, "-1 %lx %lx", &sp, &pc) == 2)
        ret->doing = WF_DOING_FAULT;
    else if (strncmp(text, "running", 7) == 0)
        ret->doing = WF_DOING_COMPUTE;
    if (sp)
        scan_stack(ret, sp, (uintptr_t)stack_end);
    else
        sample_clock(ret, id);
}
