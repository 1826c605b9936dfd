/* 18-semaphore.c - at most so many at once. */
#include <stdio.h>

#include <weft.h>

struct room {
    weft_sem places;
    weft_mutex lock; /* protects what follows */
    int inside, most;
};

static void count(struct room *room, int change)
{
    weft_mutex_lock(&room->lock);
    room->inside += change;
    if (room->inside > room->most)
        room->most = room->inside;
    weft_mutex_unlock(&room->lock);
}

static int visit(void *arg)
{
    struct room *room = arg;
    int err = weft_sem_acquire(&room->places, 1);
    if (err < 0)
        return err;
    count(room, +1);
    err = weft_sleep(20 * WEFT_MSEC);
    count(room, -1);
    weft_sem_release(&room->places, 1);
    return err;
}

static int app(void *arg)
{
    (void)arg;
    struct room room = {0};
    weft_sem_release(&room.places, 2); /* a semaphore begins at 0 */
    WEFT_SCOPE(s);
    for (int i = 0; i < 6; i++)
        weft_go(&s, visit, &room);
    int err = weft_scope_close(&s);
    printf("most at once: %d\n", room.most);
    return err;
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
