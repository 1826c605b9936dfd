/* weft.h - everything weft promises. See docs/tour.md. */
#ifndef WEFT_H
#define WEFT_H

#include <weft/base.h>
#include <weft/chan.h>
#include <weft/fork.h>
#include <weft/future.h>
#include <weft/io.h>
#include <weft/lock.h>
#include <weft/net.h>
#include <weft/offload.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/select.h>
#include <weft/task.h>
#include <weft/time.h>

#endif
