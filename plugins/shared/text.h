/* Text as a slice of bytes, a buffer to build text in, and strict UTF-8 (RFC 3629). */
#ifndef SHARED_TEXT_H
#define SHARED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that somebody else owns; not zero-terminated. */
typedef struct {
    const char *bytes;
    size_t length;
} Text;

/* The slice of a string literal. */
#define TEXT(literal) ((Text){(literal), sizeof(literal) - 1})

Text text_of(const char *zero_terminated);
bool text_equals(Text left, Text right);
bool text_is(Text text, const char *zero_terminated);
/* Negative, zero or positive in the order of bytes, which for UTF-8 is the order of code points. */
int text_compare(Text left, Text right);
Text text_slice(Text text, size_t start, size_t end);
/* The first place of `needle` at or after `start`, or `text.length` where there is none. `needle` is not empty. */
size_t text_find(Text text, Text needle, size_t start);

/* Reads the code point at `*index` and moves `*index` behind it. False, with `*index` as it was, where the bytes are
 * no UTF-8: overlong forms, surrogates and values above 10FFFF included. */
bool utf8_next(Text text, size_t *index, uint32_t *code_point);
/* Whether all of it is UTF-8; `*error_at` (may be NULL) is the first byte that is not. */
bool utf8_valid(Text text, size_t *error_at);
/* Bytes that encode a code point, 1 to 4. */
size_t utf8_encode(uint32_t code_point, char bytes[4]);
size_t utf8_count(Text text);

/* A growing text in the arena. Start with zeroes. After a failed allocation further appends do nothing, and the
 * failure is recorded. */
typedef struct {
    char *bytes;
    size_t length;
    size_t capacity;
} Buffer;

Text buffer_text(const Buffer *buffer);
/* Makes room for `length` more bytes and returns where they go, counted as written already; NULL on failure. */
char *buffer_reserve(Buffer *buffer, size_t length);
void buffer_append(Buffer *buffer, Text text);
void buffer_append_string(Buffer *buffer, const char *zero_terminated);
void buffer_append_byte(Buffer *buffer, char byte);
void buffer_append_repeated(Buffer *buffer, char byte, size_t count);
void buffer_append_code_point(Buffer *buffer, uint32_t code_point);
void buffer_append_unsigned(Buffer *buffer, uint64_t value);
void buffer_append_signed(Buffer *buffer, int64_t value);
/* Decimal digits with leading zeros up to `width`. */
void buffer_append_padded(Buffer *buffer, uint64_t value, size_t width);

#endif
