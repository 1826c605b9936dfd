/* sim_event.c - what happens at a moment, in order; and the generators that chance comes from.
 *
 * Events lie in a heap whose room is taken once, so that one more never fails for want of memory: they also are what
 * simulates that. Those of the same moment fire in the order in which they were added. */
#include "runtime/platform/sim.h"

#include "runtime/platform/random.h"

#include <errno.h>
#include <sys/mman.h>

static const size_t EVENTS_MAX = (size_t)1 << 20;

static struct {
    struct wf_sim_event **at; /* from 1; the first is the next */
    size_t count;
    uint64_t order;
} heap;

static struct wf_random streams[WF_SIM_STREAMS];

/* ---- chance ---- */

int wf_sim_streams_begin(uint64_t seed)
{
    struct wf_random all;
    wf_random_seed(&all, seed ^ UINT64_C(0x5eed5eed5eed5eed));
    for (int i = 0; i < WF_SIM_STREAMS; i++)
        wf_random_seed(&streams[i], wf_random_next(&all));
    heap.count = heap.order = 0;
    if (!heap.at) {
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        void *room = mmap(NULL, EVENTS_MAX * sizeof *heap.at, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (room == MAP_FAILED)
            return -ENOMEM;
        heap.at = room;
    }
    return 0;
}

uint64_t wf_sim_random(enum wf_sim_stream stream)
{
    return wf_random_next(&streams[stream]);
}

uint64_t wf_sim_below(enum wf_sim_stream stream, uint64_t n)
{
    return n <= UINT32_MAX ? wf_random_below(&streams[stream], (uint32_t)n) : wf_sim_random(stream) % n;
}

/* ---- events ---- */

static bool before(const struct wf_sim_event *a, const struct wf_sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void put(size_t at, struct wf_sim_event *e)
{
    heap.at[at] = e;
    e->place = at;
}

static void sift(size_t at, struct wf_sim_event *e)
{
    while (at > 1 && before(e, heap.at[at / 2])) {
        put(at, heap.at[at / 2]);
        at /= 2;
    }
    for (size_t child; (child = 2 * at) <= heap.count; at = child) {
        if (child < heap.count && before(heap.at[child + 1], heap.at[child]))
            child++;
        if (!before(heap.at[child], e))
            break;
        put(at, heap.at[child]);
    }
    put(at, e);
}

void wf_sim_event_add(struct wf_sim_event *e, int64_t at_ns)
{
    wf_sim_event_remove(e);
    if (heap.count + 1 >= EVENTS_MAX)
        wf_sim_broke(-ENOMEM, "more than %zu events", EVENTS_MAX);
    e->at_ns = at_ns;
    e->order = ++heap.order;
    sift(++heap.count, e);
}

void wf_sim_event_remove(struct wf_sim_event *e)
{
    size_t at = e->place;
    if (!at)
        return;
    e->place = 0;
    struct wf_sim_event *last = heap.at[heap.count--];
    if (last != e)
        sift(at, last);
}

struct wf_sim_event *wf_sim_event_first(void)
{
    return heap.count ? heap.at[1] : NULL;
}
