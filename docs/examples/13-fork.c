/* 13-fork.c - calls too small to be tasks, on all cores: fork, join, and loops that are cut on demand.
 *
 * A fork costs about as much as the call it stands for, so nothing here decides from which size on it pays. Whoever
 * has nothing to do takes the oldest, which is the largest. */
#include <stdio.h>

#include <weft.h>

enum { SIZE = 1 << 16 };

static unsigned numbers[SIZE], scratch[SIZE];

static void merge(const unsigned *left, const unsigned *right, unsigned *to, size_t half, size_t n)
{
    for (size_t i = 0, j = 0; i + j < n;)
        if (j == n - half || (i < half && left[i] <= right[j]))
            to[i + j] = left[i], i++;
        else
            to[i + j] = right[j], j++;
}

/* Sort n numbers at a; b is as long, for the halves. */
static void sort(weft_forks *forks, unsigned *a, unsigned *b, size_t n);
WEFT_FORKABLE_VOID(sort, unsigned *, unsigned *, size_t)

static void sort(weft_forks *forks, unsigned *a, unsigned *b, size_t n)
{
    size_t half = n / 2;
    if (n < 2)
        return;
    struct sort_fork left;
    sort_fork(forks, &left, a, b, half);          /* perhaps somebody else sorts this half ... */
    sort(forks, a + half, b + half, n - half);    /* ... while we sort that one */
    sort_join(forks, &left);                      /* else it is done here */
    merge(a, a + half, b, half, n);
    for (size_t i = 0; i < n; i++)
        a[i] = b[i];
}

static void fill(weft_forks *forks, int64_t from, int64_t to, void *ctx)
{
    (void)forks, (void)ctx;
    for (int64_t i = from; i < to; i++)
        numbers[i] = (unsigned)i * 2654435761u;
}

static void count_rising(weft_forks *forks, int64_t from, int64_t to, void *sum, void *ctx)
{
    (void)forks, (void)ctx;
    for (int64_t i = from; i < to; i++)
        *(int64_t *)sum += numbers[i] <= numbers[i + 1];
}

static void add(void *into, const void *right, void *ctx)
{
    (void)ctx;
    *(int64_t *)into += *(const int64_t *)right;
}

static int body(void *arg)
{
    (void)arg;
    weft_forks *forks = weft_forks_self();
    int64_t rising = 0;
    weft_for(forks, 0, SIZE, fill, NULL);
    sort(forks, numbers, scratch, SIZE);
    weft_reduce(forks, 0, SIZE - 1, &rising, sizeof rising, count_rising, add, NULL);
    printf("%lld of %d pairs are in order\n", (long long)rising, SIZE - 1);
    return 0;
}

int main(void)
{
    int err = weft_run(NULL, body, NULL);
    if (err)
        fprintf(stderr, "13-fork: %s\n", weft_strerror(err));
    return err != 0;
}
