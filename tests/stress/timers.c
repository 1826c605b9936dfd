/* timers.c - thousands of sleepers and deadlines, most of which are taken back before they come.
 *
 * Nothing may come early; what was taken back may not come at all. How late things come is printed, not judged: the
 * machine may have other things to do. */
#include "tests/stress/stress.h"

enum { SLEEPERS = 200 };

static WF_ATOMIC(int64_t) latest_ns;

static void note_lateness(int64_t ns)
{
    int64_t latest = wf_load(&latest_ns, relaxed);
    while (ns > latest && !wf_cas_weak(&latest_ns, &latest, ns, relaxed))
        ;
}

/* Mostly short, sometimes long, some of it in the past. */
static int64_t any_duration(struct wf_random *r)
{
    int64_t ns = wf_random_below(r, 2000) * WEFT_USEC;
    return one_in(r, 10) ? -ns : one_in(r, 20) ? ns * 10 : ns;
}

static void sleep_once(struct wf_random *r)
{
    int64_t ns = any_duration(r);
    weft_time until = weft_after(ns);
    CHECK_EQ(weft_sleep_until(until), 0);
    CHECK(weft_since(until) >= 0);
    note_lateness(ns > 0 ? weft_since(until) : 0);
}

static int sleep_long(void *arg)
{
    return weft_sleep_until(*(weft_time *)arg);
}

static void be_late(struct wf_random *r)
{
    int64_t ns = any_duration(r);
    weft_time until = weft_never(), deadline = weft_after(ns);
    CHECK_EQ(weft_within(ns, sleep_long, &until), -ETIMEDOUT);
    CHECK(weft_since(deadline) >= 0);
}

static void be_in_time(struct wf_random *r)
{
    int64_t ns = wf_random_below(r, 1000) * WEFT_USEC;
    weft_time until = weft_after(ns);
    CHECK_EQ(weft_within(ns + 60 * WEFT_SEC, sleep_long, &until), 0);
    CHECK(weft_since(until) >= 0);
}

/* A deadline that is moved about and then taken away. */
static void move_deadline(struct wf_random *r)
{
    WEFT_SCOPE(s);
    for (int i = 0; i < 5; i++) {
        weft_scope_set_deadline(&s, weft_after(WEFT_SEC * 60 + any_duration(r) * 1000));
        CHECK_EQ(weft_sleep(wf_random_below(r, 100) * WEFT_USEC), 0);
    }
    weft_scope_set_deadline(&s, weft_never());
    CHECK_EQ(weft_scope_close(&s), 0);
    CHECK(!weft_scope_expired(&s));
}

static void select_time(struct wf_random *r)
{
    int64_t a = wf_random_below(r, 500) * WEFT_USEC, b = WEFT_SEC * 30 + a;
    weft_time at = weft_after(a);
    weft_case on[] = {weft_on_time(weft_after(b)), weft_on_time(at)};
    CHECK_EQ(weft_select(on, 2), 1);
    CHECK(weft_since(at) >= 0);
}

static int use_time(void *arg)
{
    struct wf_random random = stress_random();
    (void)arg;
    while (!stress_over()) {
        switch (wf_random_below(&random, 5)) {
        case 0: sleep_once(&random); break;
        case 1: be_late(&random); break;
        case 2: be_in_time(&random); break;
        case 3: move_deadline(&random); break;
        default: select_time(&random); break;
        }
        stress_count();
    }
    return 0;
}

static int start_using(void *arg)
{
    WEFT_SCOPE(s);
    wf_store(&latest_ns, 0, relaxed);
    for (unsigned i = 0; i < SLEEPERS; i++)
        CHECK_EQ(weft_go(&s, use_time, arg), 0);
    int closed = weft_scope_close(&s);
    printf("timers: the latest was %" PRId64 " us late\n", wf_load(&latest_ns, relaxed) / 1000);
    return closed;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, "timers", start_using);
}
