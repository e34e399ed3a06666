#include "pointer.h"

#include "failure.h"

static bool unescape(Text token, Buffer *result) {
    size_t index;
    for (index = 0; index < token.length; index++) {
        char byte = token.bytes[index];
        if (byte == '~') {
            byte = index + 1 < token.length ? token.bytes[++index] : '\0';
            if (byte != '0' && byte != '1')
                return fail("the pointer holds '~' without 0 or 1 in %T: write ~0 for ~", token);
            byte = byte == '0' ? '~' : '/';
        }
        buffer_append_byte(result, byte);
    }
    return !failed();
}

/* The link of element `token`, or the end of the list for "-" and for an index that equals the count. */
static JsonValue **array_link(JsonValue *array, Text token) {
    size_t wanted = 0;
    size_t index;
    JsonValue **link = &array->first;
    bool valid = token.length > 0 && token.length < 9 && (token.length == 1 || token.bytes[0] != '0');
    for (index = 0; valid && index < token.length; index++) {
        valid = token.bytes[index] >= '0' && token.bytes[index] <= '9';
        wanted = wanted * 10 + (size_t)(token.bytes[index] - '0');
    }
    if (text_equals(token, TEXT("-"))) {
        wanted = array->count;
    } else if (!valid) {
        fail("%T is no index of an array: give a number from 0 on without leading zeros", token);
        return NULL;
    }
    if (wanted > array->count) {
        fail("there is no element %T in an array of %u", token, array->count);
        return NULL;
    }
    for (; wanted > 0; wanted--) link = &(*link)->next;
    return link;
}

static JsonValue **object_link(JsonValue *object, Text token) {
    JsonValue **link = &object->first;
    while (*link != NULL && !text_equals((*link)->key, token)) link = &(*link)->next;
    return link;
}

static bool step(Place *place, JsonValue *container, Text escaped) {
    Buffer token = {0};
    if (!unescape(escaped, &token)) return false;
    place->parent = container;
    place->token = buffer_text(&token);
    if (container->type == JSON_ARRAY) {
        place->link = array_link(container, place->token);
        return place->link != NULL;
    }
    if (container->type == JSON_OBJECT) {
        place->link = object_link(container, place->token);
        return true;
    }
    return fail("the pointer goes on with %T, but the value there is a %s", place->token, json_type_name(container));
}

bool find_place(JsonValue **root, Text pointer, Place *place) {
    size_t start = 0;
    *place = (Place){NULL, root, {NULL, 0}};
    if (pointer.length > 0 && pointer.bytes[0] != '/') {
        return fail("the pointer is %T: it must be empty, for the whole document, or begin with '/'", pointer);
    }
    while (start < pointer.length) {
        size_t end = text_find(pointer, TEXT("/"), start + 1);
        if (*place->link == NULL) return fail("there is no member or element %T", place->token);
        if (!step(place, *place->link, text_slice(pointer, start + 1, end))) return false;
        start = end;
    }
    return true;
}

bool find_value(JsonValue **root, Text pointer, Place *place) {
    if (!find_place(root, pointer, place)) return false;
    return *place->link != NULL || fail("there is no member or element %T at %T", place->token, pointer);
}

void append_token(Buffer *pointer, Text token) {
    size_t index;
    buffer_append_byte(pointer, '/');
    for (index = 0; index < token.length; index++) {
        char byte = token.bytes[index];
        if (byte == '~' || byte == '/') {
            buffer_append_byte(pointer, '~');
            byte = byte == '~' ? '0' : '1';
        }
        buffer_append_byte(pointer, byte);
    }
}
