/* Natural numbers of any size, in the arena. Algorithms: Knuth, The Art of Computer Programming 2, section 4.3.1.
 *
 * A number is never changed once it is made. After a failure (see failure.h) functions return zero, so that a
 * computation may be checked once, at its end. */
#ifndef SHARED_NATURAL_H
#define SHARED_NATURAL_H

#include "text.h"

/* Longest number that is computed with: 262,144 bits or 78,913 decimal digits. */
#define NATURAL_MAX_LIMBS 8192

typedef struct {
    const uint32_t *limbs; /* least significant first; the last one is not 0 */
    size_t length;         /* 0 for zero */
} Natural;

/* Allows this call about as many steps on single limbs as fit in a few seconds, after which computations fail. */
void natural_reset_budget(void);

Natural natural_from(uint64_t value);
/* False where it does not fit into 64 bits. */
bool natural_to(Natural number, uint64_t *value);
/* The digits must be valid in that base, 2 to 36, and nothing else. */
Natural natural_parse(Text digits, uint32_t base);
void natural_write(Natural number, uint32_t base, Buffer *buffer);

int natural_compare(Natural left, Natural right);
bool natural_is(Natural number, uint32_t value);
bool natural_is_odd(Natural number);
size_t natural_bits(Natural number);

Natural natural_add(Natural left, Natural right);
/* `left` must not be smaller than `right`. */
Natural natural_subtract(Natural left, Natural right);
Natural natural_multiply(Natural left, Natural right);
/* Quotient and remainder; either pointer may be NULL. The divisor must not be zero. */
void natural_divide(Natural dividend, Natural divisor, Natural *quotient, Natural *remainder);
Natural natural_gcd(Natural left, Natural right);
Natural natural_power(Natural base, uint32_t exponent);
/* base to the power of exponent, modulo a modulus that is not zero. */
Natural natural_power_modulo(Natural base, Natural exponent, Natural modulus);
/* The largest number whose power of that degree (1 or more) is not larger than `number`. */
Natural natural_root(Natural number, uint32_t degree);

/* Moves a number down to `mark` and gives the arena's memory above it back. Numbers made before `mark` stay. */
Natural natural_keep(size_t mark, Natural number);

#endif
