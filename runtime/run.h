/* run.h - the runtimes of this process. */
#ifndef WF_RUN_H
#define WF_RUN_H

#include <weft/run.h>

/* The configuration to run with, complete, by what was given or NULL: 0, or -EINVAL, having said so if it was the
 * environment. */
int wf_config_read(weft_config *ret, const weft_config *given);

/* Call fn for every runtime that is up; none starts or stops meanwhile. */
void wf_runtime_each(void (*fn)(weft_runtime *rt, void *ctx), void *ctx);

/* Is one up? For a child of fork(), which has one thread and cannot take the lock: its holder stayed behind. */
bool wf_runtime_any(void);

#endif
