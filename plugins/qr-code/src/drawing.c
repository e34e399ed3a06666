/* From codewords to modules: patterns, placement, masks. */
#include "memory.h"
#include "symbol.h"

static int32_t absolute(int32_t value) { return value < 0 ? -value : value; }

static void reserve(Symbol *symbol, int32_t column, int32_t row, bool dark) {
    symbol->dark[row][column] = dark;
    symbol->reserved[row][column] = true;
}

static void draw_finder(Symbol *symbol, int32_t column, int32_t row) {
    int32_t down;
    int32_t right;
    for (down = -4; down <= 4; down++) {
        for (right = -4; right <= 4; right++) {
            int32_t distance = absolute(down) > absolute(right) ? absolute(down) : absolute(right);
            int32_t x = column + right;
            int32_t y = row + down;
            if (x < 0 || x >= symbol->size || y < 0 || y >= symbol->size) continue;
            reserve(symbol, x, y, distance != 2 && distance != 4);
        }
    }
}

static void draw_alignment(Symbol *symbol, int32_t column, int32_t row) {
    int32_t down;
    int32_t right;
    for (down = -2; down <= 2; down++) {
        for (right = -2; right <= 2; right++) {
            int32_t distance = absolute(down) > absolute(right) ? absolute(down) : absolute(right);
            reserve(symbol, column + right, row + down, distance != 1);
        }
    }
}

static void draw_alignments(Symbol *symbol) {
    int32_t count = symbol->version / 7 + 2;
    int32_t step = symbol->version == 32 ? 26 : (symbol->version * 4 + count * 2 + 1) / (count * 2 - 2) * 2;
    int32_t first;
    int32_t second;
    if (symbol->version == 1) return;
    for (first = 0; first < count; first++) {
        for (second = 0; second < count; second++) {
            int32_t column = first == 0 ? 6 : symbol->size - 7 - (count - 1 - first) * step;
            int32_t row = second == 0 ? 6 : symbol->size - 7 - (count - 1 - second) * step;
            bool corner = (first == 0 && second == 0) || (first == 0 && second == count - 1) ||
                          (first == count - 1 && second == 0);
            if (!corner) draw_alignment(symbol, column, row);
        }
    }
}

/* Level and mask in a BCH code of 15 bits, masked itself, in two places. */
static void draw_format(Symbol *symbol, int32_t mask) {
    static const uint32_t level_bits[] = {1, 0, 3, 2};
    uint32_t data = level_bits[symbol->level] << 3 | (uint32_t)mask;
    uint32_t rest = data;
    uint32_t bits;
    int32_t index;
    for (index = 0; index < 10; index++) rest = rest << 1 ^ (rest >> 9) * 0x537;
    bits = (data << 10 | rest) ^ 0x5412;
    for (index = 0; index < 15; index++) {
        bool dark = (bits >> index & 1) != 0;
        if (index < 6)
            reserve(symbol, 8, index, dark);
        else if (index < 8)
            reserve(symbol, 8, index + 1, dark);
        else if (index == 8)
            reserve(symbol, 7, 8, dark);
        else
            reserve(symbol, 14 - index, 8, dark);
        if (index < 8)
            reserve(symbol, symbol->size - 1 - index, 8, dark);
        else
            reserve(symbol, 8, symbol->size - 15 + index, dark);
    }
    reserve(symbol, 8, symbol->size - 8, true);
}

/* The version in a BCH code of 18 bits, from version 7 on. */
static void draw_version(Symbol *symbol) {
    uint32_t rest = (uint32_t)symbol->version;
    uint32_t bits;
    int32_t index;
    if (symbol->version < 7) return;
    for (index = 0; index < 12; index++) rest = rest << 1 ^ (rest >> 11) * 0x1f25;
    bits = (uint32_t)symbol->version << 12 | rest;
    for (index = 0; index < 18; index++) {
        bool dark = (bits >> index & 1) != 0;
        int32_t far = symbol->size - 11 + index % 3;
        reserve(symbol, far, index / 3, dark);
        reserve(symbol, index / 3, far, dark);
    }
}

void draw_patterns(Symbol *symbol) {
    int32_t index;
    memset(symbol->dark, 0, sizeof symbol->dark);
    memset(symbol->reserved, 0, sizeof symbol->reserved);
    for (index = 0; index < symbol->size; index++) {
        reserve(symbol, 6, index, index % 2 == 0);
        reserve(symbol, index, 6, index % 2 == 0);
    }
    draw_finder(symbol, 3, 3);
    draw_finder(symbol, symbol->size - 4, 3);
    draw_finder(symbol, 3, symbol->size - 4);
    draw_alignments(symbol);
    draw_format(symbol, 0);
    draw_version(symbol);
}

/* Two columns at a time from the right, upwards and downwards in turn, leaving out the vertical timing pattern. */
static void place(Symbol *symbol, const uint8_t *codewords, int32_t bits) {
    int32_t next = 0;
    int32_t right;
    for (right = symbol->size - 1; right >= 1; right -= 2) {
        int32_t step;
        if (right == 6) right = 5;
        for (step = 0; step < symbol->size; step++) {
            bool upwards = ((right + 1) & 2) == 0;
            int32_t row = upwards ? symbol->size - 1 - step : step;
            int32_t column;
            for (column = right; column >= right - 1; column--) {
                if (symbol->reserved[row][column] || next >= bits) continue;
                symbol->dark[row][column] = (codewords[next / 8] >> (7 - next % 8) & 1) != 0;
                next++;
            }
        }
    }
}

static bool is_masked(int32_t mask, int32_t column, int32_t row) {
    switch (mask) {
        case 0: return (column + row) % 2 == 0;
        case 1: return row % 2 == 0;
        case 2: return column % 3 == 0;
        case 3: return (column + row) % 3 == 0;
        case 4: return (column / 3 + row / 2) % 2 == 0;
        case 5: return column * row % 2 + column * row % 3 == 0;
        case 6: return (column * row % 2 + column * row % 3) % 2 == 0;
        default: return ((column + row) % 2 + column * row % 3) % 2 == 0;
    }
}

static void apply_mask(Symbol *symbol, int32_t mask) {
    int32_t row;
    int32_t column;
    for (row = 0; row < symbol->size; row++) {
        for (column = 0; column < symbol->size; column++) {
            symbol->dark[row][column] ^= !symbol->reserved[row][column] && is_masked(mask, column, row);
        }
    }
}

static bool at(const Symbol *symbol, bool transposed, int32_t line, int32_t index) {
    return transposed ? symbol->dark[index][line] : symbol->dark[line][index];
}

/* Rules 1 and 3 of the penalty, along one row or column: runs of one colour, and what looks like a finder pattern
 * (1:1:3:1:1 with four light modules on one side, those outside of the symbol counting as light). */
static int32_t line_penalty(const Symbol *symbol, bool transposed, int32_t line) {
    int32_t penalty = 0;
    int32_t run = 0;
    uint32_t window = 0;
    int32_t index;
    for (index = 0; index < symbol->size + 4; index++) {
        bool dark = index < symbol->size && at(symbol, transposed, line, index);
        window = (window << 1 | dark) & 0x7ff;
        if (window == 0x5d0 || (window == 0x05d && index < symbol->size)) penalty += 40;
        if (index >= symbol->size) continue;
        run = index > 0 && dark == at(symbol, transposed, line, index - 1) ? run + 1 : 1;
        penalty += run == 5 ? 3 : run > 5 ? 1 : 0;
    }
    return penalty;
}

static int32_t penalty_of(const Symbol *symbol) {
    int32_t penalty = 0;
    int32_t dark = 0;
    int32_t total = symbol->size * symbol->size;
    int32_t row;
    int32_t column;
    for (row = 0; row < symbol->size; row++) {
        penalty += line_penalty(symbol, false, row) + line_penalty(symbol, true, row);
        for (column = 0; column < symbol->size; column++) {
            bool colour = symbol->dark[row][column];
            dark += colour;
            if (row > 0 && column > 0 && symbol->dark[row - 1][column] == colour &&
                symbol->dark[row][column - 1] == colour && symbol->dark[row - 1][column - 1] == colour) {
                penalty += 3;
            }
        }
    }
    return penalty + absolute(dark * 20 - total * 10) / total * 10;
}

void draw_codewords(Symbol *symbol, const uint8_t *codewords, int32_t count) {
    int32_t best = INT32_MAX;
    int32_t mask;
    place(symbol, codewords, count * 8);
    for (mask = 0; mask < 8; mask++) {
        int32_t penalty;
        draw_format(symbol, mask);
        apply_mask(symbol, mask);
        penalty = penalty_of(symbol);
        apply_mask(symbol, mask);
        if (penalty < best) {
            best = penalty;
            symbol->mask = mask;
        }
    }
    draw_format(symbol, symbol->mask);
    apply_mask(symbol, symbol->mask);
}

bool make_symbol(Text text, Level level, int32_t least_version, Symbol *symbol) {
    Capacity capacity;
    uint8_t *data;
    uint8_t *all;
    if (!choose_version(text, level, least_version, symbol)) return false;
    capacity = capacity_of(symbol->version, level);
    data = arena_allocate((size_t)capacity.data);
    all = arena_allocate((size_t)capacity.raw);
    if (data == NULL || all == NULL) return false;
    write_codewords(text, symbol, data);
    add_correction(&capacity, data, all);
    draw_patterns(symbol);
    draw_codewords(symbol, all, capacity.raw);
    return true;
}
