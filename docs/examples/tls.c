/* tls.c - a thread-local's address must not be kept over a call that may suspend.
 *
 * The task below changes thread on purpose: between weft_blocking_begin() and weft_blocking_end() it runs on
 * a pool thread. Any call marked s in the headers may do the same. */
#include <stdio.h>

#include <weft.h>

static _Thread_local int counter;

/* Not inline, so that the compiler cannot remember what it returned before. */
__attribute__((noinline)) static int *my_counter(void)
{
    __asm__ volatile("" ::: "memory"); /* and not pure either */
    return &counter;
}

/* The mistake. Whoever writes through kept now, writes into what the worker's next task is using. */
static void keep_address(void)
{
    int *kept = my_counter();
    weft_blocking_begin();
    printf("kept address: %s\n", kept == my_counter() ? "right" : "another thread's");
    weft_blocking_end();
}

/* Cure one: learn it again after each call that may suspend. */
static void ask_again(void)
{
    int *mine = my_counter();
    weft_blocking_begin();
    mine = my_counter();
    printf("asked again: %s\n", mine == my_counter() ? "right" : "another thread's");
    weft_blocking_end();
}

/* Cure two: stay. For code that cannot be changed, such as a library that caches per thread. */
static int stay(void)
{
    weft_pin();
    int *kept = my_counter();
    int err = weft_sleep(10 * WEFT_MSEC);
    printf("pinned: %s\n", kept == my_counter() ? "right" : "another thread's");
    weft_unpin();
    return err;
}

/* errno is a thread-local too. Our header gives it a reader that follows the task, and so does its value. */
static void use_errno(void)
{
    errno = E2BIG;
    weft_blocking_begin();
    printf("errno: %s\n", errno == E2BIG ? "right" : "another thread's");
    weft_blocking_end();
}

static int app(void *arg)
{
    (void)arg;
    keep_address();
    ask_again();
    use_errno();
    return stay();
}

int main(void)
{
    return weft_run(NULL, app, NULL) < 0;
}
