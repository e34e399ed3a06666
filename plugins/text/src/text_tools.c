/* Text: statistics, counting, differences, distance. */
#include "counting.h"
#include "tool.h"
#include "unified.h"

#define MOST_PLACES 100
#define MOST_CODE_POINTS 10000

static void statistics(Tool *tool) {
    Counts counts;
    Text text;
    if (!tool_text(tool, "text", &text)) return;
    counts = count_text(text);
    json_put_integer(&tool->result, "bytes", (int64_t)text.length);
    json_put_integer(&tool->result, "code_points", (int64_t)counts.code_points);
    json_put_integer(&tool->result, "utf16_units", (int64_t)counts.utf16_units);
    json_put_integer(&tool->result, "characters", (int64_t)counts.characters);
    json_put_integer(&tool->result, "code_points_without_blanks", (int64_t)(counts.code_points - counts.blanks));
    json_put_integer(&tool->result, "words", (int64_t)counts.words);
    json_put_integer(&tool->result, "sentences", (int64_t)counts.sentences);
    json_put_integer(&tool->result, "lines", (int64_t)counts.lines);
    json_put_integer(&tool->result, "longest_line", (int64_t)counts.longest_line);
    json_put_integer(&tool->result, "paragraphs", (int64_t)counts.paragraphs);
}

static Text lowered(Text text) {
    char *bytes = arena_allocate(text.length);
    size_t index;
    if (bytes == NULL) return text;
    for (index = 0; index < text.length; index++) {
        char byte = text.bytes[index];
        bytes[index] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
    }
    return (Text){bytes, text.length};
}

typedef struct {
    Text text;
    size_t index;
    int64_t offset; /* code points before it */
    int64_t line;
    int64_t column;
} Cursor;

static void advance(Cursor *cursor, size_t target) {
    for (; cursor->index < target; cursor->index++) {
        char byte = cursor->text.bytes[cursor->index];
        if (((unsigned char)byte & 0xc0) == 0x80) continue;
        cursor->offset++;
        cursor->column = byte == '\n' ? 1 : cursor->column + 1;
        cursor->line += byte == '\n';
    }
}

static void put_place(JsonWriter *writer, const Cursor *cursor) {
    json_open(writer, '{');
    json_put_integer(writer, "offset", cursor->offset);
    json_put_integer(writer, "line", cursor->line);
    json_put_integer(writer, "column", cursor->column);
    json_close(writer, '}');
}

static void count(Tool *tool) {
    Cursor cursor = {{NULL, 0}, 0, 0, 1, 1};
    Text text;
    Text wanted;
    bool overlapping;
    bool ignore_case;
    int64_t found = 0;
    size_t place;
    if (!tool_text(tool, "text", &text) || !tool_text(tool, "substring", &wanted) ||
        !tool_boolean_or(tool, "overlapping", false, &overlapping) ||
        !tool_boolean_or(tool, "ignore_case", false, &ignore_case)) {
        return;
    }
    if (wanted.length == 0) {
        fail("the argument 'substring' is empty: give at least one character to look for");
        return;
    }
    if (ignore_case) {
        text = lowered(text);
        wanted = lowered(wanted);
    }
    cursor.text = text;
    json_key(&tool->result, "places");
    json_open(&tool->result, '[');
    for (place = text_find(text, wanted, 0); place < text.length && !failed(); found++) {
        if (found < MOST_PLACES) {
            advance(&cursor, place);
            put_place(&tool->result, &cursor);
        }
        place = text_find(text, wanted, place + (overlapping ? 1 : wanted.length));
    }
    json_close(&tool->result, ']');
    json_put_integer(&tool->result, "count", found);
}

static bool file_name(const Tool *tool, const char *argument, Text fallback, Text *name) {
    size_t index;
    if (!tool_text_or(tool, argument, fallback, name)) return false;
    for (index = 0; index < name->length; index++) {
        if ((unsigned char)name->bytes[index] < 0x20)
            return fail("the argument '%s' must be one line without tabs", argument);
    }
    return name->length > 0 || fail("the argument '%s' is empty: leave it out or give a file name", argument);
}

static size_t count_changed(const Side *side) {
    size_t total = 0;
    size_t line;
    for (line = 0; line < side->count; line++) total += side->changed[line];
    return total;
}

static void diff(Tool *tool) {
    Buffer unified = {0};
    Side old_side;
    Side new_side;
    Text old_text;
    Text new_text;
    Text old_name;
    Text new_name;
    int64_t context;
    bool minimal;
    if (!tool_text(tool, "old", &old_text) || !tool_text(tool, "new", &new_text) ||
        !file_name(tool, "old_name", TEXT("old"), &old_name) || !file_name(tool, "new_name", TEXT("new"), &new_name) ||
        !tool_integer_or(tool, "context", 0, 1000, 3, &context) ||
        !compare_lines(old_text, new_text, &old_side, &new_side, &minimal)) {
        return;
    }
    if (!text_equals(old_text, new_text)) {
        buffer_append_string(&unified, "--- ");
        buffer_append(&unified, old_name);
        buffer_append_string(&unified, "\n+++ ");
        buffer_append(&unified, new_name);
        buffer_append_byte(&unified, '\n');
    }
    write_hunks(&old_side, &new_side, (size_t)context, &unified);
    json_put_boolean(&tool->result, "identical", text_equals(old_text, new_text));
    json_put_integer(&tool->result, "removed", (int64_t)count_changed(&old_side));
    json_put_integer(&tool->result, "added", (int64_t)count_changed(&new_side));
    json_put_boolean(&tool->result, "minimal", minimal);
    json_put_text(&tool->result, "diff", buffer_text(&unified));
}

typedef struct {
    uint32_t *items;
    size_t count;
} CodePoints;

static bool code_points(const Tool *tool, const char *name, CodePoints *result) {
    Text text;
    size_t index = 0;
    if (!tool_text(tool, name, &text)) return false;
    if (utf8_count(text) > MOST_CODE_POINTS) {
        return fail("the argument '%s' has %u code points, more than %u", name, utf8_count(text),
                    (size_t)MOST_CODE_POINTS);
    }
    result->count = 0;
    result->items = arena_allocate_zeroed(utf8_count(text), sizeof(uint32_t));
    while (result->items != NULL && index < text.length) utf8_next(text, &index, &result->items[result->count++]);
    return !failed();
}

static uint32_t least(uint32_t first, uint32_t second) { return first < second ? first : second; }

/* Row by row (Wagner and Fischer, 1974), with the row before that for swapped neighbours. */
static uint32_t edit_distance(CodePoints left, CodePoints right, bool transpositions) {
    size_t width = right.count + 1;
    uint32_t *rows = arena_allocate_zeroed(3 * width, sizeof(uint32_t));
    size_t row;
    size_t column;
    if (rows == NULL) return 0;
    for (column = 0; column < width; column++) rows[column] = (uint32_t)column;
    for (row = 1; row <= left.count; row++) {
        uint32_t *current = rows + row % 3 * width;
        const uint32_t *above = rows + (row + 2) % 3 * width;
        const uint32_t *before = rows + (row + 1) % 3 * width;
        current[0] = (uint32_t)row;
        for (column = 1; column < width; column++) {
            bool equal = left.items[row - 1] == right.items[column - 1];
            current[column] = least(above[column - 1] + !equal, least(above[column], current[column - 1]) + 1);
            if (transpositions && row > 1 && column > 1 && left.items[row - 1] == right.items[column - 2] &&
                left.items[row - 2] == right.items[column - 1]) {
                current[column] = least(current[column], before[column - 2] + 1);
            }
        }
    }
    return rows[left.count % 3 * width + right.count];
}

static void put_similarity(Tool *tool, uint32_t distance, size_t longer) {
    Buffer number = {0};
    uint64_t parts = longer == 0 ? 10000 : ((uint64_t)(longer - distance) * 20000 + longer) / (2 * longer);
    buffer_append_unsigned(&number, parts / 10000);
    buffer_append_byte(&number, '.');
    buffer_append_padded(&number, parts % 10000, 4);
    json_key(&tool->result, "similarity");
    json_write_raw(&tool->result, buffer_text(&number));
}

static void distance(Tool *tool) {
    CodePoints left;
    CodePoints right;
    bool transpositions;
    uint32_t edits;
    if (!code_points(tool, "a", &left) || !code_points(tool, "b", &right) ||
        !tool_boolean_or(tool, "transpositions", false, &transpositions)) {
        return;
    }
    edits = edit_distance(left, right, transpositions);
    json_put_integer(&tool->result, "distance", edits);
    put_similarity(tool, edits, left.count > right.count ? left.count : right.count);
}

EXTISM_EXPORT("statistics") int32_t tool_statistics(void) { return tool_run(statistics); }
EXTISM_EXPORT("count") int32_t tool_count(void) { return tool_run(count); }
EXTISM_EXPORT("diff") int32_t tool_diff(void) { return tool_run(diff); }
EXTISM_EXPORT("distance") int32_t tool_distance(void) { return tool_run(distance); }
