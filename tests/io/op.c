/* op.c - the moments inside a request that a race meets once in a million: made to happen. The file under test is
 * compiled into this one under other names, with a push that lets the test act right before it. */
#include "tests/io/help.h"

#include "io/ring.h"
#include "runtime/task.h"

static void (*before_push)(void *ctx);
static void *before_push_ctx;
static void (*after_push)(struct wf_driver *d, uint64_t user_data);

static void push_later(struct wf_driver *d, const struct io_uring_sqe *sqe)
{
    bool is_request = sqe->opcode != IORING_OP_ASYNC_CANCEL;
    if (before_push && is_request) {
        void (*act)(void *) = before_push;
        before_push = NULL;
        act(before_push_ctx);
    }
    wf_driver_push(d, sqe);
    if (after_push && is_request) {
        void (*act)(struct wf_driver *, uint64_t) = after_push;
        after_push = NULL;
        act(d, sqe->user_data);
    }
}

/* What headers have declared under its own name. */
void slow_op_complete(struct wf_driver *d, uint64_t user_data, int result, uint32_t flags);
void slow_op_interrupt(weft_task *t, uint64_t user_data, void *driver);

#define wf_driver_push push_later
#define wf_op_name slow_op_name
#define wf_op_once slow_op_once
#define wf_op_run slow_op_run
#define wf_op_cancel slow_op_cancel
#define wf_op_complete slow_op_complete
#define wf_op_interrupt slow_op_interrupt
#include "io/op.c"
#undef wf_driver_push

static int read_one(int fd, char *byte)
{
    int err;
    struct wf_fd *on = wf_fd_enter(fd, &err);
    CHECK(on != NULL);
    struct io_uring_sqe sqe = wf_op_sqe(IORING_OP_READ, fd, byte, 1, UINT64_MAX);
    int result = slow_op_run(wf_task_require("read_one"), &sqe, on, POLLIN);
    wf_fd_leave(on);
    return result;
}

/* ---- a stop between arming and pushing: its cancel comes before the request ---- */

static void cancel_scope(void *scope)
{
    weft_scope_cancel(scope);
}

static int stopped_in_between(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    WEFT_SCOPE(s);
    before_push = cancel_scope;
    before_push_ctx = &s;
    CHECK_EQ(read_one(fds[0], &byte), -ECANCELED);
    weft_scope_close(&s);
    return weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(op, is_cancelled_when_the_stop_overtakes_it)
{
    run_in_all_shapes(stopped_in_between, NULL);
}

/* ---- a close between entering and pushing ---- */

static void cancel_descriptor(int fd)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_ASYNC_CANCEL,
        .fd = fd,
        .cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL,
        .user_data = WF_OP_IGNORED,
    };
    wf_ring_leave_everywhere(&sqe, UINT32_MAX);
}

static void begin_to_close(void *arg)
{
    int err, fd = *(int *)arg;
    wf_or(&wf_fd_of(fd, &err)->word, WF_FD_CLOSING, acq_rel);
    cancel_descriptor(fd);
}

static int closed_in_between(void *arg)
{
    int fds[2], err;
    char byte;
    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    before_push = begin_to_close;
    before_push_ctx = &fds[0];
    CHECK_EQ(read_one(fds[0], &byte), -EBADF);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -EBADF); /* and nobody comes in any more */
    wf_and(&wf_fd_of(fds[0], &err)->word, ~(uint64_t)WF_FD_CLOSING, acq_rel);
    return weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(op, is_cancelled_when_the_close_overtakes_it)
{
    run_in_all_shapes(closed_in_between, NULL);
}

/* ---- a cancel that comes when its request has gone, and the next one stands in the same frame ---- */

/* Right behind the one that waits now. */
static void cancel_the_one_before(struct wf_driver *d, uint64_t user_data)
{
    void *frame = (void *)(uintptr_t)(user_data & ADDRESS);
    slow_op_cancel(d, slow_op_name(frame, (user_data >> GENERATION_SHIFT) - 1) | WF_OP_TASK, NULL, true);
}

static int writes_one_byte(void *arg)
{
    return weft_write_all(*(int *)arg, "x", 1);
}

static int late_for_the_one_before(void *arg)
{
    weft_task *t = wf_task_require("late_for_the_one_before");
    uint64_t generation[2];
    int fds[2];
    (void)arg;
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 2; i++) {
        char byte = 0;
        struct io_uring_sqe sqe = wf_op_sqe(IORING_OP_READ, fds[0], &byte, 1, UINT64_MAX);
        WEFT_SCOPE(s);
        CHECK_EQ(weft_go(&s, writes_one_byte, &fds[1]), 0);
        after_push = cancel_the_one_before;
        CHECK_EQ(slow_op_once(t, &sqe, NULL), 1);
        CHECK_EQ(byte, 'x');
        CHECK_EQ(weft_scope_close(&s), 0);
        generation[i] = sqe.user_data >> GENERATION_SHIFT;
    }
    CHECK_EQ((uint16_t)(generation[0] + 1), generation[1]); /* each its own, so there is one before */
    return weft_close(fds[0]) | weft_close(fds[1]);
}

TEST(op, is_not_met_by_the_cancel_of_the_one_before_it_in_its_frame)
{
    run_in_all_shapes(late_for_the_one_before, NULL);
}

/* ---- a cancel that nobody asked for ---- */

struct nuisance {
    int fds[2];
    _Atomic bool over;
};

static int cancels_all_the_time(void *arg)
{
    struct nuisance *n = arg;
    for (int i = 0; i < 50; i++) {
        cancel_descriptor(n->fds[0]);
        CHECK_EQ(weft_sleep(50 * WEFT_USEC), 0);
    }
    CHECK(!n->over); /* none of these ended the call */
    return weft_write_all(n->fds[1], "x", 1);
}

static int reads_undisturbed(struct nuisance *n)
{
    char byte;
    return weft_read(n->fds[0], &byte, 1) == 1 ? 0 : -EPROTO;
}

static int polls_undisturbed(struct nuisance *n)
{
    return weft_poll(n->fds[0], POLLIN) == POLLIN ? 0 : -EPROTO;
}

static int selects_undisturbed(struct nuisance *n)
{
    weft_case on[] = {weft_on_fd(n->fds[0], POLLIN)};
    return weft_select(on, 1) == 0 && on[0].result == POLLIN ? 0 : -EPROTO;
}

static int undisturbed(void *arg)
{
    static int (*const calls[])(struct nuisance *) = {reads_undisturbed, polls_undisturbed, selects_undisturbed};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct nuisance n = {.over = false};
        socket_pair(n.fds);
        WEFT_SCOPE(s);
        weft_go(&s, cancels_all_the_time, &n);
        CHECK_EQ(calls[i](&n), 0);
        n.over = true;
        CHECK_EQ(weft_scope_close(&s), 0);
        CHECK_EQ(weft_close(n.fds[0]) | weft_close(n.fds[1]), 0);
    }
    return 0;
}

TEST(op, is_made_again_when_cancelled_for_no_reason)
{
    run_in_all_shapes(undisturbed, NULL);
}
