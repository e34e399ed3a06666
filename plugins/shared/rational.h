/* Exact rational numbers, always in lowest terms, and their decimal spelling. */
#ifndef SHARED_RATIONAL_H
#define SHARED_RATIONAL_H

#include "natural.h"

typedef struct {
    bool negative; /* false for zero */
    Natural numerator;
    Natural denominator; /* never zero, except after a failure */
} Rational;

typedef enum { ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_DOWN, ROUND_UP, ROUND_FLOOR, ROUND_CEILING } Rounding;

/* The words for Rounding in its order, as tools spell them. */
extern const char *const ROUNDING_NAMES[6];
#define ROUNDING_COUNT 6

/* Digits, in numerator and in denominator, that a tool accepts and returns. */
#define RATIONAL_MAX_DIGITS 20000

Rational rational_from(int64_t value);
Rational rational_make(bool negative, Natural numerator, Natural denominator);

/* Reads `-12`, `3.25`, `.5`, `1e-9` or a fraction of two such numbers, `1/3`; blanks around it are skipped. On an
 * error records a failure that calls the text `what`. */
bool rational_parse(Text text, const char *what, Rational *value);

bool rational_is_integer(Rational value);
bool rational_is_zero(Rational value);
int rational_compare(Rational left, Rational right);

Rational rational_negate(Rational value);
Rational rational_absolute(Rational value);
Rational rational_add(Rational left, Rational right);
Rational rational_subtract(Rational left, Rational right);
Rational rational_multiply(Rational left, Rational right);
/* The divisor must not be zero. */
Rational rational_divide(Rational left, Rational right);
/* The base must not be zero where the exponent is negative. */
Rational rational_power(Rational base, int32_t exponent);

/* To the nearest multiple of 10 to the power of -digits. */
Rational rational_round(Rational value, int32_t digits, Rounding rounding);

/* Writes a decimal with at most `digits` decimal places and no trailing zeros (with them where `fixed`); returns
 * whether the decimal is the exact value. */
bool rational_write_decimal(Rational value, uint32_t digits, Rounding rounding, bool fixed, Buffer *buffer);
/* Writes `n` or `n/d`. */
void rational_write_fraction(Rational value, Buffer *buffer);

/* The root of that degree, exact where it is rational, else rounded to `digits` decimal places (`*exact`, may be NULL,
 * says which). `value` must not be negative. */
Rational rational_root(Rational value, uint32_t degree, uint32_t digits, bool *exact);

/* Records a failure where the value has more digits than RATIONAL_MAX_DIGITS. */
bool rational_check_size(Rational value);

/* As `natural_keep`. */
Rational rational_keep(size_t mark, Rational value);

#endif
