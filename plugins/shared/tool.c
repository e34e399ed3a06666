#include "tool.h"

static bool begin(Tool *tool) {
    size_t length;
    char *input;
    failure_reset();
    arena_reset();
    *tool = (Tool){0};
    length = extism_input_length();
    input = arena_allocate(length);
    if (input == NULL) return false;
    extism_input_read(0, input, length);
    tool->arguments = json_parse((Text){input, length}, "the input");
    if (tool->arguments == NULL) return false;
    if (tool->arguments->type != JSON_OBJECT) {
        return fail("the input must be a JSON object of arguments, not %s %s",
                    tool->arguments->type == JSON_ARRAY ? "an" : "a", json_type_name(tool->arguments));
    }
    json_open(&tool->result, '{');
    return true;
}

static int32_t end(Tool *tool) {
    if (!failed()) json_close(&tool->result, '}');
    if (!failed() && !extism_output(tool->result.buffer.bytes, tool->result.buffer.length)) {
        fail("the result does not fit into the memory of this call");
    }
    if (!failed()) return 0;
    extism_error(failure_message().bytes, failure_message().length);
    return 1;
}

int32_t tool_run(void (*function)(Tool *tool)) {
    Tool tool;
    if (begin(&tool)) function(&tool);
    return end(&tool);
}

/* Null is taken for "not given", as many clients fill optional arguments with it. */
static JsonValue *given(const Tool *tool, const char *name) {
    JsonValue *value = json_member(tool->arguments, text_of(name));
    return value == NULL || value->type == JSON_NULL ? NULL : value;
}

bool tool_has(const Tool *tool, const char *name) { return given(tool, name) != NULL; }

static bool wrong_type(const char *name, const char *expected, const JsonValue *value) {
    if (value == NULL) return fail("the argument '%s' is missing: give %s", name, expected);
    return fail("the argument '%s' must be %s, not a value of type %s", name, expected, json_type_name(value));
}

bool tool_text(const Tool *tool, const char *name, Text *value) {
    JsonValue *argument = given(tool, name);
    if (argument == NULL || argument->type != JSON_STRING) return wrong_type(name, "a string", argument);
    *value = argument->text;
    return true;
}

bool tool_text_or(const Tool *tool, const char *name, Text fallback, Text *value) {
    *value = fallback;
    return !tool_has(tool, name) || tool_text(tool, name, value);
}

bool tool_integer(const Tool *tool, const char *name, int64_t least, int64_t most, int64_t *value) {
    JsonValue *argument = given(tool, name);
    if (argument == NULL || argument->type != JSON_NUMBER) return wrong_type(name, "a whole number", argument);
    if (!json_integer(argument, value) || *value < least || *value > most) {
        return fail("the argument '%s' must be a whole number from %l to %l, not %T", name, least, most,
                    argument->text);
    }
    return true;
}

bool tool_integer_or(const Tool *tool, const char *name, int64_t least, int64_t most, int64_t fallback,
                     int64_t *value) {
    *value = fallback;
    return !tool_has(tool, name) || tool_integer(tool, name, least, most, value);
}

bool tool_boolean_or(const Tool *tool, const char *name, bool fallback, bool *value) {
    JsonValue *argument = given(tool, name);
    *value = fallback;
    if (argument == NULL) return true;
    if (argument->type != JSON_TRUE && argument->type != JSON_FALSE) return wrong_type(name, "true or false", argument);
    *value = argument->type == JSON_TRUE;
    return true;
}

static bool unknown_word(const char *name, Text given_word, const char *const *words, size_t count) {
    Buffer known = {0};
    size_t index;
    for (index = 0; index < count; index++) {
        if (index > 0) buffer_append_string(&known, ", ");
        buffer_append_string(&known, words[index]);
    }
    buffer_append_byte(&known, '\0');
    if (failed()) return false;
    return fail("the argument '%s' is %T, which is not one of: %s", name, given_word, known.bytes);
}

bool tool_choice(const Tool *tool, const char *name, const char *const *words, size_t count, int32_t fallback,
                 size_t *choice) {
    Text word;
    if (fallback >= 0 && !tool_has(tool, name)) {
        *choice = (size_t)fallback;
        return true;
    }
    if (!tool_text(tool, name, &word)) return false;
    for (*choice = 0; *choice < count; ++*choice) {
        if (text_is(word, words[*choice])) return true;
    }
    return unknown_word(name, word, words, count);
}

bool tool_text_array(const Tool *tool, const char *name, size_t most, JsonValue **array) {
    JsonValue *item;
    *array = given(tool, name);
    if (*array == NULL) return true;
    if ((*array)->type != JSON_ARRAY) return wrong_type(name, "an array of strings", *array);
    if ((*array)->count > most)
        return fail("the argument '%s' has %u items, more than %u", name, (*array)->count, most);
    for (item = (*array)->first; item != NULL; item = item->next) {
        if (item->type != JSON_STRING)
            return fail("the argument '%s' must hold strings only, not a value of type %s", name, json_type_name(item));
    }
    return true;
}

bool tool_bytes(const Tool *tool, const char *name, const char *format_name, Text *value) {
    static const char *const formats[] = {"text", "hex", "base64"};
    static const Codec *const codecs[] = {NULL, &codec_hexadecimal, &codec_base64};
    Buffer decoded = {0};
    Text text;
    size_t format;
    if (!tool_text(tool, name, &text) || !tool_choice(tool, format_name, formats, 3, 0, &format)) return false;
    if (codecs[format] == NULL) {
        *value = text;
        return true;
    }
    if (!codec_decode(codecs[format], text, name, &decoded)) return false;
    *value = buffer_text(&decoded);
    return true;
}
