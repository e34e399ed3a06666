#include "factors.h"

/* Arithmetic modulo an odd number in Montgomery's form, since wasm has no product of 128 bits. */
typedef struct {
    uint64_t modulus;
    uint64_t inverse; /* -1 / modulus modulo 2^64 */
    uint64_t one;     /* 2^64 modulo the modulus */
    uint64_t square;  /* 2^128 modulo the modulus */
} Montgomery;

static uint64_t multiply_high(uint64_t left, uint64_t right, uint64_t *low) {
    uint64_t left_low = (uint32_t)left;
    uint64_t left_high = left >> 32;
    uint64_t right_low = (uint32_t)right;
    uint64_t right_high = right >> 32;
    uint64_t middle = left_high * right_low + (left_low * right_low >> 32);
    uint64_t other;
    /* Keeps the compiler from recognising the idiom and calling a 128-bit multiplication that is not there. */
    __asm__("" : "+r"(middle));
    other = left_low * right_high + (uint32_t)middle;
    *low = left * right;
    return left_high * right_high + (middle >> 32) + (other >> 32);
}

static uint64_t multiply(const Montgomery *form, uint64_t left, uint64_t right) {
    uint64_t low;
    uint64_t ignored;
    uint64_t high = multiply_high(left, right, &low);
    uint64_t reduced = multiply_high(low * form->inverse, form->modulus, &ignored);
    uint64_t sum = high + reduced;
    uint64_t total = sum + (low != 0);
    return sum < high || total < sum || total >= form->modulus ? total - form->modulus : total;
}

static uint64_t add(const Montgomery *form, uint64_t left, uint64_t right) {
    return left >= form->modulus - right ? left - (form->modulus - right) : left + right;
}

static Montgomery montgomery(uint64_t modulus) {
    Montgomery form = {modulus, modulus, 0 - modulus, 0};
    size_t step;
    form.one %= modulus;
    for (step = 0; step < 5; step++) form.inverse *= 2 - modulus * form.inverse;
    form.inverse = 0 - form.inverse;
    form.square = form.one;
    for (step = 0; step < 64; step++) form.square = add(&form, form.square, form.square);
    return form;
}

static uint64_t to_form(const Montgomery *form, uint64_t value) {
    return multiply(form, value % form->modulus, form->square);
}

static bool passes(const Montgomery *form, uint64_t base) {
    uint64_t rest = form->modulus - 1;
    uint64_t minus_one = form->modulus - form->one;
    uint64_t factor = to_form(form, base);
    uint64_t value = form->one;
    uint32_t twos = (uint32_t)__builtin_ctzll(rest);
    if (factor == 0) return true;
    for (rest >>= twos; rest > 0; rest >>= 1) {
        if ((rest & 1) != 0) value = multiply(form, value, factor);
        factor = multiply(form, factor, factor);
    }
    if (value == form->one || value == minus_one) return true;
    for (; twos > 1; twos--) {
        value = multiply(form, value, value);
        if (value == minus_one) return true;
    }
    return false;
}

bool is_prime(uint64_t number) {
    static const uint8_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    Montgomery form;
    size_t index;
    if (number < 2 || (number != 2 && number % 2 == 0)) return false;
    if (number == 2) return true;
    form = montgomery(number);
    for (index = 0; index < sizeof bases; index++) {
        if (!passes(&form, bases[index])) return false;
    }
    return true;
}

static uint64_t gcd(uint64_t left, uint64_t right) {
    while (right != 0) {
        uint64_t rest = left % right;
        left = right;
        right = rest;
    }
    return left;
}

static uint64_t distance(uint64_t left, uint64_t right) { return left > right ? left - right : right - left; }

static uint64_t next_value(const Montgomery *form, uint64_t value, uint64_t addend) {
    return add(form, multiply(form, value, value), addend);
}

/* One gcd for each step, where a whole batch had met several factors at once. */
static uint64_t first_divisor(const Montgomery *form, uint64_t slow, uint64_t value, uint64_t addend) {
    for (;;) {
        uint64_t divisor;
        value = next_value(form, value, addend);
        divisor = gcd(distance(value, slow), form->modulus);
        if (divisor != 1) return divisor == form->modulus ? 0 : divisor;
    }
}

/* Pollard's rho in Brent's form (1980): one gcd for up to 64 steps. Returns a proper factor of an odd composite number,
 * or 0 where this start finds none. */
static uint64_t rho(const Montgomery *form, uint64_t start) {
    uint64_t fast = start;
    uint64_t length = 1;
    for (;; length *= 2) {
        uint64_t slow = fast;
        uint64_t done;
        for (done = 0; done < length; done += 64) {
            uint64_t product = form->one;
            uint64_t batch_start = fast;
            uint64_t count = length - done < 64 ? length - done : 64;
            uint64_t divisor;
            for (; count > 0; count--) {
                fast = next_value(form, fast, start);
                product = multiply(form, product, distance(fast, slow));
            }
            divisor = gcd(product, form->modulus);
            if (divisor == form->modulus) return first_divisor(form, slow, batch_start, start);
            if (divisor != 1) return divisor;
        }
    }
}

static uint64_t find_factor(uint64_t composite) {
    Montgomery form = montgomery(composite);
    uint64_t start;
    for (start = 1;; start++) {
        uint64_t factor = rho(&form, to_form(&form, start));
        if (factor != 0) return factor;
    }
}

static size_t split(uint64_t number, uint64_t *factors) {
    uint64_t factor;
    size_t count;
    if (number == 1) return 0;
    if (is_prime(number)) {
        factors[0] = number;
        return 1;
    }
    factor = find_factor(number);
    count = split(factor, factors);
    return count + split(number / factor, factors + count);
}

size_t factorize(uint64_t number, uint64_t factors[64]) {
    size_t count = 0;
    uint64_t divisor;
    size_t index;
    if (number < 2) return 0;
    for (divisor = 2; divisor < 256; divisor += 1 + (divisor > 2)) {
        for (; number % divisor == 0; number /= divisor) factors[count++] = divisor;
    }
    count += split(number, factors + count);
    for (index = 1; index < count; index++) {
        uint64_t value = factors[index];
        size_t place = index;
        for (; place > 0 && factors[place - 1] > value; place--) factors[place] = factors[place - 1];
        factors[place] = value;
    }
    return count;
}
