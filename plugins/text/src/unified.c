#include "unified.h"

typedef struct {
    size_t old_start;
    size_t old_end;
    size_t new_start;
    size_t new_end;
} Hunk;

static void write_line(Buffer *buffer, char sign, Text line) {
    buffer_append_byte(buffer, sign);
    buffer_append(buffer, line);
    if (line.bytes[line.length - 1] != '\n') buffer_append_string(buffer, "\n\\ No newline at end of file\n");
}

/* Counts from one; an empty range names the line before it. */
static void write_range(Buffer *buffer, char sign, size_t start, size_t end) {
    buffer_append_byte(buffer, sign);
    buffer_append_unsigned(buffer, end == start ? start : start + 1);
    if (end - start == 1) return;
    buffer_append_byte(buffer, ',');
    buffer_append_unsigned(buffer, end - start);
}

static void write_hunk(const Side *old_side, const Side *new_side, const Hunk *hunk, Buffer *buffer) {
    size_t old_line = hunk->old_start;
    size_t new_line = hunk->new_start;
    buffer_append_string(buffer, "@@ ");
    write_range(buffer, '-', hunk->old_start, hunk->old_end);
    buffer_append_byte(buffer, ' ');
    write_range(buffer, '+', hunk->new_start, hunk->new_end);
    buffer_append_string(buffer, " @@\n");
    while (old_line < hunk->old_end || new_line < hunk->new_end) {
        if (old_line < hunk->old_end && old_side->changed[old_line]) {
            write_line(buffer, '-', old_side->lines[old_line++]);
        } else if (new_line < hunk->new_end && new_side->changed[new_line]) {
            write_line(buffer, '+', new_side->lines[new_line++]);
        } else {
            write_line(buffer, ' ', old_side->lines[old_line++]);
            new_line++;
        }
    }
}

static bool at_change(const Side *old_side, const Side *new_side, size_t old_line, size_t new_line) {
    return (old_line < old_side->count && old_side->changed[old_line]) ||
           (new_line < new_side->count && new_side->changed[new_line]);
}

/* Moves over changed lines, and over shared ones while fewer than `gap` of them stand before the next change. */
static void extend(const Side *old_side, const Side *new_side, size_t gap, Hunk *hunk) {
    size_t shared;
    do {
        while (hunk->old_end < old_side->count && old_side->changed[hunk->old_end]) hunk->old_end++;
        while (hunk->new_end < new_side->count && new_side->changed[hunk->new_end]) hunk->new_end++;
        shared = 0;
        while (shared <= gap && hunk->old_end + shared < old_side->count &&
               !at_change(old_side, new_side, hunk->old_end + shared, hunk->new_end + shared)) {
            shared++;
        }
        if (shared > gap || !at_change(old_side, new_side, hunk->old_end + shared, hunk->new_end + shared)) return;
        hunk->old_end += shared;
        hunk->new_end += shared;
    } while (true);
}

void write_hunks(const Side *old_side, const Side *new_side, size_t context, Buffer *buffer) {
    size_t old_line = 0;
    size_t new_line = 0;
    while (old_line < old_side->count || new_line < new_side->count) {
        Hunk hunk = {old_line, old_line, new_line, new_line};
        size_t before = old_line < context ? old_line : context;
        size_t after;
        if (!at_change(old_side, new_side, old_line, new_line)) {
            old_line++;
            new_line++;
            continue;
        }
        extend(old_side, new_side, 2 * context, &hunk);
        old_line = hunk.old_end;
        new_line = hunk.new_end;
        after = old_side->count - hunk.old_end < context ? old_side->count - hunk.old_end : context;
        hunk.old_start -= before;
        hunk.new_start -= before;
        hunk.old_end += after;
        hunk.new_end += after;
        write_hunk(old_side, new_side, &hunk, buffer);
    }
}
