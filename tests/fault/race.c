/* race.c - a request either happened, once, or was stopped and did not happen: never both, never neither.
 *
 *     race [RACES] [WORKERS]      20,000 by default, shared by runtimes of 1, 2 and 4 workers
 *
 * Each race is one call of weft's that waits for the kernel, and two that run against it: somebody on the other side
 * makes it complete (bytes come, a connection comes, there is room again), and somebody stops it, by cancelling the
 * task or its scope, by a deadline, or by closing the descriptor. Who comes first is left to chance. Sometimes only
 * one of them runs at all.
 *
 * The proof is on both sides. Streams carry numbered bytes: what a call said it moved is taken from the sequence, and
 * then a plain system call on a twin of the descriptor must find exactly the rest. A connection must be handed to the
 * call, or still be in the backlog. A file's bytes are the new ones or the old ones. A buffer that was not said to be
 * filled must not have been touched.
 *
 * Buffers lie in quarantine (quarantine.h), where the kernel cannot write once the call has returned and they are
 * freed, or on the task's stack, where what the kernel read or wrote late would break the sequence. */
#include "runtime/platform/atomic.h"
#include "runtime/platform/random.h"
#include "tests/fault/race.h"

#include <poll.h>
#include <sched.h>
#include <unistd.h>

enum { RACES_DEFAULT = 20000 };

static WF_ATOMIC(uint64_t) seeds;
static unsigned long races_per_lane;

/* ---- One race ------------------------------------------------------------------------------------- */

/* A moment of random length, often none: it may suspend. */
static void dawdle(struct wf_random *chance)
{
    switch (wf_random_below(chance, 4)) {
    case 0:
        for (uint32_t i = wf_random_below(chance, 2000); i > 0; i--)
            wf_pause();
        break;
    case 1:
        for (uint32_t i = wf_random_below(chance, 4); i > 0; i--)
            weft_yield();
        break;
    default:
        break;
    }
}

static int call(void *arg)
{
    struct race *r = arg;
    char on_stack[RACE_BYTES];
    bool stack = r->buffer_on_stack;
    char *buffer = stack ? on_stack : quarantine_get(r->size);
    r->buffer = buffer;
    r->lane->kind->call(r);
    if (stack)
        memset(on_stack, 0xee, sizeof on_stack); /* what is still sent from there is out of sequence */
    else
        quarantine_put(buffer);
    return 0;
}

static int complete(void *arg)
{
    struct race *r = arg;
    dawdle(&r->chance);
    r->lane->kind->complete(r);
    return 0;
}

static void stop(struct race *r, weft_scope *s, weft_task *t)
{
    switch (r->stop) {
    case STOP_TASK:
        weft_cancel(t);
        break;
    case STOP_SCOPE:
        weft_scope_cancel(s);
        break;
    case STOP_CLOSE:
        CHECK_EQ(weft_close(r->lane->fd), 0);
        r->lane->fd = -1;
        break;
    case STOP_DEADLINE:
    case STOP_NOT:
        break;
    }
}

static bool is_stop(int result)
{
    return result == -ECANCELED || result == -ETIMEDOUT || result == -EBADF;
}

static void run_race(struct lane *lane, struct wf_random *chance)
{
    struct race r = {.lane = lane, .chance = {wf_random_next(chance)}, .size = 1 + wf_random_below(chance, RACE_BYTES)};
    r.completes = wf_random_below(chance, 8) != 0;
    r.stop = (enum stop)wf_random_below(chance, lane->kind->can_close ? 5 : 4);
    if (!r.completes && r.stop == STOP_NOT)
        r.stop = STOP_TASK;
    r.buffer_on_stack = wf_random_below(chance, 2);
    lane->now = &r;
    lane->kind->begin(&r);

    WEFT_SCOPE(others);
    WEFT_SCOPE(s);
    if (r.stop == STOP_DEADLINE)
        weft_scope_set_deadline(&s, weft_after(wf_random_below(chance, 100) * WEFT_USEC));
    weft_task *t = NULL;
    if (wf_random_below(chance, 2))
        t = weft_spawn(&s, call, &r);
    if (r.completes)
        weft_go(&others, complete, &r);
    if (!t)
        t = weft_spawn(&s, call, &r);
    dawdle(chance);
    stop(&r, &s, t);
    weft_scope_close(&s);
    CHECK_EQ(weft_scope_close(&others), 0);

    if (r.result < 0 && !(is_stop(r.result) && (r.result == -EBADF) == (r.stop == STOP_CLOSE)))
        test_failed(__FILE__, __LINE__, "%s, stop %d: %s", lane->kind->name, (int)r.stop, strerror(-r.result));
    CHECK(r.result >= 0 || r.stop != STOP_NOT);
    CHECK(r.result < 0 || r.completes || lane->kind->alone);
    lane->kind->judge(&r);
    lane->tally[r.result >= 0]++;
}

/* ---- All of them ---------------------------------------------------------------------------------- */

static int run_lane(void *arg)
{
    struct lane *lane = arg;
    struct wf_random chance = {.s = wf_add(&seeds, 1, relaxed) * UINT64_C(0xd1342543de82ef95)};
    lane->kind->open(lane);
    for (unsigned long i = 0; i < races_per_lane; i++)
        run_race(lane, &chance);
    lane->kind->close(lane);
    return 0;
}

static unsigned long tallies[RACE_KINDS_MAX][2];

static int run_lanes(void *arg)
{
    static struct lane lanes[RACE_KINDS_MAX];
    size_t n = 0;
    (void)arg;
    {
        WEFT_SCOPE(s);
        for (; race_kinds[n].name; n++) {
            lanes[n] = (struct lane){.kind = &race_kinds[n], .fd = -1, .twin = -1, .peer = -1, .number = (unsigned)n};
            CHECK_EQ(weft_go(&s, run_lane, &lanes[n]), 0);
        }
        CHECK_EQ(weft_scope_close(&s), 0);
    }
    for (size_t i = 0; i < n; i++)
        for (int done = 0; done < 2; done++)
            tallies[i][done] += lanes[i].tally[done];
    return 0;
}

static void run_with(unsigned workers, unsigned long races)
{
    size_t n = 0;
    while (race_kinds[n].name)
        n++;
    races_per_lane = races / n + 1;
    int before = race_descriptors();
    CHECK_EQ(weft_run(&(weft_config){.workers = workers}, run_lanes, NULL), 0);
    CHECK_EQ(race_descriptors(), before);
}

int main(int argc, char **argv)
{
    unsigned long races = argc > 1 ? strtoul(argv[1], NULL, 10) : TEST_TIMES(RACES_DEFAULT);
    weft_time start = weft_now();
    const char *seed = getenv("WEFT_RACE_SEED");
    wf_store(&seeds, seed ? strtoull(seed, NULL, 10) : (uint64_t)start.ns, relaxed);
    printf("WEFT_RACE_SEED=%" PRIu64 "\n", wf_load(&seeds, relaxed));
    fflush(stdout);
    if (argc > 2)
        run_with((unsigned)atoi(argv[2]), races);
    else
        for (unsigned workers = 1; workers <= 4; workers *= 2)
            run_with(workers, races / 3);
    unsigned long all = 0;
    printf("%-10s %10s %10s\n", "", "happened", "stopped");
    for (size_t i = 0; race_kinds[i].name; i++) {
        printf("%-10s %10lu %10lu\n", race_kinds[i].name, tallies[i][1], tallies[i][0]);
        CHECK(tallies[i][0] > 0 && tallies[i][1] > 0); /* else nothing was proven */
        all += tallies[i][0] + tallies[i][1];
    }
    printf("%lu races in %.1f s\n", all, (double)weft_since(start) / WEFT_SEC);
    return 0;
}
