/* quarantine.c - see quarantine.h. One slab, cut into slots of two pages: the buffer's and the guard behind it. */
#include "tests/quarantine.h"

#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, STRIDE = 2 * PAGE };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held briefly, and over no suspension */
static char *slab;
static unsigned used;                       /* slots that were ever handed out */
static unsigned freed[QUARANTINE_SLOTS];    /* a ring of slots: [first, last), oldest first */
static unsigned long first, last;

static void open_slab(void)
{
    CHECK_EQ(sysconf(_SC_PAGESIZE), PAGE);
    slab = mmap(NULL, (size_t)QUARANTINE_SLOTS * STRIDE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(slab != MAP_FAILED);
}

void *quarantine_get(size_t n)
{
    CHECK(n >= 1 && n <= QUARANTINE_BYTES);
    pthread_mutex_lock(&lock);
    if (!slab)
        open_slab();
    unsigned slot;
    if (last - first > QUARANTINE_HELD || used == QUARANTINE_SLOTS) {
        CHECK(last - first > QUARANTINE_HELD); /* else too many are in use */
        slot = freed[first++ % QUARANTINE_SLOTS];
    } else {
        slot = used++;
    }
    pthread_mutex_unlock(&lock);
    char *page = slab + (size_t)slot * STRIDE;
    CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
    return page + PAGE - n;
}

void quarantine_put(void *buffer)
{
    unsigned slot = (unsigned)(((char *)buffer - slab) / STRIDE);
    CHECK(slot < QUARANTINE_SLOTS);
    CHECK_EQ(mprotect(slab + (size_t)slot * STRIDE, PAGE, PROT_NONE), 0);
    pthread_mutex_lock(&lock);
    freed[last++ % QUARANTINE_SLOTS] = slot;
    pthread_mutex_unlock(&lock);
}

bool quarantine_is_closed(const void *address)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    bool closed = write(ends[1], address, 1) < 0 && errno == EFAULT;
    close(ends[0]);
    close(ends[1]);
    return closed;
}
