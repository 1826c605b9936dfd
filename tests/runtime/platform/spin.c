/* spin.c - tests of platform/spin.h: how long one looks, and when one no longer does. */
#include "runtime/platform/spin.h"

#include "tests/test.h"

#include <weft/time.h>

TEST(spin, lasts_as_long_as_it_is_told)
{
    int64_t start = wf_clock_now();
    struct wf_spin s = wf_spin_begin(WEFT_MSEC);
    while (wf_spin_on(&s))
        ;
    CHECK(wf_clock_now() - start >= WEFT_MSEC);
}

/* How many opportunities are left out until it looks again, which it then does in vain. */
static unsigned left_out(struct wf_spin_habit *h)
{
    unsigned n = 0;
    while (!wf_spin_is_worth_it(h))
        n++;
    wf_spin_learn(h, false);
    return n;
}

TEST(spin, is_left_out_twice_as_long_each_time_it_was_in_vain)
{
    struct wf_spin_habit h = {0};
    CHECK_EQ(left_out(&h), 0);
    CHECK_EQ(left_out(&h), 0); /* once is no habit */
    for (unsigned n = 1; n < 255; n = 2 * n + 1)
        CHECK_EQ(left_out(&h), n);
    CHECK_EQ(left_out(&h), 255);
    CHECK_EQ(left_out(&h), 255); /* and is tried again for ever */
}

TEST(spin, is_taken_up_again_when_it_has_paid)
{
    struct wf_spin_habit h = {0};
    for (int i = 0; i < 20; i++)
        left_out(&h);
    while (!wf_spin_is_worth_it(&h))
        ;
    wf_spin_learn(&h, true);
    CHECK(wf_spin_is_worth_it(&h));
    wf_spin_learn(&h, true);
    CHECK_EQ(left_out(&h), 0);
    CHECK_EQ(left_out(&h), 0);
    CHECK_EQ(left_out(&h), 1);
}
