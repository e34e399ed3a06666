#include "patch.h"

#include "failure.h"
#include "pointer.h"
#include "tree.h"

static bool text_member(const JsonValue *operation, Text name, Text *text) {
    JsonValue *member = json_member(operation, name);
    if (member == NULL || member->type != JSON_STRING) return fail("it has no %T, which must be a string", name);
    *text = member->text;
    return true;
}

static bool insert(JsonValue **document, Text path, JsonValue *value) {
    Place place;
    if (value == NULL || !find_place(document, path, &place)) return false;
    if (place.parent == NULL) {
        *document = value;
        return true;
    }
    value->key = place.token;
    if (place.parent->type == JSON_OBJECT && *place.link != NULL) {
        value->next = (*place.link)->next;
    } else {
        value->next = *place.link;
        place.parent->count++;
    }
    *place.link = value;
    return true;
}

static JsonValue *take_out(JsonValue **document, Text path) {
    Place place;
    JsonValue *value;
    if (!find_value(document, path, &place)) return NULL;
    if (place.parent == NULL) {
        fail("the whole document cannot be removed");
        return NULL;
    }
    value = *place.link;
    *place.link = value->next;
    place.parent->count--;
    return value;
}

static bool replace(JsonValue **document, Text path, JsonValue *value) {
    Place place;
    if (value == NULL || !find_value(document, path, &place)) return false;
    value->next = place.parent == NULL ? NULL : (*place.link)->next;
    value->key = (*place.link)->key;
    *place.link = value;
    return true;
}

static bool move(JsonValue **document, Text from, Text path) {
    bool inside = path.length > from.length && text_equals(text_slice(path, 0, from.length), from) &&
                  path.bytes[from.length] == '/';
    Place place;
    if (inside) return fail("a value cannot be moved into itself");
    if (text_equals(from, path)) return find_value(document, from, &place);
    return insert(document, path, take_out(document, from));
}

static bool copy(JsonValue **document, Text from, Text path) {
    Place place;
    return find_value(document, from, &place) && insert(document, path, copy_value(*place.link));
}

static bool test(JsonValue **document, Text path, const JsonValue *expected) {
    Place place;
    if (!find_value(document, path, &place)) return false;
    return values_equal(*place.link, expected) || fail("the value at %T is not the expected one", path);
}

static bool apply(JsonValue **document, const JsonValue *operation) {
    JsonValue *value;
    Text name;
    Text path;
    Text from;
    if (operation->type != JSON_OBJECT) return fail("it is no object");
    if (!text_member(operation, TEXT("op"), &name) || !text_member(operation, TEXT("path"), &path)) return false;
    if (text_is(name, "remove")) return take_out(document, path) != NULL;
    if (text_is(name, "move")) return text_member(operation, TEXT("from"), &from) && move(document, from, path);
    if (text_is(name, "copy")) return text_member(operation, TEXT("from"), &from) && copy(document, from, path);
    if (!text_is(name, "add") && !text_is(name, "replace") && !text_is(name, "test")) {
        return fail("its op is %T, which is none of add, remove, replace, move, copy and test", name);
    }
    value = json_member(operation, TEXT("value"));
    if (value == NULL) return fail("it has no 'value'");
    if (text_is(name, "test")) return test(document, path, value);
    return text_is(name, "add") ? insert(document, path, copy_value(value))
                                : replace(document, path, copy_value(value));
}

static bool with_number(size_t number) {
    char reason[500];
    Text message = failure_message();
    size_t length = message.length < sizeof reason - 1 ? message.length : sizeof reason - 1;
    __builtin_memcpy(reason, message.bytes, length);
    reason[length] = '\0';
    failure_reset();
    return fail("operation %u of the patch cannot be applied: %s", number, reason);
}

bool apply_patch(JsonValue **document, const JsonValue *patch) {
    const JsonValue *operation;
    size_t number = 1;
    if (patch->type != JSON_ARRAY) return fail("the patch must be an array of operations");
    for (operation = patch->first; operation != NULL; operation = operation->next, number++) {
        if (!apply(document, operation)) return with_number(number);
    }
    return true;
}

typedef struct {
    JsonWriter *writer;
    Buffer pointer;
    size_t count;
} Comparison;

static void put_operation(Comparison *comparison, const char *name, const JsonValue *value) {
    static const Layout compact = {0, false};
    Buffer text = {0};
    comparison->count++;
    json_open(comparison->writer, '{');
    json_put_text(comparison->writer, "op", text_of(name));
    json_put_text(comparison->writer, "path", buffer_text(&comparison->pointer));
    if (value != NULL) {
        write_value(value, &compact, &text);
        json_key(comparison->writer, "value");
        json_write_raw(comparison->writer, buffer_text(&text));
    }
    json_close(comparison->writer, '}');
}

static void compare(Comparison *comparison, const JsonValue *from, const JsonValue *to);

/* Both sides by rising name: what only one side has was removed or added. */
static void compare_objects(Comparison *comparison, const JsonValue *from, const JsonValue *to) {
    JsonValue **left = json_sorted_members(from);
    JsonValue **right = json_sorted_members(to);
    size_t left_index = 0;
    size_t right_index = 0;
    size_t length = comparison->pointer.length;
    while (!failed() && (left_index < from->count || right_index < to->count)) {
        int order = left_index == from->count  ? 1
                    : right_index == to->count ? -1
                                               : text_compare(left[left_index]->key, right[right_index]->key);
        append_token(&comparison->pointer, order > 0 ? right[right_index]->key : left[left_index]->key);
        if (order < 0) put_operation(comparison, "remove", NULL);
        if (order > 0) put_operation(comparison, "add", right[right_index]);
        if (order == 0) compare(comparison, left[left_index], right[right_index]);
        comparison->pointer.length = length;
        left_index += order <= 0;
        right_index += order >= 0;
    }
}

static void append_index(Buffer *pointer, size_t index) {
    buffer_append_byte(pointer, '/');
    buffer_append_unsigned(pointer, index);
}

/* Element by element; what only one side has at its end is removed, from the last one on, or added. */
static void compare_arrays(Comparison *comparison, const JsonValue *from, const JsonValue *to) {
    size_t length = comparison->pointer.length;
    size_t shorter = from->count < to->count ? from->count : to->count;
    const JsonValue *left = from->first;
    const JsonValue *right = to->first;
    size_t index;
    for (index = 0; index < shorter && !failed(); index++, left = left->next, right = right->next) {
        append_index(&comparison->pointer, index);
        compare(comparison, left, right);
        comparison->pointer.length = length;
    }
    for (index = from->count; index > shorter && !failed(); index--) {
        append_index(&comparison->pointer, index - 1);
        put_operation(comparison, "remove", NULL);
        comparison->pointer.length = length;
    }
    for (; right != NULL && !failed(); right = right->next) {
        append_token(&comparison->pointer, TEXT("-"));
        put_operation(comparison, "add", right);
        comparison->pointer.length = length;
    }
}

static void compare(Comparison *comparison, const JsonValue *from, const JsonValue *to) {
    if (values_equal(from, to)) return;
    if (from->type == JSON_OBJECT && to->type == JSON_OBJECT) {
        compare_objects(comparison, from, to);
    } else if (from->type == JSON_ARRAY && to->type == JSON_ARRAY) {
        compare_arrays(comparison, from, to);
    } else {
        put_operation(comparison, "replace", to);
    }
}

size_t write_patch(const JsonValue *from, const JsonValue *to, JsonWriter *writer) {
    Comparison comparison = {writer, {0}, 0};
    json_open(writer, '[');
    compare(&comparison, from, to);
    json_close(writer, ']');
    return comparison.count;
}
