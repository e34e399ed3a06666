#include "counting.h"

static bool within(uint32_t code_point, const uint32_t (*ranges)[2], size_t count) {
    size_t index;
    for (index = 0; index < count; index++) {
        if (code_point >= ranges[index][0] && code_point <= ranges[index][1]) return true;
    }
    return false;
}

/* The property White_Space of Unicode. */
bool is_blank(uint32_t code_point) {
    static const uint32_t ranges[][2] = {{0x09, 0x0d},     {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},
                                         {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
                                         {0x205f, 0x205f}, {0x3000, 0x3000}};
    return within(code_point, ranges, 10);
}

/* Whether a code point belongs to the character before it: the common blocks of combining marks, joiners, variation
 * selectors, skin tones and tags. The full rules of UAX 29 need tables that this plugin does without. */
static bool extends(uint32_t code_point) {
    static const uint32_t ranges[][2] = {{0x0300, 0x036f},   {0x0483, 0x0489},  {0x0591, 0x05bd}, {0x064b, 0x065f},
                                         {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff},  {0x200c, 0x200d}, {0x20d0, 0x20ff},
                                         {0x3099, 0x309a},   {0xfe00, 0xfe0f},  {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff},
                                         {0xe0020, 0xe007f}, {0xe0100, 0xe01ef}};
    return code_point >= 0x300 && within(code_point, ranges, 14);
}

static bool is_flag_letter(uint32_t code_point) { return code_point >= 0x1f1e6 && code_point <= 0x1f1ff; }

static bool ends_sentence(uint32_t code_point) {
    return code_point == '.' || code_point == '!' || code_point == '?' || code_point == 0x2026 ||
           code_point == 0x3002 || code_point == 0xff01 || code_point == 0xff1f;
}

static bool closes_quotation(uint32_t code_point) {
    return code_point == '"' || code_point == '\'' || code_point == ')' || code_point == ']' || code_point == 0x201d ||
           code_point == 0x2019 || code_point == 0xbb;
}

typedef struct {
    uint32_t previous;
    bool in_word;
    bool in_sentence; /* something was said since the last sentence ended */
    bool at_end;      /* the last thing said was a mark that ends sentences */
    bool odd_flag;    /* a flag letter waits for its second half */
    bool line_has_text;
    bool in_paragraph;
    size_t line_length;
} State;

static void count_character(Counts *counts, State *state, uint32_t code_point) {
    bool second_flag = is_flag_letter(code_point) && state->odd_flag;
    bool joined = state->previous == 0x200d || (state->previous == '\r' && code_point == '\n') || second_flag;
    if (counts->code_points == 0 || !(joined || extends(code_point))) counts->characters++;
    state->odd_flag = is_flag_letter(code_point) && !second_flag;
    counts->code_points++;
    counts->utf16_units += code_point > 0xffff ? 2 : 1;
}

static void count_words(Counts *counts, State *state, uint32_t code_point) {
    bool blank = is_blank(code_point);
    counts->blanks += blank;
    counts->words += !blank && !state->in_word;
    state->in_word = !blank;
    if (blank) {
        if (state->in_sentence && state->at_end) {
            counts->sentences++;
            state->in_sentence = false;
        }
    } else {
        state->at_end = ends_sentence(code_point) || (state->at_end && closes_quotation(code_point));
        state->in_sentence = true;
    }
}

static void end_line(Counts *counts, State *state) {
    counts->lines++;
    if (state->line_length > counts->longest_line) counts->longest_line = state->line_length;
    if (state->line_has_text && !state->in_paragraph) counts->paragraphs++;
    state->in_paragraph = state->line_has_text;
    state->line_has_text = false;
    state->line_length = 0;
}

static void count_lines(Counts *counts, State *state, uint32_t code_point) {
    if (code_point == '\n' && state->previous == '\r') return;
    if (code_point == '\n' || code_point == '\r') {
        end_line(counts, state);
    } else {
        state->line_length++;
        state->line_has_text = state->line_has_text || !is_blank(code_point);
    }
}

Counts count_text(Text text) {
    Counts counts = {0};
    State state = {0};
    size_t index = 0;
    uint32_t code_point;
    while (index < text.length && utf8_next(text, &index, &code_point)) {
        count_character(&counts, &state, code_point);
        count_words(&counts, &state, code_point);
        count_lines(&counts, &state, code_point);
        state.previous = code_point;
    }
    counts.sentences += state.in_sentence;
    if (state.line_length > 0) end_line(&counts, &state);
    return counts;
}
