#include "failure.h"

#include <stdarg.h>

#define MESSAGE_CAPACITY 1000
#define QUOTED_BYTES 60

/* Fixed, so that running out of memory can be reported as well. */
static char message[MESSAGE_CAPACITY];
static size_t message_length;

static void put(char byte) {
    if (message_length < MESSAGE_CAPACITY) message[message_length++] = byte;
}

static void put_text(const char *text) {
    while (*text != '\0') put(*text++);
}

static void put_unsigned(uint64_t value) {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) put(digits[--count]);
}

static void put_signed(int64_t value) {
    if (value < 0) put('-');
    put_unsigned(value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_quoted(Text text) {
    size_t index = 0;
    put('\'');
    while (index < text.length && index < QUOTED_BYTES) {
        size_t start = index;
        uint32_t code_point;
        if (!utf8_next(text, &index, &code_point)) {
            put('?');
            index = start + 1;
        } else if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0)) {
            put('?');
        } else {
            for (; start < index; start++) put(text.bytes[start]);
        }
    }
    put('\'');
    if (index < text.length) put_text(" (cut)");
}

bool fail(const char *format, ...) {
    va_list arguments;
    if (message_length != 0) return false;
    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
            case 's': put_text(va_arg(arguments, const char *)); break;
            case 'd': put_signed(va_arg(arguments, int32_t)); break;
            case 'u': put_unsigned(va_arg(arguments, uint32_t)); break;
            case 'l': put_signed(va_arg(arguments, int64_t)); break;
            case 'T': put_quoted(va_arg(arguments, Text)); break;
            default: put('%'); break;
        }
    }
    va_end(arguments);
    return false;
}

bool failed(void) { return message_length != 0; }

void failure_reset(void) { message_length = 0; }

Text failure_message(void) {
    /* A message cut at its capacity must not end within a character. */
    size_t length = message_length;
    if (length == MESSAGE_CAPACITY) {
        while (length > 0 && (message[length - 1] & 0x80) != 0) length--;
    }
    return (Text){message, length};
}
