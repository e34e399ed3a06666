#include "difference.h"

#include "failure.h"
#include "memory.h"

#define MOST_LINES 100000
#define MOST_EDITS 1000 /* of one search before it settles for a good place to split */

static size_t count_lines(Text text) {
    size_t count = text.length > 0 && text.bytes[text.length - 1] != '\n';
    size_t index;
    for (index = 0; index < text.length; index++) count += text.bytes[index] == '\n';
    return count;
}

static bool split_lines(Text text, Side *side) {
    size_t start = 0;
    size_t line;
    side->count = count_lines(text);
    if (side->count > MOST_LINES) return fail("a text has %u lines, more than %u", side->count, (size_t)MOST_LINES);
    side->lines = arena_allocate_zeroed(side->count, sizeof(Text));
    side->changed = arena_allocate_zeroed(side->count, sizeof(bool));
    side->classes = arena_allocate_zeroed(side->count, sizeof(uint32_t));
    if (failed()) return false;
    for (line = 0; line < side->count; line++) {
        size_t end = start;
        while (end < text.length && text.bytes[end] != '\n') end++;
        if (end < text.length) end++;
        side->lines[line] = text_slice(text, start, end);
        start = end;
    }
    return true;
}

static uint32_t hash_of(Text line) {
    uint32_t hash = 2166136261u;
    size_t index;
    for (index = 0; index < line.length; index++) hash = (hash ^ (unsigned char)line.bytes[index]) * 16777619u;
    return hash;
}

/* An open hash table of the lines seen so far; a line's class is the number of its slot. */
static void classify(Side *side, Text *table, uint32_t mask) {
    size_t line;
    for (line = 0; line < side->count; line++) {
        uint32_t slot = hash_of(side->lines[line]) & mask;
        while (table[slot].length > 0 && !text_equals(table[slot], side->lines[line])) slot = (slot + 1) & mask;
        table[slot] = side->lines[line];
        side->classes[line] = slot;
    }
}

typedef struct {
    Side *old_side;
    Side *new_side;
    int32_t *forward;  /* by diagonal, old line minus new line: how far a path from the start has come */
    int32_t *backward; /* and one from the end */
    bool minimal;
} Search;

typedef struct {
    int32_t old_start;
    int32_t old_end;
    int32_t new_start;
    int32_t new_end;
} Region;

/* The diagonals that paths have reached, from one end. */
typedef struct {
    int32_t low;
    int32_t high;
} Reach;

static bool same(const Search *search, int32_t old_line, int32_t new_line) {
    return search->old_side->classes[old_line] == search->new_side->classes[new_line];
}

static void widen(Reach *reach, const Region *region, int32_t *paths, int32_t unreached) {
    if (reach->low > region->old_start - region->new_end) {
        paths[--reach->low - 1] = unreached;
    } else {
        reach->low++;
    }
    if (reach->high < region->old_end - region->new_start) {
        paths[++reach->high + 1] = unreached;
    } else {
        reach->high--;
    }
}

/* One more edit from the start; true where a path from the end is met, at `*old_split` and `*new_split`. */
static bool step_forward(const Search *search, const Region *region, Reach *own, const Reach *other, bool odd,
                         int32_t *old_split, int32_t *new_split) {
    int32_t diagonal;
    widen(own, region, search->forward, -1);
    for (diagonal = own->high; diagonal >= own->low; diagonal -= 2) {
        int32_t below = search->forward[diagonal - 1];
        int32_t above = search->forward[diagonal + 1];
        int32_t x = below < above ? above : below + 1;
        while (x < region->old_end && x - diagonal < region->new_end && same(search, x, x - diagonal)) x++;
        search->forward[diagonal] = x;
        if (odd && other->low <= diagonal && diagonal <= other->high && search->backward[diagonal] <= x) {
            *old_split = x;
            *new_split = x - diagonal;
            return true;
        }
    }
    return false;
}

static bool step_backward(const Search *search, const Region *region, Reach *own, const Reach *other, bool odd,
                          int32_t *old_split, int32_t *new_split) {
    int32_t diagonal;
    widen(own, region, search->backward, INT32_MAX);
    for (diagonal = own->high; diagonal >= own->low; diagonal -= 2) {
        int32_t below = search->backward[diagonal - 1];
        int32_t above = search->backward[diagonal + 1];
        int32_t x = below < above ? below : above - 1;
        while (x > region->old_start && x - diagonal > region->new_start && same(search, x - 1, x - 1 - diagonal)) x--;
        search->backward[diagonal] = x;
        if (!odd && other->low <= diagonal && diagonal <= other->high && x <= search->forward[diagonal]) {
            *old_split = x;
            *new_split = x - diagonal;
            return true;
        }
    }
    return false;
}

/* The end of the forward path that has come furthest. */
static void settle(const Search *search, const Region *region, const Reach *reach, int32_t *old_split,
                   int32_t *new_split) {
    int32_t best = -1;
    int32_t diagonal;
    for (diagonal = reach->high; diagonal >= reach->low; diagonal -= 2) {
        int32_t x = search->forward[diagonal] < region->old_end ? search->forward[diagonal] : region->old_end;
        if (x - diagonal > region->new_end) x = region->new_end + diagonal;
        if (2 * x - diagonal > best) {
            best = 2 * x - diagonal;
            *old_split = x;
            *new_split = x - diagonal;
        }
    }
}

static void find_split(Search *search, const Region *region, int32_t *old_split, int32_t *new_split) {
    int32_t first = region->old_start - region->new_start;
    int32_t last = region->old_end - region->new_end;
    bool odd = ((first - last) & 1) != 0;
    Reach from_start = {first, first};
    Reach from_end = {last, last};
    int32_t edits;
    search->forward[first] = region->old_start;
    search->backward[last] = region->old_end;
    for (edits = 0; edits < MOST_EDITS; edits++) {
        if (step_forward(search, region, &from_start, &from_end, odd, old_split, new_split)) return;
        if (step_backward(search, region, &from_end, &from_start, odd, old_split, new_split)) return;
    }
    search->minimal = false;
    settle(search, region, &from_start, old_split, new_split);
}

/* Splits where the two searches meet; the second part is the next turn of the loop, so that the depth stays low. */
static void compare(Search *search, Region region) {
    for (;;) {
        Region first;
        while (region.old_start < region.old_end && region.new_start < region.new_end &&
               same(search, region.old_start, region.new_start)) {
            region.old_start++;
            region.new_start++;
        }
        while (region.old_start < region.old_end && region.new_start < region.new_end &&
               same(search, region.old_end - 1, region.new_end - 1)) {
            region.old_end--;
            region.new_end--;
        }
        if (region.old_start == region.old_end || region.new_start == region.new_end) break;
        first = region;
        find_split(search, &region, &first.old_end, &first.new_end);
        region.old_start = first.old_end;
        region.new_start = first.new_end;
        compare(search, first);
    }
    for (; region.old_start < region.old_end; region.old_start++) search->old_side->changed[region.old_start] = true;
    for (; region.new_start < region.new_end; region.new_start++) search->new_side->changed[region.new_start] = true;
}

bool compare_lines(Text old_text, Text new_text, Side *old_side, Side *new_side, bool *minimal) {
    Search search = {old_side, new_side, NULL, NULL, true};
    size_t slots = 16;
    size_t diagonals;
    Text *table;
    if (!split_lines(old_text, old_side) || !split_lines(new_text, new_side)) return false;
    while (slots < 2 * (old_side->count + new_side->count)) slots *= 2;
    diagonals = old_side->count + new_side->count + 3;
    table = arena_allocate_zeroed(slots, sizeof(Text));
    search.forward = arena_allocate_zeroed(diagonals, sizeof(int32_t));
    search.backward = arena_allocate_zeroed(diagonals, sizeof(int32_t));
    if (failed()) return false;
    search.forward += new_side->count + 1;
    search.backward += new_side->count + 1;
    classify(old_side, table, (uint32_t)slots - 1);
    classify(new_side, table, (uint32_t)slots - 1);
    compare(&search, (Region){0, (int32_t)old_side->count, 0, (int32_t)new_side->count});
    *minimal = search.minimal;
    return true;
}
