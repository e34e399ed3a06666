/* QR code symbols, model 2: ISO/IEC 18004. */
#ifndef SYMBOL_H
#define SYMBOL_H

#include "text.h"

#define LARGEST_SIZE 177

typedef enum { LEVEL_LOW, LEVEL_MEDIUM, LEVEL_QUARTILE, LEVEL_HIGH } Level;

typedef struct {
    int32_t version; /* 1 to 40 */
    int32_t size;    /* modules along one side: 17 + 4 * version */
    Level level;
    int32_t mask; /* 0 to 7 */
    const char *mode;
    bool dark[LARGEST_SIZE][LARGEST_SIZE];     /* [row][column] */
    bool reserved[LARGEST_SIZE][LARGEST_SIZE]; /* whether the module carries no data */
} Symbol;

/* Codewords of data that a version holds at a level, and how they are cut into blocks. */
typedef struct {
    int32_t raw; /* data and error correction */
    int32_t data;
    int32_t blocks;
    int32_t correction; /* codewords of error correction in each block */
} Capacity;

Capacity capacity_of(int32_t version, Level level);

/* The smallest version that is not below `least_version` and holds the text. Records a failure where none does. */
bool choose_version(Text text, Level level, int32_t least_version, Symbol *symbol);
/* Writes `capacity.data` codewords: mode, length, text and padding. */
void write_codewords(Text text, const Symbol *symbol, uint8_t *codewords);
/* Adds error correction and interleaves the blocks: `capacity.raw` codewords. */
void add_correction(const Capacity *capacity, const uint8_t *data, uint8_t *result);
/* Draws finder, timing and alignment patterns and marks what is reserved. */
void draw_patterns(Symbol *symbol);
/* Places the codewords and applies the mask with the lowest penalty. */
void draw_codewords(Symbol *symbol, const uint8_t *codewords, int32_t count);

/* All of it. */
bool make_symbol(Text text, Level level, int32_t least_version, Symbol *symbol);

#endif
