/* Counting what a text consists of. */
#ifndef COUNTING_H
#define COUNTING_H

#include "text.h"

typedef struct {
    size_t code_points;
    size_t utf16_units;
    size_t characters; /* as people see them, nearly; see `extends` in counting.c */
    size_t words;
    size_t sentences;
    size_t lines;
    size_t longest_line; /* code points */
    size_t paragraphs;
    size_t blanks;
} Counts;

Counts count_text(Text text);
bool is_blank(uint32_t code_point);

#endif
