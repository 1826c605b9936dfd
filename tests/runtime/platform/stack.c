/* stack.c - what a stack costs and who gets it. */
#include "runtime/platform/stack.h"
#include "runtime/platform/thread.h"

#include "tests/test.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STACK_SIZE = 64 << 10, MANY = 40000 };

static struct wf_stack_pool pool;
static struct wf_stack_cache cache;

static void open_pool(void)
{
    CHECK_EQ(wf_stack_pool_open(&pool, STACK_SIZE), 0);
}

static void close_pool(void)
{
    wf_stack_pool_close(&pool);
    cache = (struct wf_stack_cache){0};
}

/* So many stacks as a list, or as many as there are. */
static struct wf_stack *get_many(size_t n, size_t *ret)
{
    struct wf_stack *list = NULL;
    size_t got = 0;
    for (struct wf_stack *s; got < n && (s = wf_stack_get(&pool, &cache)); got++) {
        s->next = list;
        list = s;
    }
    *ret = got;
    return list;
}

static void put_many(struct wf_stack *list)
{
    for (struct wf_stack *s; (s = list);) {
        list = s->next;
        wf_stack_put(&pool, &cache, s);
    }
}

/* How many lines a file has. */
static size_t lines_of(const char *path)
{
    size_t n = 0;
    FILE *f = fopen(path, "re");
    CHECK(f);
    for (int c; (c = fgetc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static size_t mappings(void)
{
    return lines_of("/proc/self/maps");
}

/* ---- Shape ----------------------------------------------------------------------------------------- */

TEST(stack, it_has_the_size_that_was_asked_for_and_a_guard_below)
{
    size_t got;
    open_pool();
    for (struct wf_stack *s = get_many(100, &got); s; s = s->next) {
        char *low = s->low;
        CHECK(s->size >= STACK_SIZE);
        CHECK_EQ((uintptr_t)s % 16, 0);
        CHECK(low + s->size == (char *)s);
        low[0] = low[s->size - 1] = 1;
        CHECK(!wf_stack_is_guard(low) && !wf_stack_is_guard(s));
        CHECK(wf_stack_is_guard(low - 1) && wf_stack_is_guard(low - (48 << 10)));
    }
    CHECK_EQ(got, 100);
    CHECK(!wf_stack_is_guard(&got) && !wf_stack_is_guard(NULL));
    close_pool();
}

TEST(stack, sizes_that_make_no_sense_are_refused)
{
    struct wf_stack_pool p;
    CHECK_EQ(wf_stack_pool_open(&p, 0), -EINVAL);
    CHECK_EQ(wf_stack_pool_open(&p, SIZE_MAX), -EINVAL);
    CHECK_EQ(wf_stack_pool_open(&p, SIZE_MAX / 2), -EINVAL);
}

TEST(stack, one_larger_than_a_slab_has_a_slab_of_its_own)
{
    const size_t size = (size_t)100 << 20;
    CHECK_EQ(wf_stack_pool_open(&pool, size), 0);
    for (int i = 0; i < 3; i++) {
        struct wf_stack *s = wf_stack_get(&pool, &cache);
        CHECK(s && s->size >= size);
        *(char *)s->low = 1;
        CHECK(wf_stack_is_guard((char *)s->low - 1));
    }
    close_pool();
}

#if defined(WF_ASAN) || defined(WF_TSAN)
enum { TOP_MAX = 1088 }; /* they keep something in each descriptor */
#else
enum { TOP_MAX = 1024 };
#endif

TEST(stack, tops_have_different_colours_within_a_kilobyte)
{
    size_t got, page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t seen = 0;
    open_pool();
    for (struct wf_stack *s = get_many(15, &got); s; s = s->next) {
        size_t below_top = page - (uintptr_t)s % page;
        CHECK(below_top <= TOP_MAX);
        seen |= UINT64_C(1) << below_top / 64;
    }
    CHECK_EQ(__builtin_popcountll(seen), 15);
    close_pool();
}

#if !defined(WF_ASAN) && !defined(WF_TSAN)

static struct wf_context host;

/* Needs rather more stack than a task that waits in a few calls. */
static void use_2_kilobytes(void *arg)
{
    struct wf_stack *s = arg;
    volatile char room[2048];
    for (size_t i = 0; i < sizeof room; i += 64)
        room[i] = 1;
    wf_context_switch(&s->context, &host);
}

static int pages_resident(void *low, const struct wf_stack *s, size_t page)
{
    unsigned char resident[64];
    int n = 0;
    char *top = (char *)(((uintptr_t)s + page) / page * page);
    size_t count = (size_t)(top - (char *)low) / page;
    CHECK(count <= sizeof resident);
    CHECK_EQ(mincore(low, count * page, resident), 0);
    for (size_t i = 0; i < count; i++)
        n += resident[i] & 1;
    return n;
}

TEST(stack, a_small_task_touches_one_page)
{
    size_t got, page = (size_t)sysconf(_SC_PAGESIZE);
    open_pool();
    wf_context_adopt_thread(&host);
    for (struct wf_stack *s = get_many(32, &got); s; s = s->next) {
        wf_context_make(&s->context, s->low, s->size, use_2_kilobytes, s);
        wf_context_switch(&host, &s->context);
        CHECK_EQ(pages_resident(s->low, s, page), 1);
    }
    CHECK_EQ(got, 32);
    close_pool();
}

/* ---- Idle stacks ----------------------------------------------------------------------------------- */

enum { IDLE = 8 * WF_STACK_WARM };

static struct wf_stack *stack[IDLE];
static void *low[IDLE]; /* of each: what is cold does not know it */

static size_t resident_of_all(void)
{
    size_t n = 0, page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < IDLE; i++)
        n += (size_t)pages_resident(low[i], stack[i], page);
    return n;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t one = *(const uintptr_t *)a, other = *(const uintptr_t *)b;
    return (one > other) - (one < other);
}

/* All of the stacks are in the pool, and two pages of each have been used. */
static void let_all_idle(void)
{
    for (int i = 0; i < IDLE; i++) {
        stack[i] = wf_stack_get(&pool, &cache);
        CHECK(stack[i] != NULL);
        CHECK_EQ(stack[i]->size, (char *)stack[i] - (char *)stack[i]->low);
        CHECK(wf_stack_is_guard((char *)stack[i]->low - 1));
        *((char *)stack[i] - 5000) = 1;
    }
    qsort(stack, IDLE, sizeof *stack, by_address);
    for (int i = 0; i < IDLE; i++) {
        CHECK(!low[i] || low[i] == stack[i]->low); /* the same as the last time, and each once */
        CHECK(i == 0 || stack[i] != stack[i - 1]);
        low[i] = stack[i]->low;
    }
    for (int i = 0; i < IDLE; i++)
        wf_stack_put(&pool, &cache, stack[i]);
    wf_stack_cache_drain(&pool, &cache);
}

static void trim_at(int64_t now, int64_t next)
{
    int64_t at;
    while ((at = wf_stack_pool_trim_slow(&pool, now)) == now)
        ;
    CHECK_EQ(at, next);
}

TEST(stack, idle_ones_give_their_pages_back_after_a_second)
{
    const int64_t second = 1000000000;
    open_pool();
    if (pool.keeps_pages) {
        puts("a tool keeps notes: not tested");
        return;
    }
    let_all_idle();
    CHECK_EQ(resident_of_all(), 2 * IDLE);
    CHECK(!wf_stack_pool_is_trim(&pool));
    trim_at(5, 5 + second);
    CHECK_EQ(resident_of_all(), 2 * IDLE); /* not at once: they may be wanted again */
    trim_at(4 + second, 5 + second);
    trim_at(5 + second, INT64_MAX);
    CHECK(wf_stack_pool_is_trim(&pool));
    CHECK(resident_of_all() <= 2 * WF_STACK_WARM + IDLE / WF_STACK_BATCH);

    let_all_idle(); /* as if they had been cut just now */
    CHECK_EQ(resident_of_all(), 2 * IDLE);
    close_pool();
}

TEST(stack, idle_ones_that_are_wanted_again_keep_their_pages)
{
    const int64_t second = 1000000000;
    open_pool();
    let_all_idle();
    trim_at(0, pool.keeps_pages ? INT64_MAX : second);
    let_all_idle(); /* for a moment there was none */
    trim_at(second, pool.keeps_pages ? INT64_MAX : 2 * second);
    CHECK_EQ(resident_of_all(), 2 * IDLE);
    close_pool();
}

#endif

/* ---- Going round ----------------------------------------------------------------------------------- */

TEST(stack, the_last_one_put_is_the_first_one_got)
{
    open_pool();
    struct wf_stack *a = wf_stack_get(&pool, &cache), *b = wf_stack_get(&pool, &cache);
    CHECK(a && b && a != b);
    wf_stack_put(&pool, &cache, a);
    wf_stack_put(&pool, &cache, b);
    CHECK(wf_stack_get(&pool, &cache) == b);
    CHECK(wf_stack_get(&pool, &cache) == a);
    close_pool();
}

TEST(stack, a_cache_keeps_so_many_and_gives_the_rest_to_others)
{
    const size_t n = 1000;
    size_t got;
    struct wf_stack_cache others = {0};
    open_pool();
    put_many(get_many(n, &got));
    CHECK_EQ(got, n);
    size_t kept = cache.count + (cache.spare ? WF_STACK_BATCH : 0);
    CHECK(kept <= WF_STACK_CACHE_MAX && kept >= WF_STACK_BATCH);

    size_t cut = pool.mapped;
    for (size_t i = 0; i < n - kept; i++)
        CHECK(wf_stack_get(&pool, &others));
    CHECK_EQ(pool.mapped, cut);
    wf_stack_cache_drain(&pool, &cache);
    CHECK(!cache.head && !cache.spare && cache.count == 0);
    for (size_t i = 0; i < kept; i++)
        CHECK(wf_stack_get(&pool, &others));
    CHECK_EQ(pool.mapped, cut);
    close_pool();
}

TEST(stack, swinging_around_a_full_batch_leaves_the_pool_alone)
{
    size_t got;
    struct wf_stack *held[4];
    open_pool();
    put_many(get_many(WF_STACK_BATCH, &got));
    struct wf_stack *free = pool.free;
    size_t cut = pool.mapped;
    CHECK(wf_stack_get(&pool, &cache) && wf_stack_get(&pool, &cache));
    for (int i = 0; i < 1000; i++) {
        for (int j = 0; j < 4; j++)
            CHECK((held[j] = wf_stack_get(&pool, &cache)));
        for (int j = 0; j < 4; j++)
            wf_stack_put(&pool, &cache, held[j]);
    }
    CHECK(pool.free == free);
    CHECK(pool.mapped <= cut + WF_STACK_CUT);
    close_pool();
}

struct juggler {
    struct wf_thread thread;
    uintptr_t id;
};

/* Get and put in uneven numbers; whoever holds a stack signs it, and nobody else may. */
static void *juggle(void *arg)
{
    struct juggler *me = arg;
    struct wf_stack_cache mine = {0};
    struct wf_stack *held[200];
    for (int round = 0; round < TEST_TIMES(300); round++) {
        int n = 1 + (int)(round * 37 + me->id * 61) % 200;
        for (int i = 0; i < n; i++) {
            held[i] = wf_stack_get(&pool, &mine);
            CHECK(held[i]);
            *(uintptr_t *)((char *)held[i] - 64) = me->id;
        }
        for (int i = 0; i < n; i++) {
            CHECK_EQ(*(uintptr_t *)((char *)held[i] - 64), me->id);
            wf_stack_put(&pool, &mine, held[i]);
        }
    }
    wf_stack_cache_drain(&pool, &mine);
    return NULL;
}

TEST(stack, threads_share_a_pool_and_nobody_holds_anothers)
{
    struct juggler jugglers[4];
    open_pool();
    for (uintptr_t i = 0; i < 4; i++) {
        jugglers[i].id = i + 1;
        CHECK_EQ(wf_thread_start(&jugglers[i].thread, juggle, &jugglers[i], "juggler"), 0);
    }
    for (int i = 0; i < 4; i++)
        wf_thread_join(&jugglers[i].thread);
    CHECK(pool.mapped <= 4 * (200 + 2 * WF_STACK_BATCH + WF_STACK_CUT));
    size_t got;
    put_many(get_many(pool.mapped, &got));
    CHECK_EQ(got, pool.mapped);
    close_pool();
}

/* ---- Many ------------------------------------------------------------------------------------------ */

#if !defined(WF_TSAN) && !defined(WF_ASAN) /* which make mappings of their own for what we map */

TEST(stack, closing_gives_every_mapping_back)
{
    size_t got;
    open_pool();
    close_pool(); /* whatever the C library maps at the first time is there now */
    size_t before = mappings();
    for (int by_mprotect = 0; by_mprotect < 2; by_mprotect++) {
        open_pool();
        pool.guard_by_madvise = pool.guard_by_madvise && !by_mprotect;
        get_many(2000, &got);
        CHECK_EQ(got, 2000);
        const void *inside = (const char *)wf_stack_get(&pool, &cache)->low - 1;
        CHECK(wf_stack_is_guard(inside));
        close_pool();
        CHECK_EQ(mappings(), before);
        CHECK(!wf_stack_is_guard(inside));
    }
}

#endif

TEST_WITHIN(stack, forty_thousand_cost_a_few_mappings, 60)
{
    size_t got, before = mappings();
    open_pool();
    if (pool.guard_by_madvise) {
        get_many(TEST_TIMES(MANY), &got);
        CHECK_EQ(got, TEST_TIMES(MANY));
        CHECK(mappings() < before + 20 || TEST_SLOWNESS > 1);
    } else {
        puts("MADV_GUARD_INSTALL is not here: not tested");
    }
    close_pool();
}

static void take_too_many(void)
{
    size_t got, more;
    open_pool();
    pool.guard_by_madvise = false;
    get_many(pool.limit + 10000, &got);
    CHECK_EQ(got, pool.limit);
    for (int i = 0; i < 100; i++) {
        get_many(1, &more);
        CHECK_EQ(more, 0);
    }
    CHECK(malloc(1 << 20)); /* there is room left for others */
    close_pool();
    open_pool(); /* and all of it again */
    CHECK(wf_stack_get(&pool, &cache));
    close_pool();
}

TEST_WITHIN(stack, without_cheap_guards_the_limit_is_named_once, 60)
{
    static char said[4096];
    size_t limit = 0;
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    CHECK(f && fscanf(f, "%zu", &limit) == 1);
    fclose(f);
    if (limit > 300000 || TEST_SLOWNESS > 1)
        return; /* nobody here runs into it; or the tool's own mappings do */
    int status = test_in_child(take_too_many, 50, said, sizeof said);
    CHECK_EQ(status, 0);
    char *line = strstr(said, "weft: no more than ");
    CHECK(line && strstr(line, "vm.max_map_count"));
    CHECK(!strstr(line + 1, "weft: "));
    size_t named = strtoul(line + strlen("weft: no more than "), NULL, 10);
    CHECK(named > limit * 2 / 5 && named <= limit / 2);
}

/* ---- Sizes and caches ---- */

TEST(stack, every_size_gives_tops_of_every_colour)
{
    for (size_t size = 4 * 4096; size <= 9 * 4096; size += 4096) {
        CHECK_EQ(wf_stack_pool_open(&pool, size), 0);
        CHECK_EQ(pool.stride / 4096 % 2, 1); /* odd, or many tops would share a few cache sets */
        struct wf_stack *s = wf_stack_get(&pool, &cache);
        CHECK(s && s->size >= size);
        close_pool();
    }
}

TEST(stack, a_cache_is_drained_whatever_is_in_it)
{
    size_t got;
    open_pool();
    wf_stack_cache_drain(&pool, &cache); /* nothing */
    put_many(get_many(1, &got));
    wf_stack_cache_drain(&pool, &cache); /* a few */
    CHECK(cache.head == NULL && cache.spare == NULL);
    put_many(get_many(3 * WF_STACK_BATCH, &got));
    CHECK(cache.spare != NULL);
    wf_stack_cache_drain(&pool, &cache); /* a full batch too */
    CHECK(cache.head == NULL && cache.spare == NULL);
    close_pool();
}
