/* Exact arithmetic: expressions, number bases, factorisation, statistics. */
#include "evaluator.h"
#include "factors.h"
#include "functions.h"
#include "statistics.h"
#include "tool.h"

#define MAX_EXPRESSION 50000

static void run_evaluate(Tool *tool) {
    Buffer decimal = {0};
    Buffer fraction = {0};
    Rational value;
    Text expression;
    int64_t digits;
    size_t rounding;
    bool exact;
    natural_reset_budget();
    if (!tool_text(tool, "expression", &expression) || !tool_integer_or(tool, "digits", 0, 10000, 30, &digits) ||
        !tool_choice(tool, "rounding", ROUNDING_NAMES, ROUNDING_COUNT, ROUND_HALF_EVEN, &rounding)) {
        return;
    }
    if (expression.length > MAX_EXPRESSION) {
        fail("the expression has %u bytes, more than %u", expression.length, (size_t)MAX_EXPRESSION);
        return;
    }
    functions_reset();
    if (!evaluate(expression, &value)) return;
    exact = rational_write_decimal(value, (uint32_t)digits, (Rounding)rounding, false, &decimal);
    rational_write_fraction(value, &fraction);
    json_put_text(&tool->result, "decimal", buffer_text(&decimal));
    json_put_boolean(&tool->result, "exact", exact && !functions_rounded());
    json_put_text(&tool->result, "fraction", buffer_text(&fraction));
}

/* Copies the digits of a number without blanks and underscores; false where one is not of that base. */
static bool clean_digits(Text number, int64_t base, bool *negative, Buffer *digits) {
    size_t index;
    *negative = false;
    for (index = 0; index < number.length; index++) {
        char byte = number.bytes[index];
        char lower = byte | 0x20;
        int32_t digit = byte >= '0' && byte <= '9' ? byte - '0' : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
        if (byte == '_' || byte == ' ') continue;
        if ((byte == '-' || byte == '+') && digits->length == 0 && index == 0) {
            *negative = byte == '-';
        } else if (digit >= base) {
            return fail("number is %T, and character %u of it is no digit of base %l", number,
                        utf8_count(text_slice(number, 0, index)) + 1, base);
        } else {
            buffer_append_byte(digits, byte);
        }
    }
    if (digits->length == 0) return fail("number is %T, which has no digits", number);
    return digits->length <= RATIONAL_MAX_DIGITS || fail("number has more than 20,000 digits");
}

static Text without_prefix(Text number, int64_t base) {
    char letter = base == 16 ? 'x' : base == 2 ? 'b' : base == 8 ? 'o' : '\0';
    bool prefixed = letter != '\0' && number.length > 2 && number.bytes[0] == '0' && (number.bytes[1] | 0x20) == letter;
    return prefixed ? text_slice(number, 2, number.length) : number;
}

static void convert_base(Tool *tool) {
    Buffer digits = {0};
    Buffer spelled = {0};
    Natural value;
    Text number;
    int64_t from;
    int64_t to;
    bool negative;
    natural_reset_budget();
    if (!tool_text(tool, "number", &number) || !tool_integer_or(tool, "from", 2, 36, 10, &from) ||
        !tool_integer_or(tool, "to", 2, 36, 10, &to) ||
        !clean_digits(without_prefix(number, from), from, &negative, &digits)) {
        return;
    }
    value = natural_parse(buffer_text(&digits), (uint32_t)from);
    if (negative && !natural_is(value, 0)) buffer_append_byte(&spelled, '-');
    natural_write(value, (uint32_t)to, &spelled);
    json_put_text(&tool->result, "number", buffer_text(&spelled));
    json_put_integer(&tool->result, "digits", (int64_t)spelled.length - (spelled.bytes[0] == '-'));
    json_put_integer(&tool->result, "bits", (int64_t)natural_bits(value));
}

static void put_factor(JsonWriter *writer, uint64_t prime, size_t exponent) {
    Buffer spelled = {0};
    buffer_append_unsigned(&spelled, prime);
    json_open(writer, '{');
    json_put_text(writer, "prime", buffer_text(&spelled));
    json_put_integer(writer, "exponent", (int64_t)exponent);
    json_close(writer, '}');
}

static void put_factors(Tool *tool, const uint64_t *factors, size_t count) {
    Buffer product = {0};
    uint64_t divisors = 1;
    size_t index = 0;
    json_key(&tool->result, "factors");
    json_open(&tool->result, '[');
    while (index < count) {
        size_t start = index;
        while (index < count && factors[index] == factors[start]) index++;
        put_factor(&tool->result, factors[start], index - start);
        divisors *= index - start + 1;
        if (start > 0) buffer_append_string(&product, " * ");
        buffer_append_unsigned(&product, factors[start]);
        if (index - start > 1) {
            buffer_append_byte(&product, '^');
            buffer_append_unsigned(&product, index - start);
        }
    }
    json_close(&tool->result, ']');
    json_put_text(&tool->result, "product", count == 0 ? TEXT("1") : buffer_text(&product));
    json_put_integer(&tool->result, "divisors", (int64_t)divisors);
}

static void run_factorize(Tool *tool) {
    uint64_t factors[64];
    uint64_t value;
    Buffer digits = {0};
    Text number;
    Natural parsed;
    bool negative;
    natural_reset_budget();
    if (!tool_text(tool, "number", &number) || !clean_digits(number, 10, &negative, &digits)) return;
    parsed = natural_parse(buffer_text(&digits), 10);
    if (negative || !natural_to(parsed, &value) || value == 0) {
        fail("number must be an integer from 1 to 18446744073709551615, not %T", number);
        return;
    }
    json_put_boolean(&tool->result, "prime", is_prime(value));
    put_factors(tool, factors, factorize(value, factors));
}

EXTISM_EXPORT("evaluate") int32_t tool_evaluate(void) { return tool_run(run_evaluate); }
EXTISM_EXPORT("convert_base") int32_t tool_convert_base(void) { return tool_run(convert_base); }
EXTISM_EXPORT("factorize") int32_t tool_factorize(void) { return tool_run(run_factorize); }
EXTISM_EXPORT("statistics") int32_t tool_statistics(void) { return tool_run(statistics); }
