/* Why the call in hand cannot go on: the first failure is kept and becomes the error that the caller sees. */
#ifndef SHARED_FAILURE_H
#define SHARED_FAILURE_H

#include <stdbool.h>

#include "text.h"

/* Records a failure, unless one is recorded already, and returns false: `return fail("…");`.
 *
 * The format knows %s (zero-terminated text), %d (int32_t), %u (size_t or uint32_t), %l (int64_t), %T (a Text, put
 * in quotes, shortened, with control characters made visible) and %%. */
bool fail(const char *format, ...);

/* Whether a failure is recorded. */
bool failed(void);

/* Forgets the failure, when a new call begins. */
void failure_reset(void);

/* The recorded message. */
Text failure_message(void);

#endif
