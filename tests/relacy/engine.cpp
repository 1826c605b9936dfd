/* engine.cpp - one compilation of all parts: engine.h. */
#include "engine.h"

#include "alloc.cpp"
#include "plain.cpp"
#include "shared.cpp"
#include "threads.cpp"

#include "main.cpp"
