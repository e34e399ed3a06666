#include "natural.h"

#include "failure.h"
#include "memory.h"

#define BUDGET ((int64_t)1000000000)

static int64_t budget;

void natural_reset_budget(void) { budget = BUDGET; }

static bool spend(size_t left, size_t right) {
    budget -= (int64_t)left * (int64_t)right + 16;
    return budget >= 0 || fail("this computation takes too many steps: use smaller numbers or fewer operations");
}

static uint32_t *new_limbs(size_t length) {
    if (length > NATURAL_MAX_LIMBS) {
        fail("a number in this computation has more than 78,000 digits: use smaller numbers");
        return NULL;
    }
    return arena_allocate_zeroed(length, sizeof(uint32_t));
}

static Natural trimmed(const uint32_t *limbs, size_t length) {
    while (length > 0 && limbs[length - 1] == 0) length--;
    return (Natural){limbs, length};
}

static const Natural ZERO = {NULL, 0};

Natural natural_from(uint64_t value) {
    uint32_t *limbs;
    if (value == 0) return ZERO;
    limbs = new_limbs(2);
    if (limbs == NULL) return ZERO;
    limbs[0] = (uint32_t)value;
    limbs[1] = (uint32_t)(value >> 32);
    return trimmed(limbs, 2);
}

bool natural_to(Natural number, uint64_t *value) {
    *value = number.length > 0 ? number.limbs[0] : 0;
    if (number.length > 1) *value |= (uint64_t)number.limbs[1] << 32;
    return number.length <= 2;
}

static uint32_t digit_value(char digit) {
    return digit <= '9' ? (uint32_t)(digit - '0') : (uint32_t)((digit | 0x20) - 'a' + 10);
}

Natural natural_parse(Text digits, uint32_t base) {
    size_t capacity = digits.length / 4 + 2; /* 36 needs 5.2 bits a digit, so at most 32 / 5.2 digits fill a limb */
    size_t length = 0;
    uint32_t *limbs = new_limbs(capacity);
    size_t index;
    if (limbs == NULL || !spend(digits.length, digits.length / 8)) return ZERO;
    for (index = 0; index < digits.length; index++) {
        uint64_t carry = digit_value(digits.bytes[index]);
        size_t limb;
        for (limb = 0; limb < length; limb++) {
            carry += (uint64_t)limbs[limb] * base;
            limbs[limb] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry != 0) limbs[length++] = (uint32_t)carry;
    }
    return trimmed(limbs, length);
}

/* Divides limbs in place by one limb; returns the remainder. */
static uint32_t divide_by_limb(uint32_t *limbs, size_t length, uint32_t divisor) {
    uint64_t remainder = 0;
    size_t index;
    for (index = length; index > 0; index--) {
        remainder = remainder << 32 | limbs[index - 1];
        limbs[index - 1] = (uint32_t)(remainder / divisor);
        remainder %= divisor;
    }
    return (uint32_t)remainder;
}

static void reverse(char *bytes, size_t length) {
    size_t index;
    for (index = 0; index < length / 2; index++) {
        char swap = bytes[index];
        bytes[index] = bytes[length - 1 - index];
        bytes[length - 1 - index] = swap;
    }
}

void natural_write(Natural number, uint32_t base, Buffer *buffer) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint32_t chunk = base;
    size_t chunk_digits = 1;
    size_t length = number.length;
    size_t start = buffer->length;
    uint32_t *rest = new_limbs(length + 1);
    if (rest == NULL || !spend(length, length * 4)) return;
    if (length == 0) buffer_append_byte(buffer, '0');
    memcpy(rest, number.limbs, length * sizeof(uint32_t));
    for (; (uint64_t)chunk * base <= UINT32_MAX; chunk *= base) chunk_digits++;
    while (length > 0) {
        uint32_t part = divide_by_limb(rest, length, chunk);
        size_t count;
        while (length > 0 && rest[length - 1] == 0) length--;
        for (count = 0; count < chunk_digits && (length > 0 || part > 0); count++) {
            buffer_append_byte(buffer, digits[part % base]);
            part /= base;
        }
    }
    if (!failed()) reverse(buffer->bytes + start, buffer->length - start);
}

int natural_compare(Natural left, Natural right) {
    size_t index;
    if (left.length != right.length) return left.length < right.length ? -1 : 1;
    for (index = left.length; index > 0; index--) {
        if (left.limbs[index - 1] != right.limbs[index - 1]) {
            return left.limbs[index - 1] < right.limbs[index - 1] ? -1 : 1;
        }
    }
    return 0;
}

bool natural_is(Natural number, uint32_t value) {
    return value == 0 ? number.length == 0 : number.length == 1 && number.limbs[0] == value;
}

bool natural_is_odd(Natural number) { return number.length > 0 && (number.limbs[0] & 1) != 0; }

size_t natural_bits(Natural number) {
    return number.length == 0 ? 0 : number.length * 32 - (size_t)__builtin_clz(number.limbs[number.length - 1]);
}

Natural natural_add(Natural left, Natural right) {
    size_t length = left.length > right.length ? left.length : right.length;
    uint32_t *limbs = new_limbs(length + 1);
    uint64_t carry = 0;
    size_t index;
    if (limbs == NULL || !spend(length, 1)) return ZERO;
    for (index = 0; index < length; index++) {
        carry += index < left.length ? left.limbs[index] : 0;
        carry += index < right.length ? right.limbs[index] : 0;
        limbs[index] = (uint32_t)carry;
        carry >>= 32;
    }
    limbs[length] = (uint32_t)carry;
    return trimmed(limbs, length + 1);
}

Natural natural_subtract(Natural left, Natural right) {
    uint32_t *limbs = new_limbs(left.length);
    int64_t borrow = 0;
    size_t index;
    if (limbs == NULL || !spend(left.length, 1)) return ZERO;
    for (index = 0; index < left.length; index++) {
        borrow += (int64_t)left.limbs[index] - (index < right.length ? right.limbs[index] : 0);
        limbs[index] = (uint32_t)borrow;
        borrow >>= 32;
    }
    return trimmed(limbs, left.length);
}

Natural natural_multiply(Natural left, Natural right) {
    size_t length = left.length + right.length;
    uint32_t *limbs;
    size_t row;
    if (left.length == 0 || right.length == 0) return ZERO;
    limbs = new_limbs(length);
    if (limbs == NULL || !spend(left.length, right.length)) return ZERO;
    for (row = 0; row < left.length; row++) {
        uint64_t factor = left.limbs[row];
        uint64_t carry = 0;
        size_t column;
        for (column = 0; column < right.length; column++) {
            carry += factor * right.limbs[column] + limbs[row + column];
            limbs[row + column] = (uint32_t)carry;
            carry >>= 32;
        }
        limbs[row + right.length] = (uint32_t)carry;
    }
    return trimmed(limbs, length);
}

static void shift_left(uint32_t *target, const uint32_t *source, size_t length, uint32_t bits) {
    uint32_t carry = 0;
    size_t index;
    for (index = 0; index < length; index++) {
        uint32_t limb = source[index];
        target[index] = limb << bits | carry;
        carry = bits == 0 ? 0 : limb >> (32 - bits);
    }
    target[length] = carry;
}

static void shift_right(uint32_t *limbs, size_t length, uint32_t bits) {
    size_t index;
    for (index = 0; index < length && bits > 0; index++) {
        uint32_t above = index + 1 < length ? limbs[index + 1] << (32 - bits) : 0;
        limbs[index] = limbs[index] >> bits | above;
    }
}

/* Step D3 of algorithm D: one digit of the quotient, at most one too large afterwards. */
static uint64_t estimate(const uint32_t *high, const uint32_t *divisor, size_t length) {
    uint64_t leading = (uint64_t)high[length] << 32 | high[length - 1];
    uint64_t digit = leading / divisor[length - 1];
    uint64_t rest = leading % divisor[length - 1];
    while (digit > UINT32_MAX || digit * divisor[length - 2] > (rest << 32 | high[length - 2])) {
        digit--;
        rest += divisor[length - 1];
        if (rest > UINT32_MAX) break;
    }
    return digit;
}

/* Steps D4 to D6: subtracts digit times divisor, and adds the divisor back where that was once too often. */
static uint32_t subtract_multiple(uint32_t *high, const uint32_t *divisor, size_t length, uint64_t digit) {
    uint64_t product = 0;
    int64_t borrow = 0;
    uint64_t carry = 0;
    size_t index;
    for (index = 0; index < length; index++) {
        product += digit * divisor[index];
        borrow += (int64_t)high[index] - (uint32_t)product;
        high[index] = (uint32_t)borrow;
        product >>= 32;
        borrow >>= 32;
    }
    borrow += (int64_t)high[length] - (int64_t)product;
    high[length] = (uint32_t)borrow;
    if (borrow >= 0) return (uint32_t)digit;
    for (index = 0; index < length; index++) {
        carry += (uint64_t)high[index] + divisor[index];
        high[index] = (uint32_t)carry;
        carry >>= 32;
    }
    high[length] += (uint32_t)carry;
    return (uint32_t)digit - 1;
}

static void divide_short(Natural dividend, uint32_t divisor, Natural *quotient, Natural *remainder) {
    uint32_t *limbs = new_limbs(dividend.length);
    uint32_t rest;
    if (limbs == NULL) return;
    memcpy(limbs, dividend.limbs, dividend.length * sizeof(uint32_t));
    rest = divide_by_limb(limbs, dividend.length, divisor);
    if (quotient != NULL) *quotient = trimmed(limbs, dividend.length);
    if (remainder != NULL) *remainder = natural_from(rest);
}

static void divide_long(Natural dividend, Natural divisor, Natural *quotient, Natural *remainder) {
    size_t length = divisor.length;
    size_t count = dividend.length - length + 1;
    uint32_t bits = (uint32_t)__builtin_clz(divisor.limbs[length - 1]);
    uint32_t *rest = new_limbs(dividend.length + 1);
    uint32_t *scaled = new_limbs(length + 1);
    uint32_t *digits = new_limbs(count);
    size_t index;
    if (rest == NULL || scaled == NULL || digits == NULL) return;
    shift_left(rest, dividend.limbs, dividend.length, bits);
    shift_left(scaled, divisor.limbs, length, bits);
    for (index = count; index > 0; index--) {
        uint32_t *high = rest + index - 1;
        digits[index - 1] = subtract_multiple(high, scaled, length, estimate(high, scaled, length));
    }
    shift_right(rest, length, bits);
    if (quotient != NULL) *quotient = trimmed(digits, count);
    if (remainder != NULL) *remainder = trimmed(rest, length);
}

void natural_divide(Natural dividend, Natural divisor, Natural *quotient, Natural *remainder) {
    if (quotient != NULL) *quotient = ZERO;
    if (remainder != NULL) *remainder = ZERO;
    if (divisor.length == 0 || failed()) return;
    if (natural_compare(dividend, divisor) < 0) {
        if (remainder != NULL) *remainder = dividend;
        return;
    }
    if (!spend(dividend.length - divisor.length + 3, divisor.length)) return;
    if (divisor.length == 1) {
        divide_short(dividend, divisor.limbs[0], quotient, remainder);
    } else {
        divide_long(dividend, divisor, quotient, remainder);
    }
}

/* Euclid's algorithm in two blocks of memory that change roles, since every step would else leave its numbers. */
Natural natural_gcd(Natural left, Natural right) {
    size_t length = left.length > right.length ? left.length : right.length;
    uint32_t *larger = new_limbs(length);
    uint32_t *smaller = new_limbs(length);
    Natural divisor = {smaller, right.length};
    Natural dividend = {larger, left.length};
    if (larger == NULL || smaller == NULL) return ZERO;
    memcpy(larger, left.limbs, left.length * sizeof(uint32_t));
    memcpy(smaller, right.limbs, right.length * sizeof(uint32_t));
    while (divisor.length > 0 && !failed()) {
        size_t mark = arena_mark();
        uint32_t *freed = larger;
        Natural rest;
        natural_divide(dividend, divisor, NULL, &rest);
        memmove(freed, rest.limbs, rest.length * sizeof(uint32_t));
        arena_release(mark);
        larger = smaller;
        smaller = freed;
        dividend = divisor;
        divisor = (Natural){smaller, rest.length};
    }
    return failed() ? ZERO : dividend;
}

Natural natural_keep(size_t mark, Natural number) {
    uint32_t *limbs = (uint32_t *)mark;
    if ((size_t)number.limbs < mark) {
        arena_release(mark);
        return number;
    }
    memmove(limbs, number.limbs, number.length * sizeof(uint32_t));
    arena_release(mark);
    arena_allocate(number.length * sizeof(uint32_t));
    return (Natural){limbs, number.length};
}

Natural natural_power(Natural base, uint32_t exponent) {
    size_t mark = arena_mark();
    Natural result = natural_from(1);
    uint32_t bit;
    if (natural_bits(base) > 1 && (uint64_t)(natural_bits(base) - 1) * exponent > (uint64_t)NATURAL_MAX_LIMBS * 32) {
        fail("this power has more than 78,000 digits: use a smaller base or exponent");
        return ZERO;
    }
    if (exponent == 0) return result;
    if (base.length == 0 || natural_is(base, 1)) return base;
    for (bit = 0x80000000u >> __builtin_clz(exponent); bit != 0; bit >>= 1) {
        result = natural_keep(mark, natural_multiply(result, result));
        if ((exponent & bit) != 0) result = natural_keep(mark, natural_multiply(result, base));
    }
    return result;
}

Natural natural_power_modulo(Natural base, Natural exponent, Natural modulus) {
    size_t mark = arena_mark();
    Natural result;
    Natural reduced;
    size_t bit;
    natural_divide(base, modulus, NULL, &reduced);
    reduced = natural_keep(mark, reduced);
    natural_divide(natural_from(1), modulus, NULL, &result);
    mark = arena_mark();
    for (bit = natural_bits(exponent); bit > 0 && !failed(); bit--) {
        natural_divide(natural_multiply(result, result), modulus, NULL, &result);
        if ((exponent.limbs[(bit - 1) / 32] >> (bit - 1) % 32 & 1) != 0) {
            natural_divide(natural_multiply(result, reduced), modulus, NULL, &result);
        }
        result = natural_keep(mark, result);
    }
    return result;
}

static Natural power_of_two(size_t bits) {
    uint32_t *limbs = new_limbs(bits / 32 + 1);
    if (limbs == NULL) return ZERO;
    limbs[bits / 32] = 1u << bits % 32;
    return (Natural){limbs, bits / 32 + 1};
}

/* Newton's method from above: it falls until it reaches the root, and then no further. */
Natural natural_root(Natural number, uint32_t degree) {
    size_t mark = arena_mark();
    Natural guess;
    if (number.length == 0 || degree == 1) return number;
    guess = natural_keep(mark, power_of_two((natural_bits(number) + degree - 1) / degree));
    for (;;) {
        size_t inner = arena_mark();
        Natural quotient;
        Natural next;
        natural_divide(number, natural_power(guess, degree - 1), &quotient, NULL);
        next = natural_add(natural_multiply(guess, natural_from(degree - 1)), quotient);
        natural_divide(next, natural_from(degree), &next, NULL);
        if (failed()) return ZERO;
        if (natural_compare(next, guess) >= 0) {
            arena_release(inner);
            return guess;
        }
        guess = natural_keep(mark, next);
    }
}
