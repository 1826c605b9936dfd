/* 09-cancel.c - stop a task, and let it tidy up.
 *
 * Cancelling kills nothing. The task's next wait returns -ECANCELED, and so does every later one; the code
 * after the loop is the cleanup. Cleanup that has to wait itself does so in a shielded scope. */
#include <stdio.h>

#include <weft.h>

/* Stands for a farewell to a peer: it takes a while, and must not be cut short. */
static int say_goodbye(void)
{
    WEFT_SCOPE(s);
    weft_scope_shield(&s);
    weft_scope_set_deadline(&s, weft_after(WEFT_SEC)); /* but not for ever */
    int err = weft_sleep(10 * WEFT_MSEC);
    puts(err == 0 ? "goodbye" : weft_strerror(err));
    return weft_scope_close(&s);
}

static int clerk(void *arg)
{
    weft_chan *jobs = arg;
    int job, err;
    while ((err = weft_chan_recv(jobs, &job)) == 0)
        printf("job %d\n", job);
    printf("next wait: %s\n", weft_strerror(weft_sleep(WEFT_SEC)));
    say_goodbye();
    return err;
}

static int app(void *arg)
{
    weft_chan *jobs = arg;
    WEFT_SCOPE(s);
    weft_task *t = weft_spawn(&s, clerk, jobs);
    for (int i = 1; i <= 3; i++)
        weft_chan_send(jobs, &i); /* capacity 0: returns once the clerk has it */
    weft_cancel(t);
    printf("clerk: %s\n", weft_strerror(weft_await(t)));
    return weft_scope_close(&s); /* 0: the failure was awaited */
}

int main(void)
{
    weft_chan *jobs = weft_chan_new(0, sizeof(int));
    if (!jobs)
        return 1;
    int err = weft_run(NULL, app, jobs);
    weft_chan_free(jobs);
    return err < 0;
}
