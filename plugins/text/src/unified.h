/* Unified diffs, as `diff -u` writes and `patch` reads them. */
#ifndef UNIFIED_H
#define UNIFIED_H

#include "difference.h"

/* Writes all hunks with that many lines of context; nothing where the sides are equal. */
void write_hunks(const Side *old_side, const Side *new_side, size_t context, Buffer *buffer);

#endif
