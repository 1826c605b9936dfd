/* inbox.c - tests of runtime/inbox.h. */
#include "runtime/inbox.h"

#include "tests/runtime/with.h"

enum { TASKS = 4096, THREADS = 3 };

static weft_task task[TASKS];

static unsigned index_of(const weft_task *t)
{
    return (unsigned)(t - task);
}

TEST(inbox, gives_all_it_has_in_the_order_it_came)
{
    struct wf_inbox in = {.head = NULL};
    CHECK(!wf_inbox_any(&in));
    CHECK(wf_inbox_take(&in) == NULL);
    for (int i = 0; i < 10; i++)
        wf_inbox_push(&in, &task[i]);
    CHECK(wf_inbox_any(&in));
    weft_task *t = wf_inbox_take(&in);
    CHECK(!wf_inbox_any(&in));
    for (unsigned i = 0; i < 10; i++, t = t->next)
        CHECK_EQ(index_of(t), i);
    CHECK(t == NULL);
}

struct post {
    struct wf_inbox in;
    WF_ATOMIC(unsigned) senders;
    WF_ATOMIC(unsigned) times[TASKS];
};

static void *post_part(void *arg)
{
    struct post *p = arg;
    unsigned part = wf_add(&p->senders, 1, relaxed);
    for (unsigned i = part; i < TASKS; i += THREADS)
        wf_inbox_push(&p->in, &task[i]);
    return NULL;
}

/* Senders' tasks arrive once each, and those of one sender in its order, also when two take. */
TEST(inbox, loses_nothing_and_doubles_nothing)
{
    for (int round = 0; round < TEST_TIMES(100); round++) {
        struct post p = {.senders = 0};
        pthread_t id[THREADS];
        unsigned got = 0, last[THREADS] = {0};
        for (int i = 0; i < THREADS; i++)
            id[i] = start_thread(post_part, &p);
        while (got < TASKS) {
            for (weft_task *t = wf_inbox_take(&p.in), *next; t; t = next, got++) {
                next = t->next;
                unsigned n = index_of(t);
                CHECK_EQ(wf_add(&p.times[n], 1, relaxed), 0);
                CHECK(n < THREADS || n > last[n % THREADS]);
                last[n % THREADS] = n;
            }
        }
        for (int i = 0; i < THREADS; i++)
            join_thread(id[i]);
    }
}
