/* JSON Patch: RFC 6902, applied and made. */
#ifndef PATCH_H
#define PATCH_H

#include "json.h"

/* Applies all operations in order; on an error nothing counts. Records a failure with the operation's number. */
bool apply_patch(JsonValue **document, const JsonValue *patch);

/* Writes the operations that turn one value into the other; returns how many. */
size_t write_patch(const JsonValue *from, const JsonValue *to, JsonWriter *writer);

#endif
