/* 12-select.c - wait for the first of several.
 *
 * Two channels and a clock. Exactly one case takes effect: what the others stand for is untouched. The
 * senders take turns, so that the order here is always the same. */
#include <stdio.h>

#include <weft.h>

struct sender {
    weft_chan *out;
    weft_event *mine, *next;
    int first;
};

static int send_three(void *arg)
{
    struct sender *me = arg;
    int err = 0;
    for (int i = 0; i < 3 && err == 0; i++) {
        err = weft_event_wait(me->mine);
        weft_event_clear(me->mine);
        int item = me->first + i;
        if (err == 0)
            err = weft_chan_send(me->out, &item);
        weft_event_set(me->next);
    }
    return err;
}

static int merge(weft_chan *a, weft_chan *b)
{
    for (;;) {
        int item;
        weft_case on[] = {
            weft_on_recv(a, &item),
            weft_on_recv(b, &item),
            weft_on_time(weft_after(500 * WEFT_MSEC)),
        };
        int i = weft_select(on, 3);
        if (i < 0)
            return i; /* told to stop */
        if (i == 2) {
            puts("quiet");
            return 0;
        }
        printf("%c: %d\n", "ab"[i], item);
    }
}

static int app(void *arg)
{
    weft_chan **c = arg;
    weft_event turn_a = {0}, turn_b = {0};
    WEFT_SCOPE(s);
    weft_go_with(&s, send_three, struct sender, .out = c[0], .mine = &turn_a, .next = &turn_b, .first = 10);
    weft_go_with(&s, send_three, struct sender, .out = c[1], .mine = &turn_b, .next = &turn_a, .first = 20);
    weft_event_set(&turn_a);
    int err = merge(c[0], c[1]);
    return err < 0 ? err : weft_scope_close(&s);
}

int main(void)
{
    weft_chan *c[] = {weft_chan_new(0, sizeof(int)), weft_chan_new(0, sizeof(int))};
    int err = c[0] && c[1] ? weft_run(NULL, app, c) : -ENOMEM;
    weft_chan_free(c[0]);
    weft_chan_free(c[1]);
    return err < 0;
}
