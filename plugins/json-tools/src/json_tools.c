/* JSON documents: layout, JSON Pointer, JSON Patch. Documents come and go as text, so that numbers keep every digit. */
#include "patch.h"
#include "pointer.h"
#include "tool.h"
#include "tree.h"

static bool read_document(const Tool *tool, const char *name, JsonValue **document) {
    Text text;
    if (!tool_text(tool, name, &text)) return false;
    *document = json_parse(text, name);
    return *document != NULL;
}

static void put_json(Tool *tool, const char *name, const JsonValue *value, const Layout *layout) {
    Buffer text = {0};
    write_value(value, layout, &text);
    json_put_text(&tool->result, name, buffer_text(&text));
}

static bool read_layout(const Tool *tool, Layout *layout, int64_t fallback) {
    int64_t indent;
    if (!tool_integer_or(tool, "indent", 0, 8, fallback, &indent)) return false;
    layout->indent = (size_t)indent;
    return tool_boolean_or(tool, "sort_keys", false, &layout->sort);
}

static void format(Tool *tool) {
    JsonValue *document;
    Layout layout;
    if (!read_document(tool, "json", &document) || !read_layout(tool, &layout, 2)) return;
    put_json(tool, "json", document, &layout);
    json_put_text(&tool->result, "type", text_of(json_type_name(document)));
}

static void get(Tool *tool) {
    JsonValue *document;
    JsonValue *value;
    Place place;
    Text pointer;
    Layout layout;
    if (!tool_text(tool, "pointer", &pointer) || !read_document(tool, "json", &document) ||
        !read_layout(tool, &layout, 0) || !find_value(&document, pointer, &place)) {
        return;
    }
    value = *place.link;
    put_json(tool, "value", value, &layout);
    json_put_text(&tool->result, "type", text_of(json_type_name(value)));
    if (value->type == JSON_ARRAY || value->type == JSON_OBJECT) {
        json_put_integer(&tool->result, "count", (int64_t)value->count);
    }
}

static void diff(Tool *tool) {
    JsonWriter patch = {0};
    JsonValue *from;
    JsonValue *to;
    size_t count;
    if (!read_document(tool, "from", &from) || !read_document(tool, "to", &to)) return;
    count = write_patch(from, to, &patch);
    json_put_boolean(&tool->result, "equal", count == 0);
    json_put_integer(&tool->result, "operations", (int64_t)count);
    json_put_text(&tool->result, "patch", buffer_text(&patch.buffer));
}

static void patch(Tool *tool) {
    JsonValue *document;
    JsonValue *operations;
    Layout layout;
    if (!read_document(tool, "json", &document) || !read_document(tool, "patch", &operations) ||
        !read_layout(tool, &layout, 0) || !apply_patch(&document, operations)) {
        return;
    }
    put_json(tool, "json", document, &layout);
}

EXTISM_EXPORT("format") int32_t tool_format(void) { return tool_run(format); }
EXTISM_EXPORT("get") int32_t tool_get(void) { return tool_run(get); }
EXTISM_EXPORT("diff") int32_t tool_diff(void) { return tool_run(diff); }
EXTISM_EXPORT("patch") int32_t tool_patch(void) { return tool_run(patch); }
