/* The functions that expressions may call. */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "rational.h"

typedef struct {
    const char *name;
    size_t least; /* arguments */
    size_t most;
    Rational (*apply)(const Rational *arguments, size_t count);
} Function;

#define MAX_ARGUMENTS 1000

/* The function of that name, or NULL. */
const Function *find_function(Text name);

/* Whether a root has been rounded since the last reset. */
bool functions_rounded(void);
void functions_reset(void);

/* left - right * floor(left / right), so that the result has the divisor's sign. `right` must not be zero. */
Rational modulo(Rational left, Rational right);
Rational floor_divide(Rational left, Rational right);
Rational factorial(Rational value);
Rational power(Rational base, Rational exponent);

#endif
