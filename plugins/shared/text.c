#include "text.h"

#include "failure.h"
#include "memory.h"

Text text_of(const char *zero_terminated) {
    size_t length = 0;
    while (zero_terminated[length] != '\0') length++;
    return (Text){zero_terminated, length};
}

bool text_equals(Text left, Text right) {
    return left.length == right.length && memcmp(left.bytes, right.bytes, left.length) == 0;
}

bool text_is(Text text, const char *zero_terminated) { return text_equals(text, text_of(zero_terminated)); }

int text_compare(Text left, Text right) {
    size_t shorter = left.length < right.length ? left.length : right.length;
    int order = memcmp(left.bytes, right.bytes, shorter);
    if (order != 0) return order;
    return left.length < right.length ? -1 : left.length > right.length;
}

Text text_slice(Text text, size_t start, size_t end) { return (Text){text.bytes + start, end - start}; }

/* Knuth, Morris and Pratt would bound this by the sum of both lengths but need a table; Rabin and Karp's rolling sum
 * needs none and compares only where the sums agree. */
size_t text_find(Text text, Text needle, size_t start) {
    uint32_t wanted = 0;
    uint32_t rolling = 0;
    uint32_t leading = 1;
    size_t index;
    if (needle.length == 0 || start > text.length || text.length - start < needle.length) return text.length;
    for (index = 0; index < needle.length; index++) {
        wanted = wanted * 16777619u + (unsigned char)needle.bytes[index];
        rolling = rolling * 16777619u + (unsigned char)text.bytes[start + index];
        if (index > 0) leading *= 16777619u;
    }
    for (index = start;; index++) {
        if (rolling == wanted && memcmp(text.bytes + index, needle.bytes, needle.length) == 0) return index;
        if (index + needle.length >= text.length) return text.length;
        rolling -= leading * (unsigned char)text.bytes[index];
        rolling = rolling * 16777619u + (unsigned char)text.bytes[index + needle.length];
    }
}

static bool continuation(Text text, size_t index, uint32_t *code_point) {
    unsigned char byte;
    if (index >= text.length) return false;
    byte = (unsigned char)text.bytes[index];
    *code_point = *code_point << 6 | (byte & 0x3f);
    return (byte & 0xc0) == 0x80;
}

bool utf8_next(Text text, size_t *index, uint32_t *code_point) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)text.bytes[*index];
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    uint32_t value;
    size_t offset;
    if (length == 0) return false;
    value = length == 1 ? lead : lead & (0x7fu >> length);
    for (offset = 1; offset < length; offset++) {
        if (!continuation(text, *index + offset, &value)) return false;
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return false;
    *index += length;
    *code_point = value;
    return true;
}

bool utf8_valid(Text text, size_t *error_at) {
    size_t index = 0;
    uint32_t code_point;
    while (index < text.length) {
        if (!utf8_next(text, &index, &code_point)) {
            if (error_at != NULL) *error_at = index;
            return false;
        }
    }
    return true;
}

size_t utf8_encode(uint32_t code_point, char bytes[4]) {
    if (code_point < 0x80) {
        bytes[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        bytes[0] = (char)(0xc0 | code_point >> 6);
        bytes[1] = (char)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        bytes[0] = (char)(0xe0 | code_point >> 12);
        bytes[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (code_point & 0x3f));
        return 3;
    }
    bytes[0] = (char)(0xf0 | code_point >> 18);
    bytes[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
    bytes[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
    bytes[3] = (char)(0x80 | (code_point & 0x3f));
    return 4;
}

size_t utf8_count(Text text) {
    size_t count = 0;
    size_t index;
    for (index = 0; index < text.length; index++) count += ((unsigned char)text.bytes[index] & 0xc0) != 0x80;
    return count;
}

Text buffer_text(const Buffer *buffer) { return (Text){buffer->bytes, buffer->length}; }

char *buffer_reserve(Buffer *buffer, size_t length) {
    char *place;
    if (length > buffer->capacity - buffer->length) {
        size_t wanted = buffer->length + length;
        size_t capacity = buffer->capacity * 2 > wanted ? buffer->capacity * 2 : wanted + 64;
        char *bytes = length > ARENA_CAPACITY ? NULL : arena_extend(buffer->bytes, buffer->capacity, capacity);
        if (bytes == NULL) {
            fail("the result is larger than one call can hold: send less at a time");
            return NULL;
        }
        buffer->bytes = bytes;
        buffer->capacity = capacity;
    }
    place = buffer->bytes + buffer->length;
    buffer->length += length;
    return place;
}

void buffer_append(Buffer *buffer, Text text) {
    char *place = buffer_reserve(buffer, text.length);
    if (place != NULL && text.length != 0) memcpy(place, text.bytes, text.length);
}

void buffer_append_string(Buffer *buffer, const char *zero_terminated) {
    buffer_append(buffer, text_of(zero_terminated));
}

void buffer_append_byte(Buffer *buffer, char byte) {
    char *place = buffer_reserve(buffer, 1);
    if (place != NULL) *place = byte;
}

void buffer_append_repeated(Buffer *buffer, char byte, size_t count) {
    char *place = buffer_reserve(buffer, count);
    if (place != NULL) memset(place, byte, count);
}

void buffer_append_code_point(Buffer *buffer, uint32_t code_point) {
    char bytes[4];
    buffer_append(buffer, (Text){bytes, utf8_encode(code_point, bytes)});
}

void buffer_append_padded(Buffer *buffer, uint64_t value, size_t width) {
    char digits[20];
    size_t count = 0;
    do {
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (count < width) buffer_append_repeated(buffer, '0', width - count);
    buffer_append(buffer, (Text){digits + sizeof digits - count, count});
}

void buffer_append_unsigned(Buffer *buffer, uint64_t value) { buffer_append_padded(buffer, value, 0); }

void buffer_append_signed(Buffer *buffer, int64_t value) {
    if (value < 0) buffer_append_byte(buffer, '-');
    buffer_append_unsigned(buffer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}
