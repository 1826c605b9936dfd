/* engine.h - what the parts of the engine share: models (tests/model/model.h) as tests of Relacy Race Detector.
 *
 *     shared.cpp   shared variables are rl::atomic
 *     plain.cpp    every other access is looked at by Relacy's detector of races
 *     threads.cpp  who runs, who sleeps; weft's platform
 *     alloc.cpp    memory of an iteration, and the model's static variables
 *     main.cpp     options, schedulers, the loop over models
 *
 * All of it is one compilation (engine.cpp), and C++, as Relacy is; models and weft's files are C and compiled by
 * themselves. What is called from there is extern "C". Relacy replaces operator new, so nothing here uses it. */
#ifndef RELACY_ENGINE_H
#define RELACY_ENGINE_H

#include <algorithm> /* Relacy uses it, and does not say so */
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <new>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

/* Its threads' stacks are ours: at the same addresses in every search, as all other memory. */
static void *next_stack(size_t size);
#include <relacy/pch.hpp>
#define malloc next_stack
#include <relacy/platform.hpp>
#undef malloc
#include <relacy/relacy.hpp>

/* What it gives other meanings to. */
#undef $
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#define errno (*__errno_location())

#define _Noreturn [[noreturn]]
extern "C" {
#include "tests/model/model.h"
}

enum { THREADS_MAX = 4 }; /* of a model, setup and finish not counted */

/* The iteration. */
static struct iteration {
    const struct model *model;
    bool alone_runs;     /* setup or finish */
    int64_t clock_ns;
    char failure[512];   /* in our words, if we have found it */
} now;

/* shared.cpp */
static void begin_life(uintptr_t at, size_t size, uintptr_t pc);
static bool end_life(uintptr_t at, size_t size);
static void settle(void);

/* plain.cpp */
static void mark_shared(uintptr_t byte);
static void end_of_memory(uintptr_t at, size_t size);

/* alloc.cpp */
static void check_alive(uintptr_t at, size_t size);

/* threads.cpp */
static void wake_blocked(void);

#endif
