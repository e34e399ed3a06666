#include "tree.h"

#include "failure.h"
#include "memory.h"

/* Patches can nest a value more deeply than any text that was parsed. */
#define DEEPEST 500

static bool too_deep(size_t depth) {
    return depth > DEEPEST && !fail("the document became nested deeper than %d levels", (int32_t)DEEPEST);
}

typedef struct {
    bool negative;
    int64_t exponent; /* of the last significant digit */
    Text digits;      /* from the first significant digit to the last one, with the point perhaps among them */
} Number;

static Number read_number(Text text) {
    Number number = {text.bytes[0] == '-', 0, {NULL, 0}};
    size_t end = 0;
    size_t start = number.negative;
    size_t point;
    int64_t exponent = 0;
    while (end < text.length && (text.bytes[end] | 0x20) != 'e') end++;
    if (end < text.length) {
        bool minus = text.bytes[end + 1] == '-';
        size_t index = end + 1 + (minus || text.bytes[end + 1] == '+');
        for (; index < text.length && exponent < INT64_MAX / 100; index++)
            exponent = exponent * 10 + (text.bytes[index] - '0');
        if (minus) exponent = -exponent;
    }
    point = text_find(text_slice(text, 0, end), TEXT("."), 0);
    while (end > start && (text.bytes[end - 1] == '0' || text.bytes[end - 1] == '.')) end--;
    while (start < end && (text.bytes[start] == '0' || text.bytes[start] == '.')) start++;
    number.digits = text_slice(text, start, end);
    if (start == end) return (Number){false, 0, {NULL, 0}};
    number.exponent = exponent + (end <= point ? (int64_t)(point - end) : -(int64_t)(end - point - 1));
    return number;
}

static bool next_digit(Text digits, size_t *index, char *digit) {
    if (*index < digits.length && digits.bytes[*index] == '.') ++*index;
    if (*index >= digits.length) return false;
    *digit = digits.bytes[(*index)++];
    return true;
}

static bool numbers_equal(Text left_text, Text right_text) {
    Number left = read_number(left_text);
    Number right = read_number(right_text);
    size_t left_index = 0;
    size_t right_index = 0;
    char left_digit;
    char right_digit;
    if (left.negative != right.negative || left.exponent != right.exponent) return false;
    for (;;) {
        bool more = next_digit(left.digits, &left_index, &left_digit);
        if (next_digit(right.digits, &right_index, &right_digit) != more) return false;
        if (!more) return true;
        if (left_digit != right_digit) return false;
    }
}

static bool objects_equal(const JsonValue *left, const JsonValue *right) {
    size_t mark = arena_mark();
    JsonValue **left_members = json_sorted_members(left);
    JsonValue **right_members = json_sorted_members(right);
    bool equal = left_members != NULL && right_members != NULL;
    size_t index;
    for (index = 0; equal && index < left->count; index++) {
        equal = text_equals(left_members[index]->key, right_members[index]->key) &&
                values_equal(left_members[index], right_members[index]);
    }
    arena_release(mark);
    return equal;
}

bool values_equal(const JsonValue *left, const JsonValue *right) {
    const JsonValue *other = right->first;
    const JsonValue *item;
    if (left->type != right->type || left->count != right->count) return false;
    switch (left->type) {
        case JSON_NUMBER: return numbers_equal(left->text, right->text);
        case JSON_STRING: return text_equals(left->text, right->text);
        case JSON_OBJECT: return objects_equal(left, right);
        default: break;
    }
    for (item = left->first; item != NULL; item = item->next, other = other->next) {
        if (!values_equal(item, other)) return false;
    }
    return true;
}

static JsonValue *copy_at(const JsonValue *value, size_t depth) {
    JsonValue *copy = too_deep(depth) ? NULL : arena_allocate_zeroed(1, sizeof(JsonValue));
    JsonValue **link;
    const JsonValue *item;
    if (copy == NULL) return NULL;
    *copy = *value;
    copy->next = NULL;
    link = &copy->first;
    for (item = value->first; item != NULL; item = item->next) {
        *link = copy_at(item, depth + 1);
        if (*link == NULL) return NULL;
        link = &(*link)->next;
    }
    return copy;
}

JsonValue *copy_value(const JsonValue *value) { return copy_at(value, 0); }

static void write_break(const Layout *layout, size_t depth, Buffer *buffer) {
    if (layout->indent == 0) return;
    buffer_append_byte(buffer, '\n');
    buffer_append_repeated(buffer, ' ', layout->indent * depth);
}

static void write_at(const JsonValue *value, const Layout *layout, size_t depth, Buffer *buffer);

static void write_items(const JsonValue *value, const Layout *layout, size_t depth, Buffer *buffer) {
    bool object = value->type == JSON_OBJECT;
    JsonValue **sorted = object && layout->sort && value->count > 0 ? json_sorted_members(value) : NULL;
    const JsonValue *item = value->first;
    size_t index;
    buffer_append_byte(buffer, object ? '{' : '[');
    for (index = 0; index < value->count && !failed(); index++) {
        const JsonValue *current = sorted != NULL ? sorted[index] : item;
        if (index > 0) buffer_append_byte(buffer, ',');
        write_break(layout, depth + 1, buffer);
        if (object) {
            json_quote(buffer, current->key);
            buffer_append_string(buffer, layout->indent > 0 ? ": " : ":");
        }
        write_at(current, layout, depth + 1, buffer);
        item = item->next;
    }
    if (value->count > 0) write_break(layout, depth, buffer);
    buffer_append_byte(buffer, object ? '}' : ']');
}

static void write_at(const JsonValue *value, const Layout *layout, size_t depth, Buffer *buffer) {
    if (too_deep(depth)) return;
    switch (value->type) {
        case JSON_NULL: buffer_append_string(buffer, "null"); break;
        case JSON_FALSE: buffer_append_string(buffer, "false"); break;
        case JSON_TRUE: buffer_append_string(buffer, "true"); break;
        case JSON_NUMBER: buffer_append(buffer, value->text); break;
        case JSON_STRING: json_quote(buffer, value->text); break;
        default: write_items(value, layout, depth, buffer); break;
    }
}

void write_value(const JsonValue *value, const Layout *layout, Buffer *buffer) { write_at(value, layout, 0, buffer); }
