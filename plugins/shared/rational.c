#include "rational.h"

#include "failure.h"
#include "memory.h"

#define MAX_EXPONENT 20000
#define MAX_BITS ((size_t)66439) /* of 20,000 decimal digits */

const char *const ROUNDING_NAMES[6] = {"half_even", "half_up", "down", "up", "floor", "ceiling"};

static const uint32_t ONE_LIMB[1] = {1};
static const Natural ONE = {ONE_LIMB, 1};

static Natural power_of_ten(uint32_t exponent) { return natural_power(natural_from(10), exponent); }

Rational rational_make(bool negative, Natural numerator, Natural denominator) {
    if (numerator.length == 0) return (Rational){false, numerator, ONE};
    if (!natural_is(denominator, 1)) {
        Natural divisor = natural_gcd(numerator, denominator);
        if (!natural_is(divisor, 1)) {
            natural_divide(numerator, divisor, &numerator, NULL);
            natural_divide(denominator, divisor, &denominator, NULL);
        }
    }
    return (Rational){negative, numerator, denominator};
}

Rational rational_from(int64_t value) {
    return rational_make(value < 0, natural_from(value < 0 ? 0 - (uint64_t)value : (uint64_t)value), ONE);
}

typedef struct {
    Text digits; /* without the point */
    int32_t scale;
} Decimal;

static bool is_digit(Text text, size_t index) {
    return index < text.length && text.bytes[index] >= '0' && text.bytes[index] <= '9';
}

/* Reads digits with at most one point among them, and an exponent. */
static bool scan_decimal(Text text, size_t *index, Decimal *decimal) {
    Buffer digits = {0};
    bool point = false;
    decimal->scale = 0;
    for (; is_digit(text, *index) || (*index < text.length && text.bytes[*index] == '.' && !point); ++*index) {
        if (text.bytes[*index] == '.') {
            point = true;
        } else {
            buffer_append_byte(&digits, text.bytes[*index]);
            decimal->scale -= point;
        }
    }
    decimal->digits = buffer_text(&digits);
    if (digits.length == 0) return false;
    if (*index < text.length && (text.bytes[*index] | 0x20) == 'e') {
        bool minus = *index + 1 < text.length && text.bytes[*index + 1] == '-';
        int32_t exponent = 0;
        *index += 1 + (minus || (*index + 1 < text.length && text.bytes[*index + 1] == '+'));
        if (!is_digit(text, *index)) return false;
        for (; is_digit(text, *index); ++*index) {
            if (exponent <= MAX_EXPONENT) exponent = exponent * 10 + (text.bytes[*index] - '0');
        }
        decimal->scale += minus ? -exponent : exponent;
    }
    return true;
}

static bool parse_part(Text text, size_t *index, const char *what, Rational *value) {
    bool negative = *index < text.length && text.bytes[*index] == '-';
    Decimal decimal;
    Natural digits;
    *index += negative || (*index < text.length && text.bytes[*index] == '+');
    if (!scan_decimal(text, index, &decimal)) return false;
    if (decimal.digits.length > RATIONAL_MAX_DIGITS || decimal.scale > MAX_EXPONENT || decimal.scale < -MAX_EXPONENT) {
        return fail("%s has more than 20,000 digits: use a smaller number", what);
    }
    digits = natural_parse(decimal.digits, 10);
    *value = decimal.scale < 0
                 ? rational_make(negative, digits, power_of_ten((uint32_t)-decimal.scale))
                 : rational_make(negative, natural_multiply(digits, power_of_ten((uint32_t)decimal.scale)), ONE);
    return !failed();
}

static void skip_blanks(Text text, size_t *index) {
    while (*index < text.length && text.bytes[*index] == ' ') ++*index;
}

bool rational_parse(Text text, const char *what, Rational *value) {
    size_t index = 0;
    Rational divisor;
    bool valid;
    skip_blanks(text, &index);
    valid = parse_part(text, &index, what, value);
    skip_blanks(text, &index);
    if (valid && index < text.length && text.bytes[index] == '/') {
        index++;
        skip_blanks(text, &index);
        valid = parse_part(text, &index, what, &divisor);
        if (valid && rational_is_zero(divisor)) return fail("%s has the denominator 0", what);
        if (valid) *value = rational_divide(*value, divisor);
        skip_blanks(text, &index);
    }
    if (valid && index == text.length) return rational_check_size(*value);
    return fail("%s is %T, which is not a number: write it like -12, 3.25, 1e-9 or 1/3", what, text);
}

bool rational_is_integer(Rational value) { return natural_is(value.denominator, 1); }

bool rational_is_zero(Rational value) { return value.numerator.length == 0; }

int rational_compare(Rational left, Rational right) {
    size_t mark = arena_mark();
    int order;
    if (left.negative != right.negative) return left.negative ? -1 : 1;
    order = natural_compare(natural_multiply(left.numerator, right.denominator),
                            natural_multiply(right.numerator, left.denominator));
    arena_release(mark);
    return left.negative ? -order : order;
}

Rational rational_negate(Rational value) {
    value.negative = !value.negative && value.numerator.length != 0;
    return value;
}

Rational rational_absolute(Rational value) {
    value.negative = false;
    return value;
}

Rational rational_add(Rational left, Rational right) {
    Natural first = natural_multiply(left.numerator, right.denominator);
    Natural second = natural_multiply(right.numerator, left.denominator);
    Natural denominator = natural_multiply(left.denominator, right.denominator);
    if (left.negative == right.negative) return rational_make(left.negative, natural_add(first, second), denominator);
    if (natural_compare(first, second) >= 0) {
        return rational_make(left.negative, natural_subtract(first, second), denominator);
    }
    return rational_make(right.negative, natural_subtract(second, first), denominator);
}

Rational rational_subtract(Rational left, Rational right) { return rational_add(left, rational_negate(right)); }

Rational rational_multiply(Rational left, Rational right) {
    return rational_make(left.negative != right.negative, natural_multiply(left.numerator, right.numerator),
                         natural_multiply(left.denominator, right.denominator));
}

Rational rational_divide(Rational left, Rational right) {
    return rational_multiply(left, (Rational){right.negative, right.denominator, right.numerator});
}

Rational rational_power(Rational base, int32_t exponent) {
    uint32_t size = exponent < 0 ? 0 - (uint32_t)exponent : (uint32_t)exponent;
    Natural numerator = natural_power(base.numerator, size);
    Natural denominator = natural_power(base.denominator, size);
    bool negative = base.negative && (size & 1) != 0;
    if (numerator.length == 0) return (Rational){false, numerator, ONE};
    return exponent < 0 ? (Rational){negative, denominator, numerator} : (Rational){negative, numerator, denominator};
}

static bool rounds_away(bool negative, Natural quotient, Natural remainder, Natural divisor, Rounding rounding) {
    int half;
    if (remainder.length == 0) return false;
    switch (rounding) {
        case ROUND_DOWN: return false;
        case ROUND_UP: return true;
        case ROUND_FLOOR: return negative;
        case ROUND_CEILING: return !negative;
        default: break;
    }
    half = natural_compare(natural_add(remainder, remainder), divisor);
    return half > 0 || (half == 0 && (rounding == ROUND_HALF_UP || natural_is_odd(quotient)));
}

static Natural rounded_quotient(bool negative, Natural dividend, Natural divisor, Rounding rounding, bool *exact) {
    Natural quotient;
    Natural remainder;
    natural_divide(dividend, divisor, &quotient, &remainder);
    *exact = remainder.length == 0;
    return rounds_away(negative, quotient, remainder, divisor, rounding) ? natural_add(quotient, ONE) : quotient;
}

Rational rational_round(Rational value, int32_t digits, Rounding rounding) {
    Natural scale = power_of_ten((uint32_t)(digits < 0 ? -digits : digits));
    Natural dividend = digits < 0 ? value.numerator : natural_multiply(value.numerator, scale);
    Natural divisor = digits < 0 ? natural_multiply(value.denominator, scale) : value.denominator;
    bool exact;
    Natural quotient = rounded_quotient(value.negative, dividend, divisor, rounding, &exact);
    if (digits < 0) return rational_make(value.negative, natural_multiply(quotient, scale), ONE);
    return rational_make(value.negative, quotient, scale);
}

bool rational_write_decimal(Rational value, uint32_t digits, Rounding rounding, bool fixed, Buffer *buffer) {
    Buffer spelled = {0};
    bool exact;
    Natural quotient = rounded_quotient(value.negative, natural_multiply(value.numerator, power_of_ten(digits)),
                                        value.denominator, rounding, &exact);
    size_t places = digits;
    Text text;
    natural_write(quotient, 10, &spelled);
    if (failed()) return false;
    text = buffer_text(&spelled);
    for (; !fixed && places > 0 && text.length > 0 && text.bytes[text.length - 1] == '0'; places--) text.length--;
    if (quotient.length == 0 && !fixed) text = TEXT("0"), places = 0;
    if (value.negative && quotient.length != 0) buffer_append_byte(buffer, '-');
    if (text.length <= places) {
        buffer_append_byte(buffer, '0');
    } else {
        buffer_append(buffer, text_slice(text, 0, text.length - places));
    }
    if (places > 0) {
        buffer_append_byte(buffer, '.');
        if (text.length < places) buffer_append_repeated(buffer, '0', places - text.length);
        buffer_append(buffer, text_slice(text, text.length > places ? text.length - places : 0, text.length));
    }
    return exact;
}

void rational_write_fraction(Rational value, Buffer *buffer) {
    if (value.negative) buffer_append_byte(buffer, '-');
    natural_write(value.numerator, 10, buffer);
    if (!natural_is(value.denominator, 1)) {
        buffer_append_byte(buffer, '/');
        natural_write(value.denominator, 10, buffer);
    }
}

/* An exact root where there is one. Else x, the root of the value scaled by 10^(degree * digits), is irrational and
 * never lies half way: it rounds to (floor(2x) + 1) / 2, and floor(2x) is an integer root. */
Rational rational_root(Rational value, uint32_t degree, uint32_t digits, bool *exact) {
    Natural numerator = natural_root(value.numerator, degree);
    Natural denominator = natural_root(value.denominator, degree);
    Natural scaled;
    Natural root;
    bool rational = natural_compare(natural_power(numerator, degree), value.numerator) == 0 &&
                    natural_compare(natural_power(denominator, degree), value.denominator) == 0;
    if (exact != NULL) *exact = rational;
    if (rational) return rational_make(false, numerator, denominator);
    scaled = natural_multiply(natural_multiply(value.numerator, power_of_ten(degree * digits)),
                              natural_power(natural_from(2), degree));
    natural_divide(scaled, value.denominator, &root, NULL);
    root = natural_root(root, degree); /* twice the wanted root, cut to an integer */
    natural_divide(natural_add(root, ONE), natural_from(2), &root, NULL);
    return rational_make(false, root, power_of_ten(digits));
}

bool rational_check_size(Rational value) {
    if (failed()) return false;
    if (natural_bits(value.numerator) > MAX_BITS || natural_bits(value.denominator) > MAX_BITS) {
        return fail("a number in this computation has more than 20,000 digits: use smaller numbers");
    }
    return true;
}

Rational rational_keep(size_t mark, Rational value) {
    Natural *first = &value.numerator;
    Natural *second = &value.denominator;
    size_t after_first;
    if (first->limbs > second->limbs) {
        Natural *swap = first;
        first = second;
        second = swap;
    }
    *first = natural_keep(mark, *first);
    after_first = arena_mark();
    *second = natural_keep(after_first > mark ? after_first : mark, *second);
    return value;
}
