/* core.c - the checker, all of it: see core.h. One compilation, so that an operation of a model is a few branches. */
#include "tests/model/core/core.h"

#include "tests/model/core/threads.c"
#include "tests/model/core/alloc.c"
#include "tests/model/core/memory.c"
#include "tests/model/core/explore.c"
#include "tests/model/core/hooks.c"
#include "tests/model/core/trace.c"
#include "tests/model/core/platform.c"
#include "tests/model/core/main.c"
