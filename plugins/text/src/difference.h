/* Which lines two texts do not share: Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), in linear
 * space. */
#ifndef DIFFERENCE_H
#define DIFFERENCE_H

#include "text.h"

typedef struct {
    Text *lines; /* each with its line feed, which the last one may lack */
    bool *changed;
    uint32_t *classes; /* equal lines have equal classes */
    size_t count;
} Side;

/* Splits both texts into lines and marks those that were removed and added. `*minimal` becomes false where the search
 * was cut short, so that the marks are right but perhaps not the fewest. False after a failure. */
bool compare_lines(Text old_text, Text new_text, Side *old_side, Side *new_side, bool *minimal);

#endif
