#include "functions.h"

#include "failure.h"
#include "memory.h"

#define MAX_FACTORIAL 5000
#define MAX_DEGREE 100
#define MAX_ROOT_DIGITS 1000
#define DEFAULT_ROOT_DIGITS 50

static bool rounded;

bool functions_rounded(void) { return rounded; }

void functions_reset(void) { rounded = false; }

static Rational nothing(void) { return rational_from(0); }

/* An argument that must be an integer within bounds. */
static bool integer_argument(Rational value, int64_t least, int64_t most, const char *what, int64_t *result) {
    uint64_t size;
    if (failed()) return false;
    if (rational_is_integer(value) && natural_to(value.numerator, &size) && size <= INT64_MAX) {
        *result = value.negative ? -(int64_t)size : (int64_t)size;
        if (*result >= least && *result <= most) return true;
    }
    return fail("%s must be an integer from %l to %l", what, least, most);
}

static bool all_integers(const Rational *arguments, size_t count, const char *what) {
    size_t index;
    for (index = 0; index < count; index++) {
        if (!rational_is_integer(arguments[index])) return fail("%s takes integers only", what);
    }
    return true;
}

Rational floor_divide(Rational left, Rational right) {
    return rational_round(rational_divide(left, right), 0, ROUND_FLOOR);
}

Rational modulo(Rational left, Rational right) {
    return rational_subtract(left, rational_multiply(right, floor_divide(left, right)));
}

Rational power(Rational base, Rational exponent) {
    int64_t size;
    if (!integer_argument(exponent, -1000000, 1000000, "an exponent", &size)) return nothing();
    if (size < 0 && rational_is_zero(base)) {
        fail("0 has no negative power");
        return nothing();
    }
    return rational_power(base, (int32_t)size);
}

/* Products of neighbours first would be faster; up to MAX_FACTORIAL one factor after the other is fast enough. */
static Natural falling_product(uint32_t from, uint32_t count) {
    size_t mark = arena_mark();
    Natural product = natural_from(1);
    uint32_t index;
    for (index = 0; index < count && !failed(); index++) {
        product = natural_keep(mark, natural_multiply(product, natural_from(from - index)));
    }
    return product;
}

Rational factorial(Rational value) {
    int64_t size;
    if (!integer_argument(value, 0, MAX_FACTORIAL, "the argument of factorial", &size)) return nothing();
    return rational_make(false, falling_product((uint32_t)size, (uint32_t)size), natural_from(1));
}

static Rational call_binomial(const Rational *arguments, size_t count) {
    int64_t from;
    int64_t taken;
    if (!integer_argument(arguments[0], 0, 100000, "the first argument of binomial", &from) ||
        !integer_argument(arguments[1], 0, 100000, "the second argument of binomial", &taken)) {
        return nothing();
    }
    if (taken > from) return nothing();
    if (taken > from - taken) taken = from - taken;
    if (taken > MAX_FACTORIAL) {
        fail("binomial(n, k) needs k or n - k to be at most %d", (int32_t)MAX_FACTORIAL);
        return nothing();
    }
    return rational_make(false, falling_product((uint32_t)from, (uint32_t)taken),
                         falling_product((uint32_t)taken, (uint32_t)taken));
}

static Rational call_abs(const Rational *arguments, size_t count) { return rational_absolute(arguments[0]); }

static Rational call_sign(const Rational *arguments, size_t count) {
    return rational_from(rational_is_zero(arguments[0]) ? 0 : arguments[0].negative ? -1 : 1);
}

static Rational round_by(const Rational *arguments, size_t count, Rounding rounding) {
    int64_t digits = 0;
    if (count > 1 && !integer_argument(arguments[1], -10000, 10000, "the number of digits", &digits)) return nothing();
    return rational_round(arguments[0], (int32_t)digits, rounding);
}

static Rational call_floor(const Rational *arguments, size_t count) { return round_by(arguments, count, ROUND_FLOOR); }
static Rational call_ceil(const Rational *arguments, size_t count) { return round_by(arguments, count, ROUND_CEILING); }
static Rational call_trunc(const Rational *arguments, size_t count) { return round_by(arguments, count, ROUND_DOWN); }
static Rational call_round(const Rational *arguments, size_t count) {
    return round_by(arguments, count, ROUND_HALF_EVEN);
}
static Rational call_round_half_up(const Rational *arguments, size_t count) {
    return round_by(arguments, count, ROUND_HALF_UP);
}

static Rational extreme(const Rational *arguments, size_t count, int wanted) {
    Rational best = arguments[0];
    size_t index;
    for (index = 1; index < count; index++) {
        if (rational_compare(arguments[index], best) == wanted) best = arguments[index];
    }
    return best;
}

static Rational call_min(const Rational *arguments, size_t count) { return extreme(arguments, count, -1); }
static Rational call_max(const Rational *arguments, size_t count) { return extreme(arguments, count, 1); }

static Rational call_sum(const Rational *arguments, size_t count) {
    size_t mark = arena_mark();
    Rational total = rational_from(0);
    size_t index;
    for (index = 0; index < count && !failed(); index++) {
        total = rational_keep(mark, rational_add(total, arguments[index]));
    }
    return total;
}

static Rational call_mean(const Rational *arguments, size_t count) {
    return rational_divide(call_sum(arguments, count), rational_from((int64_t)count));
}

static Rational call_gcd(const Rational *arguments, size_t count) {
    Natural divisor = arguments[0].numerator;
    size_t index;
    if (!all_integers(arguments, count, "gcd")) return nothing();
    for (index = 1; index < count; index++) divisor = natural_gcd(divisor, arguments[index].numerator);
    return rational_make(false, divisor, natural_from(1));
}

static Rational call_lcm(const Rational *arguments, size_t count) {
    Rational multiple = rational_absolute(arguments[0]);
    size_t index;
    if (!all_integers(arguments, count, "lcm")) return nothing();
    for (index = 1; index < count && rational_check_size(multiple); index++) {
        Natural other = arguments[index].numerator;
        if (multiple.numerator.length == 0 || other.length == 0) return nothing();
        natural_divide(other, natural_gcd(multiple.numerator, other), &other, NULL);
        multiple.numerator = natural_multiply(multiple.numerator, other);
    }
    return multiple;
}

static Rational call_isqrt(const Rational *arguments, size_t count) {
    if (!all_integers(arguments, count, "isqrt") || arguments[0].negative) {
        fail("isqrt takes an integer that is not negative");
        return nothing();
    }
    return rational_make(false, natural_root(arguments[0].numerator, 2), natural_from(1));
}

static Rational root(Rational value, uint32_t degree, const Rational *digits_argument) {
    int64_t digits = DEFAULT_ROOT_DIGITS;
    Rational result;
    bool exact;
    if (digits_argument != NULL &&
        !integer_argument(*digits_argument, 0, MAX_ROOT_DIGITS, "the number of digits of a root", &digits)) {
        return nothing();
    }
    if (value.negative && degree % 2 == 0) {
        fail("a negative number has no real root of even degree");
        return nothing();
    }
    result = rational_root(rational_absolute(value), degree, (uint32_t)digits, &exact);
    if (!exact) rounded = true;
    return value.negative ? rational_negate(result) : result;
}

static Rational call_sqrt(const Rational *arguments, size_t count) {
    return root(arguments[0], 2, count > 1 ? &arguments[1] : NULL);
}

static Rational call_root(const Rational *arguments, size_t count) {
    int64_t degree;
    if (!integer_argument(arguments[1], 1, MAX_DEGREE, "the degree of a root", &degree)) return nothing();
    return root(arguments[0], (uint32_t)degree, count > 2 ? &arguments[2] : NULL);
}

static Rational call_mod(const Rational *arguments, size_t count) {
    if (rational_is_zero(arguments[1])) {
        fail("division by zero");
        return nothing();
    }
    return modulo(arguments[0], arguments[1]);
}

static Rational call_powmod(const Rational *arguments, size_t count) {
    Rational base = arguments[0];
    if (!all_integers(arguments, count, "powmod")) return nothing();
    if (arguments[1].negative || arguments[2].negative || rational_is_zero(arguments[2])) {
        fail("powmod(base, exponent, modulus) needs an exponent of 0 or more and a modulus of 1 or more");
        return nothing();
    }
    if (base.negative) base = modulo(base, arguments[2]);
    return rational_make(false, natural_power_modulo(base.numerator, arguments[1].numerator, arguments[2].numerator),
                         natural_from(1));
}

static Rational call_factorial(const Rational *arguments, size_t count) { return factorial(arguments[0]); }

static const Function FUNCTIONS[] = {
    {"abs", 1, 1, call_abs},
    {"sign", 1, 1, call_sign},
    {"floor", 1, 2, call_floor},
    {"ceil", 1, 2, call_ceil},
    {"trunc", 1, 2, call_trunc},
    {"round", 1, 2, call_round},
    {"round_half_up", 1, 2, call_round_half_up},
    {"min", 1, MAX_ARGUMENTS, call_min},
    {"max", 1, MAX_ARGUMENTS, call_max},
    {"sum", 1, MAX_ARGUMENTS, call_sum},
    {"mean", 1, MAX_ARGUMENTS, call_mean},
    {"gcd", 1, MAX_ARGUMENTS, call_gcd},
    {"lcm", 1, MAX_ARGUMENTS, call_lcm},
    {"factorial", 1, 1, call_factorial},
    {"binomial", 2, 2, call_binomial},
    {"isqrt", 1, 1, call_isqrt},
    {"sqrt", 1, 2, call_sqrt},
    {"root", 2, 3, call_root},
    {"mod", 2, 2, call_mod},
    {"powmod", 3, 3, call_powmod},
};

const Function *find_function(Text name) {
    size_t index;
    for (index = 0; index < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; index++) {
        if (text_is(name, FUNCTIONS[index].name)) return &FUNCTIONS[index];
    }
    return NULL;
}
