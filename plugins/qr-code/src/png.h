/* PNG images of one bit per pixel (PNG specification, third edition; RFC 1950 and 1951). */
#ifndef PNG_H
#define PNG_H

#include "symbol.h"

/* Writes the symbol with `scale` pixels for each module and a light border of `border` modules. */
void write_png(const Symbol *symbol, int32_t scale, int32_t border, Buffer *png);

#endif
