/* threads.cpp - who runs and who sleeps, by Relacy's scheduler; and weft's platform.
 *
 * Relacy's own futexes and condition variables are not used: waking orders memory there, and C11 knows nothing of it.
 * Here who sleeps is only taken from the scheduler's list, and put back. Nor are its timeouts, which it gives as often
 * as it likes: time passes when nobody can run, and a few times before. */

static struct sleeper {
    const void *word;           /* asleep on it */
    unsigned since;             /* who has slept longest is woken first */
    bool (*wakeable)(void *);   /* or blocked until this is true */
    void *arg;
    int64_t deadline_ns;        /* INT64_MAX: none */
    bool timed_out;
} sleepers[THREADS_MAX];
static unsigned sleeps;
static unsigned awake; /* threads: neither asleep nor over */
static int early;      /* so many sleeps may still time out though others could run */

static struct {
    struct { struct wf_worker *worker; struct weft_task *guest; } local; /* struct wf_local */
    int saved_errno;
} own[THREADS_MAX + 1];
static bool own_alone; /* between model_alone_begin and _end */

static const rl::debug_info NOWHERE;

static unsigned stacks_given; /* in this search */

static void *next_stack(size_t size)
{
    alignas(64) static char stacks[THREADS_MAX][64 * 1024];
    if (size != sizeof stacks[0] || stacks_given == THREADS_MAX)
        abort();
    return stacks[stacks_given++];
}

static void begin_threads(void)
{
    memset(sleepers, 0, sizeof sleepers);
    memset(own, 0, sizeof own);
    sleeps = 0;
    awake = (unsigned)rl::ctx().get_thread_count();
    early = now.model->early ? now.model->early : 1;
    own_alone = false;
    now.clock_ns = 0;
    now.failure[0] = 0;
}

static bool is_asleep(const struct sleeper *s)
{
    return s->word || s->wakeable;
}

static void wake(int i)
{
    sleepers[i].word = nullptr;
    sleepers[i].wakeable = nullptr;
    awake++;
    rl::ctx().unpark_thread(i, false, NOWHERE);
}

/* Whoever waits for what is true now goes on; asked after each change of a shared variable. */
static void wake_blocked(void)
{
    for (int i = 0; i < THREADS_MAX; i++)
        if (sleepers[i].wakeable && sleepers[i].wakeable(sleepers[i].arg))
            wake(i);
}

/* Who is woken by time first; -1: nobody. */
static int next_by_time(void)
{
    int next = -1;
    for (int i = 0; i < THREADS_MAX; i++)
        if (is_asleep(&sleepers[i]) && sleepers[i].deadline_ns != INT64_MAX &&
            (next < 0 || sleepers[i].deadline_ns < sleepers[next].deadline_ns))
            next = i;
    return next;
}

/* One less can run. If it was the last one, time passes until somebody is woken by it. */
static void one_less(void)
{
    if (--awake)
        return;
    int next = next_by_time();
    if (next < 0)
        return;
    now.clock_ns = std::max(now.clock_ns, sleepers[next].deadline_ns);
    sleepers[next].timed_out = true;
    wake(next);
}

static void thread_ends(void)
{
    settle();
    end_locals(model_self());
    wake_blocked();
    one_less();
}

/* True: somebody has woken us; false: it is time. */
static bool park(const struct sleeper &s)
{
    int self = rl::ctx().threadx_->index_;
    struct sleeper *mine = &sleepers[self];
    if (s.deadline_ns != INT64_MAX && early > 0 && rl::ctx().rand(2, rl::sched_type_user)) {
        early--;
        rl::ctx().yield(1, NOWHERE);
        now.clock_ns = std::max(now.clock_ns, s.deadline_ns);
        return false;
    }
    *mine = s;
    if (awake == 1 && next_by_time() == self) {
        memset(mine, 0, sizeof *mine);
        now.clock_ns = std::max(now.clock_ns, s.deadline_ns);
        return false;
    }
    one_less();
    rl::ctx().park_current_thread(false, false, false, NOWHERE);
    return !mine->timed_out;
}

/* Others may come first, as before each access to what is shared. */
static void let_others(void)
{
    settle();
    rl::ctx().sched();
}

extern "C" {

unsigned model_self(void)
{
    return now.alone_runs ? 0 : (unsigned)rl::ctx().threadx_->index_ + 1;
}

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(now.failure, sizeof now.failure, format, args);
    va_end(args);
    rl::ctx().fail_test(now.failure, rl::test_result_user_assert_failed, NOWHERE);
    abort();
}

void model_note(const char *format, ...)
{
    char text[400];
    if (!rl::ctx().collecting_history())
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rl::ctx().exec_log_msg(NOWHERE, text);
}

void model_pause(void)
{
    settle();
    if (!own_alone)
        rl::ctx().yield(1, NOWHERE);
}

void relacy_pause(const char *file, unsigned line)
{
    (void)file, (void)line;
    model_pause();
}

void model_step(void)
{
    let_others();
}

void model_alone_begin(void)
{
    let_others();
    own_alone = true;
    rl::ctx().disable_preemption();
}

void model_alone_end(void)
{
    rl::ctx().enable_preemption();
    own_alone = false;
}

unsigned model_choose(unsigned n)
{
    return n > 1 ? rl::ctx().rand(n, rl::sched_type_user) : 0;
}

int64_t model_now(void)
{
    return now.clock_ns;
}

void model_advance(int64_t ns)
{
    now.clock_ns += ns;
}

bool model_block(bool (*wakeable)(void *arg), void *arg, int64_t deadline_ns, const char *what)
{
    model_note("waits for %s", what);
    let_others();
    if (wakeable(arg))
        return true;
    if (deadline_ns <= now.clock_ns)
        return false;
    return park({nullptr, 0, wakeable, arg, deadline_ns, false});
}

int model_futex_wait(const void *word, uint32_t value, int64_t deadline_ns)
{
    uint32_t is;
    let_others();
    memcpy(&is, word, sizeof is);
    if (is != value) {
        rl::ctx().yield(1, NOWHERE); /* what the kernel has seen, the caller will */
        return -EAGAIN;
    }
    if (deadline_ns <= now.clock_ns)
        return -ETIMEDOUT;
    model_note("sleeps on %p", word);
    return park({word, ++sleeps, nullptr, nullptr, deadline_ns, false}) ? 0 : -ETIMEDOUT;
}

void model_futex_wake(const void *word, int n)
{
    let_others();
    for (; n > 0; n--) {
        int next = -1;
        for (int i = 0; i < THREADS_MAX; i++)
            if (sleepers[i].word == word && (next < 0 || sleepers[i].since < sleepers[next].since))
                next = i;
        if (next < 0)
            return;
        wake(next);
    }
}

/* ---- weft's platform ---- */

int wf_futex_wait(const void *word, uint32_t value, int64_t deadline_ns)
{
    return model_futex_wait(word, value, deadline_ns);
}

void wf_futex_wake(const void *word, int n)
{
    model_futex_wake(word, n);
}

void wf_thread_yield(void)
{
    model_pause();
}

void wf_thread_nap(int64_t ns)
{
    now.clock_ns += ns;
    model_pause();
}

int64_t wf_clock_now(void)
{
    return now.clock_ns;
}

void wf_panic(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    model_fail("panic: %s", text);
}

void *wf_local(void)
{
    return &own[model_self()].local;
}

void *wf_local_room(void)
{
    static const struct emutls room = {32, 16, nullptr, nullptr}; /* WF_LOCAL_ROOM */
    return __emutls_get_address(&room);
}

struct wf_worker *wf_worker_self(void)
{
    return own[model_self()].local.worker;
}

int *weft_errno(void)
{
    return &own[model_self()].saved_errno;
}

int wf_errno_read(void)
{
    return own[model_self()].saved_errno;
}

void wf_errno_write(int value)
{
    own[model_self()].saved_errno = value;
}
}
