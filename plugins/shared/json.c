#include "json.h"

#include "failure.h"
#include "memory.h"

typedef struct {
    Text text;
    size_t position;
    const char *what;
    size_t depth;
} Parser;

static JsonValue *parse_value(Parser *parser);

static JsonValue *refuse(const Parser *parser, const char *problem) {
    size_t line = 1;
    size_t line_start = 0;
    size_t index;
    size_t end = parser->position < parser->text.length ? parser->position : parser->text.length;
    for (index = 0; index < end; index++) {
        if (parser->text.bytes[index] == '\n') {
            line++;
            line_start = index + 1;
        }
    }
    fail("%s is not valid JSON: %s at line %u, column %u", parser->what, problem, line,
         utf8_count(text_slice(parser->text, line_start, end)) + 1);
    return NULL;
}

static int peek(const Parser *parser) {
    return parser->position < parser->text.length ? (unsigned char)parser->text.bytes[parser->position] : -1;
}

static void skip_blanks(Parser *parser) {
    int byte = peek(parser);
    while (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
        parser->position++;
        byte = peek(parser);
    }
}

static bool take(Parser *parser, char byte) {
    if (peek(parser) != byte) return false;
    parser->position++;
    return true;
}

static JsonValue *new_value(JsonType type) {
    JsonValue *value = arena_allocate_zeroed(1, sizeof(JsonValue));
    if (value != NULL) value->type = type;
    return value;
}

static JsonValue *parse_word(Parser *parser, const char *word, JsonType type) {
    size_t start = parser->position;
    while (*word != '\0') {
        if (!take(parser, *word++)) {
            parser->position = start;
            return refuse(parser, "an unknown word");
        }
    }
    return new_value(type);
}

static size_t take_digits(Parser *parser) {
    size_t start = parser->position;
    while (peek(parser) >= '0' && peek(parser) <= '9') parser->position++;
    return parser->position - start;
}

static JsonValue *parse_number(Parser *parser) {
    size_t start = parser->position;
    JsonValue *value;
    take(parser, '-');
    if (!take(parser, '0') && take_digits(parser) == 0) return refuse(parser, "a number without digits");
    if (take(parser, '.') && take_digits(parser) == 0) return refuse(parser, "a decimal point without digits");
    if (take(parser, 'e') || take(parser, 'E')) {
        if (!take(parser, '+')) take(parser, '-');
        if (take_digits(parser) == 0) return refuse(parser, "an exponent without digits");
    }
    value = new_value(JSON_NUMBER);
    if (value != NULL) value->text = text_slice(parser->text, start, parser->position);
    return value;
}

static bool take_hexadecimal(Parser *parser, uint32_t *unit) {
    size_t count;
    *unit = 0;
    for (count = 0; count < 4; count++) {
        int byte = peek(parser);
        int lower = byte | 0x20;
        int digit = byte >= '0' && byte <= '9' ? byte - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
        if (digit < 0) return false;
        *unit = *unit << 4 | (uint32_t)digit;
        parser->position++;
    }
    return true;
}

static bool take_unicode_escape(Parser *parser, Buffer *buffer) {
    uint32_t unit;
    uint32_t low;
    if (!take_hexadecimal(parser, &unit)) return refuse(parser, "an escape without four hexadecimal digits") != NULL;
    if (unit >= 0xd800 && unit < 0xe000) {
        if (unit >= 0xdc00 || !take(parser, '\\') || !take(parser, 'u') || !take_hexadecimal(parser, &low) ||
            low < 0xdc00 || low >= 0xe000) {
            return refuse(parser, "half of a surrogate pair") != NULL;
        }
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    buffer_append_code_point(buffer, unit);
    return true;
}

static bool take_escape(Parser *parser, Buffer *buffer) {
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    size_t index;
    if (take(parser, 'u')) return take_unicode_escape(parser, buffer);
    for (index = 0; index < sizeof names - 1; index++) {
        if (take(parser, names[index])) {
            buffer_append_byte(buffer, values[index]);
            return true;
        }
    }
    return refuse(parser, "an unknown escape") != NULL;
}

/* Moves over unescaped characters; false where one of them may not stand in a string. */
static bool skip_plain(Parser *parser) {
    uint32_t code_point;
    for (;;) {
        int byte = peek(parser);
        if (byte == '"' || byte == '\\') return true;
        if (byte < 0) return refuse(parser, "a string that does not end") != NULL;
        if (byte < 0x20) return refuse(parser, "a control character in a string") != NULL;
        if (byte < 0x80) {
            parser->position++;
        } else if (!utf8_next(parser->text, &parser->position, &code_point)) {
            return refuse(parser, "a byte that is not UTF-8") != NULL;
        }
    }
}

/* Strings without escapes are slices of the input; only the others are copied. */
static bool parse_text(Parser *parser, Text *result) {
    Buffer buffer = {0};
    size_t start;
    if (!take(parser, '"')) return refuse(parser, "a string was expected") != NULL;
    start = parser->position;
    if (!skip_plain(parser)) return false;
    if (peek(parser) == '"') {
        *result = text_slice(parser->text, start, parser->position++);
        return true;
    }
    for (;;) {
        buffer_append(&buffer, text_slice(parser->text, start, parser->position));
        if (take(parser, '"')) break;
        parser->position++;
        if (!take_escape(parser, &buffer)) return false;
        start = parser->position;
        if (!skip_plain(parser)) return false;
    }
    *result = buffer_text(&buffer);
    return !failed();
}

static JsonValue *parse_string(Parser *parser) {
    Text text;
    JsonValue *value;
    if (!parse_text(parser, &text)) return NULL;
    value = new_value(JSON_STRING);
    if (value != NULL) value->text = text;
    return value;
}

static bool names_are_unique(Parser *parser, JsonValue *object) {
    size_t mark = arena_mark();
    JsonValue **members = object->count < 2 ? NULL : json_sorted_members(object);
    size_t index;
    for (index = 1; members != NULL && index < object->count; index++) {
        if (text_equals(members[index - 1]->key, members[index]->key)) {
            return fail("%s is not usable JSON: the name %T stands twice in one object", parser->what,
                        members[index]->key);
        }
    }
    arena_release(mark);
    return !failed();
}

static JsonValue *parse_items(Parser *parser, JsonType type, char end) {
    JsonValue *container = new_value(type);
    JsonValue **link;
    if (container == NULL) return NULL;
    parser->position++;
    if (++parser->depth > JSON_MAX_DEPTH) return refuse(parser, "nesting deeper than 128 levels");
    link = &container->first;
    skip_blanks(parser);
    if (peek(parser) != end) {
        do {
            Text key = {0};
            skip_blanks(parser);
            if (type == JSON_OBJECT) {
                if (!parse_text(parser, &key)) return NULL;
                skip_blanks(parser);
                if (!take(parser, ':')) return refuse(parser, "a missing ':'");
            }
            *link = parse_value(parser);
            if (*link == NULL) return NULL;
            (*link)->key = key;
            link = &(*link)->next;
            container->count++;
            skip_blanks(parser);
        } while (take(parser, ','));
    }
    if (!take(parser, end))
        return refuse(parser, type == JSON_OBJECT ? "a missing ',' or '}'" : "a missing ',' or ']'");
    parser->depth--;
    return type == JSON_ARRAY || names_are_unique(parser, container) ? container : NULL;
}

static JsonValue *parse_value(Parser *parser) {
    skip_blanks(parser);
    switch (peek(parser)) {
        case -1: return refuse(parser, "the text ends too early");
        case '{': return parse_items(parser, JSON_OBJECT, '}');
        case '[': return parse_items(parser, JSON_ARRAY, ']');
        case '"': return parse_string(parser);
        case 't': return parse_word(parser, "true", JSON_TRUE);
        case 'f': return parse_word(parser, "false", JSON_FALSE);
        case 'n': return parse_word(parser, "null", JSON_NULL);
        case '-':
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7':
        case '8':
        case '9': return parse_number(parser);
        default: return refuse(parser, "an unexpected character");
    }
}

JsonValue *json_parse(Text text, const char *what) {
    Parser parser = {text, 0, what, 0};
    JsonValue *value = parse_value(&parser);
    if (value == NULL) return NULL;
    skip_blanks(&parser);
    return parser.position == text.length ? value : refuse(&parser, "something after the end of the value");
}

JsonValue *json_member(const JsonValue *object, Text name) {
    JsonValue *member;
    for (member = object->first; member != NULL; member = member->next) {
        if (text_equals(member->key, name)) return member;
    }
    return NULL;
}

const char *json_type_name(const JsonValue *value) {
    static const char *const names[] = {"null", "boolean", "boolean", "number", "string", "array", "object"};
    return names[value->type];
}

/* Merge sort from runs of one upwards; stable, and never slower than n log n. */
static JsonValue **merge_sort(JsonValue **items, JsonValue **spare, size_t count) {
    size_t width;
    for (width = 1; width < count; width *= 2) {
        JsonValue **swap = items;
        size_t start;
        for (start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = middle + width < count ? middle + width : count;
            size_t left = start;
            size_t right = middle;
            size_t out;
            for (out = start; out < end; out++) {
                bool from_right =
                    left == middle || (right < end && text_compare(items[right]->key, items[left]->key) < 0);
                spare[out] = items[from_right ? right++ : left++];
            }
        }
        items = spare;
        spare = swap;
    }
    return items;
}

JsonValue **json_sorted_members(const JsonValue *object) {
    JsonValue **items = arena_allocate_zeroed(object->count, 2 * sizeof(JsonValue *));
    JsonValue *member = object->first;
    size_t index;
    if (items == NULL) return NULL;
    for (index = 0; index < object->count; index++, member = member->next) items[index] = member;
    return merge_sort(items, items + object->count, object->count);
}

bool json_integer(const JsonValue *number, int64_t *value) {
    Text text = number->text;
    bool negative = text.bytes[0] == '-';
    size_t index = negative;
    int64_t total = 0;
    int32_t exponent = 0;
    int32_t scale = 0;
    bool fraction = false;
    for (; index < text.length && (text.bytes[index] | 0x20) != 'e'; index++) {
        if (text.bytes[index] == '.') {
            fraction = true;
            continue;
        }
        if (total > (INT64_MAX - 9) / 10) return false;
        total = total * 10 + (text.bytes[index] - '0');
        scale -= fraction;
    }
    if (index < text.length) {
        bool minus = text.bytes[++index] == '-';
        index += text.bytes[index] == '-' || text.bytes[index] == '+';
        for (; index < text.length; index++) {
            if (exponent < 1000) exponent = exponent * 10 + (text.bytes[index] - '0');
        }
        scale += minus ? -exponent : exponent;
    }
    for (; scale < 0 && total != 0; scale++) {
        if (total % 10 != 0) return false;
        total /= 10;
    }
    for (; scale > 0 && total != 0; scale--) {
        if (total > INT64_MAX / 10) return false;
        total *= 10;
    }
    *value = negative ? -total : total;
    return true;
}

static void separate(JsonWriter *writer) {
    if (writer->separate) buffer_append_byte(&writer->buffer, ',');
    writer->separate = true;
}

void json_open(JsonWriter *writer, char bracket) {
    separate(writer);
    buffer_append_byte(&writer->buffer, bracket);
    writer->separate = false;
}

void json_close(JsonWriter *writer, char bracket) {
    buffer_append_byte(&writer->buffer, bracket);
    writer->separate = true;
}

void json_key(JsonWriter *writer, const char *name) {
    separate(writer);
    json_quote(&writer->buffer, text_of(name));
    buffer_append_byte(&writer->buffer, ':');
    writer->separate = false;
}

void json_write_raw(JsonWriter *writer, Text json) {
    separate(writer);
    buffer_append(&writer->buffer, json);
}

void json_write_text(JsonWriter *writer, Text text) {
    separate(writer);
    json_quote(&writer->buffer, text);
}

void json_write_integer(JsonWriter *writer, int64_t value) {
    separate(writer);
    buffer_append_signed(&writer->buffer, value);
}

void json_write_boolean(JsonWriter *writer, bool value) {
    json_write_raw(writer, value ? TEXT("true") : TEXT("false"));
}

void json_put_text(JsonWriter *writer, const char *name, Text text) {
    json_key(writer, name);
    json_write_text(writer, text);
}

void json_put_integer(JsonWriter *writer, const char *name, int64_t value) {
    json_key(writer, name);
    json_write_integer(writer, value);
}

void json_put_boolean(JsonWriter *writer, const char *name, bool value) {
    json_key(writer, name);
    json_write_boolean(writer, value);
}

static void quote_special(Buffer *buffer, unsigned char byte) {
    static const char digits[] = "0123456789abcdef";
    static const char controls[] = "btn\0fr"; /* 0x08 to 0x0d; 0x0b has no short form */
    buffer_append_byte(buffer, '\\');
    if (byte == '"' || byte == '\\') {
        buffer_append_byte(buffer, (char)byte);
    } else if (byte >= 0x08 && byte <= 0x0d && byte != 0x0b) {
        buffer_append_byte(buffer, controls[byte - 0x08]);
    } else {
        buffer_append_string(buffer, "u00");
        buffer_append_byte(buffer, digits[byte >> 4]);
        buffer_append_byte(buffer, digits[byte & 15]);
    }
}

void json_quote(Buffer *buffer, Text text) {
    size_t start = 0;
    size_t index;
    buffer_append_byte(buffer, '"');
    for (index = 0; index < text.length; index++) {
        unsigned char byte = (unsigned char)text.bytes[index];
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) continue;
        buffer_append(buffer, text_slice(text, start, index));
        quote_special(buffer, byte);
        start = index + 1;
    }
    buffer_append(buffer, text_slice(text, start, text.length));
    buffer_append_byte(buffer, '"');
}
