/* What every tool does: read one JSON object of arguments, and write one JSON object as its result.
 *
 *     static void twice(Tool *tool) {
 *         int64_t number;
 *         if (!tool_integer(tool, "number", -1000, 1000, &number)) return;
 *         json_put_integer(&tool->result, "twice", 2 * number);
 *     }
 *
 *     EXTISM_EXPORT("twice") int32_t tool_twice(void) { return tool_run(twice); }
 *
 * The getters return false, with a failure recorded that names the argument, what was expected and what was there.
 * `tool_run` turns a recorded failure into the call's error. */
#ifndef SHARED_TOOL_H
#define SHARED_TOOL_H

#include "codec.h"
#include "extism.h"
#include "failure.h"
#include "json.h"
#include "memory.h"
#include "text.h"

typedef struct {
    JsonValue *arguments;
    JsonWriter result; /* the opening bracket is written already */
} Tool;

/* Begins a call, runs the function on its arguments unless they cannot be read, and ends the call. */
int32_t tool_run(void (*function)(Tool *tool));

/* Whether the argument was given and is not null. */
bool tool_has(const Tool *tool, const char *name);

bool tool_text(const Tool *tool, const char *name, Text *value);
bool tool_text_or(const Tool *tool, const char *name, Text fallback, Text *value);
bool tool_integer(const Tool *tool, const char *name, int64_t least, int64_t most, int64_t *value);
bool tool_integer_or(const Tool *tool, const char *name, int64_t least, int64_t most, int64_t fallback, int64_t *value);
bool tool_boolean_or(const Tool *tool, const char *name, bool fallback, bool *value);
/* One of `count` words; `*choice` becomes its index. A missing argument gives `fallback`; -1 makes it required. */
bool tool_choice(const Tool *tool, const char *name, const char *const *words, size_t count, int32_t fallback,
                 size_t *choice);
/* The bytes that the argument `name` stands for. The argument `format_name` says how they are spelled: text (as UTF-8,
 * the default), hex or base64. */
bool tool_bytes(const Tool *tool, const char *name, const char *format_name, Text *value);
/* An array of at most `most` strings; NULL in `*array` where the argument is missing. */
bool tool_text_array(const Tool *tool, const char *name, size_t most, JsonValue **array);

#endif
