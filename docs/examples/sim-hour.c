/* sim-hour.c - an hour of waiting, without waiting.
 *
 * Nothing in it but the library it is linked with says that this is a simulation: weft::sim instead of weft::weft. Time
 * is virtual, so a sleep ends when nobody has anything else to do. Which of the two goes first when both wake at the
 * same moment, the seed decides: try WEFT_SEED=2. */
#include <stdio.h>

#include <weft.h>

static int count_minutes(void *arg)
{
    unsigned *minutes = arg;
    for (int i = 0; i < 60; i++) {
        int err = weft_sleep(60 * WEFT_SEC);
        if (err < 0)
            return err;
        (*minutes)++;
    }
    return 0;
}

static int app(void *arg)
{
    unsigned *minutes = arg;
    weft_time begin = weft_now();
    WEFT_SCOPE(s);
    weft_go(&s, count_minutes, &minutes[0]);
    weft_go(&s, count_minutes, &minutes[1]);
    int err = weft_scope_close(&s);
    printf("%u and %u minutes, %.0f seconds\n", minutes[0], minutes[1], (double)weft_since(begin) / 1e9);
    return err;
}

int main(void)
{
    unsigned minutes[2] = {0};
    return weft_run(NULL, app, minutes) < 0;
}
