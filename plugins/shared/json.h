/* JSON (RFC 8259), read strictly into a tree in the arena, and written. */
#ifndef SHARED_JSON_H
#define SHARED_JSON_H

#include "text.h"

/* Arrays and objects that may enclose one another. */
#define JSON_MAX_DEPTH 128

typedef enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonType;

typedef struct JsonValue {
    JsonType type;
    Text key;                /* of a member of an object */
    Text text;               /* a string's characters, or a number as it was spelled */
    struct JsonValue *first; /* of an array or object */
    struct JsonValue *next;
    size_t count;
} JsonValue;

/* Parses one JSON text. On an error returns NULL and records a failure that calls the text `what` and gives line and
 * column. Refused are also: duplicate names in one object, lone surrogates, nesting beyond JSON_MAX_DEPTH. */
JsonValue *json_parse(Text text, const char *what);

/* The member of that name, or NULL. */
JsonValue *json_member(const JsonValue *object, Text name);

/* "null", "boolean", "number", "string", "array" or "object". */
const char *json_type_name(const JsonValue *value);

/* Members sorted by name, in the order of code points: an array of `count` pointers, NULL on failure. */
JsonValue **json_sorted_members(const JsonValue *object);

/* A number's value where it is a whole number that fits, whatever its spelling (5, 5.0, 5e0). */
bool json_integer(const JsonValue *number, int64_t *value);

/* Writes JSON without blanks. Members and elements are separated by themselves. */
typedef struct {
    Buffer buffer;
    bool separate; /* whether the next item needs a comma before it */
} JsonWriter;

void json_open(JsonWriter *writer, char bracket);
void json_close(JsonWriter *writer, char bracket);
void json_key(JsonWriter *writer, const char *name);
void json_write_text(JsonWriter *writer, Text text);
void json_write_integer(JsonWriter *writer, int64_t value);
void json_write_boolean(JsonWriter *writer, bool value);
/* Any value that is JSON already. */
void json_write_raw(JsonWriter *writer, Text json);

/* A key and its value in one. */
void json_put_text(JsonWriter *writer, const char *name, Text text);
void json_put_integer(JsonWriter *writer, const char *name, int64_t value);
void json_put_boolean(JsonWriter *writer, const char *name, bool value);

/* The text as a JSON string with its quotes. Only quotes, backslashes and control characters are escaped. */
void json_quote(Buffer *buffer, Text text);

#endif
