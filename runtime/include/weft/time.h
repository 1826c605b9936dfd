/* weft/time.h - durations and points in time.
 *
 * A duration is an int64_t of nanoseconds; a point in time is a struct, so that handing a duration to
 * a function that wants a deadline is a compile error rather than a hang. The clock is monotonic.
 *
 * No timer fires early. An idle worker fires it within a timer tick (16 us) and one wake-up. */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/base.h>

#define WEFT_USEC INT64_C(1000)
#define WEFT_MSEC INT64_C(1000000)
#define WEFT_SEC  INT64_C(1000000000)

typedef struct weft_time {
    int64_t ns;
} weft_time;

WEFT_BEGIN

WEFT_API weft_time weft_now(void);         /* [A--] the monotonic clock */
WEFT_API weft_time weft_after(int64_t ns); /* [A--] now + ns, saturating at weft_never() */
WEFT_API weft_time weft_never(void);       /* [A--] the deadline that does not come */
WEFT_API int64_t weft_since(weft_time t);  /* [A--] nanoseconds from t to now */

/* [Tsc] Wait for at least ns. 0, or -ECANCELED, -ETIMEDOUT when a scope around the caller stopped.
 * With ns of zero or less it does not suspend, but still says whether the caller should stop. */
WEFT_API int weft_sleep(int64_t ns);

/* [Tsc] The same, until a point in time. */
WEFT_API int weft_sleep_until(weft_time t);

WEFT_END

#endif
